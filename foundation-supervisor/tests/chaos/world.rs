//! What is written down of all lives, and held against what was promised.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use foundation_context::Incarnation;
use foundation_registry::{Exit, Monitor, Owner};
use foundation_supervisor::{Life, System, Tree};
use foundation_sync::{
    Deadline, Full, Mutex, Queue, TryRecvError,
    atomic::{AtomicU8, Ordering},
};
use foundation_testkit::patience;

use crate::plan::WORKERS;

const ENDS: [&str; 5] = ["normal", "shutdown", "panicked", "failed", "abandoned"];
const NOTES: [&str; 7] = [
    "trees stopped",
    "trees gave up",
    "starts that failed",
    "start_child",
    "terminate_child",
    "restart_child",
    "children",
];

pub(crate) struct World {
    seed: u64,
    system: System,
    /// Nothing is ever sent. Closed, it ends all hangs and pauses.
    gate: Queue<()>,
    /// While a tree that is to come up is started. Closed when it is up.
    calm: Mutex<Option<Queue<()>>>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    starts: u64,
    /// By path, whoever has begun and not ended: one, and those who were abandoned.
    living: HashMap<Arc<str>, Vec<Owner>>,
    watched: Vec<Watched>,
    /// How many lives ended in which way.
    ends: BTreeMap<&'static str, u64>,
    notes: BTreeMap<&'static str, u64>,
    wrong: Vec<String>,
}

struct Watched {
    who: Incarnation,
    means: Arc<AtomicU8>,
    monitor: Monitor,
}

/// How a life means to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    Panic,
    Failure,
}

impl End {
    const ALL: [Self; 3] = [Self::Done, Self::Panic, Self::Failure];

    fn agrees(self, exit: &Exit) -> bool {
        match exit {
            Exit::Normal | Exit::Shutdown(_) => self == Self::Done,
            Exit::Panicked(_) => self == Self::Panic,
            Exit::Failed(_) => self == Self::Failure,
            // Whatever it may still do.
            Exit::Abandoned { .. } => true,
            _ => false,
        }
    }
}

/// One life, while its body runs.
pub(crate) struct Here<'a> {
    world: &'a World,
    owner: Owner,
    number: u64,
    means: Arc<AtomicU8>,
}

impl World {
    pub(crate) fn new(seed: u64, system: &System) -> Arc<Self> {
        let (system, gate) = (system.clone(), Queue::bounded(1, Full::Refuse));
        Arc::new(Self { seed, system, gate, calm: Mutex::default(), book: Mutex::default() })
    }

    /// A life begins. It is the only one of its path, but for those who were abandoned.
    pub(crate) fn enter(&self, life: &Life) -> Here<'_> {
        let (owner, means) = (life.owner().clone(), Arc::new(AtomicU8::new(End::Done as u8)));
        let watched = Watched { who: owner.incarnation(), means: Arc::clone(&means), monitor: owner.monitor() };
        let mut book = self.book.lock();
        book.starts += 1;
        let number = book.starts;
        book.watched.push(watched);
        let living = book.living.entry(Arc::clone(owner.name())).or_default();
        living.push(owner.clone());
        let unfenced: Vec<_> = living.iter().filter(|owner| !owner.fenced()).map(Owner::incarnation).collect();
        if unfenced.len() > 1 {
            book.wrong.push(format!("two live lives of {}: {unfenced:?}", owner.name()));
        }
        Here { world: self, owner, number, means }
    }

    /// Takes in the ends that there are; with `all`, nobody may be missing.
    pub(crate) fn reap(&self, all: bool) {
        let watched = std::mem::take(&mut self.book.lock().watched);
        let mut left = Vec::new();
        for watched in watched {
            match watched.monitor.try_recv() {
                Ok(down) => self.ended(&watched, down.incarnation, &down.exit),
                Err(TryRecvError::Empty) => {
                    if all {
                        self.complain(format!("{} has not ended", watched.who));
                    }
                    left.push(watched);
                }
                Err(error) => self.complain(format!("{}: no Down: {error}", watched.who)),
            }
        }
        self.book.lock().watched.append(&mut left);
    }

    fn ended(&self, watched: &Watched, who: Incarnation, exit: &Exit) {
        let means = End::ALL[usize::from(watched.means.load(Ordering::Acquire))];
        if who != watched.who || !means.agrees(exit) {
            self.complain(format!("{} meant {means:?}, and the Down is of {who}: {exit}", watched.who));
        }
        let second = watched.monitor.try_recv();
        if second != Err(TryRecvError::Closed) {
            self.complain(format!("{}: a second Down: {second:?}", watched.who));
        }
        *self.book.lock().ends.entry(exit.kind()).or_default() += 1;
    }

    /// Whether all bodies have ended.
    pub(crate) fn left(&self) -> Result<(), usize> {
        match self.book.lock().living.len() {
            0 => Ok(()),
            there => Err(there),
        }
    }

    /// Looks that the numbers add up, and that the run has met what it is about.
    pub(crate) fn sum_up(&self) -> String {
        let unmet = self.unmet();
        let book = self.book.lock();
        let (seed, ends): (_, u64) = (self.seed, book.ends.values().sum());
        let summary = format!("seed {seed}: {} lives ended so: {:?}; {:?}", book.starts, book.ends, book.notes);
        assert_eq!(ends, book.starts, "each life has one end: {summary}");
        assert_eq!(self.ended_so("abandoned", &book), self.system.abandoned(), "{summary}");
        assert!(unmet.is_empty(), "it did not meet {unmet:?}: {summary}");
        summary
    }

    /// Of what such a run is about, what has not happened yet.
    pub(crate) fn unmet(&self) -> Vec<&'static str> {
        let book = self.book.lock();
        let ends = ENDS.iter().filter(|kind| !book.ends.contains_key(*kind));
        ends.chain(NOTES.iter().filter(|note| !book.notes.contains_key(*note))).copied().collect()
    }

    fn ended_so(&self, kind: &str, book: &Book) -> u64 {
        book.ends.get(kind).copied().unwrap_or_default()
    }

    /// How many lives ended in one of these ways.
    pub(crate) fn ends(&self, kinds: &[&str]) -> u64 {
        let book = self.book.lock();
        kinds.iter().map(|kind| self.ended_so(kind, &book)).sum()
    }

    pub(crate) fn note(&self, what: &'static str) {
        *self.book.lock().notes.entry(what).or_default() += 1;
    }

    pub(crate) fn complain(&self, what: String) {
        self.book.lock().wrong.push(what);
    }

    pub(crate) fn wrong(&self) -> Vec<String> {
        std::mem::take(&mut self.book.lock().wrong)
    }

    /// Nobody does anything bad until [`storm`](Self::storm).
    pub(crate) fn calm(&self) {
        *self.calm.lock() = Some(Queue::bounded(1, Full::Refuse));
    }

    pub(crate) fn storm(&self) {
        let calm = self.calm.lock().take();
        if let Some(calm) = calm {
            calm.close();
        }
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.calm.lock().is_some()
    }

    pub(crate) fn until_storm(&self, life: &Life) {
        let calm = self.calm.lock().clone();
        if let Some(calm) = calm {
            _ = calm.recv(life.stop());
        }
    }

    /// Lets everybody go who hangs.
    pub(crate) fn release(&self) {
        self.gate.close();
    }

    pub(crate) fn is_released(&self) -> bool {
        self.gate.is_closed()
    }

    /// Listens to nobody for so long.
    pub(crate) fn pause(&self, span: Duration) {
        _ = self.gate.recv(self.system.within(span));
    }

    /// Works for so long; `false`: it was told to stop before.
    pub(crate) fn work(&self, life: &Life, span: Duration) -> bool {
        _ = self.gate.recv(self.system.within(span).or_stop(life.stop()));
        !life.told()
    }

    pub(crate) fn until_told(&self, life: &Life) {
        _ = self.gate.recv(life.stop());
    }

    /// By when a call is answered: all that it may have to wait for is bounded.
    pub(crate) fn soon(&self) -> Deadline {
        self.system.within(patience())
    }

    /// The tree of some worker, by the worker's name.
    pub(crate) fn some_tree(&self, rng: &mut fastrand::Rng) -> Option<Arc<Tree>> {
        let mut path = crate::plan::ROOT.to_owned();
        for _ in 0..rng.usize(..crate::plan::DEPTH) {
            path += &format!("/s{}", rng.usize(..crate::plan::BELOW));
        }
        self.system.find(&format!("{path}/w{}", rng.usize(..WORKERS)))
    }
}

impl Here<'_> {
    /// What this life does by chance comes from the seed, and from how many began before.
    pub(crate) fn rng(&self) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.world.seed.rotate_left(32) ^ self.number)
    }

    pub(crate) fn means(&self, end: End) {
        self.means.store(end as u8, Ordering::Release);
    }
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        let mut book = self.world.book.lock();
        let Some(living) = book.living.get_mut(self.owner.name()) else { return };
        living.retain(|owner| *owner != self.owner);
        if living.is_empty() {
            book.living.remove(self.owner.name());
        }
    }
}
