//! A registry that is written to a file, and comes back.

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    time::Duration,
};

use foundation_context::fields;
use foundation_registry::{
    Exit, Owners, RegisterError, Registry,
    backup::{self, Problem, Record, Refused, UnknownField},
};
use foundation_telemetry::Telemetry;

use super::{SMALL, at, place, record, sealed, who};

#[test]
fn what_is_not_restored_is_listed_with_the_reason() {
    let (_directory, file) = place();
    let owners = Owners::default();
    let registry = Registry::<u32>::new(&owners, &Telemetry::new());
    let (alive, dead) = (owners.begin(who(1), "alive"), owners.begin(who(2), "dead"));
    drop(dead.end(Exit::Normal));
    registry.register("taken", &alive, 0, fields! {}).expect("it is free").keep();
    let of = |name: &str, owner: &str| Record::new(name, who(7), owner, at(0)).value(Some("5".to_owned()));
    let written = [
        of("free", "alive").metadata(&fields! { shard: 3u64 }),
        of("taken", "alive"),
        of("twice", "alive"),
        of("twice", "alive"),
        of("late", "dead"),
        of("strange", "alive").metadata(&fields! { shard: 3u64, colour: "red" }),
        of("nobody's", "unknown"),
        of("no value", "alive").value(None),
    ];
    backup::write(&file, at(7), written).expect("there is room");
    let take = |record: &Record| {
        let owner = [&alive, &dead].into_iter().find(|owner| **owner.name() == *record.owner_name)?;
        Some((owner.owner().clone(), record.value.as_ref()?.parse().ok()?))
    };
    let mut asked = Vec::new();
    let restored = registry.restore(&file, &["shard"], |record| {
        asked.push(record.name.clone());
        take(record)
    });
    let restored = restored.expect("it is whole");
    assert!(restored.restored == 2 && !restored.is_complete());
    let timeless = |why: &Refused| match why.clone() {
        Refused::Register(RegisterError::AlreadyRegistered { name, owner, .. }) => {
            Refused::Register(RegisterError::AlreadyRegistered { name, owner, since: 0 })
        }
        other => other,
    };
    let why: Vec<_> = restored.refused.iter().map(|(record, why)| (record.name.as_str(), timeless(why))).collect();
    let taken =
        |name: &str| Refused::Register(RegisterError::AlreadyRegistered { name: name.into(), owner: who(1), since: 0 });
    assert_eq!(
        why,
        [
            ("taken", taken("taken")),
            ("twice", taken("twice")),
            ("late", Refused::Register(RegisterError::Fenced(who(2)))),
            ("strange", Refused::UnknownField(UnknownField("colour".to_owned()))),
            ("nobody's", Refused::NotTaken),
            ("no value", Refused::NotTaken),
        ]
    );
    assert!(!asked.contains(&"strange".to_owned()), "nobody is asked in vain");
    let entry = registry.lookup("free").expect("it was restored");
    assert_eq!((*entry.value(), entry.metadata(), entry.incarnation()), (5, &fields! { shard: 3u64 }, who(1)));
    let said = restored.to_string();
    assert!(
        said.starts_with("2 restored, 6 not\n`taken` of alive (7#2): `taken` is taken by 1#2, which lives"),
        "{said}"
    );
    assert!(
        said.contains("\n`strange` of alive (7#2): its metadata has the field `colour`, which is not among"),
        "{said}"
    );
}

#[test]
fn nothing_is_restored_from_a_file_that_is_not_whole() {
    let (_directory, file) = place();
    let whole = sealed(SMALL.as_bytes());
    fs::write(&file, &whole[..whole.len() - 1]).expect("there is room");
    let restored = backup::restore(&file, &[], |_| -> Option<()> { panic!("nobody is asked") }, |_, _, ()| Ok(()));
    assert!(matches!(restored.expect_err("it is cut").error.problem, Problem::Cut { records: 2 }));
}

#[test]
fn a_registry_comes_back_as_it_was() {
    let (_directory, file) = place();
    let owners = Owners::default();
    let registry = Registry::<u32>::new(&owners, &Telemetry::new());
    let (first, second) = (owners.begin(who(1), "first"), owners.begin(who(2), "second"));
    registry.register("index", &first, 7, fields! { shard: 3, zone: "north" }).expect("it is free").keep();
    registry.register("idle", &second, 8, fields! {}).expect("it is free").keep();
    for (owner, load) in [(&first, 0.5), (&second, 0.25)] {
        registry.join("workers", owner, 9, fields! { load: load }).expect("it lives").keep();
    }
    let written = registry.backup(&file, |entry| Some(entry.value().to_string())).expect("there is room");
    assert_eq!((written.records, written.without_value), (4, 0));

    let later = Owners::default();
    let again = Registry::<u32>::new(&later, &Telemetry::new());
    let reborn = [later.begin(who(11), "first"), later.begin(who(12), "second")];
    let take = |record: &Record| {
        let owner = reborn.iter().find(|owner| **owner.name() == *record.owner_name)?;
        Some((owner.owner().clone(), record.value.as_ref()?.parse().ok()?))
    };
    let restored = again.restore(&file, &["shard", "zone", "load"], take).expect("it is whole");
    assert!(restored.is_complete(), "{restored}");
    let shown = |registry: &Registry<u32>| {
        let all = registry.entries().into_iter().chain(registry.members("workers"));
        let shown = |entry: foundation_registry::Entry<u32>| {
            (entry.name().to_owned(), entry.owner().name().to_string(), *entry.value(), entry.metadata().to_string())
        };
        all.map(shown).collect::<Vec<_>>()
    };
    assert_eq!(shown(&again), shown(&registry));
}

#[test]
fn of_much_that_was_not_restored_the_beginning_is_shown() {
    let (_directory, file) = place();
    backup::write(&file, at(7), (0..30).map(|number| record(&format!("name\n{number}")))).expect("there is room");
    let restored = backup::restore(&file, &[], |_| None, |_, _, ()| Ok(())).expect("it is whole");
    let said = restored.to_string();
    assert_eq!((restored.refused.len(), said.lines().count()), (30, 22));
    assert!(said.starts_with("0 restored, 30 not\n`name\\n0` of indexer (1#2): nobody took it\n"), "{said}");
    assert!(said.ends_with("\nand 10 more"), "{said}");
}

#[test]
fn since_when_a_name_was_registered_is_in_the_backup() {
    let (_directory, file) = place();
    let time = foundation_sync::VirtualTime::new();
    let owners = Owners::in_universe(foundation_sync::Activity::default(), time.clock(), &Telemetry::new());
    let registry = Registry::<u32>::new(&owners, &Telemetry::new());
    let first = owners.begin(who(1), "first");
    registry.register("index", &first, 7, fields! {}).expect("it is free").keep();
    let since = time.clock().date();
    time.advance(Duration::from_secs(60)).expect("it is ours");
    registry.backup(&file, |_| None).expect("there is room");
    let read = backup::read(&file).expect("it is whole");
    assert_eq!(read.made(), since + Duration::from_secs(60));
    let since_when: Vec<_> = read.map(|record| record.expect("nobody writes into it").since).collect();
    assert_eq!(since_when, [since]);
}

#[test]
fn what_was_done_before_a_file_was_found_changed_is_told_all_the_same() {
    let (_directory, file) = place();
    backup::write(&file, at(7), (0..10_000).map(|number| record(&format!("name {number}")))).expect("there is room");
    let text = fs::read_to_string(&file).expect("it is there");
    let at_name = text.find("name 5000").expect("it is there");
    let mut into = None;
    let restored = backup::restore(
        &file,
        &[],
        |record| {
            into.get_or_insert_with(|| {
                let mut file = fs::OpenOptions::new().write(true).open(&file).expect("it is there");
                file.seek(SeekFrom::Start(at_name as u64)).expect("it is as long");
                file.write_all(b"NAME").expect("there is room");
            });
            (record.name != "name 17").then_some(())
        },
        |_, _, ()| Ok(()),
    );
    let error = restored.expect_err("it was written into");
    assert!(matches!(error.error.problem, Problem::Changed { records: 5000 }), "{error}");
    let refused: Vec<_> = error.restored.refused.iter().map(|(record, why)| (record.name.as_str(), why)).collect();
    assert_eq!((error.restored.restored, refused), (4_999, vec![("name 17", &Refused::NotTaken)]));
    let said = error.to_string();
    assert!(said.contains("\nuntil then 4999 restored, 1 not\n`name 17` of indexer (1#2): nobody took it"), "{said}");
}
