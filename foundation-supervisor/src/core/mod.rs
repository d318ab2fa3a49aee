//! The pure core: one supervisor's decisions. No thread, no lock, no clock: time is an argument, and what is to be done
//! is a list of [`Action`]s.

mod step;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use foundation_registry::{Cause, Exit};
use foundation_sync::Nanos;

use crate::spec::{AutoShutdown, OnAbandon, Restart, Strategy};

/// A child's place: never used again, and in start order.
pub(crate) type Seat = u64;

/// One life of the child in a seat.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Who {
    pub(crate) seat: Seat,
    pub(crate) generation: u64,
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
    pub(crate) on_abandon: OnAbandon,
}

/// What the core knows of a supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Plan {
    pub(crate) strategy: Strategy,
    pub(crate) intensity: usize,
    pub(crate) period: Nanos,
    pub(crate) auto_shutdown: AutoShutdown,
    pub(crate) children: Vec<Rules>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Timer {
    Start,
    Stop,
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
    Ready(Who),
    Exited(Who, Exit),
    Due(Who, Timer),
    /// The retry of a failed restart: queued behind everything that waits, as OTP's `try_again`.
    Again(Seat),
    Stop(Option<T>, Cause),
    Terminate(Seat, T),
    RestartChild(Seat, T),
    /// The child was put in by [`Core::add`].
    StartChild(Seat, T),
    Which(T),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action<T> {
    Spawn(Who),
    SignalStop(Who, Cause),
    /// Fence it and give its end out as abandoned, unless it has ended.
    Abandon(Who),
    SetTimer(Who, Timer, Nanos),
    CancelTimer(Who, Timer),
    /// It has ended, and is not to be waited for any more.
    Gone(Who, Exit),
    /// Somebody who was abandoned before has ended after all.
    LateExit(Who, Exit),
    /// The first start fails because of this child.
    StartFailed(Who, Exit),
    /// One more restart counts against the intensity.
    Restarting(Who),
    Again(Seat),
    /// The child's spec is gone, and with it the seat.
    Forget(Seat),
    Reply(T, Answer),
    /// All children are started: ready, seen from above.
    Up,
    /// Over, seen from above. The last but for late exits and refusals.
    Finished(Exit),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    Done,
    StartFailed(Who, Exit),
    AlreadyRunning,
    Restarting,
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
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Child {
    rules: Rules,
    generation: u64,
    phase: Phase,
    timer: Option<Timer>,
    /// Told to stop because its start took too long.
    failing: bool,
}

/// Why a pass is made, and whom it is to be answered to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Aim<T> {
    Start(Option<T>),
    Restart,
    Terminate(T),
    /// A caller started or restarted one child; `true`: a failed start discards it.
    Manual(T, bool),
    Shutdown(Exit, Vec<(T, Answer)>),
}

/// Work in hand: stop these in reverse order, one at a time, then start those in order, one at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pass<T> {
    /// In start order; taken from the end.
    stop: Vec<Seat>,
    start: VecDeque<Seat>,
    aim: Aim<T>,
}

/// How many requests wait at most while a pass is in hand.
pub(crate) const MOST_DEFERRED: usize = 1024;

/// One supervisor.
///
/// While a pass is in hand OTP's supervisor blocks; here an exit that is not the pass's business waits in `crashed`, a
/// request in `deferred`, and a stop alone does not wait: it turns whatever is in hand into a shutdown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Core<T> {
    strategy: Strategy,
    intensity: usize,
    period: Nanos,
    auto_shutdown: AutoShutdown,
    children: BTreeMap<Seat, Child>,
    next_seat: Seat,
    /// When restarts happened, the latest first; at most `intensity` and one.
    restarts: VecDeque<Nanos>,
    pass: Option<Pass<T>>,
    crashed: VecDeque<(Who, Rules, Exit)>,
    deferred: VecDeque<Event<T>>,
    over: bool,
    out: Vec<Action<T>>,
}
