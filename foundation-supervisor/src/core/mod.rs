//! The pure core: one supervisor's decisions. No thread, no lock, no clock: time is an argument, and what is to be done
//! is a list of [`Action`]s.

mod children;
mod pass;
mod restart;
mod step;
#[cfg(test)]
mod tests;
mod window;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use foundation_context::Incarnation;
use foundation_registry::{Cause, Exit};
use foundation_sync::Nanos;

use self::pass::Pass;
pub(crate) use self::window::Window;
use crate::{
    Budget,
    spec::{AutoShutdown, OnAbandon, Restart, Strategy},
};

/// A child's place: never used again, and in start order. The number that its lives have.
pub(crate) type Seat = u64;

/// One life of the child in a seat.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Who {
    pub(crate) seat: Seat,
    pub(crate) generation: u64,
}

impl Who {
    pub(crate) fn incarnation(self) -> Incarnation {
        Incarnation { id: self.seat, generation: self.generation }
    }
}

/// When a child counts as started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ready {
    /// As soon as it has a thread.
    AtSpawn,
    /// When it says so, within this long if there is a limit.
    Within(Option<Nanos>),
}

/// What the core knows of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rules {
    pub(crate) restart: Restart,
    pub(crate) ready: Ready,
    /// From the word to stop to the end of patience; `None` is OTP's `infinity`.
    pub(crate) stop_within: Option<Nanos>,
    pub(crate) significant: bool,
    pub(crate) on_abandon: Option<OnAbandon>,
    /// How long it may go on without a checkpoint.
    pub(crate) heartbeat: Option<Nanos>,
    pub(crate) backoff: Option<Delays>,
    /// Its own, beside which the supervisor's does not count it.
    pub(crate) intensity: Option<Intensity>,
}

/// How many restarts are allowed in how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Intensity {
    pub(crate) restarts: usize,
    pub(crate) period: Nanos,
}

/// How long a restart waits: the first of a row so long, each further one twice as long, up to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Delays {
    pub(crate) first: Nanos,
    pub(crate) most: Nanos,
    /// Up to how many hundredths of the delay are taken off, by chance.
    pub(crate) jitter: u8,
}

/// What the core knows of a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Plan {
    pub(crate) strategy: Strategy,
    pub(crate) intensity: Intensity,
    pub(crate) auto_shutdown: AutoShutdown,
    /// How many children it may have, if it is a dynamic one: those are told to stop all at once, and whoever has ended
    /// for good is forgotten.
    pub(crate) dynamic: Option<usize>,
    /// How many abandoned lives may still run.
    pub(crate) most_abandoned: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    Start,
    Stop,
    Heartbeat,
    Backoff,
}

/// News. `T` is whatever the shell wants back with the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event<T> {
    Start(Option<T>),
    /// Feedback: the answer to [`Action::Spawn`], stepped before any other news.
    Spawned(Who),
    /// Feedback: there is no thread for it.
    SpawnFailed(Who, Exit),
    /// Feedback: [`Action::Abandon`] came before its exit. If it came after, the exit's news is on its way.
    Abandoned(Who, Exit),
    /// Feedback: whether it has passed a checkpoint since [`Action::Look`] was last carried out, or is idle.
    Beat(Who, bool),
    Ready(Who),
    Exited(Who, Exit),
    /// It ended because there is nothing for it to do: OTP's `ignore`.
    Ignored(Who),
    Due(Who, Timer),
    /// The retry of a failed restart: queued behind everything that waits, as OTP's `try_again`.
    Again(Seat),
    Stop(Option<T>, Cause),
    Terminate(Seat, T),
    RestartChild(Seat, T),
    /// The child was put in by [`Core::add`].
    StartChild(Seat, T),
    Delete(Seat, T),
    /// Restart it now, instead of when its backoff is over.
    SkipBackoff(Seat, T),
    Which(T),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action<T> {
    Spawn(Who),
    SignalStop(Who, Cause),
    /// Fence it and give its end out as abandoned, which it has been waited for since then, unless it has ended.
    Abandon(Who, Nanos),
    /// Whether it has passed a checkpoint since this was last asked.
    Look(Who),
    SetTimer(Who, Timer, Nanos),
    CancelTimer(Who, Timer),
    /// It has ended, and is not to be waited for any more. So many restarts were left until then.
    Gone(Who, Exit, Budget),
    /// Somebody who was abandoned before has ended after all.
    LateExit(Who, Exit),
    /// The first start fails because of this child.
    StartFailed(Who, Exit),
    /// One more restart counts against the intensity.
    Restarting(Who),
    Again(Seat),
    /// The child's spec is gone, and with it the seat.
    Forget(Seat),
    /// The child has ended, and no life is to come unless somebody asks for one.
    Rests(Seat),
    Reply(T, Answer),
    /// All children are started: ready, seen from above.
    Up,
    /// Over, seen from above. The last but for late exits and refusals.
    Finished(Exit),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    Done,
    Started(Who),
    StartFailed(Who, Exit),
    AlreadyRunning,
    Restarting,
    /// It does not wait for a backoff to end.
    NotBackingOff,
    NotFound,
    /// Too many requests wait for what is in hand.
    Busy,
    /// The supervisor ended before it could.
    Over,
    Children(Vec<(Who, Phase)>),
}

/// What a child is doing, as its supervisor sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// It has ended, or was never started.
    Stopped,
    /// It has a thread and is not ready yet.
    Starting,
    /// It works.
    Running,
    /// It was told to stop.
    Stopping,
    /// A restart failed and is to be tried again.
    Restarting,
    /// Its restart waits for this time of the universe's clock, in nanoseconds: see
    /// [`ChildSpec::backoff`](crate::ChildSpec::backoff).
    BackingOff {
        /// When it is started.
        until: Nanos,
    },
}

/// The rules that every child has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Common {
    restart: Restart,
    ready: Ready,
    stop_within: Option<Nanos>,
    significant: bool,
    on_abandon: Option<OnAbandon>,
}

/// The rules that few children have, and what they are followed with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Special {
    heartbeat: Option<Nanos>,
    backoff: Option<Delays>,
    /// How many restarts there were since it last ran for as long as its longest backoff.
    row: u32,
    /// Of its own intensity, if it has one.
    restarts: Option<Window>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Child {
    rules: Common,
    special: Option<Box<Special>>,
    generation: u64,
    phase: Phase,
    timer: Option<Timer>,
    /// Told to stop because its start took too long.
    failing: bool,
    /// When it began to be what it is: to run, or to be told to stop.
    since: Nanos,
}

/// What waits while a pass is in hand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Waiting<T> {
    crashed: VecDeque<(Who, Common, Exit)>,
    /// How many of those are significant.
    crashed_significant: usize,
    deferred: VecDeque<Event<T>>,
}

/// How many requests wait at most while a pass is in hand.
pub(crate) const MOST_DEFERRED: usize = 1024;

/// One supervisor.
///
/// While a pass is in hand OTP's supervisor blocks; here an exit that is not the pass's business waits in `crashed`, a
/// request in `deferred`, and a stop alone does not wait: it turns whatever is in hand into a shutdown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Core<T> {
    plan: Plan,
    /// Boxed, for half of a map's room is empty.
    children: BTreeMap<Seat, Box<Child>>,
    restarts: Window,
    /// How many significant children have not ended.
    significant: usize,
    /// Abandoned lives that have not ended.
    abandoned: BTreeSet<Who>,
    /// Those that supervisors left behind in whose place this one is, as far as it was told.
    inherited: usize,
    /// Who has ended, as long as it is not told that it rests: what is in hand, or waits, may start it again.
    ended: BTreeSet<Seat>,
    /// Boxed, as what waits is, for most of the time there is none.
    pass: Option<Box<Pass<T>>>,
    waiting: Option<Box<Waiting<T>>>,
    over: bool,
    out: Vec<Action<T>>,
}
