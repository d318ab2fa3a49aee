//! Who is told when a thread ends: those who keep something for it.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
};

use foundation_sync::{payload, thread_number};

use crate::slot::{ENDS, HOME, INSIDE, KEEPER, PILE, SPANS};

/// No keeper.
pub(crate) const NOBODY: (usize, u64) = (0, 0);

/// Who keeps something for threads that are nobody's.
pub trait Keeps: Send + Sync {
    /// A thread comes: which number it has here.
    fn comes(&self) -> u64;

    /// The thread of this number ends. It runs on that thread, whose context is still there.
    fn ends(self: Arc<Self>, number: u64);
}

/// Who is to be told.
pub(crate) struct Ends(Vec<End>);

struct End {
    /// It holds the place in memory, so that nobody else can be there.
    keeper: Weak<dyn Keeps>,
    number: u64,
}

impl Ends {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        _ = KEEPER.try_with(|last| last.set(NOBODY));
        for End { keeper, number } in self.0.drain(..) {
            // A panic here would end the process.
            let told = catch_unwind(AssertUnwindSafe(|| _ = keeper.upgrade().map(|keeper| keeper.ends(number))));
            told.unwrap_or_else(payload::forget);
        }
    }
}

/// The calling thread's number with this keeper, who is told when the thread ends; `None` if it is about to.
#[inline]
pub fn number<K: Keeps + 'static>(keeper: &Arc<K>) -> Option<u64> {
    let at = Arc::as_ptr(keeper).addr();
    match KEEPER.try_with(Cell::get).ok()? {
        (last, number) if last == at => Some(number),
        _ => find(at, &(Arc::clone(keeper) as Arc<dyn Keeps>)),
    }
}

#[cold]
fn find(at: usize, keeper: &Arc<dyn Keeps>) -> Option<u64> {
    // Slots end in the reverse order of their first use: those that whoever is told may need have to be there before.
    PILE.try_with(|_| ()).ok()?;
    INSIDE.try_with(|_| ()).ok()?;
    HOME.try_with(|_| ()).ok()?;
    SPANS.try_with(|_| ()).ok()?;
    thread_number()?;
    let is_it = |end: &&End| end.keeper.as_ptr().addr() == at;
    let known = ENDS.try_with(|ends| ends.borrow().0.iter().find(is_it).map(|end| end.number)).ok()?;
    let number = known.unwrap_or_else(|| keeper.comes());
    if known.is_none() {
        let gone = ENDS.try_with(|ends| {
            let mut ends = ends.borrow_mut();
            let gone: Vec<_> = ends.0.extract_if(.., |end| end.keeper.strong_count() == 0).collect();
            ends.0.push(End { keeper: Arc::downgrade(keeper), number });
            gone
        });
        drop(gone);
    }
    // Also in place of one that is gone, whose place in memory may be given away from now on.
    KEEPER.try_with(|last| last.set((at, number))).ok()?;
    Some(number)
}
