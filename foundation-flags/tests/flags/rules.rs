//! For whom a flag is on.

use foundation_flags::{Because, Changing, Explanation, Flag, Flags, Part, Percent, Setting, Target};
use proptest::prelude::*;

use crate::soon;

const OFF: Flag = Flag::off("off_by_default");
const ON: Flag = Flag::on("on_by_default");

fn flags() -> Flags {
    Flags::builder().flag(&OFF).flag(&ON).node("here").start().expect("they fit together")
}

fn percent(percent: f64) -> Percent {
    Percent::new(percent).expect("it is one")
}

/// Every way to read a flag for a target, which all say the same; and what decided.
#[track_caller]
fn read(flags: &Flags, flag: &Flag, target: &Target<'_>) -> Explanation {
    let (view, gate, decision) = (flags.view(), flags.gate(flag), flags.explain(flag, target));
    assert_eq!(flags.enabled_for_target(flag, target), decision.on, "the flags");
    assert_eq!(view.enabled_for_target(flag, target), decision.on, "the view");
    assert_eq!(gate.enabled_for_target(target), decision.on, "the gate");
    assert_eq!(view.explain(flag, target), decision);
    if *target == Target::NOBODY {
        assert_eq!((flags.enabled(flag), view.enabled(flag), gate.enabled()), (decision.on, decision.on, decision.on));
    }
    decision
}

/// Who asks, and whether the flag is on that is off by default, and the one that is on.
type Row<'a> = (Target<'a>, bool, bool);

type Say = for<'a> fn(Changing<'a>, &Flag) -> Changing<'a>;

/// What is said, who asks, and the answer for a flag that is off by default and one that is on: the rows of the table in
/// the order in which rules decide.
#[test]
fn the_first_of_actor_groups_node_and_everybody_that_says_something_decides() {
    let nobody = Target::NOBODY;
    let user = Target::id("user");
    let beta = user.groups(&["beta"]);
    let both = user.groups(&["beta", "banned"]);
    let there = user.node("there");
    let table: &[(&str, Say, &[Row<'_>])] = &[
        ("nothing", |c, _| c, &[(nobody, false, true), (user, false, true), (both, false, true)]),
        ("on", |c, f| c.on(f), &[(nobody, true, true), (user, true, true), (both, true, true)]),
        ("off", |c, f| c.off(f), &[(nobody, false, false), (user, false, false), (both, false, false)]),
        ("0 %", |c, f| c.percent(f, 0.0), &[(nobody, false, false), (user, false, false)]),
        ("100 %", |c, f| c.percent(f, 100.0), &[(nobody, true, true), (user, true, true)]),
        ("off after a percentage", |c, f| c.percent(f, 100.0).off(f), &[(nobody, false, false), (user, false, false)]),
        ("a percentage after on", |c, f| c.on(f).percent(f, 0.01), &[(nobody, false, false), (user, false, false)]),
        ("the actor on", |c, f| c.off(f).actor(f, "user", true), &[(nobody, false, false), (user, true, true)]),
        ("the actor off", |c, f| c.on(f).actor(f, "user", false), &[(nobody, true, true), (user, false, false)]),
        (
            "the actor before groups",
            |c, f| c.actor(f, "user", true).group(f, "beta", false),
            &[(beta, true, true), (Target::id("other").groups(&["beta"]), false, false)],
        ),
        (
            "of groups off beats on",
            |c, f| c.group(f, "beta", true).group(f, "banned", false),
            &[(beta, true, true), (both, false, false), (user.groups(&["banned", "beta"]), false, false)],
        ),
        (
            "groups before the node",
            |c, f| c.group(f, "beta", true).node(f, "here", false),
            &[(beta, true, true), (user, false, false), (nobody, false, false), (there, false, true)],
        ),
        (
            "the node before everybody",
            |c, f| c.off(f).node(f, "there", true),
            &[(user, false, false), (nobody, false, false), (there, true, true)],
        ),
        (
            "groups need no id",
            |c, f| c.group(f, "beta", true),
            &[(Target::NOBODY.groups(&["beta"]), true, true), (nobody, false, true)],
        ),
    ];
    for (name, say, rows) in table {
        let flags = flags();
        let change = say(say(flags.change("alice", "test"), &OFF), &ON);
        change.apply(soon()).expect("they are free");
        for (target, off, on) in *rows {
            let said = (read(&flags, &OFF, target).on, read(&flags, &ON, target).on);
            assert_eq!(said, (*off, *on), "{name}, {target:?}");
        }
    }
}

#[test]
fn a_read_without_an_id_is_off_below_a_hundred_percent() {
    for (share, on) in [(0.0, false), (0.01, false), (50.0, false), (99.99, false), (100.0, true)] {
        let flags = flags();
        flags.change("alice", "ramp").percent(&OFF, share).apply(soon()).expect("it is one");
        let decision = read(&flags, &OFF, &Target::NOBODY);
        assert_eq!((flags.enabled(&OFF), decision.on), (on, on), "{share} %");
        let by = Because::Percent { percent: percent(share), bucket: None };
        assert_eq!(decision.because, by);
    }
}

#[test]
fn a_percentage_says_in_which_bucket_an_id_is() {
    let flags = flags();
    flags.change("alice", "ramp").percent(&OFF, 50.0).apply(soon()).expect("it is one");
    let decisions: Vec<_> = (0..200).map(|id| read(&flags, &OFF, &Target::id(&format!("user-{id}")))).collect();
    for Explanation { on, because, .. } in &decisions {
        let Because::Percent { percent: share, bucket: Some(bucket) } = because else { panic!("{because:?}") };
        assert_eq!((*share, *on), (percent(50.0), *bucket < 5_000));
    }
    let on = decisions.iter().filter(|decision| decision.on).count();
    assert!((70..130).contains(&on), "{on} of 200 are on at 50 %");
}

#[test]
fn a_decision_says_what_decided() {
    let flags = flags();
    let said = |target: &Target<'_>| read(&flags, &OFF, target).to_string();
    assert_eq!(said(&Target::NOBODY), "off: nothing is said, so its default");
    flags.change("alice", "x").percent(&OFF, 25.0).actor(&OFF, "user", true).apply(soon()).expect("it is free");
    assert_eq!(said(&Target::NOBODY), "off: 25 % of ids, and there is none");
    assert_eq!(said(&Target::id("user")), "on: said for the actor `user`");
    let other = said(&Target::id("other"));
    assert!(other.contains(": 25 % of ids, and this one's bucket is "), "{other}");
    flags.change("alice", "x").on(&OFF).apply(soon()).expect("it is free");
    assert_eq!(said(&Target::NOBODY), "on: said for everybody");
}

#[test]
fn percentages_are_rounded_to_a_hundredth_but_not_to_none_or_all_and_what_is_none_is_refused() {
    let table = [
        (0.0, 0),
        (-0.0, 0),
        (f64::MIN_POSITIVE, 1),
        (0.006, 1),
        (0.125, 13),
        (33.333, 3_333),
        (99.99, 9_999),
        (99.999_9, 9_999),
        (100.0, 10_000),
    ];
    for (share, hundredths) in table {
        assert_eq!(percent(share).hundredths(), hundredths, "{share}");
    }
    for share in [-0.01, 100.01, f64::NAN, f64::INFINITY] {
        assert!(Percent::new(share).is_err(), "{share}");
    }
    assert_eq!(
        [percent(25.0), percent(0.25), percent(12.5)].map(|share| share.to_string()),
        ["25 %", "0.25 %", "12.5 %"]
    );
}

#[test]
fn settings_are_read_as_they_are_written() {
    for text in ["on", "off", "0 %", "0.01 %", "33.33 %", "100 %"] {
        assert_eq!(text.parse::<Setting>().expect("it is one").to_string(), text);
    }
    let table = [("true", Setting::On), (" false ", Setting::Off), ("25%", Setting::Percent(percent(25.0)))];
    for (text, setting) in table {
        assert_eq!(text.parse(), Ok(setting));
    }
    for text in ["", "25", "yes", "%", "-1%", "101 %", "On"] {
        let refused = text.parse::<Setting>().expect_err("it is none").to_string();
        assert_eq!(refused, format!("`{text}` is no setting: say `on`, `off`, or a percentage such as `25%`"));
    }
}

/// What is said in a property: about one flag, for one of a few parts.
#[derive(Clone, Debug)]
enum Step {
    Say(Part, Option<Setting>),
    Reset,
    ResetAll,
    Undo(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = prop::sample::select(vec!["a", "b", "here", "there"]);
    let part = prop_oneof![
        Just(Part::Everybody),
        name.clone().prop_map(|name| Part::Actor(name.into())),
        name.clone().prop_map(|name| Part::Group(name.into())),
        name.prop_map(|name| Part::Node(name.into())),
    ];
    let say = (part, 0..5, 0_u32..=10_000).prop_map(|(part, kind, share)| {
        let setting = match (kind, &part) {
            (0, _) => None,
            (1 | 2, Part::Everybody) => Some(Setting::Percent(percent(f64::from(share) / 100.0))),
            (3, _) => Some(Setting::Off),
            _ => Some(Setting::On),
        };
        Step::Say(part, setting)
    });
    let step = prop_oneof![
        12 => say,
        1 => Just(Step::Reset),
        1 => Just(Step::ResetAll),
        3 => (0_usize..20).prop_map(Step::Undo),
    ];
    prop::collection::vec(step, 1..20)
}

/// What is said, as a list: the oracle.
type Said = Vec<(Part, Setting)>;

fn say(said: &mut Said, part: &Part, setting: Option<Setting>) {
    said.retain(|(other, _)| other != part);
    said.extend(setting.map(|setting| (part.clone(), setting)));
}

fn oracle(said: &Said, id: Option<&str>, groups: &[&str], node: &str, bucket: Option<u16>) -> bool {
    let of = |part: Part| said.iter().find(|(other, _)| *other == part).map(|(_, setting)| *setting);
    let actor = id.and_then(|id| of(Part::Actor(id.into())));
    let groups: Vec<_> = groups.iter().filter_map(|group| of(Part::Group((*group).into()))).collect();
    let group = groups.iter().find(|setting| **setting == Setting::Off).or(groups.first()).copied();
    match actor.or(group).or_else(|| of(Part::Node(node.into()))).or_else(|| of(Part::Everybody)) {
        Some(Setting::On) => true,
        Some(Setting::Off) | None => false,
        Some(Setting::Percent(share)) => bucket.map_or(share == Percent::ALL, |bucket| bucket < share.hundredths()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_any_sequence_every_read_is_what_was_said_last(steps in steps()) {
        let flags = flags();
        // By version: what was said, and for which parts a decision changed it.
        let mut told: Vec<Said> = vec![Said::new()];
        for step in steps {
            let mut said = told.last().expect("there is a first").clone();
            let change = flags.change("alice", "test");
            let result = match step {
                Step::Say(Part::Everybody, Some(Setting::Percent(share))) => {
                    say(&mut said, &Part::Everybody, Some(Setting::Percent(share)));
                    change.percent(&OFF, f64::from(share.hundredths()) / 100.0).apply(soon())
                }
                Step::Say(part, setting) => {
                    say(&mut said, &part, setting);
                    let on = setting == Some(Setting::On);
                    match (setting, &part) {
                        (None, _) => change.clear(&OFF, part).apply(soon()),
                        (_, Part::Everybody) => change.set(&OFF, on).apply(soon()),
                        (_, Part::Actor(id)) => change.actor(&OFF, id, on).apply(soon()),
                        (_, Part::Group(group)) => change.group(&OFF, group, on).apply(soon()),
                        (_, Part::Node(node)) => change.node(&OFF, node, on).apply(soon()),
                        (_, other) => unreachable!("{other:?}"),
                    }
                }
                Step::Reset => {
                    said.clear();
                    change.reset(&OFF).apply(soon())
                }
                Step::ResetAll => {
                    said.clear();
                    flags.reset_all("alice", "test", soon())
                }
                Step::Undo(version) if version == 0 || version >= told.len() => {
                    prop_assert!(flags.undo(version as u64, "alice", "x", soon()).is_err());
                    continue;
                }
                Step::Undo(version) => {
                    let (before, after) = (&told[version - 1], &told[version]);
                    let part_of = |said: &Said, part: &Part| said.iter().find(|(other, _)| other == part).cloned();
                    let history = flags.history();
                    let undone = &history[version - 1];
                    let still = undone.said.iter().all(|was| part_of(&said, &was.part) == part_of(after, &was.part));
                    let result = flags.undo(version as u64, "alice", "x", soon());
                    prop_assert_eq!(result.is_ok(), still, "{:?}", result);
                    if !still {
                        continue;
                    }
                    undone.said.iter().for_each(|was| {
                        say(&mut said, &was.part, part_of(before, &was.part).map(|(_, setting)| setting));
                    });
                    result
                }
            };
            prop_assert!(result.is_ok(), "{:?}", result);
            told.push(said.clone());
            for id in [None, Some("a"), Some("b"), Some("c")] {
                for groups in [&[][..], &["a"], &["a", "b"], &["b", "a", "x"]] {
                    for node in [None, Some("there"), Some("x")] {
                        let target = id.map_or(Target::NOBODY, Target::id).groups(groups);
                        let target = node.map_or(target, |node| target.node(node));
                        let decision = read(&flags, &OFF, &target);
                        let bucket = match decision.because {
                            Because::Percent { bucket, .. } => bucket,
                            _ => None,
                        };
                        let expected = oracle(&said, id, groups, node.unwrap_or("here"), bucket);
                        prop_assert_eq!(decision.on, expected, "{:?} {:?} {:?}", said, target, decision);
                    }
                }
            }
        }
    }
}
