//! Whatever state can be reached, saved and loaded it is the same.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use foundation_sync::Epoch;
use proptest::prelude::*;

use super::super::file;
use crate::{
    FileError, Flag, MigrationPlan, Part, Percent, Setting, Unit, What,
    flag::Table,
    guard::Sample,
    state::{REMEMBERED, Shape, State, Who, Wish},
};

const PLANNED: [Flag; 3] = [Flag::off("a"), Flag::off("b.c"), Flag::off("strict \"ü\"")];
const FREE: [Flag; 4] = [Flag::off("free"), Flag::on("other"), Flag::off("dotted.name"), Flag::off("")];

fn shape() -> Shape {
    let plan = MigrationPlan::new("p")
        .stage("one", &[PLANNED[0]])
        .stage("two", &PLANNED[1..])
        .observe_for(Duration::from_secs(3600));
    Shape {
        table: Table::new([&PLANNED[..], &FREE].concat()).expect("all are different"),
        plan: Some(plan),
        from_stage: vec![Some(1), Some(2), Some(2), None, None, None, None],
        node: None,
    }
}

fn content(path: &Path, text: &str, shape: &Shape) -> Result<file::Content, FileError> {
    file::content(path, text, shape, file::Unknown::NotNear)
}

fn first(shape: &Shape) -> State {
    State::first(shape, &[Epoch::OFF; 7], SystemTime::UNIX_EPOCH)
}

/// What is decided, by whom, and when.
#[derive(Clone, Debug)]
enum Step {
    Advance,
    Back(usize),
    Emergency,
    Hold(usize, bool),
    Say(Vec<(usize, Option<Part>, Option<Setting>)>),
    Reset,
    Undo(u64),
    Early,
    Baseline(bool),
    Sample(f64),
}

fn part() -> impl Strategy<Value = Part> {
    let name = || prop_oneof!["[a-c]{1}", "\\PC{0,6}", Just("with \"quotes\"\nand\tmore".to_owned())];
    prop_oneof![
        Just(Part::Everybody),
        name().prop_map(|name| Part::Actor(name.into())),
        name().prop_map(|name| Part::Group(name.into())),
        name().prop_map(|name| Part::Node(name.into())),
    ]
}

fn setting() -> impl Strategy<Value = Setting> {
    let share = (0..=10_000_u32)
        .prop_map(|hundredths| Setting::Percent(Percent::new(f64::from(hundredths) / 100.0).expect("it is one")));
    prop_oneof![Just(Setting::On), Just(Setting::Off), share]
}

fn step() -> impl Strategy<Value = Step> {
    let wish = (0..4_usize, prop::option::weighted(0.9, part()), prop::option::weighted(0.8, setting()));
    prop_oneof![
        2 => Just(Step::Advance),
        1 => (0..2_usize).prop_map(Step::Back),
        1 => Just(Step::Emergency),
        2 => (0..7_usize, any::<bool>()).prop_map(|(flag, held)| Step::Hold(flag, held)),
        6 => prop::collection::vec(wish, 0..4).prop_map(Step::Say),
        1 => Just(Step::Reset),
        2 => (1..20_u64).prop_map(Step::Undo),
        2 => Just(Step::Early),
        3 => any::<bool>().prop_map(Step::Baseline),
        3 => any::<f64>().prop_filter("a sample is finite", |value| value.is_finite()).prop_map(Step::Sample),
    ]
}

fn decided(shape: &Shape, state: &State, step: &Step, who: &Who) -> Option<State> {
    match step {
        Step::Advance => state.advanced(shape, state.stage + 1, who).ok(),
        Step::Back(to) => state.rolled_back(shape, *to, who).ok(),
        Step::Emergency => Some(state.emergency(shape, who)),
        Step::Hold(flag, held) => state.holding(shape, PLANNED.iter().chain(&FREE).nth(*flag)?, *held, who).ok(),
        Step::Say(wishes) => {
            let wish = |(flag, part, setting): &(usize, Option<Part>, Option<Setting>)| {
                // A target is on or off, and of a flag as a whole nothing is said.
                let setting = match part {
                    Some(Part::Everybody) => *setting,
                    Some(_) => setting.map(|setting| Setting::of(setting.plain())),
                    None => None,
                };
                Wish { flag: FREE[*flag], part: part.clone(), setting }
            };
            state.said(shape, &wishes.iter().map(wish).collect::<Vec<_>>(), What::Set, who).ok()
        }
        Step::Reset => Some(state.reset(shape, who)),
        Step::Undo(version) => state.undone(shape, *version, who).ok(),
        Step::Early => state.early(shape, who).ok(),
        Step::Baseline(true) => state.baseline_started(shape, who).ok(),
        Step::Baseline(false) => state.baseline_finished(shape, who).ok(),
        Step::Sample(value) => {
            let number = state.measuring.as_ref()?.version;
            // As far from the greatest numbers as figures are.
            let sample = Sample { value: value / 1e10, unit: Unit::Count, quantiles: None };
            let bytes = Sample { unit: Unit::BytesPerHour, ..sample };
            state.sampled(number, &[("queue \"length\"", sample), ("growth", bytes)])
        }
    }
}

#[track_caller]
fn check_same(text: &str, shape: &Shape, state: &State) {
    let path = Path::new("flags.toml");
    let content = content(path, text, shape).unwrap_or_else(|error| panic!("{error} in\n{text}"));
    let again = file::state(content, shape, first(shape));
    let written = |state: &State| {
        let State { version, stage, since, not_before, rollbacks, held, rules, history, baseline, measuring, .. } =
            state.clone();
        let on: Vec<_> = state.epochs.iter().map(|epoch| epoch.is_on()).collect();
        ((version, stage, since, not_before, rollbacks), (held, rules, history, on), (baseline, measuring))
    };
    assert_eq!(written(&again), written(state), "in\n{text}");
}

const BEGINNINGS: [&str; 6] = [
    "",
    "\u{feff}# head\r\n",
    "# head\n\n[flags]\n# since spring\nfree = true # for good\n\"\" = {} # the nameless\n# end\n",
    "flags = { free = false }\nhistory = [] # what was\n[migration]\nplan = 'p'\nheld = [\n  # it leaks\n  'a', # really\n]\n# end",
    "flags.other = '12.5%'\nhistory = [\n  # the first\n  { version = 1, at = 2026-01-01T00:00:00Z, by = 'x', why = 'y', what = 'set' }, # ever\n]\n",
    "[flags.free]\neverybody = '1 %' # few\n[flags.free.actors]\n# she\n'a' = true\n[[history]] # of old\nversion = 7\nat = '2026-01-01T00:00:00Z'\nby = 'x'\nwhy = 'y'\nwhat = 'held'\nflag = 'gone'\n[mine]\nthing = 1\n",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_decided_saved_and_loaded_is_the_same(
        beginning in prop::sample::select(&BEGINNINGS[..]),
        steps in prop::collection::vec((step(), "\\PC{0,10}", 0..8_000_000_000_u64, 0..1_000_000_000_u32), 1..20),
    ) {
        let (shape, path) = (shape(), Path::new("flags.toml"));
        let content = content(path, beginning, &shape).expect("it is well formed");
        let mut state = file::state(content, &shape, first(&shape));
        let mut text = beginning.to_owned();
        for (step, word, seconds, nanos) in &steps {
            let at = SystemTime::UNIX_EPOCH + Duration::new(*seconds, *nanos);
            let who = Who { by: (&**word).into(), why: format!("{word}\n\"'#").into(), at, now: 0 };
            let Some(next) = decided(&shape, &state, step, &who) else { continue };
            state = next;
            text = file::entered(path, &text, &shape, &state, file::Part::All).expect("it was well formed");
            check_same(&text, &shape, &state);
        }
        let again = file::entered(path, &text, &shape, &state, file::Part::All).expect("it is well formed");
        prop_assert!(again == text || text == beginning, "what is there is not touched: {}\n{}", text, again);
        for (_, comment) in beginning.lines().filter_map(|line| line.split_once('#')) {
            // What stands beside a target or a hold goes with it.
            let goes = [" few", " she", " it leaks", " really"].contains(&comment);
            prop_assert!(goes || text.contains(comment.trim_end()), "{} in\n{}", comment, text);
        }
        prop_assert_eq!(beginning.starts_with('\u{feff}'), text.starts_with('\u{feff}'));
        prop_assert_eq!(beginning.contains('\r'), text.contains('\r'));
    }
}

#[test]
fn a_calendar_that_no_text_can_say_is_taken_to_stand_at_its_end() {
    let (shape, path) = (shape(), Path::new("flags.toml"));
    let at = |days: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(days * 24 * 3600);
    let early = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    for (said, read) in [(early, at(0)), (at(4_000_000), at(2_932_897) - Duration::from_secs(1))] {
        let who = Who { by: "x".into(), why: "y".into(), at: said, now: 0 };
        let state = first(&shape).emergency(&shape, &who);
        let text = file::entered(path, "", &shape, &state, file::Part::All).expect("it is empty");
        let again = file::state(content(path, &text, &shape).expect("it is well formed"), &shape, first(&shape));
        assert_eq!((again.since, again.history[0].at), (read, read), "{text}");
    }
}

#[test]
fn what_is_forgotten_goes_from_the_file_and_what_stands_in_front_of_all_stays_there() {
    let (shape, path) = (shape(), Path::new("flags.toml"));
    let who = Who { by: "x".into(), why: "y".into(), at: SystemTime::UNIX_EPOCH, now: 0 };
    for (text, front) in [
        (
            "# what was decided\n[[history]]\nversion = 1\nat = '2026-01-01T00:00:00Z'\nby = 'x'\nwhy = 'y'\nwhat = 'held'\nflag = 'gone'\n",
            true,
        ),
        ("history = [\n  { version = 1, at = 2026-01-01T00:00:00Z, by = 'x', why = 'y', what = 'set' }\n]\n", false),
    ] {
        let mut state = file::state(content(path, text, &shape).expect("it is well formed"), &shape, first(&shape));
        let mut text = text.to_owned();
        for count in 2..=REMEMBERED + 3 {
            state = state.emergency(&shape, &who);
            if count % 50 == 2 {
                text = file::entered(path, &text, &shape, &state, file::Part::All).expect("it is well formed");
                check_same(&text, &shape, &state);
            }
        }
        text = file::entered(path, &text, &shape, &state, file::Part::All).expect("it is well formed");
        check_same(&text, &shape, &state);
        assert_eq!(text.matches("what = ").count(), REMEMBERED, "{text}");
        assert_eq!(text.contains("# what was decided\n[[history]]\nversion = 4\n"), front, "{text}");
    }
}

#[test]
fn what_would_be_too_long_to_be_read_again_is_not_written() {
    let (shape, path) = (shape(), Path::new("flags.toml"));
    let text = format!("# {}\n", "x".repeat(16 << 20));
    let refused = file::entered(path, &text, &shape, &first(&shape), file::Part::All).expect_err("it is too long");
    assert!(refused.to_string().contains("it would be longer than 16777216 bytes"), "{refused}");
}
