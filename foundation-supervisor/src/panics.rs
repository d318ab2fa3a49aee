//! The crate's whole panic policy: user code runs inside [`catch`].
//!
//! The process's panic hook is the one global thing here: it notes where a caught panic came from, for its report, and
//! passes on what is not ours. It is installed with the first call of `catch` on a thread that is not panicking.
//!
//! Whether a panic ends a life is not known when the hook is called, and what the hook was told can't be kept for the hook
//! that was there before. So on a universe's own threads it says nothing, and counts: a panic that ends a life is in its
//! crash report, and taken off again; what is left was caught by somebody else, and is a figure of the universe's
//! ([`System::panics_caught`](crate::System::panics_caught)). On other threads, which have no crash report, the hook before
//! says it as well.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "the panic hook is the process's")]

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook},
    sync::{Arc, Once},
    thread::panicking,
};

use foundation_context::{Context, carried};
use foundation_registry::Panic;
use foundation_sync::{
    MODEL,
    atomic::{AtomicU64, Ordering},
    payload, thread_slot,
};

/// How many panics of a universe's threads ended no life.
pub(crate) type Count = Arc<AtomicU64>;

thread_slot! {
    /// Where the panics of this thread are counted, if it is a life's.
    static COUNT: RefCell<Option<Count>> = RefCell::new(None);
    /// Whether this thread runs user code that we caught.
    static INSIDE: Cell<bool> = Cell::new(false);
    /// Where the panic that is under way came from.
    static NOTE: RefCell<Option<Note>> = RefCell::new(None);
}

struct Note {
    message: Arc<str>,
    context: Context,
    location: Option<Arc<str>>,
    backtrace: Option<Arc<str>>,
}

/// A panic that was caught.
pub(crate) struct Caught {
    pub(crate) panic: Panic,
    /// Of the place where it began, if the hook saw it.
    pub(crate) context: Option<Context>,
}

/// The panics of this thread are counted there from now on, as long as they end no life.
pub(crate) fn count_on_this_thread(count: &Count) {
    if !MODEL {
        _ = COUNT.try_with(|slot| slot.replace(Some(Arc::clone(count))));
    }
}

impl Caught {
    /// It ends this thread's life, and is in its report.
    pub(crate) fn ends_a_life(&self) {
        // The hook has not seen those who were resumed.
        if self.context.is_some() {
            counted(|count| _ = count.fetch_sub(1, Ordering::Relaxed)); // ordering: a count
        }
    }
}

/// `false`: this thread's panics are not counted.
fn counted(change: impl FnOnce(&AtomicU64)) -> bool {
    COUNT.try_with(|slot| slot.borrow().as_deref().map(change).is_some()).unwrap_or(false)
}

/// Runs user code; a panic becomes a value, and so does one in the drop of its payload.
pub(crate) fn catch<R>(work: impl FnOnce() -> R) -> Result<R, Caught> {
    install();
    // What was caught by somebody else leaves its note behind. A thread that is at its end has none.
    drop(take_note());
    let outer = INSIDE.with(|inside| inside.replace(true));
    let outcome = catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let message = payload::text(&*panic);
        let note = take_note().filter(|note| note.message == message);
        payload::forget(panic);
        let (location, backtrace, context) = match note {
            Some(note) => (note.location, note.backtrace, Some(note.context)),
            None => (None, None, None),
        };
        Caught { panic: Panic { message, location, backtrace }, context }
    });
    INSIDE.with(|inside| inside.set(outer));
    outcome
}

fn take_note() -> Option<Note> {
    NOTE.try_with(RefCell::take).ok().flatten()
}

fn install() {
    static INSTALLED: Once = Once::new();
    // Threads of a model are one thread to the process's hook. And a thread that is panicking may not change it: the next
    // one does, and until then a caught panic has no note.
    if MODEL || INSTALLED.is_completed() || panicking() {
        return;
    }
    // Forced: if one attempt panicked, the next worker is to live all the same.
    INSTALLED.call_once_force(|_| {
        let others = take_hook();
        set_hook(Box::new(move |info| {
            let inside = INSIDE.try_with(Cell::get).unwrap_or(false);
            if inside {
                note(info);
            }
            // ordering: a count
            if !inside || !counted(|count| _ = count.fetch_add(1, Ordering::Relaxed)) {
                others(info);
            }
        }));
    });
}

fn note(info: &PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let captured = backtrace.status() == BacktraceStatus::Captured;
    let note = Note {
        message: payload::text(info.payload()),
        context: carried(),
        location: info.location().map(|location| location.to_string().into()),
        backtrace: captured.then(|| backtrace.to_string().into()),
    };
    _ = NOTE.try_with(|slot| slot.replace(Some(note)));
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::panic::resume_unwind;

    use super::*;

    #[test]
    fn a_panic_that_the_hook_never_saw_has_not_the_place_of_one_that_was_caught_before_by_whoever() {
        let by_itself = || _ = catch_unwind(|| panic!("once"));
        let unseen = || resume_unwind(Box::new("once"));
        by_itself();
        let within = catch(|| {
            by_itself();
            resume_unwind(Box::new("twice"))
        });
        let place = |outcome: Result<(), Caught>| outcome.expect_err("it panics").panic.location;
        assert_eq!(place(within), None, "what it says is another thing");
        assert_eq!(catch(by_itself).map_err(|caught| caught.panic).ok(), Some(()));
        assert_eq!(place(catch(unseen)), None, "it says the same, and is another life's");
        let rethrown = catch(|| resume_unwind(catch_unwind(|| panic!("on")).expect_err("it panics")));
        assert!(place(rethrown).is_some(), "a panic that goes on is the same");
    }

    #[test]
    fn where_a_panic_began_is_known_also_after_another_one_was_caught_within() {
        let outer = catch(|| {
            let inner = catch(|| panic!("inner")).expect_err("it panics");
            assert!(inner.panic.location.is_some(), "{}", inner.panic);
            panic!("outer")
        });
        let panic = outer.map(|()| "no panic").expect_err("it panics").panic;
        assert!(panic.location.as_deref().is_some_and(|place| place.contains("panics.rs")), "{panic}");
    }
}
