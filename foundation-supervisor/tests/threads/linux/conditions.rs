//! Affinity, signal mask and nice value: those of the thread that built the universe.

use foundation_supervisor::{ChildSpec, Doing, Failure, Foundation, Life};
use foundation_sync::{Full, MINUTE, Queue, SECOND, thread};
use foundation_testkit::{patience, wait_for};
use nix::sys::signal::{SigSet, Signal};
use rustix::{
    process::{getpriority_process, setpriority_process},
    thread::{CapabilitySet, CpuSet, capabilities, sched_getaffinity, sched_setaffinity, set_capabilities},
};

use super::{super::*, Shown, alone};

/// Spoils the calling thread: pinned, deaf to a signal, nice.
fn spoil() {
    let affinity = sched_getaffinity(None).expect("it can be asked");
    let mut one = CpuSet::new();
    one.set((0..CpuSet::MAX_CPU).find(|cpu| affinity.is_set(*cpu)).expect("it runs somewhere"));
    sched_setaffinity(None, &one).expect("it may be pinned");
    let mut usr2 = SigSet::empty();
    usr2.add(Signal::SIGUSR2);
    usr2.thread_block().expect("it may block a signal");
    let nice = getpriority_process(None).expect("it can be asked");
    setpriority_process(None, (nice + 3).min(19)).expect("it may be nicer");
}

/// What the system says of the conditions.
fn conditions(shown: &Shown) -> (&str, &str, i64) {
    (&shown.cpus, &shown.blocked, shown.nice)
}

#[test]
fn a_worker_that_pinned_itself_pins_nobody_else() {
    alone("linux::conditions::a_worker_that_pinned_itself_pins_nobody_else", || {
        let built = Shown::own();
        let foundation = Foundation::builder().start();
        let quiet = [foundation_supervisor::CRASHED];
        foundation.telemetry().attach("quiet", quiet, |_| {}).expect("the id is free");
        let lives = Shared::<Vec<Shown>>::default();
        let seen = Arc::clone(&lives);
        let body = move |life: &Life| {
            seen.lock().push(Shown::own());
            if life.incarnation().generation > 3 {
                return idle(life);
            }
            spoil();
            assert_ne!(Shown::own().blocked, seen.lock()[0].blocked, "it is spoilt");
            Err(Failure::new("again"))
        };
        let spec = ChildSpec::worker("w", body);
        let tree = one_for_one("t").intensity(9, MINUTE).child(spec).start(&foundation, soon(&foundation));
        let tree = tree.expect("it starts");
        wait_for(|| lives.lock().len() == 4);
        // From a spoilt thread a timekeeper is started, and a worker beside it.
        let (system, until) = (foundation.system().clone(), foundation.within(SECOND / 1_000));
        let spoilt = thread::Builder::new("spoilt").spawn(move || {
            spoil();
            _ = tree.start_child(ChildSpec::worker("late", idle).ready_within(60 * MINUTE), until);
        });
        spoilt.expect("a thread").join().expect("it did not panic");
        let waits = || system.threads().iter().filter(|thread| matches!(thread.doing, Doing::WaitsAt(_))).count();
        wait_for(|| waits() == 4);
        let own: Vec<_> = ["courier#1", "timekeeper", "t/late#1"].into_iter().filter_map(shown).collect();
        assert_eq!(own.len(), 3);
        let privileged = capabilities(None).is_ok_and(|own| own.effective.contains(CapabilitySet::SYS_NICE));
        for shown in lives.lock().iter().chain(&own) {
            let (cpus, blocked, nice) = conditions(shown);
            assert_eq!((cpus, blocked), (&*built.cpus, &*built.blocked), "{shown:?}");
            assert!(nice == built.nice || !privileged, "{shown:?}");
        }
        assert_eq!(privileged, system.conditions_refused() == 0);
        assert_eq!(conditions(&Shown::own()), conditions(&built), "and who built it is as before");
        assert!(foundation.stop(patience()).is_clean());
    });
}

/// The thread of this name.
fn shown(name: &str) -> Option<Shown> {
    Shown::all().into_values().find(|shown| shown.name == name)
}

#[test]
fn a_universe_is_as_its_builders_thread_was_also_where_that_one_was_pinned() {
    alone("linux::conditions::a_universe_is_as_its_builders_thread_was_also_where_that_one_was_pinned", || {
        let foundation = thread_of(|| {
            spoil();
            (Foundation::builder().start(), Shown::own())
        });
        let (foundation, built) = foundation;
        let seen = Shared::<Vec<Shown>>::default();
        let notes = Arc::clone(&seen);
        let body = move |life: &Life| {
            notes.lock().push(Shown::own());
            idle(life)
        };
        one_for_one("t").child(ChildSpec::worker("w", body)).start(&foundation, soon(&foundation)).expect("it starts");
        wait_for(|| !seen.lock().is_empty());
        assert_eq!(conditions(&seen.lock()[0]), conditions(&built));
        assert_ne!(conditions(&Shown::own()), conditions(&built));
        assert!(foundation.stop(patience()).is_clean());
    });
}

fn thread_of<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let result = Shared::<Option<R>>::default();
    let there = Arc::clone(&result);
    let thread = thread::Builder::new("builds").spawn(move || *there.lock() = Some(work()));
    thread.expect("a thread").join().expect("it did not panic");
    let result = result.lock().take();
    result.expect("it was made")
}

#[test]
fn a_nice_value_that_cannot_be_lowered_is_counted_and_the_replacement_lives() {
    alone("linux::conditions::a_nice_value_that_cannot_be_lowered_is_counted_and_the_replacement_lives", || {
        let built = Shown::own();
        let foundation = Foundation::builder().start();
        let quiet = [foundation_supervisor::CRASHED];
        foundation.telemetry().attach("quiet", quiet, |_| {}).expect("the id is free");
        let lives = Shared::<Vec<Shown>>::default();
        let (seen, started) = (Arc::clone(&lives), Queue::<()>::bounded(1, Full::Wait));
        let waits = started.clone();
        let body = move |life: &Life| {
            seen.lock().push(Shown::own());
            if life.incarnation().generation > 1 {
                return idle(life);
            }
            // Whoever starts the tree turns its crank no more: this thread will make its replacement.
            _ = waits.recv(soon(life.system()));
            spoil();
            // What a thread may do it has from its maker, too: the replacement is without the privilege.
            let mut own = capabilities(None)?;
            own.effective.remove(CapabilitySet::SYS_NICE);
            set_capabilities(None, own)?;
            Err(Failure::new("again"))
        };
        let tree = one_for_one("t").child(ChildSpec::worker("w", body));
        tree.start(&foundation, soon(&foundation)).expect("it starts");
        started.close();
        wait_for(|| lives.lock().len() == 2);
        let second = lives.lock()[1].clone();
        assert_eq!((&second.cpus, &second.blocked), (&built.cpus, &built.blocked), "the rest is taken on");
        assert_eq!((second.nice, foundation.conditions_refused() > 0), ((built.nice + 3).min(19), true));
        assert!(foundation.stop(patience()).is_clean());
    });
}
