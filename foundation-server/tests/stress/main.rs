//! Many callers of a server that dies again and again: each message is accounted for, once.
#![cfg(not(any(loom, shuttle)))]

use std::{sync::Arc, time::Duration};

use foundation_server::{CallError, CastError, Handle, Pending, Server, ServerRef, Status, Turn, WhenFull, server};
use foundation_supervisor::{ChildSpec, Strategy, Supervisor};
use foundation_sync::{
    Deadline, Mutex,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use foundation_testkit::{TestUniverse, deep, join, spawn};

const CALLERS: u64 = 8;

/// How many messages each caller sends in each of the three stories.
fn messages() -> u64 {
    let all = if deep() { 100_000_000 } else { 120_000 };
    all / 3 / CALLERS
}

/// What was done, by whichever life.
struct Done {
    messages: AtomicU64,
    /// A bit for each message that may be done once.
    once: Vec<AtomicU64>,
    twice: AtomicU64,
}

impl Done {
    fn new() -> Self {
        let words = messages() * CALLERS / 64 + 1;
        Self {
            messages: AtomicU64::new(0),
            once: (0..words).map(|_| AtomicU64::new(0)).collect(),
            twice: AtomicU64::new(0),
        }
    }

    /// Whether it was done before.
    fn note(&self, number: u64) -> bool {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        self.once[word].fetch_or(bit, Relaxed) & bit != 0
    }
}

/// Dies by chance.
struct Mortal {
    done: Arc<Done>,
    chance: fastrand::Rng,
}

impl Mortal {
    /// Notes that it has begun this one, and dies of it now and then.
    fn begin(&mut self, number: u64, once: bool) {
        self.done.messages.fetch_add(1, Relaxed);
        if once && self.done.note(number) {
            self.done.twice.fetch_add(1, Relaxed);
        }
        if self.chance.u32(..300) == 0 {
            // Without the panic hook.
            std::panic::resume_unwind(Box::new("by chance"));
        }
    }
}

impl Server for Mortal {}

/// At most once.
#[derive(Debug)]
struct Once(u64);

/// As often as need be.
#[derive(Clone, Debug)]
struct Often(u64);

impl Handle<Once> for Mortal {
    type Reply = u64;

    fn handle(&mut self, Once(number): Once, _: &mut Turn<'_, Self>) -> u64 {
        self.begin(number, true);
        number
    }
}

impl Handle<Often> for Mortal {
    type Reply = ();

    fn handle(&mut self, Often(number): Often, _: &mut Turn<'_, Self>) {
        self.begin(number, false);
    }
}

/// What one caller was told.
#[derive(Debug, Default)]
struct Told {
    sent: u64,
    answered: u64,
    refused: u64,
    returned: u64,
    /// Begun, and then its life died.
    broken: u64,
}

/// Sends its share.
fn send(server: &ServerRef<Mortal>, seed: u64, messages: u64) -> Told {
    let (mut chance, mut told) = (fastrand::Rng::with_seed(seed), Told::default());
    for at in 0..messages {
        let number = at * CALLERS + seed;
        told.sent += 1;
        let refused = match chance.u8(..8) {
            0..=2 => server.cast(Once(number)).err().map(CastError::into_message).map(|Once(back)| back),
            3 | 4 => server.cast_again(Often(number)).err().map(CastError::into_message).map(|Often(back)| back),
            kind => {
                let until = if kind == 5 { Deadline::now() } else { Deadline::never() };
                call(server, number, until, &mut told)
            }
        };
        if let Some(back) = refused {
            assert_eq!(back, number, "another one's message came back");
            told.refused += 1;
        }
    }
    told
}

/// The message, if it was refused.
fn call(server: &ServerRef<Mortal>, number: u64, until: Deadline, told: &mut Told) -> Option<u64> {
    match server.call(Once(number), until) {
        Ok(reply) => {
            assert_eq!(reply, number, "another one's answer");
            told.answered += 1;
            None
        }
        Err(CallError::Full { message, .. } | CallError::NotRunning { message, .. }) => Some(message.0),
        Err(CallError::Exited { message: None, .. }) => {
            told.broken += 1;
            None
        }
        Err(
            CallError::Exited { message: Some(Once(back)), .. } | CallError::TimedOut { message: Some(Once(back)), .. },
        ) => {
            assert_eq!(back, number, "another one's message came back");
            told.returned += 1;
            None
        }
        // Begun, and done too late for this caller.
        Err(CallError::TimedOut { message: None, .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

/// All that was sent is accounted for.
#[track_caller]
fn check(pending: Pending, full: WhenFull) {
    let t = TestUniverse::new();
    let done = Arc::new(Done::new());
    let (its, lives) = (Arc::clone(&done), AtomicU64::new(1));
    let (spec, mortal) = server("mortal", move || Mortal {
        done: Arc::clone(&its),
        chance: fastrand::Rng::with_seed(lives.fetch_add(1, Relaxed)),
    });
    let spec: ChildSpec = spec.mailbox(64, full).pending(pending).quarantine_after(2).into();
    let tree = t.start(Supervisor::new("t", Strategy::OneForOne).intensity(1_000_000, Duration::MAX).child(spec));
    let told = Arc::new(Mutex::new(Vec::new()));
    let callers = (0..CALLERS).map(|seed| {
        let (server, tells) = (mortal.clone(), Arc::clone(&told));
        spawn(move || {
            let told = send(&server, seed, messages());
            tells.lock().push(told);
        })
    });
    callers.collect::<Vec<_>>().into_iter().for_each(join);
    let told = std::mem::take(&mut *told.lock());
    tree.stop(t.patience()).expect("it stops");
    assert_eq!(told.len(), 8);
    let sum = |of: fn(&Told) -> u64| told.iter().map(of).sum::<u64>();
    let status: Status = t.wait_for(|| {
        let status = mortal.status();
        let there =
            status.handled - status.again + status.buried - status.redelivered + status.refused + status.returned;
        (there == sum(|told| told.sent) && status.waiting == 0)
            .then_some(status.clone())
            .ok_or_else(|| Box::new((status, sum(|told| told.sent))))
    });
    assert_eq!((status.refused, status.returned), (sum(|told| told.refused), sum(|told| told.returned)), "{status:?}");
    assert_eq!(status.handled, done.messages.load(Relaxed), "{status:?}");
    assert_eq!(done.twice.load(Relaxed), 0, "done twice that was to be done once");
    assert!(status.broken >= sum(|told| told.broken) + status.again, "{status:?}");
    assert!(t.restarts() > 0 && status.again > 0 && status.returned > 0, "{status:?}: it never died");
}

#[test]
fn messages_that_wait_over_restarts_are_all_accounted_for() {
    check(Pending::Wait, WhenFull::Wait);
}

#[test]
fn messages_that_do_not_wait_over_restarts_are_all_accounted_for() {
    check(Pending::DeadLetter, WhenFull::Wait);
}

#[test]
fn messages_that_a_full_mailbox_refuses_are_all_accounted_for() {
    check(Pending::Wait, WhenFull::Refuse);
}
