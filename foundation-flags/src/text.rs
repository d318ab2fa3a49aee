//! Dates and spans as people read them.

use std::time::{Duration, SystemTime};

/// The last second of the year 9999: what comes later has no such text.
pub(crate) const LAST: Duration = Duration::from_secs(253_402_300_799);

/// RFC 3339. What lies before 1970 or after 9999 is taken to lie there.
pub(crate) fn date(at: SystemTime) -> String {
    let last = SystemTime::UNIX_EPOCH + LAST;
    humantime::format_rfc3339(at.clamp(SystemTime::UNIX_EPOCH, last)).to_string()
}

/// To the second, and rounded up: never less than there is.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_that_no_text_can_say_are_the_first_or_the_last_one() {
        let day = Duration::from_secs(24 * 3600);
        assert_eq!(date(SystemTime::UNIX_EPOCH - day), "1970-01-01T00:00:00Z");
        assert_eq!(date(SystemTime::UNIX_EPOCH + LAST + day), "9999-12-31T23:59:59Z");
        assert_eq!(date(SystemTime::UNIX_EPOCH + day), "1970-01-02T00:00:00Z");
    }

    #[test]
    fn a_span_is_never_said_to_be_shorter_than_it_is() {
        assert_eq!(span(Duration::from_millis(1)), "1s");
        assert_eq!(span(Duration::from_secs(3600)), "1h");
    }
}
