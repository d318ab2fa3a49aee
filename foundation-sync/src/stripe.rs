//! Which of several cells a thread writes, so that threads do not write the same one.

use std::{
    cell::Cell,
    hash::{Hash, Hasher},
};

use crate::{thread, thread_slot};

thread_slot! {
    /// The thread's number; [`UNKNOWN`] until it is asked for.
    static NUMBER: Cell<usize> = Cell::new(UNKNOWN);
}

const UNKNOWN: usize = usize::MAX;

/// The calling thread's number, the same as long as it lives: take it modulo the number of stripes.
///
/// Threads that are made one after another have different numbers, as a rule neighbouring ones, so they spread over the
/// stripes. Nothing may depend on it but speed: two threads may share a stripe. In a model threads are numbered anew in
/// each schedule.
///
/// ```
/// use foundation_sync::{atomic::{AtomicU64, Ordering}, stripe};
///
/// let counts: [AtomicU64; 8] = Default::default();
/// counts[stripe() % 8].fetch_add(1, Ordering::Relaxed);
/// assert_eq!(counts.iter().map(|count| count.load(Ordering::Relaxed)).sum::<u64>(), 1);
/// assert_eq!(stripe(), stripe());
/// ```
#[inline]
pub fn stripe() -> usize {
    thread_number().unwrap_or(0)
}

/// The calling thread's number, which no other thread of the process has or had: what [`stripe`] is made of. `None` only
/// in a model, when the thread is about to end; who needs it there asks for it before.
#[inline]
pub fn thread_number() -> Option<usize> {
    // A slot without a destructor is there to the thread's end.
    NUMBER.try_with(|number| if number.get() == UNKNOWN { find(number) } else { number.get() }).ok()
}

#[cold]
fn find(slot: &Cell<usize>) -> usize {
    let mut last = Last(0);
    thread::id().hash(&mut last);
    let number = (last.0 as usize) & (UNKNOWN >> 1);
    slot.set(number);
    number
}

/// What a thread's mark is made of: its number, on each face the last thing that it tells a hasher. So no count of our own
/// is needed that all threads of the process would share.
struct Last(u64);

impl Hasher for Last {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn write_usize(&mut self, number: usize) {
        self.0 = number as u64;
    }
}
