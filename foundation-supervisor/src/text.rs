//! Text for people: on one line, of bounded length, and spans of time that are read at a glance.

use std::fmt::{self, Display, Write};

use foundation_sync::Nanos;

/// How many bytes of a reason are rendered where nothing else is said. What is cut is told: `… (17 bytes more)`.
pub const MAX_LEN: usize = 1024;

/// How many bytes of a reason stand in a line of a tree.
pub(crate) const SHORT: usize = 160;

/// Renders at most `max` bytes of the value on one line, and says how many were cut. A user's `Display` that writes without
/// end takes time, and no memory.
pub(crate) fn render(value: &dyn Display, max: usize) -> String {
    let mut line = Line { text: String::new(), max, cut: 0 };
    // Only the value itself can refuse; what it wrote before stands.
    _ = write!(line, "{value}");
    let Line { mut text, cut, .. } = line;
    if cut > 0 {
        text += &format!("… ({cut} bytes more)");
    }
    text
}

struct Line {
    text: String,
    max: usize,
    cut: usize,
}

impl Write for Line {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let room = if self.cut > 0 { 0 } else { self.max - self.text.len() };
        let taken = piece.floor_char_boundary(room);
        // A control character takes a byte or two, and the space in its place takes one.
        self.text.extend(piece[..taken].chars().map(|sign| if sign.is_control() { ' ' } else { sign }));
        self.cut += piece.len() - taken;
        Ok(())
    }
}

/// A time of the universe's clock: how long ago, if it is known how late it is now.
pub(crate) struct Moment(pub(crate) Nanos, pub(crate) Option<Nanos>);

impl Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(now) => write!(f, "{} ago", Span(now.saturating_sub(self.0))),
            None => Span(self.0).fmt(f),
        }
    }
}

/// A span of time in its two greatest units.
pub(crate) struct Span(pub(crate) Nanos);

impl Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MILLI: Nanos = 1_000_000;
        const SECOND: Nanos = 1000 * MILLI;
        const UNITS: [(Nanos, &str, Nanos, &str); 3] = [
            (86_400 * SECOND, "d", 3600 * SECOND, "h"),
            (3600 * SECOND, "h", 60 * SECOND, "m"),
            (60 * SECOND, "m", SECOND, "s"),
        ];
        for (great, great_name, small, small_name) in UNITS {
            if self.0 >= great {
                return write!(f, "{}{great_name} {}{small_name}", self.0 / great, self.0 % great / small);
            }
        }
        let text = match self.0 {
            nanos if nanos >= SECOND => match nanos % SECOND / (100 * MILLI) {
                0 => format!("{}s", nanos / SECOND),
                tenths => format!("{}.{tenths}s", nanos / SECOND),
            },
            nanos if nanos >= MILLI => format!("{}ms", nanos / MILLI),
            nanos if nanos >= 1000 => format!("{}us", nanos / 1000),
            nanos => format!("{nanos}ns"),
        };
        f.write_str(&text)
    }
}

/// The name of a variant as people write it: `OneForOne` is `one_for_one`. What a variant holds is left out.
pub(crate) fn snake(variant: &dyn fmt::Debug) -> String {
    let name = format!("{variant:?}");
    let end = name.find(|sign: char| !sign.is_alphanumeric()).unwrap_or(name.len());
    let mut snake = String::new();
    for sign in name[..end].chars() {
        if sign.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(sign.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rendered_is_bounded_cut_between_characters_and_says_how_much_is_missing() {
        assert_eq!(render(&"boom", 4), "boom");
        assert_eq!(render(&"booms", 4), "boom… (1 bytes more)");
        assert_eq!(render(&"ab→d", 4), "ab… (4 bytes more)", "no half of an arrow");
        assert_eq!(render(&"a\nb\tc", 9), "a b c", "one line");
        let (arrow, sign) = ("→".to_owned(), 'x');
        assert_eq!(render(&format_args!("{arrow}{sign}"), 2), "… (4 bytes more)", "nothing after what was cut");
        assert_eq!(render(&"x".repeat(1_000_000), MAX_LEN).len(), MAX_LEN + "… (998976 bytes more)".len());
    }

    #[test]
    fn a_span_of_time_has_its_two_greatest_units() {
        let table: [(Nanos, &str); 9] = [
            (0, "0ns"),
            (1_999, "1us"),
            (1_999_999, "1ms"),
            (5_000_000_000, "5s"),
            (59_960_000_000, "59.9s"),
            (60_000_000_000, "1m 0s"),
            (3_725_000_000_000, "1h 2m"),
            (86_400_000_000_000, "1d 0h"),
            (u64::MAX, "213503d 23h"),
        ];
        for (nanos, text) in table {
            assert_eq!(Span(nanos).to_string(), text);
        }
    }

    #[test]
    fn a_variant_is_named_as_people_write_it() {
        assert_eq!(snake(&crate::Strategy::OneForOne), "one_for_one");
        assert_eq!(snake(&crate::Phase::Running), "running");
        assert_eq!(snake(&Some(3)), "some");
    }
}
