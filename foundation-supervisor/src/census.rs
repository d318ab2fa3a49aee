//! Every thread of a universe, accounted for.

use std::{collections::BTreeMap, fmt, io, panic::Location, sync::Arc};

use foundation_sync::{Activity, Clock, Condvar, Deadline, Mutex, Whereabouts, thread};

/// A thread of the universe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadNote {
    /// Its full name; the operating system may show less of it.
    pub name: Arc<str>,
    /// Where it waits: the place in the code that asked. `None`: it runs, or waits for something that is not of
    /// foundation-sync, such as a system call.
    pub waits_at: Option<&'static Location<'static>>,
}

impl fmt::Display for ThreadNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.waits_at {
            Some(place) => write!(f, "{} (waits at {place})", self.name),
            None => write!(f, "{} (runs)", self.name),
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
}

#[derive(Default)]
struct Book {
    entered: u64,
    threads: BTreeMap<u64, (Arc<str>, Whereabouts)>,
}

impl Census {
    pub(crate) fn new(activity: Activity, clock: Clock) -> Self {
        Self(Arc::new(Inner { book: Mutex::new(Book::default()), left: Condvar::new(), activity, clock }))
    }

    /// Starts a thread. It leaves the census as its last act, before its thread-locals go.
    pub(crate) fn spawn(
        &self,
        name: &str,
        stack: Option<usize>,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let whereabouts = Whereabouts::default();
        let number = {
            let mut book = self.0.book.lock();
            book.entered += 1;
            let number = book.entered;
            book.threads.insert(number, (name.into(), whereabouts.clone()));
            number
        };
        let present = Present { census: self.clone(), number };
        let mut builder = thread::Builder::new(name);
        if let Some(bytes) = stack {
            builder = builder.stack(bytes);
        }
        // If there is no thread for it the closure is dropped, and leaves the census with it.
        let body = self.0.clock.enrol(name, move || {
            let _present = present;
            body();
        });
        let handle = builder.spawn(whereabouts.follow(body))?;
        // The thread is accounted for by its exit and by the census; nobody joins it.
        drop(handle);
        Ok(())
    }

    /// Who runs now.
    pub(crate) fn threads(&self) -> Vec<ThreadNote> {
        self.0.book.lock().notes()
    }

    /// Which of them the calling thread is; `None`: the universe did not start it.
    pub(crate) fn here(&self) -> Option<Arc<str>> {
        let here = Whereabouts::current()?;
        let book = self.0.book.lock();
        book.threads.values().find(|(_, whereabouts)| *whereabouts == here).map(|(name, _)| Arc::clone(name))
    }

    /// Waits until nobody runs any more; those who do at the deadline are returned.
    pub(crate) fn wait_empty(&self, until: &Deadline) -> Vec<ThreadNote> {
        let mut book = self.0.book.lock();
        while !book.threads.is_empty() && !until.passed() {
            book = self.0.left.wait(book, until);
        }
        book.notes()
    }
}

impl Book {
    fn notes(&self) -> Vec<ThreadNote> {
        let note = |(name, whereabouts): &(Arc<str>, Whereabouts)| ThreadNote {
            name: Arc::clone(name),
            waits_at: whereabouts.waits_at(),
        };
        self.threads.values().map(note).collect()
    }
}

impl fmt::Debug for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.threads()).finish()
    }
}

/// A thread's entry.
struct Present {
    census: Census,
    number: u64,
}

impl Drop for Present {
    fn drop(&mut self) {
        let note = self.census.0.book.lock().threads.remove(&self.number);
        self.census.0.left.notify_all();
        self.census.0.activity.bump();
        drop(note);
    }
}
