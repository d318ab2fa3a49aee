//! One worker, several times: each key has its own.

use std::{
    fmt,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash},
    sync::Arc,
};

use foundation_sync::{
    Until,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use crate::{ChildError, ChildSpec, Strategy, Supervisor, Tree};

/// So many copies of one worker, and which of them a key belongs to. A clone is another handle. After Elixir's
/// `PartitionSupervisor`.
///
/// What would queue at one worker goes to several; what belongs to one key stays in order, for it always goes to the same
/// one, as long as there are as many.
///
/// ```
/// use foundation_supervisor::{ChildSpec, Foundation, Life, Partitions};
/// use foundation_sync::{Full, Queue, SECONDS_5};
///
/// let system = Foundation::builder().start();
/// let shards = Partitions::new(4);
/// let tree = shards.supervisor("shards", |number| {
///     ChildSpec::worker("shard", move |life: &Life| {
///         let orders = Queue::<u64>::bounded(64, Full::Wait);
///         let _name = life.register(&format!("shard/{number}"), orders.clone())?;
///         life.ready();
///         while let Some(_order) = life.next(&orders)? {}
///         Ok(())
///     })
///     .ready_within(SECONDS_5)
/// });
/// let tree = tree.start(&system, system.within(SECONDS_5))?;
/// let number = shards.route("a customer").expect("none was closed");
/// assert!(system.whereis(&format!("shard/{number}")).is_some());
/// shards.resize(&tree, 2, system.within(SECONDS_5))?;
/// assert!(shards.route("a customer") < Some(2));
/// # assert!(system.stop(SECONDS_5).is_clean());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Partitions(Arc<Inner>);

struct Inner {
    most: usize,
    /// Keys go to those below.
    open: AtomicUsize,
    resizing: AtomicBool,
}

impl Partitions {
    /// `most` partitions, all of them open.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Inner { most, open: AtomicUsize::new(most), resizing: AtomicBool::new(false) }))
    }

    /// Their supervisor: each is made by `spec`, which is given its number, and is named by it. One for one; its intensity
    /// is for all of them.
    pub fn supervisor(&self, name: impl Into<Arc<str>>, spec: impl Fn(usize) -> ChildSpec) -> Supervisor {
        let supervisor = Supervisor::new(name, Strategy::OneForOne);
        (0..self.0.most).fold(supervisor, |supervisor, number| supervisor.child(spec(number).named(number.to_string())))
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        // ordering: Acquire, who sees a partition opened finds it started: see `resize`
        self.0.open.load(Ordering::Acquire)
    }

    /// To which one this key belongs while so many are open; `None` if none is. Equal keys belong to one; which, is not
    /// the same from one version of this crate to the next.
    pub fn route<K: Hash + ?Sized>(&self, key: &K) -> Option<usize> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
        let open = self.open() as u128;
        // A multiplication instead of a division: the hash as a fraction of its range.
        (open > 0).then(|| ((u128::from(hash) * open) >> 64) as usize)
    }

    /// Opens or closes partitions, so that so many are open. What closes gets no more keys, then it is stopped; what opens
    /// is started, then it gets keys. Keys move with either: what a partition held for them is its own to hand over.
    /// A supervisor that is itself restarted starts all its partitions; those that were closed get no keys all the same.
    ///
    /// # Errors
    /// [`ChildError::NotFound`]: there are not so many. [`ChildError::Busy`]: somebody else resizes. Others as from
    /// [`Tree::restart_child`] and [`Tree::terminate_child`]: then none that was to open is open, and those that were to
    /// close get no keys, but may run; resize again.
    #[track_caller]
    pub fn resize<'a>(&self, tree: &Tree, open: usize, until: impl Into<Until<'a>>) -> Result<(), ChildError> {
        if open > self.0.most {
            return Err(ChildError::NotFound((open - 1).to_string().into()));
        }
        // ordering: AcqRel, one resize after another
        if self.0.resizing.swap(true, Ordering::AcqRel) {
            return Err(ChildError::Busy);
        }
        let _turn = Turn(&self.0.resizing);
        let until = until.into();
        let before = self.open();
        if open < before {
            self.0.open.store(open, Ordering::Release); // ordering: see `open`
        }
        for number in before.min(open)..open {
            if let Err(error) = self.start(tree, number, until.clone()) {
                self.stop(tree, before, number, until)?;
                return Err(error);
            }
        }
        self.stop(tree, open, self.0.most, until)?;
        self.0.open.store(open, Ordering::Release); // ordering: see `open`
        Ok(())
    }

    #[track_caller]
    fn start(&self, tree: &Tree, number: usize, until: Until<'_>) -> Result<(), ChildError> {
        match tree.restart_child(&number.to_string(), until) {
            Ok(_) | Err(ChildError::AlreadyRunning(_) | ChildError::Restarting(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    #[track_caller]
    fn stop(&self, tree: &Tree, from: usize, to: usize, until: Until<'_>) -> Result<(), ChildError> {
        (from..to).rev().try_for_each(|number| tree.terminate_child(&number.to_string(), until.clone()))
    }
}

/// The turn to resize, given back whatever happens.
struct Turn<'a>(&'a AtomicBool);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release); // ordering: see `resize`
    }
}

impl fmt::Debug for Partitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Partitions({} of {} open)", self.open(), self.0.most)
    }
}
