//! Where a thread waits: for whoever has to say why nothing goes on.

use std::{cell::RefCell, fmt, panic::Location, sync::Arc};

use crate::{MODEL, Mutex, thread_slot, watched};

thread_slot! {
    /// The note that this thread keeps, if somebody follows it.
    static NOTE: RefCell<Option<Whereabouts>> = RefCell::new(None);
}

/// Where a thread that is followed waits, seen from other threads. A clone is another handle.
///
/// It tells of waits through this crate: in a queue, an activity, a condition variable. A thread that sits in a system
/// call, or in a lock, seems to run. In a model nobody is followed.
///
/// ```
/// use foundation_sync::{Clock, Full, Queue, SECOND, Whereabouts, thread};
///
/// let (whereabouts, letters) = (Whereabouts::default(), Queue::<u8>::bounded(1, Full::Wait));
/// let (until, reads) = (Clock::system().within(SECOND), letters.clone());
/// let reader = thread::Builder::new("reader").spawn(whereabouts.follow(move || _ = reads.recv(until)))?;
/// let place = loop {
///     if let Some(place) = whereabouts.waits_at() {
///         break place;
///     }
///     thread::yield_now();
/// };
/// assert!(place.file().ends_with(".rs"));
/// letters.close();
/// reader.join().expect("it did not panic");
/// assert_eq!(whereabouts.waits_at(), None);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Whereabouts(Arc<Mutex<Option<&'static Location<'static>>>>);

impl Whereabouts {
    /// Makes `body` that of the thread that is followed.
    pub fn follow<R, F: FnOnce() -> R>(&self, body: F) -> impl FnOnce() -> R + use<R, F> {
        let note = self.clone();
        move || {
            let before = NOTE.with(|slot| slot.replace(Some(note)));
            watched::more();
            let _back = Back(before);
            body()
        }
    }

    /// Of the calling thread, if it is followed; the innermost, if it is so more than once.
    ///
    /// ```
    /// use foundation_sync::Whereabouts;
    ///
    /// let whereabouts = Whereabouts::default();
    /// assert_eq!(Whereabouts::current(), None);
    /// let here = whereabouts.follow(Whereabouts::current)();
    /// assert!(here == Some(whereabouts) && here != Some(Whereabouts::default()));
    /// ```
    pub fn current() -> Option<Self> {
        NOTE.try_with(|slot| slot.borrow().clone()).ok().flatten()
    }

    /// Where it waits: the place in the code that asked. `None` while it does not.
    pub fn waits_at(&self) -> Option<&'static Location<'static>> {
        *self.0.lock()
    }
}

impl PartialEq for Whereabouts {
    /// Whether they are handles of the same.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Whereabouts {}

impl fmt::Debug for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.waits_at() {
            Some(place) => write!(f, "Whereabouts(waits at {place})"),
            None => f.write_str("Whereabouts(runs)"),
        }
    }
}

/// What the slot held before.
struct Back(Option<Whereabouts>);

impl Drop for Back {
    fn drop(&mut self) {
        watched::less();
        let before = self.0.take();
        let note = NOTE.try_with(|slot| slot.replace(before));
        drop(note);
    }
}

/// Notes that the calling thread waits here, until this is dropped.
pub(crate) struct Here(());

impl Here {
    pub(crate) fn new(place: &'static Location<'static>) -> Self {
        note(Some(place));
        Self(())
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        note(None);
    }
}

fn note(place: Option<&'static Location<'static>>) {
    if MODEL {
        return;
    }
    // A thread whose slots have gone is at its end, and is followed no more.
    _ = NOTE.try_with(|slot| {
        if let Some(note) = slot.borrow().as_ref() {
            *note.0.lock() = place;
        }
    });
}
