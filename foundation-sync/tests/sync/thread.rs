//! What a thread keeps to its end, and what it has from the one that made it.

use std::{cell::RefCell, sync::Arc};

use foundation_sync::{Mutex, stripe, thread, thread_number};

type Log = Arc<Mutex<Vec<&'static str>>>;

/// Says that it is dropped, after it has made use of another thread-local.
struct Says(Log, &'static str, fn(&Log));

impl Drop for Says {
    fn drop(&mut self) {
        self.2(&self.0);
        self.0.lock().push(self.1);
    }
}

thread_local! {
    static EARLY: RefCell<Option<Says>> = const { RefCell::new(None) };
    static LATE: RefCell<Option<Says>> = const { RefCell::new(None) };
    static LAST: RefCell<Option<Says>> = const { RefCell::new(None) };
}

fn late(log: &Log) {
    LATE.set(Some(Says(Arc::clone(log), "made by a destructor", last)));
}

fn last(log: &Log) {
    LAST.set(Some(Says(Arc::clone(log), "made by that one's destructor", |_| {})));
}

#[test]
fn what_a_thread_keeps_is_dropped_after_its_thread_locals_and_those_that_their_destructors_make() {
    let log = Log::default();
    let (kept, used) = (Arc::clone(&log), Arc::clone(&log));
    let body = move || {
        EARLY.set(Some(Says(Arc::clone(&used), "made by the body", late)));
        used.lock().push("the body has run");
    };
    let first = move || Says(kept, "kept", |_| {});
    let ran = thread::Builder::new("keeps").spawn_keeping(first, body).expect("a thread");
    ran.join().expect("it did not panic");
    let told = log.lock().clone();
    assert_eq!(told.first(), Some(&"the body has run"));
    assert_eq!((told.last(), told.len()), (Some(&"kept"), 5), "{told:?}");
}

#[test]
fn what_a_thread_keeps_is_dropped_also_when_its_body_panics() {
    let log = Log::default();
    let (kept, used) = (Arc::clone(&log), Arc::clone(&log));
    let body = move || {
        EARLY.set(Some(Says(used, "made by the body", |_| {})));
        std::panic::resume_unwind(Box::new("told to"));
    };
    let first = move || Says(kept, "kept", |_| {});
    let ran = thread::Builder::new("panics").spawn_keeping(first, body).expect("a thread");
    ran.join().expect_err("it panicked");
    assert_eq!(*log.lock(), ["made by the body", "kept"]);
}

#[cfg(target_os = "linux")]
mod conditions {
    use foundation_sync::thread::Conditions;
    use nix::sys::signal::{SigSet, Signal};
    use rustix::{
        process::{getpriority_process, setpriority_process},
        thread::{CpuSet, sched_getaffinity, sched_setaffinity},
    };

    use super::*;

    type Seen = (CpuSet, bool, i32);

    fn seen() -> Seen {
        let blocked = SigSet::thread_get_mask().expect("it can be asked").contains(Signal::SIGUSR2);
        let affinity = sched_getaffinity(None).expect("it can be asked");
        (affinity, blocked, getpriority_process(None).expect("it can be asked"))
    }

    /// On a thread that is made by one that has changed its own conditions.
    fn on_a_spoilt_threads_thread(work: impl FnOnce() + Send + 'static) {
        let spoilt = thread::Builder::new("spoilt").spawn(|| {
            let (affinity, ..) = seen();
            let mut one = CpuSet::new();
            one.set((0..CpuSet::MAX_CPU).find(|cpu| affinity.is_set(*cpu)).expect("it runs somewhere"));
            sched_setaffinity(None, &one).expect("it may be pinned");
            let mut usr2 = SigSet::empty();
            usr2.add(Signal::SIGUSR2);
            usr2.thread_block().expect("it may block a signal");
            setpriority_process(None, seen().2 + 1).expect("it may be nicer");
            thread::Builder::new("its own").spawn(work).expect("a thread").join().expect("it did not panic");
        });
        spoilt.expect("a thread").join().expect("it did not panic");
    }

    #[test]
    fn a_thread_takes_on_what_another_one_had_whoever_made_it() {
        let (before, conditions) = (seen(), Conditions::of_this_thread());
        let wanted = before;
        on_a_spoilt_threads_thread(move || {
            let (_, blocked, nice) = seen();
            assert_eq!((blocked, nice), (true, wanted.2 + 1), "without more they would be the maker's");
            let taken = conditions.take_on();
            let (affinity, blocked, nice) = seen();
            assert_eq!((affinity, blocked), (wanted.0, wanted.1));
            match taken {
                Ok(()) => assert_eq!(nice, wanted.2),
                // Without the privilege it stays what it was, and that is said.
                Err(refused) => {
                    assert_eq!(nice, wanted.2 + 1);
                    assert!(refused.to_string().starts_with("its nice value can't be changed: "), "{refused}");
                }
            }
        });
        assert_eq!(seen(), before, "nobody else's were touched");
    }

    /// Whoever waits for a queue first asks, for all who wait for it later.
    #[test]
    fn a_thread_that_is_pinned_to_one_core_still_knows_that_there_are_more() {
        let cores = thread::cores();
        on_a_spoilt_threads_thread(move || {
            assert_eq!(seen().0.count(), 1);
            assert_eq!(thread::cores() > 1, cores > 1);
        });
    }
}

#[test]
fn each_thread_has_a_stripe_of_its_own_that_does_not_change() {
    let here = (stripe(), thread_number());
    let numbers = Arc::new(Mutex::new(vec![here]));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let numbers = Arc::clone(&numbers);
            let body = move || {
                let both = (stripe(), thread_number());
                numbers.lock().push(both);
            };
            thread::Builder::new("counts").spawn(body).expect("a thread")
        })
        .collect();
    for thread in threads {
        thread.join().expect("it does not panic");
    }
    let mut numbers = std::mem::take(&mut *numbers.lock());
    assert!(numbers.iter().all(|(stripe, number)| Some(*stripe) == *number), "{numbers:?}");
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 9, "{numbers:?}");
}
