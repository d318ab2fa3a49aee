//! Who works, on what, and within which span: as a value.

use std::{cell::Cell, fmt, sync::Arc};

use crate::{
    Breadcrumb, CORRELATION_ID, Fields, Incarnation, MOST_BYTES, SpanLink, Value, contexts,
    gathered::Gathered,
    scope,
    slot::WHO,
    stack::{self, Current, Place},
    trail::{Said, Trail},
};

/// Who works here, on what, within which span, and what was done so far. Immutable; a clone costs three counts at most.
///
/// It holds at most [`MOST_FIELDS`](crate::MOST_FIELDS) fields and [`MOST_BYTES`] of names and texts, each name once, with
/// what was said last. Text that has no room is shortened, and ends in `…`; a field that has none is left out.
#[derive(Clone, Default)]
pub struct Context {
    who: Option<Incarnation>,
    seen: Option<Arc<Gathered>>,
    trail: Option<Arc<Trail>>,
    span: Option<Arc<Current>>,
}

impl Context {
    /// Nobody, on nothing.
    pub const fn empty() -> Self {
        Self { who: None, seen: None, trail: None, span: None }
    }

    /// The context in which a worker starts: who it is, and what its spec says.
    pub fn of(incarnation: Incarnation, fields: Fields) -> Self {
        Self { who: Some(incarnation), ..Self::empty().and(fields) }
    }

    /// This context with more fields.
    #[must_use]
    pub fn and(&self, fields: Fields) -> Self {
        let all = match self.seen.as_deref() {
            None => Gathered::of(fields, MOST_BYTES),
            Some(seen) => seen.and(&fields),
        };
        Self { seen: (!all.is_empty()).then(|| Arc::new(all)), ..self.clone() }
    }

    /// Who works here; `None` on a thread that is nobody's.
    pub fn incarnation(&self) -> Option<Incarnation> {
        self.who
    }

    /// What the field of this name says.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.seen.as_ref()?.fields().get(name)
    }

    /// The id that all that follows from one cause has in common: see [`correlate`](crate::correlate).
    pub fn correlation(&self) -> Option<&Value> {
        self.get(CORRELATION_ID)
    }

    /// All fields, the outermost first.
    pub fn fields(&self) -> Fields {
        self.seen.as_ref().map(|seen| seen.fields().clone()).unwrap_or_default()
    }

    /// How many fields were left out or shortened, on all the way here.
    pub fn cut(&self) -> u64 {
        self.seen.as_ref().map_or(0, |seen| seen.cut())
    }

    /// The span that was the current one where this was taken.
    pub fn span(&self) -> Option<SpanLink> {
        self.span.as_ref().map(|current| current.link)
    }

    /// What the piece of work had done when this was taken: the last of it, the oldest first.
    pub fn breadcrumbs(&self) -> impl Iterator<Item = &Breadcrumb> {
        self.trail.iter().flat_map(|trail| trail.iter())
    }

    /// How many breadcrumbs were older, and are not kept any more.
    pub fn older_breadcrumbs(&self) -> u64 {
        self.trail.as_ref().map_or(0, |trail| trail.older())
    }

    /// Runs `work` in this context, and in its span or in none; what was there before is put back, whatever happens.
    pub fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        let _who = Someone(WHO.try_with(|slot| slot.replace(self.who)).ok().flatten());
        self.take_on(work)
    }

    /// Runs `work` with this context's fields, span and breadcrumbs, as whoever the calling thread is: for a server that
    /// works for others, and stays itself. What was there before is put back, whatever happens.
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
        let _span = Within(stack::place(self.span.clone()));
        let _inside = scope::enter(self.seen.clone(), self.trail.clone());
        work()
    }

    /// Makes it the calling thread's from now on.
    pub(crate) fn bind(self) {
        _ = WHO.try_with(|slot| slot.set(self.who));
        scope::bind(self.seen, self.trail);
        stack::replace(self.span);
    }

    pub(crate) fn said(&self) -> Said<'_> {
        const NOTHING: &Fields = &Fields::new();
        self.seen.as_ref().map_or(Said(NOTHING, 0), |seen| Said(seen.fields(), seen.cut()))
    }
}

/// The fields, and how many of them were cut: `request_id: test-123, step: parse, 2 cut`.
impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.said().fmt(f)
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
        if let Some(trail) = &self.trail {
            out.field("breadcrumbs", &trail.iter().collect::<Vec<_>>());
        }
        out.field("fields", &format_args!("{{{self}}}")).finish()
    }
}

/// Puts back who works here, also when a panic passes.
struct Someone(Option<Incarnation>);

impl Drop for Someone {
    fn drop(&mut self) {
        _ = WHO.try_with(|slot| slot.set(self.0));
    }
}

/// Takes the span of a context that was entered out again, also when a panic passes.
struct Within(Option<Place>);

impl Drop for Within {
    fn drop(&mut self) {
        if let Some(place) = self.0.take() {
            stack::remove(place);
        }
    }
}

/// The calling thread's context; empty where the thread is about to end. For what stays on the thread; what leaves it
/// takes [`carried`] along.
pub fn current() -> Context {
    let (seen, trail) = scope::seen();
    Context { who: incarnation(), seen, trail, span: stack::current() }
}

/// The current context as it leaves this thread: the current one, or an empty one where this thread's universe still
/// works in legacy mode. A span is left out of it where spans do.
pub fn carried() -> Context {
    if !contexts::leaves() {
        return Context::empty();
    }
    let context = current();
    Context { span: context.span.filter(|current| current.mode.is_new()), ..context }
}

/// Who works on the calling thread; `None` on a thread that is nobody's. Also asked where a thread is about to end.
pub fn incarnation() -> Option<Incarnation> {
    WHO.try_with(Cell::get).ok().flatten()
}

/// A job that runs in the context of the place where it was made, wherever that is; in an empty one if that place's
/// universe still works in legacy mode.
pub fn inherit<R>(job: impl FnOnce() -> R) -> impl FnOnce() -> R {
    let context = carried();
    move || context.enter(job)
}
