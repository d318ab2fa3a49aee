//! The context of a thread.
//!
//! A context is a chain of frames, the innermost first. [`with`] moves the thread's frame into a new one as its outer
//! frame and back again afterwards, so its cost does not grow with depth.

use std::{
    cell::{Cell, RefCell},
    fmt,
    sync::Arc,
};

use foundation_sync::legacy::View;

use crate::{
    Fields, Incarnation, SpanLink, Value, contexts,
    slot::{FRAME, WHO},
    stack::{self, Current, Place},
};

/// The most fields that a context holds.
pub const MOST_FIELDS: usize = 64;

pub(crate) struct Frame {
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
        Self { count: before + fields.len(), fields, cut: cut + over as u64, outer }
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

/// Who works here, on what, and within which span. Immutable; a clone costs two counts.
#[derive(Clone, Default)]
pub struct Context {
    who: Option<Incarnation>,
    frame: Option<Arc<Frame>>,
    span: Option<Arc<Current>>,
}

impl Context {
    /// Nobody, on nothing.
    pub const fn empty() -> Self {
        Self { who: None, frame: None, span: None }
    }

    /// The context in which a worker starts: who it is, and what its spec says.
    pub fn of(incarnation: Incarnation, fields: Fields) -> Self {
        let frame = (!fields.is_empty()).then(|| Arc::new(Frame::new(fields, None)));
        Self { who: Some(incarnation), frame, span: None }
    }

    /// This context with more fields.
    #[must_use]
    pub fn and(&self, fields: Fields) -> Self {
        let frame = Some(Arc::new(Frame::new(fields, self.frame.clone())));
        Self { who: self.who, frame, span: self.span.clone() }
    }

    /// Who works here; `None` on a thread that is nobody's.
    pub fn incarnation(&self) -> Option<Incarnation> {
        self.who
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
        self.frame.as_ref().map_or(0, |frame| frame.cut)
    }

    /// The span that was the current one where this was taken.
    pub fn span(&self) -> Option<SpanLink> {
        self.span.as_ref().map(|current| current.link)
    }

    /// Runs `work` in this context, and in its span or in none; what was there before is put back, whatever happens.
    pub fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        let _who = Someone(WHO.with(|slot| slot.replace(self.who)));
        self.take_on(work)
    }

    /// Runs `work` with this context's fields and span, as whoever the calling thread is: for a server that works for
    /// others, and stays itself. What was there before is put back, whatever happens.
    ///
    /// ```
    /// use foundation_context::{self as context, Context, Incarnation, fields};
    ///
    /// let [caller, server] = [1, 2].map(|id| Incarnation { id, generation: 1 });
    /// let asked = Context::of(caller, fields! { request_id: "test-123" });
    /// Context::of(server, fields! {}).enter(|| {
    ///     asked.take_on(|| {
    ///         assert_eq!(context::incarnation(), Some(server));
    ///         assert!(context::current().get("request_id").is_some());
    ///     });
    /// });
    /// ```
    pub fn take_on<R>(&self, work: impl FnOnce() -> R) -> R {
        let place = Some(stack::place(self.span.clone()));
        let _back = Back { outer: FRAME.with(|slot| slot.replace(self.frame.clone())), place };
        work()
    }

    /// Makes it the calling thread's from now on. Comes back with what is to be dropped.
    pub(crate) fn bind(self) -> Option<Arc<Frame>> {
        WHO.with(|slot| slot.set(self.who));
        let old = FRAME.with(|slot| slot.replace(self.frame));
        stack::replace(self.span);
        old
    }

    fn frames(&self) -> impl Iterator<Item = &Frame> {
        std::iter::successors(self.frame.as_deref(), |frame| frame.outer.as_deref())
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Context");
        if let Some(incarnation) = self.incarnation() {
            out.field("incarnation", &incarnation);
        }
        if let Some(span) = self.span() {
            out.field("span", &span);
        }
        out.field("fields", &self.fields()).finish()
    }
}

/// Puts back who works here, also when a panic passes.
struct Someone(Option<Incarnation>);

impl Drop for Someone {
    fn drop(&mut self) {
        _ = WHO.try_with(|slot| slot.set(self.0));
    }
}

/// Puts the outer fields and span back, also when a panic passes.
struct Back {
    outer: Option<Arc<Frame>>,
    place: Option<Place>,
}

impl Drop for Back {
    fn drop(&mut self) {
        // A thread whose slots are gone already has no context to put back.
        let inner = FRAME.try_with(|slot| slot.replace(self.outer.take()));
        drop(inner);
        if let Some(place) = self.place.take() {
            stack::remove(place);
        }
    }
}

/// The calling thread's context; empty where the thread is about to end. For what stays on the thread; what leaves it
/// takes [`carried`] along.
pub fn current() -> Context {
    let frame = FRAME.try_with(|slot| slot.borrow().clone()).ok().flatten();
    Context { who: incarnation(), frame, span: stack::current() }
}

/// The current context as it leaves this thread: the current one, or an empty one where this thread's universe still
/// works in legacy mode. A span is left out of it where spans do.
pub fn carried() -> Context {
    if !contexts::leaves() {
        return Context::empty();
    }
    let Context { who, frame, span } = current();
    Context { who, frame, span: span.filter(|current| current.mode.is_new()) }
}

/// Who works on the calling thread; `None` on a thread that is nobody's. Also asked where a thread is about to end.
pub fn incarnation() -> Option<Incarnation> {
    WHO.try_with(Cell::get).ok().flatten()
}

/// Runs `work` with these fields added to the context.
pub fn with<R>(fields: Fields, work: impl FnOnce() -> R) -> R {
    struct Pop {
        /// For the thread's home to count, while it works the old way.
        _view: Option<View>,
    }

    impl Drop for Pop {
        fn drop(&mut self) {
            let inner = FRAME.with(RefCell::take);
            // Unless somebody kept the frame, its outer one moves back without a count.
            let outer = match inner.map(Arc::try_unwrap) {
                Some(Ok(mut alone)) => alone.outer.take(),
                Some(Err(kept)) => kept.outer.clone(),
                None => None,
            };
            FRAME.with(|slot| slot.replace(outer));
        }
    }

    let outer = FRAME.with(RefCell::take);
    FRAME.with(|slot| slot.replace(Some(Arc::new(Frame::new(fields, outer)))));
    let _pop = Pop { _view: contexts::view() };
    work()
}

/// A job that runs in the context of the place where it was made, wherever that is; in an empty one if that place's
/// universe still works in legacy mode.
pub fn inherit<R>(job: impl FnOnce() -> R) -> impl FnOnce() -> R {
    let context = carried();
    move || context.enter(job)
}
