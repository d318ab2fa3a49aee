//! Which span: what is passed on so that another thread's spans become children of it.

use std::fmt;

/// Which trace: all spans that follow from one root. Reads as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub u128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<TraceId> for crate::Value {
    fn from(trace: TraceId) -> Self {
        Self::Text(trace.to_string().into())
    }
}

/// Which span, and of which trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanLink {
    /// The trace.
    pub trace: TraceId,
    /// The span's number in its universe.
    pub span: u64,
}
