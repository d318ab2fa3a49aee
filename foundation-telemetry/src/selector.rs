//! Which events a handler hears.

use std::fmt;

use crate::EventName;

/// Which events a handler hears.
///
/// ```
/// use foundation_telemetry::{Selector, Telemetry, event_name};
///
/// let telemetry = Telemetry::new();
/// let paid = event_name!("shop", "order", "paid");
/// telemetry.attach("one name", paid, |_| {})?;
/// telemetry.attach("some names", [paid, event_name!("shop", "order", "sent")], |_| {})?;
/// telemetry.attach("orders", Selector::under(&["shop", "order"]), |_| {})?;
/// telemetry.attach("all", Selector::all(), |_| {})?;
/// # Ok::<(), foundation_telemetry::AttachError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Selector {
    /// This name.
    Exact(EventName),
    /// Each name that begins with these words; with no words, each name.
    Under(&'static [&'static str]),
}

impl Selector {
    /// This name, and no other.
    pub const fn exact(name: EventName) -> Self {
        Self::Exact(name)
    }

    /// Each name that begins with these words, also those that nobody has used yet.
    pub const fn under(words: &'static [&'static str]) -> Self {
        Self::Under(words)
    }

    /// Each name.
    pub const fn all() -> Self {
        Self::Under(&[])
    }

    /// Whether it selects this name.
    pub fn selects(&self, name: EventName) -> bool {
        match self {
            Self::Exact(exact) => *exact == name,
            Self::Under(words) => name.words().starts_with(words),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => name.fmt(f),
            Self::Under([]) => f.write_str("[..]"),
            Self::Under(words) => write!(f, "[{}, ..]", words.join(", ")),
        }
    }
}

/// The selectors of one handler, made of a name, a [`Selector`], or several of either. It hears an event once, however
/// many of them select it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selectors(Vec<Selector>);

impl Selectors {
    fn new(selectors: impl IntoIterator<Item = Selector>) -> Self {
        let mut all: Vec<_> = selectors.into_iter().collect();
        all.sort_unstable();
        all.dedup();
        Self(all)
    }

    pub(crate) fn as_slice(&self) -> &[Selector] {
        &self.0
    }

    pub(crate) fn selects(&self, name: EventName) -> bool {
        self.0.iter().any(|selector| selector.selects(name))
    }

    /// The names that are selected as such.
    pub(crate) fn names(&self) -> impl Iterator<Item = EventName> {
        self.0.iter().filter_map(|selector| match selector {
            Selector::Exact(name) => Some(*name),
            Selector::Under(_) => None,
        })
    }

    /// Whether names are selected that nobody has used yet.
    pub(crate) fn has_prefix(&self) -> bool {
        self.0.iter().any(|selector| matches!(selector, Selector::Under(_)))
    }
}

impl From<EventName> for Selector {
    fn from(name: EventName) -> Self {
        Self::Exact(name)
    }
}

impl From<EventName> for Selectors {
    fn from(name: EventName) -> Self {
        Self(vec![name.into()])
    }
}

impl From<Selector> for Selectors {
    fn from(one: Selector) -> Self {
        Self(vec![one])
    }
}

impl<S: Into<Selector>, const N: usize> From<[S; N]> for Selectors {
    fn from(all: [S; N]) -> Self {
        Self::new(all.into_iter().map(Into::into))
    }
}

impl<S: Into<Selector>> From<Vec<S>> for Selectors {
    fn from(all: Vec<S>) -> Self {
        Self::new(all.into_iter().map(Into::into))
    }
}

impl<S: Into<Selector> + Copy, const N: usize> From<&[S; N]> for Selectors {
    fn from(all: &[S; N]) -> Self {
        Self::from(*all)
    }
}

impl<S: Into<Selector> + Copy> From<&[S]> for Selectors {
    fn from(all: &[S]) -> Self {
        Self::new(all.iter().map(|selector| (*selector).into()))
    }
}
