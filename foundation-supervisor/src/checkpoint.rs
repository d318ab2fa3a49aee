//! Where a worker was last seen.

use std::{panic::Location, sync::Arc};

use foundation_sync::{
    MODEL, Mutex, Queue,
    atomic::{AtomicU64, AtomicUsize, Ordering},
    thread,
};

/// How many queues of one life are watched.
pub(crate) const MOST_QUEUES: usize = 8;

/// One more checkpoint, and one more thread that waits, in the word.
const CHECKPOINT: u64 = 1 << 16;
const WAITING: u64 = 1;

/// What a life leaves behind on its way, for whoever has to say where it is. Written by the worker, read by anybody; a
/// checkpoint at the same place as the last one takes no lock.
#[derive(Default)]
pub(crate) struct Checkpoints {
    /// How many there were; below, in the last 16 bits, how many of its threads wait for work or for room.
    word: AtomicU64,
    /// The address of the last place, to be compared.
    known: AtomicUsize,
    place: Mutex<Option<&'static Location<'static>>>,
    /// The number that the operating system gave its thread; 0: not known.
    os_id: AtomicU64,
    /// Most lives have none.
    queues: Mutex<Option<Box<Watched>>>,
}

#[derive(Default)]
struct Watched {
    queues: Vec<Arc<dyn Gauge>>,
    more: usize,
}

/// A queue that is watched, as a snapshot shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueNote {
    /// How many values are there.
    pub len: usize,
    /// How many it holds at most.
    pub capacity: usize,
    /// How many were there at most.
    pub high_water: usize,
}

/// What can be asked how full it is, and answers without a wait.
trait Gauge: Send + Sync {
    fn note(&self) -> QueueNote;
}

impl<T: Send + 'static> Gauge for Queue<T> {
    fn note(&self) -> QueueNote {
        QueueNote { len: self.len(), capacity: self.capacity(), high_water: self.high_water() }
    }
}

impl Checkpoints {
    /// The worker is here, and works.
    #[track_caller]
    pub(crate) fn pass(&self) {
        self.seen(Location::caller());
        self.word.fetch_add(CHECKPOINT, Ordering::Relaxed); // ordering: a count, see `number`
    }

    /// The worker is here, and waits until the guard is dropped: for work, or for room.
    #[track_caller]
    pub(crate) fn wait(&self) -> Waiting<'_> {
        self.seen(Location::caller());
        self.word.fetch_add(CHECKPOINT + WAITING, Ordering::Relaxed); // ordering: a count, see `number`
        Waiting(self)
    }

    fn seen(&self, place: &'static Location<'static>) {
        // In a model nobody asks where.
        if MODEL {
            return;
        }
        let address = std::ptr::from_ref(place).addr();
        // ordering: Relaxed, both: threads of one life that pass at once may leave either place.
        if self.known.load(Ordering::Relaxed) != address {
            *self.place.lock() = Some(place);
            self.known.store(address, Ordering::Relaxed);
        }
    }

    /// How many checkpoints there were, and whether it waits, at one moment: looked at one after the other, who comes back
    /// from a wait in between would neither have moved nor be idle.
    pub(crate) fn look(&self) -> (u64, bool) {
        let word = self.word.load(Ordering::Relaxed); // ordering: a count; who compares it looks again later
        (word / CHECKPOINT, !word.is_multiple_of(CHECKPOINT))
    }

    /// How many checkpoints there were: it moves whenever the worker does, and is compared for nothing else.
    pub(crate) fn number(&self) -> u64 {
        self.look().0
    }

    /// The place of the last one.
    pub(crate) fn place(&self) -> Option<&'static Location<'static>> {
        *self.place.lock()
    }

    /// Notes which thread of the operating system this is.
    pub(crate) fn begin(&self) {
        if let Some(id) = thread::os_id() {
            self.os_id.store(id, Ordering::Relaxed); // ordering: a note
        }
    }

    /// The operating system's number of its thread, where it is known.
    pub(crate) fn os_id(&self) -> Option<u64> {
        Some(self.os_id.load(Ordering::Relaxed)).filter(|id| *id > 0) // ordering: a note
    }

    /// Watches one more queue, unless there are [`MOST_QUEUES`] already.
    pub(crate) fn watch<T: Send + 'static>(&self, queue: &Queue<T>) {
        let queue: Arc<dyn Gauge> = Arc::new(queue.clone());
        let refused = {
            let mut watched = self.queues.lock();
            let watched = watched.get_or_insert_default();
            if watched.queues.len() < MOST_QUEUES {
                watched.queues.push(queue);
                None
            } else {
                watched.more += 1;
                Some(queue)
            }
        };
        drop(refused);
    }

    /// How full its queues are, and how many more there are.
    pub(crate) fn queues(&self) -> (Vec<QueueNote>, usize) {
        let (queues, more) = {
            let watched = self.queues.lock();
            watched.as_ref().map(|watched| (watched.queues.clone(), watched.more)).unwrap_or_default()
        };
        (queues.iter().map(|queue| queue.note()).collect(), more)
    }

    /// Gives its queues up, which may hold a user's values: for the worker's own thread, where user code may run.
    pub(crate) fn end(&self) {
        let watched = self.queues.lock().take();
        drop(watched);
    }
}

impl std::fmt::Debug for Checkpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Checkpoints({} passed, last at {:?})", self.number(), self.place())
    }
}

/// A worker waits as long as this lives.
#[must_use]
pub(crate) struct Waiting<'a>(&'a Checkpoints);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // What it waited for has come: that is a checkpoint, too.
        self.0.word.fetch_add(CHECKPOINT - WAITING, Ordering::Relaxed); // ordering: a count, see `number`
    }
}

#[cfg(test)]
mod tests {
    use foundation_sync::Full;

    use super::*;

    #[test]
    fn a_checkpoint_moves_the_number_and_names_its_place_and_a_wait_is_idle() {
        let checkpoints = Checkpoints::default();
        assert_eq!((checkpoints.look(), checkpoints.place()), ((0, false), None));
        checkpoints.pass();
        let place = checkpoints.place().expect("it was passed");
        assert!(place.file().ends_with("checkpoint.rs") && checkpoints.look() == (1, false));
        let (first, second) = (checkpoints.wait(), checkpoints.wait());
        assert_eq!(checkpoints.look(), (3, true));
        assert!(checkpoints.place().expect("it waits").line() > place.line());
        drop(first);
        assert_eq!(checkpoints.look(), (4, true), "another thread of the life still waits");
        drop(second);
        assert_eq!(checkpoints.look(), (5, false), "what came is a checkpoint, too");
    }

    #[test]
    fn so_many_queues_are_watched_and_the_others_are_counted_and_none_is_kept_after_the_end() {
        let (checkpoints, queue) = (Checkpoints::default(), Queue::bounded(4, Full::Refuse));
        (0..3).for_each(|n| queue.try_send(n).expect("there is room"));
        queue.try_recv().expect("there are values");
        (0..MOST_QUEUES + 2).for_each(|_| checkpoints.watch(&queue));
        let (notes, more) = checkpoints.queues();
        assert_eq!((notes.len(), more), (MOST_QUEUES, 2));
        assert_eq!(notes[0], QueueNote { len: 2, capacity: 4, high_water: 3 });
        checkpoints.end();
        assert_eq!(checkpoints.queues(), (Vec::new(), 0));
    }
}
