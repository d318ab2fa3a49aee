//! Who is alive, and how the others ended.

use std::{
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
};

use foundation_context::Incarnation;
use foundation_sync::{Activity, Clock, Map, atomic::AtomicU64};
use foundation_telemetry::Telemetry;

use crate::{
    Down, Exit, Owner, OwnerGuard, bags::Hashes, fence::Outside, monitors::Book, owner::Record, tombstones::Tombstones,
};

/// The owners of one universe. A clone is another handle.
#[derive(Clone)]
pub struct Owners(pub(crate) Arc<Table>);

pub(crate) struct Table {
    pub(crate) tombstones: Tombstones,
    pub(crate) book: Book,
    pub(crate) outside: Outside,
    pub(crate) activity: Activity,
    pub(crate) clock: Clock,
    /// The number of the next entry.
    pub(crate) entries: AtomicU64,
    /// Who lives; their records hold themselves until they end. The last field: the records lead back here, and what is
    /// looked at before them is known to be `Send` by then, which keeps the compiler from looking too deep.
    pub(crate) live: Map<Incarnation, Record, Hashes>,
}

// No panic leaves half of a change behind: no user's code runs in the middle of one.
impl UnwindSafe for Table {}
impl RefUnwindSafe for Table {}

impl Default for Owners {
    fn default() -> Self {
        Self::with_activity(Activity::default())
    }
}

impl Owners {
    /// Nobody lives; what changes moves this activity counter. Time is the system's, and monitors are no events.
    pub fn with_activity(activity: Activity) -> Self {
        Self::new(activity, Clock::system(), Book::default())
    }

    /// Nobody lives; what changes moves this universe's activity counter, ends are dated by its clock, and monitors are
    /// events of its telemetry.
    pub fn in_universe(activity: Activity, clock: Clock, telemetry: &Telemetry) -> Self {
        Self::new(activity, clock, Book::telling(telemetry))
    }

    fn new(activity: Activity, clock: Clock, book: Book) -> Self {
        Self(Arc::new(Table {
            live: Map::default(),
            tombstones: Tombstones::default(),
            book,
            outside: Outside::default(),
            activity,
            clock,
            entries: AtomicU64::new(0),
        }))
    }

    /// The clock that dates ends, names and monitors.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// A life begins. The name is for people. Who has the guard ends it, nobody else; let go of, it ends the life itself.
    ///
    /// An incarnation begins once. If it lives, the second one is refused: its owner is nobody's life, is
    /// [fenced](Owner::fenced) from the start, and has ended so ([`Exit::Failed`] says why, to its own
    /// [monitors](Owner::monitor)). The first one lives on, and is what others find.
    pub fn begin(&self, incarnation: Incarnation, name: impl Into<Arc<str>>) -> OwnerGuard {
        let owner = Owner::new(incarnation, name.into(), self);
        match self.0.live.insert_unless(&owner.0, |_| true) {
            Ok(_) => self.0.activity.bump(),
            Err(_) => owner.refuse(),
        }
        OwnerGuard::new(owner)
    }

    /// The owner, if it lives.
    pub fn get(&self, incarnation: Incarnation) -> Option<Owner> {
        self.record(incarnation).filter(|owner| !owner.fenced())
    }

    /// All who live at some moment of the call.
    pub fn live(&self) -> Vec<Owner> {
        let mut live = self.records();
        live.retain(|owner| !owner.fenced());
        live.sort_by_key(Owner::incarnation);
        live
    }

    /// How it ended; `None` while it lives.
    pub fn exit_of(&self, incarnation: Incarnation) -> Option<Exit> {
        match self.record(incarnation) {
            Some(owner) => owner.ended().map(|down| down.exit),
            None => Some(self.tombstone(incarnation).exit),
        }
    }

    /// How many ends were forgotten, for others came after them: only the last [`TOMBSTONES`](crate::TOMBSTONES) are
    /// remembered.
    pub fn forgotten(&self) -> u64 {
        self.0.tombstones.forgotten()
    }

    pub(crate) fn record(&self, incarnation: Incarnation) -> Option<Owner> {
        self.0.live.get(&incarnation).map(Owner)
    }

    /// Also those that are ending.
    pub(crate) fn records(&self) -> Vec<Owner> {
        self.0.live.values().into_iter().map(Owner).collect()
    }

    /// How one ended who is not among the living.
    pub(crate) fn tombstone(&self, incarnation: Incarnation) -> Down {
        let unknown = || Down { incarnation, exit: Exit::NoSuchIncarnation, at: self.0.clock.now() };
        self.0.tombstones.get(incarnation).unwrap_or_else(unknown)
    }
}

impl fmt::Debug for Owners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.live()).finish()
    }
}
