//! What a shadow promises: the old implementation's callers notice nothing.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, panic_any},
    sync::Arc,
    time::Duration,
};

use foundation_context as context;
use foundation_flags::{Finding, Flag, Flags, SHADOW_DIFFERENT, SHADOW_PANICKED, Shadow};
use foundation_sync::{
    Clock, Deadline, Errand, Errands, Full, Mutex, Queue, SECOND, TrySendError, VirtualTime,
    atomic::{AtomicU64, Ordering::Relaxed},
    payload,
};
use foundation_telemetry::{Event, Telemetry};
use foundation_testkit::{TestUniverse, patience};
use proptest::prelude::*;

const ALL: Flag = Flag::on("all_shadow");
const NONE: Flag = Flag::off("none_shadow");
const SHARE: Flag = Flag::off("share_shadow");

fn soon() -> Deadline {
    Clock::system().within(patience())
}

fn flags() -> Flags {
    Flags::builder().flag(&ALL).flag(&NONE).flag(&SHARE).start().expect("they fit together")
}

fn shadow(flag: &Flag) -> Shadow<u32> {
    Shadow::new(&flags(), flag, PartialEq::eq)
}

/// Panics when it is dropped, and so does what it panics with.
#[derive(Clone, Debug, PartialEq)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_any(Self)
    }
}

#[test]
fn the_old_ones_answer_is_returned_and_what_the_new_one_says_is_counted() {
    let shadow = shadow(&ALL);
    assert_eq!((shadow.run(|| 1, || 1), shadow.run_for("order-7", || 2, || 3)), (1, 2));
    let report = shadow.report();
    assert_eq!((report.calls(), report.compared(), report.equal, report.different), (2, 2, 1, 1));
    let sample = &report.samples[0];
    assert_eq!((sample.finding, sample.id.as_deref()), (Finding::Different, Some("order-7")));
    assert_eq!((&*sample.old, &*sample.new), ("2", "3"));
    assert_eq!((report.samples.len(), report.unsampled()), (1, 0));
}

#[test]
fn where_the_flag_is_off_the_new_one_is_not_run() {
    let shadow = shadow(&NONE);
    let never = || panic!("it is off");
    assert_eq!((shadow.run(|| 1, never), shadow.run_for("x", || 2, never), shadow.run_later(|| 3, never)), (1, 2, 3));
    assert_eq!(shadow.report().calls(), 0);
    let undeclared = Shadow::new(&flags(), &Flag::off("nobody_knows_it"), u32::eq);
    assert_eq!(undeclared.run(|| 4, never), 4);
}

#[test]
fn a_percentage_chooses_the_same_ids_always_and_of_calls_without_one_that_share() {
    let flags = flags();
    flags.change("alice", "a quarter").percent(&SHARE, 25.0).apply(soon()).expect("it is declared");
    let shadow: Shadow<u32> = Shadow::new(&flags, &SHARE, PartialEq::eq);
    let ran = AtomicU64::new(0);
    let new = || ran.fetch_add(1, Relaxed) as u32;
    for id in (0..2_000).map(|number| format!("order-{number}")) {
        let before = ran.load(Relaxed);
        for _ in 0..2 {
            shadow.run_for(&id, || 0, new);
        }
        let twice = 2 * u64::from(flags.enabled_for(&SHARE, &id));
        assert_eq!(ran.load(Relaxed) - before, twice, "{id}");
    }
    let before = ran.load(Relaxed);
    (0..10_000).for_each(|_| _ = shadow.run(|| 0, new));
    let share = ran.load(Relaxed) - before;
    assert!((2_300..2_700).contains(&share), "{share} of 10,000");
}

#[test]
fn a_shadow_follows_its_flag_and_an_override_of_a_test() {
    let flags = flags();
    let shadow: Shadow<u32> = Shadow::new(&flags, &SHARE, PartialEq::eq);
    let calls = || {
        shadow.run(|| 1, || 1);
        shadow.run_for("x", || 1, || 1);
        shadow.report().calls()
    };
    assert_eq!(calls(), 0);
    flags.change("alice", "all").on(&SHARE).apply(soon()).expect("it is declared");
    assert_eq!(calls(), 2);
    flags.change("alice", "x alone").off(&SHARE).actor(&SHARE, "x", true).apply(soon()).expect("it is declared");
    assert_eq!(calls(), 3);
    let off = flags.override_for_test(&SHARE, false).expect("it is declared");
    assert_eq!(calls(), 3);
    drop(off);
    assert_eq!(calls(), 4);
}

#[test]
fn the_old_one_runs_first_and_both_where_they_are_called() {
    let shadow = shadow(&ALL);
    let order = Mutex::new(Vec::new());
    let here = foundation_sync::thread::id();
    let runs = |who: &'static str| {
        assert_eq!(foundation_sync::thread::id(), here);
        let marked = context::current().fields().get("shadow").map(ToString::to_string);
        order.lock().push((who, marked));
        7
    };
    assert_eq!(shadow.run(|| runs("old"), || runs("new")), 7);
    let marked = Some("all_shadow".to_owned());
    assert_eq!(*order.lock(), [("old", None), ("new", marked)], "what the new one logs can be told apart");
    assert!(context::current().fields().is_empty(), "nothing is left");
}

#[test]
fn what_both_took_is_measured() {
    let time = VirtualTime::new();
    let flags = Flags::builder().flag(&ALL).clock(&time.clock()).start().expect("it fits");
    let shadow: Shadow<u32> = Shadow::new(&flags, &ALL, PartialEq::eq);
    let takes = |millis: u64| {
        time.advance(Duration::from_millis(millis)).expect("nobody else is of this time");
        0
    };
    for number in 1..=100 {
        shadow.run(|| takes(number), || takes(3 * number));
    }
    let panics = || {
        takes(1_000);
        panic!("it takes a second, too")
    };
    shadow.run(|| takes(1), panics);
    let report = shadow.report();
    let near = |nanos: u64, millis: u64| (nanos as f64 / 1e6 - millis as f64).abs() < 0.01 * millis as f64;
    assert_eq!((report.old.count, report.new.count), (100, 100), "of those where both answered");
    assert!(near(report.old.p50, 50) && near(report.old.p99, 99), "{report}");
    assert!(near(report.new.p50, 150) && near(report.new.p99, 297), "{report}");
    assert_eq!(Duration::from_nanos(report.new.most), Duration::from_millis(300));
    shadow.run(|| takes(2) + 1, || takes(5));
    let sample = Arc::clone(shadow.report().samples.last().expect("it differs"));
    assert_eq!((sample.old_took, sample.new_took), (Duration::from_millis(2), Some(Duration::from_millis(5))));
    assert_eq!(sample.at, time.clock().date());
}

#[test]
fn a_panic_of_the_new_one_is_counted_and_goes_no_further() {
    let shadow = shadow(&ALL);
    assert_eq!(shadow.run_for("order-7", || 1, || panic!("the new one is not ready")), 1);
    assert_eq!(shadow.run(|| 2, || panic_any(Bomb)), 2, "not even what it panicked with");
    let report = shadow.report();
    assert_eq!((report.new_panicked, report.calls(), report.compared()), (2, 2, 0));
    let said: Vec<_> = report.samples.iter().map(|sample| (sample.finding, &*sample.old, &*sample.new)).collect();
    let expected = [
        (Finding::NewPanicked, "1", "the new one is not ready"),
        (Finding::NewPanicked, "2", "a panic whose payload is no text"),
    ];
    assert_eq!(said, expected);
    assert_eq!(report.samples[0].new_took, None);
}

#[test]
fn a_destructor_that_panics_goes_no_further_whether_or_not_the_new_one_was_run() {
    let bomb = || {
        let bomb = Bomb;
        move || {
            let _moved = &bomb;
            1
        }
    };
    let chosen = shadow(&ALL);
    assert_eq!(chosen.run(|| 1, bomb()), 1);
    assert_eq!((chosen.report().new_panicked, chosen.report().calls()), (1, 1));
    let not_chosen = shadow(&NONE);
    assert_eq!(not_chosen.run(|| 1, bomb()), 1);
    assert_eq!((not_chosen.report().drop_panicked, not_chosen.report().calls()), (1, 0));
    let answers: Shadow<u32, Bomb> = Shadow::new(&flags(), &ALL, |_, _| true);
    assert_eq!(answers.run(|| 1, || Bomb), 1);
    assert_eq!((answers.report().new_panicked, answers.report().equal), (1, 0), "each call is counted once");
}

#[test]
fn an_equality_or_a_debug_that_panics_goes_no_further() {
    struct Odd(u32);

    impl fmt::Debug for Odd {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Odd(")?;
            panic!("{} is even", self.0)
        }
    }

    let same = |old: &Odd, _: &Odd| if old.0 > 0 { panic_any(Bomb) } else { false };
    let shadow = Shadow::new(&flags(), &ALL, same);
    assert_eq!(shadow.run(|| Odd(2), || Odd(4)).0, 2);
    assert_eq!(shadow.run(|| Odd(0), || Odd(4)).0, 0);
    let report = shadow.report();
    assert_eq!((report.compare_panicked, report.different, report.calls()), (1, 1, 2));
    assert_eq!(&*report.samples[0].old, "Odd(… (Debug panicked: 2 is even)");
    assert_eq!(&*report.samples[1].new, "Odd(… (Debug panicked: 4 is even)");
}

#[test]
fn a_panic_of_the_old_one_goes_on_to_the_caller_unchanged_and_the_new_one_is_not_run() {
    #[derive(Debug, PartialEq)]
    struct Cause(u32);

    let shadow = shadow(&ALL);
    for later in [false, true] {
        let (old, new) = (|| panic_any(Cause(7)), || unreachable!("there is nothing to compare with"));
        let panics = || if later { shadow.run_later(old, new) } else { shadow.run(old, new) };
        let cause = catch_unwind(AssertUnwindSafe(panics)).expect_err("it panics");
        assert_eq!(cause.downcast_ref(), Some(&Cause(7)));
    }
    let report = shadow.report();
    assert_eq!((report.old_panicked, report.calls(), report.samples.len()), (2, 2, 0));
    // The new one's destructor panics while the old one's panic is on its way.
    let bomb = Bomb;
    let panics = || shadow.run(|| panic_any(Cause(8)), move || u32::from(bomb == Bomb));
    let cause = catch_unwind(AssertUnwindSafe(panics)).expect_err("it panics");
    assert_eq!(cause.downcast_ref(), Some(&Cause(8)));
    assert_eq!(shadow.report().drop_panicked, 1);
}

#[test]
fn the_newest_samples_are_kept_and_the_rest_is_counted() {
    let shadow = shadow(&ALL).samples(3);
    (0..10).for_each(|number| _ = shadow.run(|| number, || number + 100));
    let report = shadow.report();
    let kept: Vec<_> = report.samples.iter().map(|sample| &*sample.old).collect();
    assert_eq!((kept, report.different, report.unsampled()), (vec!["7", "8", "9"], 10, 7));
    let one = shadow.clone().samples(1);
    one.run(|| 10, || 0);
    let kept: Vec<_> = one.report().samples.iter().map(|sample| String::from(&*sample.old)).collect();
    assert_eq!((kept, one.report().unsampled()), (vec!["10".to_owned()], 10), "by a handle that keeps fewer");
    let none = one.samples(0);
    none.run(|| 11, || 0);
    assert_eq!((none.report().samples.len(), none.report().unsampled()), (1, 11), "what was kept before stays");
}

#[test]
fn a_text_that_nobody_would_see_is_not_made() {
    struct Counted(Arc<AtomicU64>, u32);

    impl fmt::Debug for Counted {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fetch_add(1, Relaxed);
            self.1.fmt(f)
        }
    }

    let telemetry = Telemetry::new();
    let flags = Flags::builder().flag(&ALL).telemetry(&telemetry).start().expect("it fits");
    let shadow = || Shadow::new(&flags, &ALL, |old: &Counted, new: &Counted| old.1 == new.1);
    let made = Arc::new(AtomicU64::new(0));
    let answers = |answer: u32| Counted(Arc::clone(&made), answer);
    let silent = shadow().samples(0);
    silent.run(|| answers(1), || answers(2));
    silent.run(|| answers(1), || panic!("the new one"));
    assert_eq!((silent.report().different, silent.report().new_panicked, made.load(Relaxed)), (1, 1, 0));
    shadow().run(|| answers(1), || answers(2));
    assert_eq!(made.load(Relaxed), 2, "for a sample");
    telemetry.attach("listens", SHADOW_DIFFERENT, |_: &Event| {}).expect("the id is free");
    silent.run(|| answers(1), || answers(2));
    assert_eq!(made.load(Relaxed), 4, "for who listens");
    silent.run(|| answers(1), || panic!("the new one"));
    assert_eq!(made.load(Relaxed), 4, "nobody listens to panics");
}

#[test]
fn a_text_is_cut_where_it_is_said() {
    let shadow: Shadow<String> = Shadow::new(&flags(), &ALL, PartialEq::eq).text(10);
    let long = || "x".repeat(1_000);
    assert_eq!(shadow.run_for(&long(), || "old".to_owned(), long), "old");
    assert_eq!(shadow.run(|| "old".to_owned(), || panic!("{}", long())), "old");
    let report = shadow.report();
    assert_eq!((&*report.samples[0].old, &*report.samples[0].new), ("\"old\"", "\"xxxxxxxxx…"));
    assert_eq!((report.samples[0].id.as_deref(), &*report.samples[1].new), (Some("xxxxxxxxxx…"), "xxxxxxxxxx…"));
}

#[test]
fn two_types_are_compared_as_their_user_says() {
    let same = |old: &f64, new: &u64| (old * 100.0).round() as u64 == *new;
    let shadow = Shadow::new(&flags(), &ALL, same);
    assert_eq!((shadow.run(|| 1.5, || 150), shadow.run(|| 1.25, || 150)), (1.5, 1.25));
    assert_eq!((shadow.report().equal, shadow.report().different), (1, 1));
    let text = "all_shadow: 2 calls, 2 compared, 1 equal, 1 different, 0 new panicked\n  old took ";
    assert!(shadow.report().to_string().starts_with(text), "{}", shadow.report());
    assert!(shadow.report().to_string().ends_with("\n  different: old 1.25, new 150"), "{}", shadow.report());
}

#[test]
fn a_hot_path_tells_of_each_kind_once_per_second() {
    let t = TestUniverse::with_virtual_time();
    let builder = Flags::builder().flag(&ALL).clock(t.clock()).telemetry(t.telemetry());
    let flags = builder.start().expect("it fits");
    let shadow: Shadow<u32> = Shadow::new(&flags, &ALL, PartialEq::eq);
    let told = t.capture_telemetry([SHADOW_DIFFERENT, SHADOW_PANICKED]);
    for _ in 0..3 {
        for number in 0..1_000 {
            shadow.run_for("order-7", || number, || number + 1);
            if number % 500 == 0 {
                shadow.run(|| number, || panic!("the new one"));
            }
        }
        t.clock().advance(SECOND);
    }
    let said = |event: &Event| format!("{}, {},", event.measurements, event.metadata);
    let told: Vec<_> = told.take().iter().map(said).collect();
    assert_eq!(told.len(), 6, "{told:#?}");
    let (first, second) = (&told[0], &told[1]);
    for part in ["different: 1,", "flag: all_shadow,", "id: order-7,", "old: 0,", "new: 1,"] {
        assert!(first.contains(part), "{part} in {first}");
    }
    assert!(second.contains("said: the new one,") && second.contains("what: the new one panicked,"), "{second}");
    assert!(told[2].contains("different: 1001,"), "{}", told[2]);
    assert_eq!(shadow.report().different, 3_000);
}

#[test]
fn what_runs_later_is_compared_where_errands_run_in_the_callers_context() {
    let errands = Queue::<Errand>::bounded(8, Full::Refuse);
    let takes = errands.clone();
    let away = Errands::new(move |errand| {
        takes.try_send(errand).map_err(|refused| match refused {
            TrySendError::Closed(errand) | TrySendError::Full(errand) => errand,
        })
    });
    let shadow = shadow(&ALL).later(&away, 2);
    let new = |answer: u32| {
        move || {
            assert_eq!(
                context::field("order").map(|order| order.to_string()).as_deref(),
                Some("7"),
                "the caller's context"
            );
            answer
        }
    };
    context::with(foundation_context::fields! { order: "7" }, || {
        assert_eq!((shadow.run_later(|| 1, new(1)), shadow.run_later_for("x", || 2, new(3))), (1, 2));
        assert_eq!(shadow.run_later(|| 4, new(4)), 4, "there is no room");
    });
    let report = shadow.report();
    assert_eq!((report.waiting, report.dropped, report.calls(), report.compared()), (2, 1, 1, 0));
    errands.drain().into_iter().for_each(|errand| errand());
    let report = shadow.report();
    assert_eq!((report.waiting, report.dropped, report.equal, report.different), (0, 1, 1, 1));
    assert_eq!(report.samples[0].id.as_deref(), Some("x"));
    // An errand that comes back, and one that is dropped unrun where it waited.
    shadow.run_later(|| 5, new(5));
    drop(errands.drain());
    errands.close();
    shadow.run_later(|| 6, new(6));
    let report = shadow.report();
    assert_eq!((report.waiting, report.dropped, report.calls()), (0, 3, 5));
}

#[test]
fn unless_it_is_said_otherwise_what_runs_later_runs_at_once_where_it_is_called() {
    let elsewhere = Errands::new(|_| panic!("a universe's courier has better things to do"));
    let flags = Flags::builder().flag(&ALL).errands(&elsewhere).start().expect("it fits");
    let shadow: Shadow<u32> = Shadow::new(&flags, &ALL, PartialEq::eq);
    let here = foundation_sync::thread::id();
    let new = move |answer: u32| {
        move || {
            assert_eq!(foundation_sync::thread::id(), here);
            answer
        }
    };
    assert_eq!((shadow.run_later(|| 1, new(1)), shadow.run_later_for("x", || 2, new(3))), (1, 2));
    let report = shadow.report();
    assert_eq!((report.equal, report.different, report.new_panicked, report.calls()), (1, 1, 0, 2), "{report}");
}

#[test]
fn errands_that_panic_come_between_no_answer_and_its_caller_and_the_call_is_counted_once() {
    let bringing = Errands::new(|_| panic!("nobody brings it"));
    let after_running = Errands::new(|errand| {
        errand();
        panic_any(Bomb)
    });
    let flags = flags();
    for (errands, dropped) in [(bringing, 1), (after_running, 0)] {
        let shadow = Shadow::new(&flags, &ALL, PartialEq::eq).later(&errands, 8);
        assert_eq!(shadow.run_later(|| 1, || 1), 1);
        let report = shadow.report();
        assert_eq!((report.calls(), report.dropped, report.equal, report.waiting), (1, dropped, 1 - dropped, 0));
        assert_eq!(report.drop_panicked, 0, "{report}");
    }
}

#[test]
fn what_runs_later_may_panic_in_every_part_and_the_caller_notices_nothing() {
    #[derive(Debug)]
    struct Copied(u32);

    impl Clone for Copied {
        fn clone(&self) -> Self {
            if self.0 == 0 { panic!("no copies") } else { Self(self.0) }
        }
    }

    impl Drop for Copied {
        fn drop(&mut self) {
            if self.0 == 2 {
                self.0 = 0;
                panic_any(Bomb)
            }
        }
    }

    let lost = Errands::new(Err);
    let flags = flags();
    let shadow = || Shadow::new(&flags, &ALL, |old: &Copied, new: &Copied| old.0 == new.0);
    let here = shadow().later(&Errands::default(), 8);
    assert_eq!(here.run_later(|| Copied(0), || Copied(1)).0, 0);
    assert_eq!(here.run_later(|| Copied(1), || panic_any(Bomb)).0, 1);
    let report = here.report();
    assert_eq!((report.compare_panicked, report.new_panicked, report.calls()), (1, 1, 2));
    assert_eq!(&*report.samples[0].new, "no copies");
    // The copy's destructor panics: where it was compared, and where nobody took it.
    for (shadow, expected) in [(here, (3, 0)), (shadow().later(&lost, 8), (1, 1))] {
        let caller =
            catch_unwind(AssertUnwindSafe(|| shadow.run_later(|| Copied(2), || Copied(3)))).map(|mut answer| {
                answer.0 = 9;
                answer
            });
        let answer = caller.map_err(|panic| payload::text(&*panic)).expect("the caller's own is whole");
        assert_eq!(answer.0, 9);
        let report = shadow.report();
        assert_eq!(
            (report.calls(), report.dropped, report.drop_panicked, report.waiting),
            (expected.0, expected.1, 1, 0)
        );
    }
}

#[cfg(feature = "json")]
#[test]
fn a_report_is_json_too() {
    let time = VirtualTime::new();
    let flags = Flags::builder().flag(&ALL).clock(&time.clock()).start().expect("it fits");
    let shadow: Shadow<u32> = Shadow::new(&flags, &ALL, PartialEq::eq);
    shadow.run_for("order-7", || 1, || 2);
    let took = serde_json::json!({ "count": 1, "p50": 0, "p95": 0, "p99": 0, "most": 0 });
    let expected = serde_json::json!({
        "flag": "all_shadow", "calls": 1, "compared": 1, "equal": 0, "different": 1, "new_panicked": 0,
        "compare_panicked": 0, "old_panicked": 0, "drop_panicked": 0, "dropped": 0, "waiting": 0, "unsampled": 0,
        "old": took, "new": took,
        "samples": [{
            "finding": "different", "at": 946_684_800.0, "id": "order-7", "old": "1", "new": "2",
            "old_took": 0, "new_took": 0,
        }],
    });
    assert_eq!(shadow.report().to_json(), expected);
}

#[test]
fn a_shadow_is_a_handle_that_threads_share_and_flags_may_go() {
    fn shared<T: Send + Sync + Clone>(_: &T) {}

    let shadow = shadow(&ALL);
    shared(&shadow);
    let other = shadow.clone();
    other.run(|| 1, || 2);
    assert_eq!((shadow.report(), format!("{shadow:?}")), (other.report(), "Shadow(all_shadow)".to_owned()));
}

/// What one side does.
#[derive(Clone, Copy, Debug)]
enum Does {
    Answers(u8),
    Panics,
    Explodes,
}

fn does() -> impl Strategy<Value = Does> {
    prop_oneof![4 => (0..3_u8).prop_map(Does::Answers), 1 => Just(Does::Panics), 1 => Just(Does::Explodes)]
}

impl Does {
    fn run(self) -> u8 {
        match self {
            Self::Answers(answer) => answer,
            Self::Panics => panic!("it panics"),
            Self::Explodes => panic_any(Bomb),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// With a shadow a call is what it is without one, whatever the new one does; and each call is counted once.
    #[test]
    fn whatever_the_new_one_does_the_caller_gets_what_the_old_one_gives(
        calls in prop::collection::vec((does(), does(), any::<bool>(), any::<bool>()), 0..16),
        keeps in 0..5_usize,
    ) {
        let same = |old: &u8, new: &u8| if *new == 2 { panic!("it can't be compared") } else { old == new };
        let shadow = Shadow::new(&flags(), &ALL, same).samples(keeps).later(&Errands::default(), 8);
        let mut findings = 0;
        for (old, new, later, chosen) in &calls {
            let called = if *chosen { shadow.clone() } else { Shadow::new(&flags(), &NONE, same) };
            let run = || match later {
                true => called.run_later(|| old.run(), { let new = *new; move || new.run() }),
                false => called.run(|| old.run(), || new.run()),
            };
            let outcome = catch_unwind(AssertUnwindSafe(run));
            match (outcome, old) {
                (Ok(answer), Does::Answers(expected)) => prop_assert_eq!(answer, *expected),
                (Err(panic), Does::Panics | Does::Explodes) => {
                    prop_assert_eq!(panic.is::<Bomb>(), matches!(old, Does::Explodes));
                    payload::forget(panic);
                }
                (other, _) => prop_assert!(false, "{old:?} became {other:?}"),
            }
            let finds = match (old, new) {
                (Does::Answers(old), Does::Answers(new)) => *new == 2 || old != new,
                (Does::Answers(_), _) => true,
                _ => false,
            };
            findings += u64::from(finds && *chosen);
        }
        let report = shadow.report();
        let chosen = calls.iter().filter(|(.., chosen)| *chosen).count() as u64;
        prop_assert_eq!(report.calls(), chosen);
        prop_assert_eq!(report.different + report.new_panicked + report.compare_panicked, findings);
        prop_assert_eq!(report.samples.len() as u64, findings.min(keeps as u64));
        prop_assert_eq!(report.unsampled(), findings - report.samples.len() as u64);
        prop_assert_eq!((report.waiting, report.dropped, report.drop_panicked), (0, 0, 0));
    }
}

/// Also by a clock that many threads read: no call is lost, and no report shows more than it counts.
#[test]
fn many_threads_share_a_shadow_and_no_call_is_lost() {
    let shadow = shadow(&ALL).samples(4);
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let shadow = shadow.clone();
            foundation_testkit::spawn(move || {
                for number in 0..500 {
                    assert_eq!(shadow.run(|| number, || number + u32::from(number % 5 == thread)), number);
                    if number % 50 == 0 {
                        let report = shadow.report();
                        assert!(report.samples.len() as u64 <= report.different);
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(foundation_testkit::join);
    let report = shadow.report();
    assert_eq!((report.equal, report.different, report.calls()), (1_600, 400, 2_000));
    assert!((1..=4).contains(&report.samples.len()), "{report}");
    assert_eq!(report.old.count, 2_000);
}
