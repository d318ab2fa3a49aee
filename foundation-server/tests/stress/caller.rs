//! One who sends in all ways, and keeps count of what he is told.

use std::{ops::AddAssign, sync::Arc, time::Duration};

use foundation_server::{
    BroadcastError, CallError, CastError, DeadLetters, Delivery, Fate, Missed, Quorum, Reason, Recipient, Retry,
    ServerRef, broadcast,
};
use foundation_supervisor::{Backoff, System};
use foundation_sync::Deadline;

use crate::mortal::{Done, Mortal, Often, Once};

/// How long a retry waits, of a send and of a letter.
const WAIT: Duration = Duration::from_micros(100);

/// What callers were told of one server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) refused: u64,
    pub(crate) returned: u64,
    /// Begun, and then its life died.
    pub(crate) broken: u64,
    /// A letter, as its sender wished.
    pub(crate) buried: u64,
}

/// What callers were told of broadcasts and letters, and what they did with these.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    /// Failed sends that were logged.
    pub(crate) logged: u64,
    /// Broadcasts that have reached both; and of those to all, those that have reached nobody, and one, for the other one
    /// had died.
    pub(crate) all: u64,
    pub(crate) nobody: u64,
    pub(crate) some: u64,
    /// Letters that were delivered by hand.
    pub(crate) retried: u64,
    pub(crate) taken: u64,
    pub(crate) purged: u64,
}

impl AddAssign for Told {
    fn add_assign(&mut self, other: Self) {
        let Self { sent, answered, refused, returned, broken, buried } = other;
        self.sent += sent;
        self.answered += answered;
        self.refused += refused;
        self.returned += returned;
        self.broken += broken;
        self.buried += buried;
    }
}

impl AddAssign for Heard {
    fn add_assign(&mut self, other: Self) {
        let Self { logged, all, nobody, some, retried, taken, purged } = other;
        self.logged += logged;
        self.all += all;
        self.nobody += nobody;
        self.some += some;
        self.retried += retried;
        self.taken += taken;
        self.purged += purged;
    }
}

/// Two servers of a universe, and what becomes of their messages.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) system: System,
    pub(crate) letters: DeadLetters,
    pub(crate) servers: [ServerRef<Mortal>; 2],
    pub(crate) done: [Arc<Done>; 2],
}

pub(crate) struct Caller {
    world: World,
    everyone: [Recipient<Once>; 2],
    /// A send that fails comes back, is logged, ignored, buried, or buried and tried again.
    deliveries: [Delivery; 5],
    chance: fastrand::Rng,
    /// Of each server.
    pub(crate) told: [Told; 2],
    pub(crate) heard: Heard,
}

impl Caller {
    pub(crate) fn new(world: &World, seed: u64) -> Self {
        let delivery = || Delivery::of(&world.system);
        let backoff = Backoff::constant(WAIT);
        Self {
            everyone: world.servers.each_ref().map(ServerRef::recipient),
            deliveries: [
                delivery(),
                delivery().log(),
                delivery().ignore().again(backoff, 2),
                delivery().bury(),
                delivery().bury_and_retry(Retry::new(backoff, 4)),
            ],
            chance: fastrand::Rng::with_seed(seed),
            told: Default::default(),
            heard: Heard::default(),
            world: world.clone(),
        }
    }

    /// Sends this message, which nobody else does: to one of the servers, or to both.
    pub(crate) fn send(&mut self, number: u64) {
        match self.chance.u16(..1024) {
            0..256 => self.cast(number),
            256..448 => self.cast_again(number),
            448..704 => self.call(number),
            704..896 => self.deliver(number),
            896..1023 => self.broadcast(number),
            _ => self.see_to_letters(),
        }
    }

    /// One of the servers, mostly the first.
    fn one(&mut self) -> (usize, ServerRef<Mortal>) {
        let at = usize::from(self.chance.u8(..8) == 0);
        self.told[at].sent += 1;
        (at, self.world.servers[at].clone())
    }

    fn now_or_never(&mut self) -> Deadline {
        if self.chance.bool() { Deadline::now() } else { Deadline::never() }
    }

    fn cast(&mut self, number: u64) {
        let (at, server) = self.one();
        if let Err(refused) = server.cast(Once(number)).map_err(CastError::into_message) {
            self.told[at].refused += 1;
            self.comes_back(at, number, refused);
        }
    }

    fn cast_again(&mut self, number: u64) {
        let (at, server) = self.one();
        if let Err(Often(back)) = server.cast_again(Often(number)).map_err(CastError::into_message) {
            assert_eq!(back, number, "another one's message came back");
            self.told[at].refused += 1;
        }
    }

    fn call(&mut self, number: u64) {
        let ((at, server), until) = (self.one(), self.now_or_never());
        let told = &mut self.told[at];
        match server.call(Once(number), until) {
            Ok(reply) => {
                assert_eq!(reply, number, "another one's answer");
                told.answered += 1;
            }
            Err(CallError::Full { message, .. } | CallError::NotRunning { message, .. }) => {
                told.refused += 1;
                self.comes_back(at, number, message);
            }
            Err(
                CallError::Exited { message: Some(message), .. } | CallError::TimedOut { message: Some(message), .. },
            ) => {
                told.returned += 1;
                self.comes_back(at, number, message);
            }
            Err(CallError::Exited { message: None, .. }) => told.broken += 1,
            // Begun, and done too late for this caller.
            Err(CallError::TimedOut { message: None, .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn deliver(&mut self, number: u64) {
        let ((at, server), until) = (self.one(), self.now_or_never());
        let delivery = &self.deliveries[self.chance.usize(..self.deliveries.len())];
        let Err(failed) = server.send(Once(number), delivery, until) else { return };
        match failed.fate {
            Fate::Buried(_) => {
                self.told[at].buried += 1;
                return;
            }
            Fate::Returned(Once(back)) => assert_eq!(back, number, "another one's message came back"),
            Fate::Logged => self.heard.logged += 1,
            Fate::Ignored => {}
            other => panic!("{other}"),
        }
        self.told[at].refused += 1;
        self.world.done[at].note_back(number);
    }

    fn broadcast(&mut self, number: u64) {
        let quorum = if self.chance.bool() { Quorum::All } else { Quorum::BestEffort };
        let until = match self.chance.u8(..16) {
            0 => self.world.system.within(Duration::from_millis(1)),
            _ => Deadline::now(),
        };
        let delivered = match broadcast(&self.everyone, Once(number), quorum, until) {
            Ok(delivered) => {
                self.heard.all += u64::from(delivered.accepted == 2);
                delivered
            }
            Err(BroadcastError { delivered, message: Once(back), .. }) => {
                assert_eq!((back, quorum), (number, Quorum::All), "another one's message came back");
                match delivered.accepted {
                    0 => self.heard.nobody += 1,
                    _ => self.heard.some += 1,
                }
                delivered
            }
        };
        for (at, (_, result)) in delivered.results.into_iter().enumerate() {
            match result {
                Ok(()) => self.told[at].sent += 1,
                Err(Missed::Refused(Reason::Full { .. } | Reason::NotRunning { .. })) => {
                    self.told[at].sent += 1;
                    self.told[at].refused += 1;
                    self.world.done[at].note_back(number);
                }
                // It was not sent.
                Err(Missed::Withheld) => self.world.done[at].note_back(number),
                Err(other) => panic!("{other}"),
            }
        }
    }

    /// Does what an operator does, with some of the letters.
    fn see_to_letters(&mut self) {
        let letters = self.world.letters.clone();
        match self.chance.u8(..4) {
            0 => self.heard.purged += letters.purge(|letter| letter.number % 16 == 0) as u64,
            1 => self.heard.retried += letters.retry(|letter| letter.number % 4 == 0).delivered.len() as u64,
            _ => {
                for letter in letters.list(4) {
                    let Ok(Once(number)) = letters.take::<Once>(letter.number) else { continue };
                    self.heard.taken += 1;
                    let to = self.world.servers.iter().position(|it| it.status().server == letter.recipient);
                    self.world.done[to.expect("it is for one of them")].note_back(number);
                }
            }
        }
    }

    fn comes_back(&self, at: usize, number: u64, Once(back): Once) {
        assert_eq!(back, number, "another one's message came back");
        self.world.done[at].note_back(number);
    }
}
