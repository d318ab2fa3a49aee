//! One start for each name, however many ask for it.
//!
//! # Protocol
//! Whoever looks a name up and finds nothing asks for its *start*. The first one makes it: it puts an attempt into the
//! table, looks once more, and runs the start on its own thread, under no lock. The others find the attempt and wait at
//! it. When the start is over the attempt leaves the table, and then gets its outcome, once; whoever waits takes that,
//! and after a good start looks for itself. The user's closures run inside one `catch_unwind`: whatever they do, the
//! attempt gets an outcome. The table's lock and an attempt's are never held together.
//!
//! Named races:
//! - *started between look and turn*: another thread's start was over after the look and before the attempt. So whoever
//!   makes an attempt looks once more.
//! - *asked between the end and the word*: the attempt is over, and those who wait have not heard of it. It has left the
//!   table before anybody hears of it: whoever knows the outcome of one attempt never meets it again, and makes a new one.
//! - *over while giving up*: the outcome comes when the one who waits gives up. At a deadline it takes the outcome; told to
//!   stop, it does not. It leaves nothing behind either way: nobody knows who waits.

use std::{
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
    time::Duration,
};

use foundation_sync::{Clock, Condvar, Mutex, Nanos, Stop, Until, Wake, payload, planted, reached, thread};

/// The starts that are under way: one for each name. A clone is another handle.
///
/// ```
/// use foundation_registry::Starts;
/// use foundation_sync::{Clock, Mutex, SECOND};
///
/// let (clock, entry) = (Clock::system(), Mutex::new(None));
/// let starts = Starts::new(&clock);
/// let start = || {
///     *entry.lock() = Some("its address");
///     Ok::<(), std::io::Error>(())
/// };
/// let found = starts.once("index", clock.within(SECOND), || *entry.lock(), start)?;
/// assert_eq!(found, "its address");
/// # Ok::<(), foundation_registry::StartError>(())
/// ```
#[derive(Clone)]
pub struct Starts(Arc<Table>);

/// A start that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StartNote {
    /// What is started.
    pub name: Arc<str>,
    /// Since when, by the clock of the starts.
    pub since: Nanos,
    /// For how long, when this was noted.
    pub running_for: Duration,
    /// How many wait for it.
    pub waiting: usize,
}

/// Why nothing is there, although somebody was asked to start it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// Its start returned an error: to the thread that ran it, and to those who waited.
    Failed {
        /// The name.
        name: Arc<str>,
        /// What the error said.
        error: Arc<str>,
    },
    /// Its start panicked, on another thread: there the panic goes on.
    Panicked {
        /// The name.
        name: Arc<str>,
        /// The panic's message.
        message: Arc<str>,
    },
    /// Its start went well, but there is nothing under the name: it was not put there, or was gone again when this caller
    /// looked.
    NotRegistered(Arc<str>),
    /// The start of this name asks for this name.
    Ring(Arc<str>),
    /// Another thread's start was not over at the deadline. It goes on.
    TimedOut(StartNote),
    /// The caller was told to stop.
    Stopped(Arc<str>),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { name, error } => write!(f, "`{name}` was not started: {error}: ask again to try anew"),
            Self::Panicked { name, message } => {
                write!(f, "the start of `{name}` panicked on another thread: {message}: ask again to try anew")
            }
            Self::NotRegistered(name) => {
                write!(
                    f,
                    "the start of `{name}` went well, but nothing has that name: register it there and keep it, or ask \
                     again if it has ended since"
                )
            }
            Self::Ring(name) => {
                write!(
                    f,
                    "the start of `{name}` asks for `{name}`, and would wait for itself: look it up without a start"
                )
            }
            Self::TimedOut(StartNote { name, running_for, .. }) => write!(
                f,
                "`{name}` is being started by another thread, for {running_for:.1?}, and was not there at the deadline: \
                 wait longer, or look why it takes so long"
            ),
            Self::Stopped(name) => write!(f, "told to stop, so `{name}` was not waited for: return"),
        }
    }
}

impl std::error::Error for StartError {}

impl Starts {
    /// Nothing is being started. The clock says since when something is.
    pub fn new(clock: &Clock) -> Self {
        Self(Arc::new(Table { clock: clock.clone(), under_way: Mutex::default() }))
    }

    /// What `look` finds. If it finds nothing, `start` is run first, once for all who ask meanwhile: on the thread of the
    /// first one, under no lock. The others wait for its end, until then and no longer; a start of one's own takes as long
    /// as it takes.
    ///
    /// After a failure, whoever asks next starts anew. A caller that was told to stop starts nothing.
    ///
    /// # Errors
    /// [`StartError`]: the start has failed, with the same text for all, or was too slow, or the caller was told to stop.
    ///
    /// # Panics
    /// As `look` and `start` do, if they are run on the calling thread. Those who wait get [`StartError::Panicked`].
    #[track_caller]
    pub fn once<'a, T, E: fmt::Display>(
        &self,
        name: &str,
        until: impl Into<Until<'a>>,
        look: impl Fn() -> Option<T>,
        start: impl FnOnce() -> Result<(), E>,
    ) -> Result<T, StartError> {
        if let Some(found) = look() {
            return Ok(found);
        }
        let (name, until) = (Arc::from(name), until.into());
        if told(&until) {
            return Err(StartError::Stopped(name));
        }
        match self.0.turn(&name) {
            Turn::First(attempt) => self.0.run(&name, &attempt, &look, start),
            Turn::Ring => Err(StartError::Ring(name)),
            Turn::Later(attempt) => match attempt.wait(&until) {
                Waited::Over(Outcome::Good) => {
                    reached!("start: waited for another's");
                    look().ok_or(StartError::NotRegistered(name))
                }
                Waited::Over(Outcome::Bad(error)) => Err(error),
                Waited::Stopped => Err(StartError::Stopped(name)),
                Waited::TimedOut => Err(StartError::TimedOut(attempt.note(&name, self.0.clock.now()))),
            },
        }
    }

    /// What is being started, by name.
    pub fn under_way(&self) -> Vec<StartNote> {
        let under_way: Vec<_> = {
            let attempts = self.0.under_way.lock();
            attempts.iter().map(|(name, attempt)| (Arc::clone(name), Arc::clone(attempt))).collect()
        };
        let now = self.0.clock.now();
        under_way.iter().map(|(name, attempt)| attempt.note(name, now)).collect()
    }
}

impl fmt::Debug for Starts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.under_way()).finish()
    }
}

struct Table {
    clock: Clock,
    under_way: Mutex<BTreeMap<Arc<str>, Arc<Attempt>>>,
}

/// One start.
struct Attempt {
    /// The thread that runs it.
    starter: thread::ThreadId,
    since: Nanos,
    state: Mutex<State>,
    over: Condvar,
}

#[derive(Default)]
struct State {
    outcome: Option<Outcome>,
    waiting: usize,
}

/// What those who wait get.
#[derive(Clone)]
enum Outcome {
    /// Look for yourself.
    Good,
    Bad(StartError),
}

/// Whose turn it is to start.
enum Turn {
    First(Arc<Attempt>),
    Later(Arc<Attempt>),
    Ring,
}

enum Waited {
    Over(Outcome),
    Stopped,
    TimedOut,
}

impl Table {
    fn turn(&self, name: &Arc<str>) -> Turn {
        let (starter, since) = (thread::id(), self.clock.now());
        let mut under_way = self.under_way.lock();
        match under_way.get(name) {
            Some(attempt) if attempt.starter == starter => Turn::Ring,
            Some(attempt) if !planted!("start: everybody starts") => Turn::Later(Arc::clone(attempt)),
            _ => {
                let attempt = Attempt { starter, since, state: Mutex::default(), over: Condvar::new() };
                let attempt = Arc::new(attempt);
                under_way.insert(Arc::clone(name), Arc::clone(&attempt));
                Turn::First(attempt)
            }
        }
    }

    /// Runs the start, and says to those who wait how it went.
    fn run<T, E: fmt::Display>(
        &self,
        name: &Arc<str>,
        attempt: &Attempt,
        look: &impl Fn() -> Option<T>,
        start: impl FnOnce() -> Result<(), E>,
    ) -> Result<T, StartError> {
        let ran = catch_unwind(AssertUnwindSafe(|| {
            // Race "started between look and turn".
            if let Some(found) = look()
                && !planted!("start: the first one looks once")
            {
                reached!("start: started between look and turn");
                return Ok(found);
            }
            start().map_err(|error| StartError::Failed { name: Arc::clone(name), error: text_of(error) })?;
            look().ok_or_else(|| StartError::NotRegistered(Arc::clone(name)))
        }));
        let outcome = match &ran {
            Ok(Ok(_)) => Outcome::Good,
            Ok(Err(error)) => Outcome::Bad(error.clone()),
            Err(panic) => {
                Outcome::Bad(StartError::Panicked { name: Arc::clone(name), message: payload::text(&**panic) })
            }
        };
        if planted!("start: the word comes first") {
            attempt.end(outcome.clone());
        }
        // Race "asked between the end and the word".
        let over = self.under_way.lock().remove(name);
        drop(over);
        if ran.is_ok() || !planted!("start: a panic is told to nobody") {
            attempt.end(outcome);
        }
        ran.unwrap_or_else(|payload| resume_unwind(payload))
    }
}

impl Attempt {
    fn end(&self, outcome: Outcome) {
        {
            let mut state = self.state.lock();
            state.outcome.get_or_insert(outcome);
        }
        self.over.notify_all();
    }

    /// For who is not the starter.
    #[track_caller]
    fn wait(self: &Arc<Self>, until: &Until<'_>) -> Waited {
        let _watching = until.stop().map(|stop| stop.watch(Arc::clone(self) as Arc<dyn Wake>));
        let mut state = self.state.lock();
        state.waiting += 1;
        while state.outcome.is_none() && !told(until) && !until.deadline().passed() {
            state = self.over.wait(state, until.deadline());
        }
        state.waiting -= 1;
        // Race "over while giving up".
        if told(until) {
            if state.outcome.is_some() {
                reached!("start: over while giving up");
            }
            return Waited::Stopped;
        }
        state.outcome.clone().map_or(Waited::TimedOut, Waited::Over)
    }

    fn note(&self, name: &Arc<str>, now: Nanos) -> StartNote {
        StartNote {
            name: Arc::clone(name),
            since: self.since,
            running_for: Duration::from_nanos(now.saturating_sub(self.since)),
            waiting: self.state.lock().waiting,
        }
    }
}

impl Wake for Attempt {
    fn wake(&self) {
        // The lock first: whoever has looked and not slept yet sleeps when it is ours.
        if !planted!("start: a stop notifies without the lock") {
            drop(self.state.lock());
        }
        self.over.notify_all();
    }
}

fn told(until: &Until<'_>) -> bool {
    until.stop().is_some_and(Stop::told)
}

/// What a user's error says. Its text and its drop may panic: neither takes the news of the failure along.
fn text_of<E: fmt::Display>(error: E) -> Arc<str> {
    let text = catch_unwind(AssertUnwindSafe(|| Arc::from(error.to_string())));
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(error)));
    dropped.unwrap_or_else(payload::forget);
    text.unwrap_or_else(|panic| {
        payload::forget(panic);
        Arc::from("an error whose text panicked")
    })
}
