//! Every thread of a universe, accounted for.
//!
//! # Protocol: a thread's end
//! A thread is in the census from before it starts until its thread-locals have been destroyed: what it keeps to its end
//! ([`spawn_keeping`](foundation_sync::thread::Builder::spawn_keeping)) takes it out. Nothing is left to it then but the
//! system's part, a matter of microseconds. Whoever leaves waits for that part of those who have left before, and so does
//! [`Foundation::stop`](crate::Foundation::stop) when the census is empty: so one thread has left and is not joined, and
//! whoever joins it has joined them all. A supervisor, and a caller of one, joins nobody.
//!
//! What C keeps for a thread (`pthread_key_create`) is destroyed in the system's part, unseen: if that hangs, so do those
//! who leave later.
//!
//! In a model the census is left when the body has returned, and nobody is joined.
//!
//! Named races:
//! - *left before it is filed*: a thread is at its end before whoever started it has put its handle into the book. It stays
//!   in the census until that is done, and is one more for the next who leaves to join.

use std::{
    collections::BTreeMap,
    fmt, io, mem,
    panic::Location,
    sync::{Arc, Weak},
};

use foundation_sync::{
    Activity, Clock, Condvar, Deadline, Entered, MODEL, Mutex, Whereabouts,
    atomic::{AtomicU64, Ordering},
    thread::{self, Conditions},
};
use tracing::{
    Dispatch,
    dispatcher::{self, DefaultGuard},
};

use crate::{life::Orders, panics::catch};

/// A thread of the universe.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadNote {
    /// Its full name; the operating system may show less of it: Linux, the first 15 bytes.
    pub name: Arc<str>,
    /// What it does.
    pub doing: Doing,
}

/// What a thread of the universe does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Doing {
    /// It runs, or waits for something that is not of foundation-sync, such as a system call.
    Runs,
    /// It waits: the place in the code that asked.
    WaitsAt(&'static Location<'static>),
    /// Its body has ended, its names are free; the destructors of its thread-locals run.
    Ends,
}

impl ThreadNote {
    /// Where it waits, if it does.
    pub fn waits_at(&self) -> Option<&'static Location<'static>> {
        match self.doing {
            Doing::WaitsAt(place) => Some(place),
            Doing::Runs | Doing::Ends => None,
        }
    }
}

impl fmt::Display for ThreadNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.doing)
    }
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runs => f.write_str("runs"),
            Self::WaitsAt(place) => write!(f, "waits at {place}"),
            Self::Ends => f.write_str("has ended, but for the destructor of a thread-local"),
        }
    }
}

/// Who runs. A clone is another handle.
#[derive(Clone)]
pub(crate) struct Census(Arc<Inner>);

struct Inner {
    book: Mutex<Book>,
    left: Condvar,
    activity: Activity,
    clock: Clock,
    /// Of each thread of the universe, whoever makes it.
    conditions: Conditions,
    /// How many threads could not take them on.
    refused: AtomicU64,
    /// How many were given up when their bodies had ended, and how many of these have gone after all.
    outlasted: AtomicU64,
    gone_after_all: AtomicU64,
    dispatch: Option<Dispatch>,
}

#[derive(Default)]
struct Book {
    entered: u64,
    threads: BTreeMap<u64, Entry>,
    /// Those who have left and are not joined.
    left: Vec<thread::JoinHandle<()>>,
}

struct Entry {
    name: Arc<str>,
    whereabouts: Whereabouts,
    /// Of a worker, as long as it has them: what they hold is a user's, and not to be dropped here.
    life: Option<Weak<Orders>>,
    /// Its body has returned.
    ended: bool,
    /// Who has given it up already.
    given_up: Option<GivenUp>,
    handle: Handle,
}

#[derive(Clone, Copy, PartialEq)]
enum GivenUp {
    /// Its supervisor, which hears of its end, too.
    Life,
    /// The stop of the universe: its thread-locals had not been destroyed.
    Locals,
}

enum Handle {
    /// With whoever starts it.
    Awaited,
    Filed(thread::JoinHandle<()>),
    /// Race "left before it is filed".
    Missed,
}

impl Census {
    /// Nobody yet. What a thread has from its maker, all threads of the universe will have from the calling one.
    pub(crate) fn new(activity: Activity, clock: Clock, dispatch: Option<Dispatch>) -> Self {
        let conditions = Conditions::of_this_thread();
        Self(Arc::new(Inner {
            book: Mutex::new(Book::default()),
            left: Condvar::new(),
            activity,
            clock,
            conditions,
            refused: AtomicU64::new(0),
            outlasted: AtomicU64::new(0),
            gone_after_all: AtomicU64::new(0),
            dispatch,
        }))
    }

    /// Starts a thread, of this life if it is a worker's. It leaves the census as its last act.
    pub(crate) fn spawn(
        &self,
        name: &str,
        stack: Option<usize>,
        life: Option<&Arc<Orders>>,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let whereabouts = life.map(|life| life.whereabouts.clone()).unwrap_or_default();
        let number = self.enter(name, whereabouts.clone(), life.map(Arc::downgrade));
        let mut builder = thread::Builder::new(name);
        if let Some(bytes) = stack {
            builder = builder.stack(bytes);
        }
        let (census, enrolment) = (self.clone(), self.0.clock.enrolment(name));
        let first = move || {
            census.take_on();
            let dispatch = census.0.dispatch.as_ref().map(dispatcher::set_default);
            Present { census: Some(census), number, dispatch, _entered: enrolment.take() }
        };
        let (census, body) = (self.clone(), whereabouts.follow(body));
        let body = move || {
            body();
            census.ended(number);
        };
        match builder.spawn_keeping(first, body) {
            Ok(handle) => self.file(number, handle),
            Err(error) => {
                let entry = self.0.book.lock().threads.remove(&number);
                self.changed();
                drop(entry);
                return Err(error);
            }
        }
        Ok(())
    }

    fn enter(&self, name: &str, whereabouts: Whereabouts, life: Option<Weak<Orders>>) -> u64 {
        let (ended, given_up, handle) = (false, None, Handle::Awaited);
        let entry = Entry { name: name.into(), whereabouts, life, ended, given_up, handle };
        let mut book = self.0.book.lock();
        book.entered += 1;
        let number = book.entered;
        book.threads.insert(number, entry);
        number
    }

    /// By a thread's first act.
    fn take_on(&self) {
        if self.0.conditions.take_on().is_err() {
            self.0.refused.fetch_add(1, Ordering::Relaxed); // ordering: a count
        }
    }

    /// Its body has returned.
    fn ended(&self, number: u64) {
        if MODEL {
            return;
        }
        if let Some(entry) = self.0.book.lock().threads.get_mut(&number) {
            entry.ended = true;
        }
        self.changed();
    }

    fn file(&self, number: u64, handle: thread::JoinHandle<()>) {
        if MODEL {
            return;
        }
        let entry = {
            let mut book = self.0.book.lock();
            match book.threads.get_mut(&number) {
                Some(entry) if !matches!(entry.handle, Handle::Missed) => {
                    entry.handle = Handle::Filed(handle);
                    return;
                }
                // Race "left before it is filed".
                _ => book.left.push(handle),
            }
            book.threads.remove(&number)
        };
        self.changed();
        drop(entry);
    }

    /// By a thread's last act.
    fn leave(&self, number: u64) {
        let (entry, others) = {
            let mut book = self.0.book.lock();
            let others = mem::take(&mut book.left);
            let handle = match book.threads.get_mut(&number) {
                Some(entry) => {
                    if entry.given_up == Some(GivenUp::Locals) {
                        self.0.gone_after_all.fetch_add(1, Ordering::Relaxed); // ordering: a count
                    }
                    mem::replace(&mut entry.handle, Handle::Missed)
                }
                None => Handle::Missed,
            };
            let entry = match handle {
                Handle::Filed(handle) => {
                    book.left.push(handle);
                    book.threads.remove(&number)
                }
                _ if MODEL => book.threads.remove(&number),
                _ => None,
            };
            (entry, others)
        };
        self.changed();
        drop(entry);
        join(others);
    }

    fn changed(&self) {
        self.0.left.notify_all();
        self.0.activity.bump();
    }

    /// Who runs now.
    pub(crate) fn threads(&self) -> Vec<ThreadNote> {
        self.0.book.lock().notes()
    }

    /// How many threads could not take on all the conditions of the one that built the universe.
    pub(crate) fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed) // ordering: a count
    }

    /// How many threads had not destroyed their thread-locals when the universe was to have stopped, and were no lives that
    /// had been abandoned before.
    pub(crate) fn outlasted(&self) -> u64 {
        self.0.outlasted.load(Ordering::Relaxed) // ordering: a count
    }

    /// How many of these have ended after all.
    pub(crate) fn gone_after_all(&self) -> u64 {
        self.0.gone_after_all.load(Ordering::Relaxed) // ordering: a count
    }

    /// A life is abandoned that is followed there: where it waits.
    pub(crate) fn abandon(&self, whereabouts: &Whereabouts) -> Option<&'static Location<'static>> {
        let mut book = self.0.book.lock();
        let entry = book.threads.values_mut().find(|entry| entry.whereabouts == *whereabouts)?;
        entry.given_up = Some(GivenUp::Life);
        entry.note().waits_at()
    }

    /// What the universe's threads log to, where it has something of its own.
    pub(crate) fn dispatch(&self) -> Option<&Dispatch> {
        self.0.dispatch.as_ref()
    }

    /// Which of them the calling thread is; `None`: the universe did not start it.
    pub(crate) fn here(&self) -> Option<Arc<str>> {
        self.entry_here(|entry| Arc::clone(&entry.name))
    }

    /// The same, if somebody still waits for the end of its life: its supervisor has neither heard of that nor given it up.
    pub(crate) fn awaited_here(&self) -> Option<Arc<str>> {
        let (name, life) = self.entry_here(|entry| (Arc::clone(&entry.name), entry.life.clone()))?;
        life?.upgrade().is_some_and(|life| !life.gone()).then_some(name)
    }

    fn entry_here<R>(&self, look: impl FnOnce(&Entry) -> R) -> Option<R> {
        let here = Whereabouts::current()?;
        let book = self.0.book.lock();
        book.threads.values().find(|entry| entry.whereabouts == here).map(look)
    }

    /// Waits until nobody is left, and joins the last; those who are there at the deadline are returned, and those of them
    /// whose bodies have ended are given up.
    pub(crate) fn wait_empty(&self, until: &Deadline) -> Vec<ThreadNote> {
        let (notes, last) = {
            let mut book = self.0.book.lock();
            while !book.threads.is_empty() && !until.passed() {
                book = self.0.left.wait(book, until);
            }
            for entry in book.threads.values_mut().filter(|entry| entry.ended && entry.given_up.is_none()) {
                entry.given_up = Some(GivenUp::Locals);
                self.0.outlasted.fetch_add(1, Ordering::Relaxed); // ordering: a count
            }
            let last = if book.threads.is_empty() { mem::take(&mut book.left) } else { Vec::new() };
            (book.notes(), last)
        };
        join(last);
        notes
    }
}

/// These have nothing of ours, and of a user's, left to do.
fn join(left: Vec<thread::JoinHandle<()>>) {
    for thread in left {
        // What it panicked with would have been caught by the worker.
        _ = thread.join();
    }
}

impl Book {
    fn notes(&self) -> Vec<ThreadNote> {
        self.threads.values().map(Entry::note).collect()
    }
}

impl Entry {
    fn note(&self) -> ThreadNote {
        let doing = match self.whereabouts.waits_at() {
            _ if self.ended => Doing::Ends,
            Some(place) => Doing::WaitsAt(place),
            None => Doing::Runs,
        };
        ThreadNote { name: Arc::clone(&self.name), doing }
    }
}

impl fmt::Debug for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.threads()).finish()
    }
}

/// What a thread keeps to its end.
struct Present {
    /// Taken when this is dropped.
    census: Option<Census>,
    number: u64,
    dispatch: Option<DefaultGuard>,
    /// Its place in the universe's time, which goes on when the census has told whoever waits.
    _entered: Entered,
}

impl Drop for Present {
    fn drop(&mut self) {
        let census = self.census.take();
        if let Some(census) = &census {
            census.leave(self.number);
        }
        // It may be the last handle to a user's subscriber.
        _ = catch(|| drop((self.dispatch.take(), census)));
    }
}

#[cfg(test)]
mod tests {
    use foundation_sync::{Full, Queue, SECONDS_5};

    use super::*;

    /// Race "left before it is filed".
    #[test]
    fn a_thread_that_has_left_before_it_was_filed_is_in_the_census_until_it_is() {
        let clock = Clock::system();
        let census = Census::new(Activity::default(), clock.clone(), None);
        let number = census.enter("hasty", Whereabouts::default(), None);
        let (left, leaves) = (Queue::bounded(1, Full::Refuse), census.clone());
        let tells = left.clone();
        let hasty = thread::Builder::new("hasty").spawn(move || {
            leaves.ended(number);
            leaves.leave(number);
            tells.try_send(()).expect("there is room");
        });
        left.recv(clock.within(SECONDS_5)).expect("it leaves");
        assert_eq!(census.threads().iter().map(|note| note.doing).collect::<Vec<_>>(), [Doing::Ends]);
        census.file(number, hasty.expect("a thread"));
        assert_eq!((census.threads(), census.0.book.lock().left.len()), (vec![], 1));
        assert_eq!(census.wait_empty(&clock.within(SECONDS_5)), []);
        assert!(census.0.book.lock().left.is_empty(), "it is joined");
    }

    /// A thread that ends when it has waited in vain for whoever goes on without having joined it.
    fn ends_unless_told(clock: &Clock) -> (Queue<()>, thread::JoinHandle<()>, Queue<bool>) {
        let (told, heard) = (Queue::<()>::bounded(1, Full::Refuse), Queue::bounded(1, Full::Refuse));
        let (waits, hears, until) = (told.clone(), heard.clone(), clock.within(std::time::Duration::from_millis(50)));
        let body = move || _ = hears.try_send(waits.recv(&until).is_ok());
        (told, thread::Builder::new("last").spawn(body).expect("a thread"), heard)
    }

    #[test]
    fn who_leaves_waits_for_the_end_of_those_who_have_left_before_and_is_left_to_the_next() {
        let clock = Clock::system();
        let census = Census::new(Activity::default(), clock.clone(), None);
        let (told, before, heard) = ends_unless_told(&clock);
        let number = census.enter("next", Whereabouts::default(), None);
        census.0.book.lock().left.push(before);
        census.file(number, thread::Builder::new("next").spawn(|| {}).expect("a thread"));
        census.leave(number);
        _ = told.try_send(());
        assert_eq!(heard.recv(clock.within(SECONDS_5)), Ok(false), "it was not joined");
        assert_eq!((census.threads(), census.0.book.lock().left.len()), (vec![], 1), "the next one joins it");
    }

    #[test]
    fn who_waits_until_nobody_is_left_waits_for_the_end_of_the_last() {
        let clock = Clock::system();
        let census = Census::new(Activity::default(), clock.clone(), None);
        let (told, last, heard) = ends_unless_told(&clock);
        census.0.book.lock().left.push(last);
        assert_eq!(census.wait_empty(&clock.within(SECONDS_5)), []);
        _ = told.try_send(());
        assert_eq!(heard.recv(clock.within(SECONDS_5)), Ok(false), "it was not joined");
    }
}
