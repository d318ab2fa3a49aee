//! What is asked of metadata, with and without an index.

use foundation_context::{Fields, Value, fields};
use foundation_registry::{Exit, OwnerGuard, Query, Registration};
use foundation_testkit::{join, spawn};

use crate::common::{Subject, Way, who};

suite! {
    a_query_finds_the_names_that_match_in_order,
    an_index_follows_updates_and_ends,
    an_indexed_registry_answers_like_one_that_is_not,
}

/// The eight operators, asked of an attribute `a`.
fn operators(value: &Value) -> [Query; 8] {
    let (q, value) = (Query::new, value.clone());
    [
        q().eq("a", value.clone()),
        q().ne("a", value.clone()),
        q().lt("a", value.clone()),
        q().le("a", value.clone()),
        q().gt("a", value.clone()),
        q().ge("a", value.clone()),
        q().is_in("a", [value.clone()]),
        q().not_in("a", [value]),
    ]
}

/// How two values compare: the signs of the operators that hold are these.
const LESS: [bool; 8] = [false, true, true, true, false, false, false, true];
const EQUAL: [bool; 8] = [true, false, false, true, false, true, true, false];
const GREATER: [bool; 8] = [false, true, false, false, true, true, false, true];
const UNLIKE: [bool; 8] = [false, true, false, false, false, false, false, true];

#[track_caller]
fn check(there: impl Into<Value>, asked: impl Into<Value>, expected: [bool; 8]) {
    let (there, asked) = (there.into(), asked.into());
    let (metadata, swapped) = (Fields::from([("a", there.clone())]), Fields::from([("a", asked.clone())]));
    let other_way = match expected {
        LESS => GREATER,
        GREATER => LESS,
        same => same,
    };
    assert_eq!(operators(&asked).map(|query| query.matches(&metadata)), expected, "{there:?} against {asked:?}");
    assert_eq!(operators(&there).map(|query| query.matches(&swapped)), other_way, "{asked:?} against {there:?}");
}

#[test]
fn values_compare_by_what_they_say_whatever_their_type() {
    const BEYOND: u64 = i64::MAX as u64 + 1;
    check(3, 3_u64, EQUAL);
    check(3, 3.0, EQUAL);
    check(3_u64, 3.0, EQUAL);
    check(0, -0.0, EQUAL);
    check(0.0, -0.0, EQUAL);
    check(-1, 0_u64, LESS);
    check(-1, u64::MAX, LESS);
    check(i64::MIN, -1, LESS);
    check(2, 2.5, LESS);
    check(3_u64, 2.5, GREATER);
    check(-2, -2.5, GREATER);
    check(-3, -2.5, LESS);
    check(0, 0.5, LESS);
    check(0, -0.5, GREATER);
    check(0.1, 0.2, LESS);
    check(0.1 + 0.2, 0.3, GREATER);
    check(2.5, 2.5, EQUAL);
    check(f64::MIN_POSITIVE, 0, GREATER);
    // Whole numbers that are no fraction's, and fractions that are no whole number's.
    check(i64::MAX, BEYOND, LESS);
    check(BEYOND, BEYOND as f64, EQUAL);
    check(i64::MAX, i64::MAX as f64, LESS);
    check(u64::MAX, u64::MAX as f64, LESS);
    check(u64::MAX - 1, u64::MAX, LESS);
    check((1_u64 << 53) + 1, (1_u64 << 53) as f64, GREATER);
    check((1_u64 << 53) + 1, (1_u64 << 53) as f64 + 2.0, LESS);
    check(i64::MIN, i64::MIN as f64, EQUAL);
    check(u64::MAX, 1e30, LESS);
    check(i64::MIN, -1e30, GREATER);
    for (large, huge) in [(1e37, 1e38), (1e38, 1e39), (1e38, f64::MAX), (1e300, f64::INFINITY)] {
        check(large, huge, LESS);
        check(-large, -huge, GREATER);
        check(large, large, EQUAL);
        check(huge, huge, EQUAL);
        check(u64::MAX, huge, LESS);
        check(i64::MIN, -huge, GREATER);
        check(2.5, huge, LESS);
        check(2.5, -huge, GREATER);
        check(-huge, huge, LESS);
    }
    // Nothing is like it, not even itself.
    for other in
        [Value::from(f64::NAN), (-f64::NAN).into(), 1.into(), 1_u64.into(), 2.5.into(), f64::INFINITY.into(), "".into()]
    {
        check(f64::NAN, other, UNLIKE);
    }
    check("a", "b", LESS);
    check("a", "aa", LESS);
    check("", "a", LESS);
    check("Z", "a", LESS);
    check("z", "ä", LESS);
    check("north", "north".to_owned(), EQUAL);
    check("n".repeat(100), "n".repeat(100), EQUAL);
    check(false, true, LESS);
    check(true, true, EQUAL);
    for (unlike, other) in [
        (Value::from("3"), Value::from(3)),
        ("true".into(), true.into()),
        (true.into(), 1.into()),
        (false.into(), 0_u64.into()),
        (true.into(), 1.0.into()),
        ("2.5".into(), 2.5.into()),
        ("".into(), false.into()),
    ] {
        check(unlike, other, UNLIKE);
    }
}

/// In the original, `nil > 5` was true: comparisons matched entries that lacked the attribute.
#[test]
fn a_missing_attribute_never_matches() {
    for value in [Value::from(0), (-1).into(), 5_u64.into(), 2.5.into(), f64::NAN.into(), "".into(), false.into()] {
        for query in operators(&value) {
            assert!(!query.matches(&Fields::new()) && !query.matches(&fields! { b: 1 }), "{query}");
        }
    }
    assert!(!Query::new().not_in("a", Vec::<i32>::new()).matches(&fields! { b: 1 }));
    assert!(!Query::new().eq("b", 1).ne("a", 1).matches(&fields! { b: 1 }));
}

#[test]
fn all_conditions_have_to_hold_and_none_always_do() {
    let one = fields! { a: 1, b: "x" };
    let table = [
        (Query::new(), true),
        (Query::new().eq("a", 1).eq("b", "x"), true),
        (Query::new().eq("a", 1).eq("b", "y"), false),
        (Query::new().ge("a", 0).lt("a", 2), true),
        (Query::new().ge("a", 0).lt("a", 1), false),
        (Query::new().eq("a", 1).eq("a", 2), false),
        (Query::new().is_in("a", [3, 2, 1]), true),
        (Query::new().is_in("a", [3, 2]), false),
        (Query::new().is_in("a", Vec::<i32>::new()), false),
        (Query::new().is_in("a", [1.0, 5.0]).is_in("b", ["x", "y"]), true),
        (Query::new().not_in("a", [3, 2]), true),
        (Query::new().not_in("a", [3, 1]), false),
        (Query::new().not_in("a", Vec::<i32>::new()), true),
    ];
    for (query, expected) in table {
        assert_eq!(query.matches(&one), expected, "{query}");
    }
    let twice = Fields::from([("a", 1.into()), ("a", 2.into())]);
    assert!(Query::new().eq("a", 2).matches(&twice) && !Query::new().eq("a", 1).matches(&twice), "the last one counts");
}

#[test]
fn a_query_reads_as_what_it_asks() {
    let table = [
        (Query::new(), "all"),
        (Query::new().eq("zone", "north"), "zone = north"),
        (Query::new().ne("zone", "north").lt("load", 0.8), "zone != north and load < 0.8"),
        (Query::new().le("a", 1).gt("b", 2_u64).ge("c", -3), "a <= 1 and b > 2 and c >= -3"),
        (Query::new().is_in("a", [1, 2]).not_in("b", ["x"]), "a in (1, 2) and b not in (x)"),
        (Query::new().is_in("a", Vec::<bool>::new()).eq("b", true), "a in () and b = true"),
    ];
    for (query, text) in table {
        assert_eq!((query.to_string(), format!("{query:?}")), (text.to_owned(), format!("Query({text})")));
        assert_eq!(query.clone(), query);
    }
    assert_ne!(Query::new().eq("a", 1), Query::new().ne("a", 1));
    assert_eq!(Query::default(), Query::new());
}

fn found(r: &Subject<u64>, query: &Query) -> Vec<(String, u64)> {
    r.query(query).iter().map(|entry| (entry.name().to_owned(), *entry.value())).collect()
}

fn a_query_finds_the_names_that_match_in_order(way: Way) {
    let r = way.built(|builder| builder.index("zone"));
    let (one, other) = (r.begin(1), r.begin(2));
    for (name, owner, value, metadata) in [
        ("d", &one, 1, fields! { zone: "north", load: 0.5 }),
        ("a", &other, 2, fields! { zone: "south", load: 0.9 }),
        ("c", &one, 3, fields! { zone: "north", load: 0.9 }),
        ("b", &other, 4, fields! { load: 0.1 }),
        ("e", &one, 5, Fields::new()),
    ] {
        r.register(name, owner, value, metadata).expect("it is free").keep();
    }
    r.join("g", &one, 6, fields! { zone: "north" }).expect("there is room").keep();
    r.middle();
    let names = |query: Query| found(&r, &query).into_iter().map(|(name, _)| name).collect::<String>();
    assert_eq!(names(Query::new()), "abcde");
    assert_eq!(names(Query::new().eq("zone", "north")), "cd", "names, not members");
    assert_eq!(names(Query::new().eq("zone", "north").lt("load", 0.8)), "d");
    assert_eq!(names(Query::new().lt("load", 0.8)), "bd");
    assert_eq!(names(Query::new().ne("zone", "north")), "a");
    assert_eq!(names(Query::new().is_in("zone", ["south", "north", "south"])), "acd", "once");
    assert_eq!(names(Query::new().is_in("zone", Vec::<&str>::new())), "");
    assert_eq!(names(Query::new().not_in("zone", ["north"])), "a");
    assert_eq!(names(Query::new().eq("zone", "west")) + &names(Query::new().eq("zone", 1)), "");
    assert_eq!(names(Query::new().eq("load", 0.9)), "ac", "without an index");
    assert_eq!(names(Query::new().eq("load", 0.9).eq("zone", "north")), "c");
    drop(one.end(Exit::Normal));
    assert_eq!(names(Query::new().eq("zone", "north")) + &names(Query::new()), "ab");
}

fn an_index_follows_updates_and_ends(way: Way) {
    let r = way.built(|builder| builder.index("zone").index("load").index("zone"));
    let owner = r.begin(1);
    let registration = r.register("n", &owner, 1, fields! { zone: "north", load: 1 }).expect("it is free");
    let is = |zone: &'static str, load: i32| {
        let by_zone = found(&r, &Query::new().eq("zone", zone));
        assert_eq!(by_zone, found(&r, &Query::new().eq("load", load)));
        assert_eq!(by_zone, found(&r, &Query::new().eq("zone", zone).eq("load", load)));
        by_zone
    };
    assert_eq!(is("north", 1), [("n".to_owned(), 1)]);
    drop(r.update_value("n", &owner, |_| 2));
    assert_eq!(is("north", 1), [("n".to_owned(), 2)]);
    r.middle();
    drop(r.update_metadata("n", &owner, |_| fields! { zone: "south", load: 2.0 }));
    assert_eq!((is("north", 1), is("south", 2)), (vec![], vec![("n".to_owned(), 2)]));
    assert!(r.register("n", &owner, 3, fields! { zone: "north", load: 1 }).is_err());
    assert_eq!(is("north", 1), []);
    drop(r.update_metadata("n", &owner, |_| Fields::new()));
    assert_eq!(is("south", 2), []);
    drop(r.update_metadata("n", &owner, |_| fields! { zone: "north", load: 1 }));
    assert_eq!(is("north", 1).len(), 1);
    drop(registration);
    assert_eq!(is("north", 1), []);
    r.register("n", &owner, 4, fields! { zone: "north", load: 1 }).expect("it is free").keep();
    let held = r.query(&Query::new().eq("zone", "north"));
    drop(owner.end(Exit::Normal));
    assert_eq!((is("north", 1), held.len()), (vec![], 1));
}

/// Numbers by chance, the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % most
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    fn value(&mut self) -> Value {
        let values = [
            Value::from(0),
            1.into(),
            2.into(),
            1_u64.into(),
            1.0.into(),
            1.5.into(),
            (-0.0).into(),
            f64::NAN.into(),
            f64::INFINITY.into(),
            1e38.into(),
            u64::MAX.into(),
            i64::MIN.into(),
            true.into(),
            false.into(),
            "".into(),
            "north".into(),
            "north".to_owned().into(),
            "a zone whose name is longer than 23 bytes".into(),
            "1".into(),
        ];
        self.of(&values)
    }

    fn metadata(&mut self) -> Fields {
        let attributes: Vec<_> = (0..self.below(4)).map(|_| self.of(&["a", "b", "c"])).collect();
        attributes.into_iter().map(|attribute| (attribute, self.value())).collect()
    }

    fn query(&mut self) -> Query {
        let mut query = Query::new();
        for _ in 0..self.below(3) {
            let (attribute, value) = (self.of(&["a", "b", "c"]), self.value());
            let values: Vec<_> = (0..self.below(4)).map(|_| self.value()).collect();
            query = match self.below(11) {
                0..3 => query.eq(attribute, value),
                3 => query.ne(attribute, value),
                4 => query.lt(attribute, value),
                5 => query.le(attribute, value),
                6 => query.gt(attribute, value),
                7 => query.ge(attribute, value),
                8..10 => query.is_in(attribute, values),
                _ => query.not_in(attribute, values),
            };
        }
        query
    }
}

/// The one with indexes, the one without, and what there has to be.
struct Both {
    indexed: Subject<u64>,
    plain: Subject<u64>,
    owners: Vec<OwnerGuard>,
    expected: Vec<(String, u64, Fields, usize)>,
    kept: Vec<[Registration; 2]>,
}

impl Both {
    fn step(&mut self, chance: &mut Chance, ids: &mut u64) {
        const NAMES: [&str; 6] = ["f", "e", "d", "c", "b", "a"];
        let (name, value, metadata) = (chance.of(&NAMES), *ids, chance.metadata());
        let (at, step) = (chance.below(self.owners.len()), chance.below(10));
        *ids += 1;
        let owner = self.owners[at].clone();
        let place = self.expected.iter().position(|(there, ..)| there == name);
        let mine = place.filter(|place| self.expected[*place].3 == at);
        match step {
            0..4 => {
                let [first, second] =
                    [&self.indexed, &self.plain].map(|r| r.register(name, &owner, value, metadata.clone()));
                match place {
                    None => {
                        self.kept.push([first, second].map(|registered| registered.expect("it is free")));
                        self.expected.push((name.into(), value, metadata, at));
                    }
                    Some(_) => assert!(first.is_err() && second.is_err()),
                }
            }
            4 | 5 => {
                for r in [&self.indexed, &self.plain] {
                    assert_eq!(r.update_metadata(name, &owner, |_| metadata.clone()).is_ok(), mine.is_some());
                }
                if let Some(place) = mine {
                    self.expected[place].2 = metadata;
                }
            }
            6 => {
                for r in [&self.indexed, &self.plain] {
                    assert_eq!(r.update_value(name, &owner, |_| value).is_ok(), mine.is_some());
                }
                if let Some(place) = mine {
                    self.expected[place].1 = value;
                }
            }
            7 | 8 => {
                for r in [&self.indexed, &self.plain] {
                    assert_eq!(r.unregister(name, owner.incarnation()).is_some(), mine.is_some());
                }
                if let Some(place) = mine {
                    self.expected.remove(place);
                }
            }
            _ => {
                drop(self.owners[at].end(Exit::Normal));
                self.expected.retain(|(.., owner)| *owner != at);
                self.owners[at] = self.indexed.owners.begin(who(*ids), "w");
            }
        }
    }

    fn compare(&self, query: &Query) {
        let matching = self.expected.iter().filter(|(_, _, metadata, _)| query.matches(metadata));
        let mut expected: Vec<_> = matching.map(|(name, value, ..)| (name.clone(), *value)).collect();
        expected.sort();
        assert_eq!(found(&self.plain, query), expected, "{query} without indexes");
        assert_eq!(found(&self.indexed, query), expected, "{query} with indexes");
    }
}

/// The oracle is [`Query::matches`] over a list.
fn an_indexed_registry_answers_like_one_that_is_not(way: Way) {
    for seed in 1..=40 {
        let (mut chance, mut ids) = (Chance(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed)), 10);
        let indexed = way.built(|builder| builder.index("a").index("b"));
        let plain = way.beside(&indexed.owners, |builder| builder);
        let owners = (1..=3).map(|id| indexed.begin(id)).collect();
        let mut both = Both { indexed, plain, owners, expected: Vec::new(), kept: Vec::new() };
        for step in 0..60 {
            both.step(&mut chance, &mut ids);
            both.compare(&chance.query());
            if step == 30 {
                both.indexed.middle();
                both.plain.middle();
            }
        }
        let (queries, Both { indexed, plain, owners, kept, .. }) = ((0..10).map(|_| chance.query()), both);
        drop(kept);
        assert!(indexed.is_empty() && plain.is_empty());
        assert!(queries.into_iter().all(|query| found(&indexed, &query).is_empty()), "an index keeps nothing");
        assert!(owners.iter().all(|owner| owner.names() == 0));
    }
}

/// A name that goes on matching while it is updated is found, old or new: by an index as without.
#[test]
fn a_name_that_always_matches_is_always_found() {
    const UPDATES: i32 = 3_000;
    let r = Way::New.built(|builder| builder.index("zone"));
    let owner = r.begin(1);
    r.register("n", &owner, 0, fields! { zone: "north", load: 0 }).expect("it is free").keep();
    let (registry, same) = (foundation_registry::Registry::clone(&r), owner.clone());
    let updates = spawn(move || {
        for load in 1..=UPDATES {
            let zone = if load % 2 == 0 { "north" } else { "south" };
            let said = if load < UPDATES / 2 {
                fields! { zone: "north", load: load }
            } else {
                fields! { zone: zone, load: load }
            };
            registry.update_metadata("n", &same, |_| said.clone()).expect("it is its owner's");
        }
    });
    let (one, several) = (Query::new().eq("zone", "north"), Query::new().is_in("zone", ["north", "south"]));
    loop {
        assert_eq!(r.query(&several).len(), 1, "it is in one of the two all the time");
        let before = r.query(&one).len();
        let load = r.lookup("n").and_then(|entry| entry.metadata().get("load").and_then(Value::as_u64));
        assert!(before == 1 || load >= Some(UPDATES as u64 / 2), "it is there all the time, {load:?}");
        if load == Some(UPDATES as u64) {
            break;
        }
    }
    join(updates);
}

/// In legacy mode a name that is kept aside is found by its thread alone, by an index as without.
#[cfg(feature = "legacy")]
#[test]
fn a_query_finds_what_its_thread_finds() {
    let r = Way::Legacy.built(|builder| builder.index("zone"));
    let (here, there) = (r.begin(1), r.begin(2));
    r.register("n", &here, 1_u64, fields! { zone: "north", x: 1 }).expect("it is free").keep();
    let both = [Query::new().eq("zone", "north"), Query::new().eq("x", 1), Query::new()];
    let (registry, owner, queries) = (foundation_registry::Registry::clone(&r), there.clone(), both.clone());
    let finds = move |registry: &foundation_registry::Registry<u64>, expected: &[u64]| {
        for query in &queries {
            let found: Vec<_> = registry.query(query).iter().map(|entry| *entry.value()).collect();
            assert_eq!(found, expected, "{query}");
        }
    };
    let same = finds.clone();
    let other = foundation_sync::Queue::<()>::bounded(1, foundation_sync::Full::Refuse);
    let (told, said) = (other.clone(), foundation_sync::Queue::<()>::bounded(1, foundation_sync::Full::Refuse));
    let says = said.clone();
    let beside = spawn(move || {
        same(&registry, &[]);
        registry
            .register("n", &owner, 2, fields! { zone: "north", x: 1 })
            .expect("it is free to another thread")
            .keep();
        same(&registry, &[2]);
        says.try_send(()).expect("there is room");
        told.recv(foundation_sync::Deadline::never()).expect("it is told");
        same(&registry, &[2]);
        says.try_send(()).expect("there is room");
        told.recv(foundation_sync::Deadline::never()).expect("it is told");
        same(&registry, &[2]);
    });
    said.recv(foundation_sync::Deadline::never()).expect("it says so");
    finds(&r, &[1]);
    r.switch().push(r.switch().epoch().flipped());
    finds(&r, &[1]);
    other.try_send(()).expect("there is room");
    said.recv(foundation_sync::Deadline::never()).expect("it says so");
    drop(here.end(Exit::Normal));
    finds(&r, &[2]);
    other.try_send(()).expect("there is room");
    join(beside);
    drop(there.end(Exit::Normal));
    finds(&r, &[]);
}

/// "What matches all the time is found": whoever has looked it up asks for it after that.
#[test]
fn a_query_finds_what_a_lookup_has_found() {
    const NAMES: u32 = 20_000;
    let r = Way::New.built(|builder| builder.index("zone"));
    let owner = r.begin(1);
    let names: Vec<_> = (0..NAMES).map(|name| name.to_string()).collect();
    let (registry, same, those) = (foundation_registry::Registry::clone(&r), owner.clone(), names.clone());
    let next = std::sync::Arc::new(foundation_sync::atomic::AtomicUsize::new(0));
    let now = std::sync::Arc::clone(&next);
    let registers = spawn(move || {
        for (zone, name) in those.iter().enumerate() {
            while now.load(foundation_sync::atomic::Ordering::Acquire) < zone {
                std::hint::spin_loop();
            }
            registry.register(name, &same, 0_u64, fields! { zone: zone as u64 }).expect("it is free").keep();
        }
    });
    let mut missed = 0;
    for (zone, name) in names.iter().enumerate() {
        while r.lookup(name).is_none() {
            std::hint::spin_loop();
        }
        missed += usize::from(r.query(&Query::new().eq("zone", zone as u64)).is_empty());
        next.store(zone + 1, foundation_sync::atomic::Ordering::Release);
    }
    join(registers);
    assert_eq!(missed, 0, "of {NAMES}");
}
