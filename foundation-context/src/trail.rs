//! Breadcrumbs: what a piece of work did so far.

use std::{
    borrow::Cow,
    collections::VecDeque,
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
    time::Duration,
};

use foundation_sync::{Clock, Nanos};

use crate::{
    Fields, contexts,
    gathered::{Gathered, shortened},
    scope,
};

/// How many breadcrumbs a piece of work keeps: the last ones.
pub const MOST_BREADCRUMBS: usize = 32;
/// How many bytes of a breadcrumb's text are kept, and how many of its fields.
const MOST_TEXT: usize = 256;
const MOST_IN_FIELDS: usize = 1024;

/// Something that a piece of work did, and when.
#[derive(Clone)]
pub struct Breadcrumb {
    what: Cow<'static, str>,
    fields: Fields,
    cut: u64,
    moment: Moment,
}

impl Breadcrumb {
    /// What was done.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What was said about it.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// How long before `at`, by this clock, it was; `None` where it was left by another clock that can't be compared with
    /// this one.
    pub fn age(&self, clock: &Clock, at: Nanos) -> Option<Duration> {
        clock.since(at, self.moment.by.clock(), self.moment.at).map(Duration::from_nanos)
    }

    pub(crate) fn age_at(&self, moment: &Moment) -> Option<Duration> {
        self.age(moment.by.clock(), moment.at)
    }
}

impl fmt::Display for Breadcrumb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        Said(&self.fields, self.cut).in_brackets(f)
    }
}

impl fmt::Debug for Breadcrumb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Fields, and how many of them were cut.
pub(crate) struct Said<'a>(pub(crate) &'a Fields, pub(crate) u64);

impl Said<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty() && self.1 == 0
    }

    pub(crate) fn in_brackets(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_empty() {
            true => Ok(()),
            false => write!(f, " ({self})"),
        }
    }
}

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(fields, cut) = self;
        fields.fmt(f)?;
        match cut {
            0 => Ok(()),
            cut => write!(f, "{}{cut} cut", if fields.is_empty() { "" } else { ", " }),
        }
    }
}

/// A clock behind a trait: a context is in every message, and a clock's types, on the faces of models, are deeper than the
/// compiler follows from there.
pub(crate) trait Dated: Send + Sync {
    fn clock(&self) -> &Clock;
}

impl Dated for Clock {
    fn clock(&self) -> &Clock {
        self
    }
}

/// A time, by the clock of whoever took it.
#[derive(Clone)]
pub(crate) struct Moment {
    by: Arc<dyn Dated>,
    at: Nanos,
}

// A clock is only looked at: a panic leaves nothing half done.
impl UnwindSafe for Moment {}
impl RefUnwindSafe for Moment {}

impl Moment {
    /// By the clock of the calling thread's home, or by the system's.
    pub(crate) fn now() -> Self {
        match contexts::clock() {
            Some(by) => Self { at: by.clock().now(), by },
            // Its zero is now.
            None => Self { by: Arc::new(Clock::system()), at: 0 },
        }
    }
}

/// The breadcrumbs of a piece of work. A copy that left is not changed by what follows.
#[derive(Clone, Default)]
pub(crate) struct Trail {
    last: VecDeque<Arc<Breadcrumb>>,
    older: u64,
}

impl Trail {
    /// Comes back with the one that it has no room for any more.
    pub(crate) fn push(&mut self, breadcrumb: Breadcrumb) -> Option<Arc<Breadcrumb>> {
        let oldest = if self.last.len() == MOST_BREADCRUMBS { self.last.pop_front() } else { None };
        self.older += u64::from(oldest.is_some());
        self.last.push_back(Arc::new(breadcrumb));
        oldest
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Breadcrumb> {
        self.last.iter().map(|breadcrumb| &**breadcrumb)
    }

    pub(crate) fn older(&self) -> u64 {
        self.older
    }
}

/// Notes what was done: on the trail of the piece of work that the calling thread is at, which is that of the innermost
/// [`enter`](crate::Context::enter) or [`take_on`](crate::Context::take_on), such as a server's message, or else the
/// thread's own. Scopes do not cut it.
///
/// A trail keeps the last [`MOST_BREADCRUMBS`]; older ones are counted. Of a long text 256 bytes are kept, and of fields
/// 1 KiB. It is dated by the clock of the thread's universe.
///
/// ```
/// use foundation_context::{self as context, InContext, fields};
///
/// context::breadcrumb("parsed the order", fields! { items: 3 });
/// let error = Err::<(), _>("no such item").in_context().unwrap_err();
/// assert!(format!("{error:?}").contains("before: parsed the order (items: 3)"));
/// ```
pub fn breadcrumb(what: impl Into<Cow<'static, str>>, fields: Fields) {
    let (what, moment) = (what.into(), Moment::now());
    let what = match what.len() > MOST_TEXT {
        true => shortened(&what, MOST_TEXT).unwrap_or_default().into(),
        false => what,
    };
    let gathered = Gathered::of(fields, MOST_IN_FIELDS);
    let cut = gathered.cut();
    scope::leave(Breadcrumb { what, fields: gathered.into_fields(), cut, moment });
}
