//! How a universe ended.

use std::{fmt, sync::Arc};

use crate::ThreadNote;

/// How a universe ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "it says whether everything has ended"]
pub struct StopReport {
    /// Whether all trees and services had ended at the deadline.
    pub ended: bool,
    /// The threads that still ran then. Where all had [ended](Self::ended) each was abandoned, or is on its last
    /// instructions; where not, it may only have been told to stop. Those who had ended but for the destructors of their
    /// thread-locals ([`Doing::Ends`](crate::Doing::Ends)) count as abandoned.
    pub running: Vec<ThreadNote>,
    /// How many reports and events found no room with the courier.
    pub lost: u64,
    /// Which of the universe's own threads asked, and so could not wait for the end: it is not over yet.
    pub inside: Option<Arc<str>>,
}

impl StopReport {
    /// Whether nothing was left behind.
    pub fn is_clean(&self) -> bool {
        self.ended && self.running.is_empty()
    }
}

impl fmt::Display for StopReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.ended, self.running.is_empty()) {
            _ if let Some(caller) = &self.inside => {
                write!(
                    f,
                    "told to stop, and not waited for, since `{caller}` is part of it; these threads still run:"
                )?;
            }
            (true, true) => f.write_str("stopped")?,
            (true, false) => f.write_str("stopped, but these threads still run:")?,
            (false, true) => f.write_str("not stopped by the deadline")?,
            (false, false) => f.write_str("not stopped by the deadline; these threads still run:")?,
        }
        for (n, thread) in self.running.iter().enumerate() {
            write!(f, "{} {thread}", if n > 0 { "," } else { "" })?;
        }
        if self.lost > 0 {
            write!(f, "; {} reports lost", self.lost)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Doing;

    #[test]
    fn a_report_announces_no_threads_where_there_are_none() {
        let note = ThreadNote { name: "t/w#1".into(), doing: Doing::Runs };
        let report = |ended, running: &[ThreadNote], lost| {
            StopReport { ended, running: running.to_vec(), lost, inside: None }.to_string()
        };
        assert_eq!(report(true, &[], 0), "stopped");
        assert_eq!(report(false, &[], 2), "not stopped by the deadline; 2 reports lost");
        let one = "not stopped by the deadline; these threads still run: t/w#1 (runs)";
        assert_eq!(report(false, std::slice::from_ref(&note), 0), one);
    }
}
