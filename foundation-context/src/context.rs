//! The context of a thread, and its one slot.
//!
//! A context is a chain of frames, the innermost first. [`with`] moves the thread's frame into a new one as its outer
//! frame and back again afterwards, so its cost does not grow with depth.

use std::{cell::RefCell, fmt, sync::Arc};

use foundation_sync::thread_slot;

use crate::{Fields, Incarnation, Value};

/// The most fields that a context holds.
pub const MOST_FIELDS: usize = 64;

thread_slot! {
    /// The thread's context. The one thread-local state of the workspace but for the panic hook's note.
    static SLOT: RefCell<Option<Arc<Frame>>> = RefCell::new(None);
}

struct Frame {
    incarnation: Option<Incarnation>,
    fields: Fields,
    /// In this frame and the outer ones.
    count: usize,
    cut: u64,
    outer: Option<Arc<Frame>>,
}

impl Frame {
    fn new(mut fields: Fields, outer: Option<Arc<Frame>>) -> Self {
        let (before, cut) = outer.as_ref().map_or((0, 0), |frame| (frame.count, frame.cut));
        let room = MOST_FIELDS - before;
        let over = fields.len().saturating_sub(room);
        fields.truncate(room);
        let incarnation = outer.as_ref().and_then(|frame| frame.incarnation);
        Self { incarnation, count: before + fields.len(), fields, cut: cut + over as u64, outer }
    }
}

impl Drop for Frame {
    /// In a loop: a chain may be longer than the stack is deep.
    fn drop(&mut self) {
        let mut outer = self.outer.take();
        while let Some(mut frame) = outer.and_then(Arc::into_inner) {
            outer = frame.outer.take();
        }
    }
}

/// Who works here, and on what. Immutable; a clone costs a count.
#[derive(Clone, Default)]
pub struct Context(Option<Arc<Frame>>);

impl Context {
    /// Nobody, on nothing.
    pub const fn empty() -> Self {
        Self(None)
    }

    /// The context in which a worker starts: who it is, and what its spec says.
    pub fn of(incarnation: Incarnation, fields: Fields) -> Self {
        let mut frame = Frame::new(fields, None);
        frame.incarnation = Some(incarnation);
        Self(Some(Arc::new(frame)))
    }

    /// This context with more fields.
    #[must_use]
    pub fn and(&self, fields: Fields) -> Self {
        Self(Some(Arc::new(Frame::new(fields, self.0.clone()))))
    }

    /// Who works here; `None` on a thread that is nobody's.
    pub fn incarnation(&self) -> Option<Incarnation> {
        self.0.as_ref().and_then(|frame| frame.incarnation)
    }

    /// What the field of this name says, the innermost first.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.frames().find_map(|frame| frame.fields.get(name))
    }

    /// All fields, the outermost first.
    pub fn fields(&self) -> Fields {
        let mut frames: Vec<_> = self.frames().collect();
        frames.reverse();
        frames.into_iter().flat_map(|frame| frame.fields.iter().cloned()).collect()
    }

    /// How many fields found no place.
    pub fn cut(&self) -> u64 {
        self.0.as_ref().map_or(0, |frame| frame.cut)
    }

    /// Runs `work` in this context; what was there before is put back, whatever happens.
    pub fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        let _back = Back { outer: SLOT.with(|slot| slot.replace(self.0.clone())) };
        work()
    }

    fn frames(&self) -> impl Iterator<Item = &Frame> {
        std::iter::successors(self.0.as_deref(), |frame| frame.outer.as_deref())
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Context");
        if let Some(incarnation) = self.incarnation() {
            out.field("incarnation", &incarnation);
        }
        out.field("fields", &self.fields()).finish()
    }
}

/// Puts the outer context back, also when a panic passes.
struct Back {
    outer: Option<Arc<Frame>>,
}

impl Drop for Back {
    fn drop(&mut self) {
        // A thread whose slot is gone already has no context to put back.
        let inner = SLOT.try_with(|slot| slot.replace(self.outer.take()));
        drop(inner);
    }
}

/// The calling thread's context; empty where the thread is about to end.
pub fn current() -> Context {
    Context(SLOT.try_with(|slot| slot.borrow().clone()).ok().flatten())
}

/// Who works on the calling thread; `None` on a thread that is nobody's. Also asked where a thread is about to end.
pub fn incarnation() -> Option<Incarnation> {
    SLOT.try_with(|slot| slot.borrow().as_ref().and_then(|frame| frame.incarnation)).ok().flatten()
}

/// Runs `work` with these fields added to the context.
pub fn with<R>(fields: Fields, work: impl FnOnce() -> R) -> R {
    struct Pop;

    impl Drop for Pop {
        fn drop(&mut self) {
            let inner = SLOT.with(RefCell::take);
            // Unless somebody kept the frame, its outer one moves back without a count.
            let outer = match inner.map(Arc::try_unwrap) {
                Some(Ok(mut alone)) => alone.outer.take(),
                Some(Err(kept)) => kept.outer.clone(),
                None => None,
            };
            SLOT.with(|slot| slot.replace(outer));
        }
    }

    let outer = SLOT.with(RefCell::take);
    SLOT.with(|slot| slot.replace(Some(Arc::new(Frame::new(fields, outer)))));
    let _pop = Pop;
    work()
}

/// A job that runs in the context of the place where it was made, wherever that is.
pub fn inherit<R>(job: impl FnOnce() -> R) -> impl FnOnce() -> R {
    let context = current();
    move || context.enter(job)
}

/// Makes this the calling thread's context for the rest of its life: for whoever starts threads.
pub fn bind(context: Context) {
    let old = SLOT.with(|slot| slot.replace(context.0));
    drop(old);
}
