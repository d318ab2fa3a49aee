//! Dead letters.

/// Why a message was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Its server had ended, and none was to come, or it was not to wait for the next.
    NotRunning,
    /// It has cost as many lives of its server as it may.
    Quarantined,
}
