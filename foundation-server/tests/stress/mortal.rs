//! A server that dies by chance, and what becomes of each message to it.

use std::sync::Arc;

use foundation_server::{Handle, Server, ServerRef, ServerSpec, Turn, server};
use foundation_sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One message of so many costs a life.
const LIVES: u32 = 300;

/// What became of the messages to one server, by whichever life.
pub(crate) struct Done {
    messages: AtomicU64,
    /// A bit for each message that may be done once, when it is begun.
    once: Bits,
    /// The same, when it comes back to its sender, or is dropped for him: then it is never done.
    back: Bits,
    twice: AtomicU64,
}

impl Done {
    pub(crate) fn new(messages: u64) -> Self {
        Self {
            messages: AtomicU64::new(0),
            once: Bits::new(messages),
            back: Bits::new(messages),
            twice: AtomicU64::new(0),
        }
    }

    /// A message that may be done once has come back.
    pub(crate) fn note_back(&self, number: u64) {
        self.twice.fetch_add(u64::from(self.back.set(number)), Relaxed);
    }

    /// How many were begun.
    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Relaxed)
    }

    /// How many had two fates: done twice, come back twice, or both.
    pub(crate) fn two_fates(&self) -> u64 {
        let both = self.once.0.iter().zip(&self.back.0);
        let both = both.map(|(once, back)| u64::from((once.load(Relaxed) & back.load(Relaxed)).count_ones()));
        self.twice.load(Relaxed) + both.sum::<u64>()
    }
}

struct Bits(Vec<AtomicU64>);

impl Bits {
    fn new(bits: u64) -> Self {
        Self((0..bits / 64 + 1).map(|_| AtomicU64::new(0)).collect())
    }

    /// Whether it was set before.
    fn set(&self, number: u64) -> bool {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        self.0[word].fetch_or(bit, Relaxed) & bit != 0
    }
}

/// Dies by chance.
pub(crate) struct Mortal {
    done: Arc<Done>,
    chance: fastrand::Rng,
}

impl Mortal {
    /// Notes that it has begun this one, and dies of it now and then.
    fn begin(&mut self, number: u64, once: bool) {
        self.done.messages.fetch_add(1, Relaxed);
        if once {
            self.done.twice.fetch_add(u64::from(self.done.once.set(number)), Relaxed);
        }
        if self.chance.u32(..LIVES) == 0 {
            // Without the panic hook.
            std::panic::resume_unwind(Box::new("by chance"));
        }
    }
}

impl Server for Mortal {}

/// At most once, by each that it is sent to.
#[derive(Clone, Debug)]
pub(crate) struct Once(pub(crate) u64);

/// As often as need be.
#[derive(Clone, Debug)]
pub(crate) struct Often(pub(crate) u64);

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

pub(crate) fn mortal(name: &str, done: &Arc<Done>) -> (ServerSpec<Mortal>, ServerRef<Mortal>) {
    let (its, lives) = (Arc::clone(done), AtomicU64::new(1));
    server(name, move || Mortal {
        done: Arc::clone(&its),
        chance: fastrand::Rng::with_seed(lives.fetch_add(1, Relaxed)),
    })
}
