//! A user's code and a user's text: neither does more than it may.

use std::{
    any::Any,
    fmt::{self, Debug, Write},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// Runs it, and if it panics says what it said, as far as that is text.
pub(super) fn caught<R>(most: usize, work: impl FnOnce() -> R) -> Result<R, Arc<str>> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let said = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => cut(text, most),
            (None, Some(text)) => cut(text, most),
            (None, None) => Arc::from("a panic whose payload is no text"),
        };
        forget(payload);
        said
    })
}

/// Drops it, and if that panics says what was said.
pub(super) fn discard<T>(theirs: T, most: usize) -> Result<(), Arc<str>> {
    caught(most, || drop(theirs))
}

/// Drops a panic's payload. If that panics, too, what it panics with is kept for good: it might do so again.
fn forget(payload: Box<dyn Any + Send>) {
    catch_unwind(AssertUnwindSafe(|| drop(payload))).unwrap_or_else(mem::forget);
}

/// So many bytes of a text.
pub(super) fn cut(text: &str, most: usize) -> Arc<str> {
    let mut cut = Cut::new(most);
    _ = cut.write_str(text);
    cut.end()
}

/// So many bytes of what `Debug` says; the rest is not made. Of one that panics it is what it had said, and why it ended.
pub(super) fn shown(value: &impl Debug, most: usize) -> Arc<str> {
    let mut cut = Cut::new(most);
    if let Err(said) = caught(most, || write!(cut, "{value:?}")) {
        // A few words more than there may be otherwise: they are ours.
        cut.text += &format!("… (Debug panicked: {said})");
        cut.whole = true;
    }
    cut.end()
}

/// Text up to an end, at which it tells its writer to stop.
struct Cut {
    text: String,
    most: usize,
    whole: bool,
}

impl Cut {
    const fn new(most: usize) -> Self {
        Self { text: String::new(), most, whole: true }
    }

    fn end(mut self) -> Arc<str> {
        if !self.whole {
            self.text.push('…');
        }
        self.text.into()
    }
}

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.most.saturating_sub(self.text.len());
        if self.whole && text.len() <= room {
            self.text += text;
            return Ok(());
        }
        if self.whole {
            self.whole = false;
            self.text += &text[..text.floor_char_boundary(room)];
        }
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_says_so() {
        let table =
            [("", 0, ""), ("abc", 3, "abc"), ("abcd", 3, "abc…"), ("aé", 2, "a…"), ("aé", 3, "aé"), ("é", 0, "…")];
        for (text, most, expected) in table {
            assert_eq!(&*cut(text, most), expected, "{text} {most}");
        }
    }

    #[test]
    fn what_is_beyond_the_end_is_not_even_made() {
        struct Endless;

        impl Debug for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("more ")?;
                }
            }
        }

        assert_eq!(&*shown(&Endless, 12), "more more mo…");
    }

    #[test]
    fn a_debug_that_panics_shows_how_far_it_came() {
        struct Broken;

        impl Debug for Broken {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("so far")?;
                panic!("no further")
            }
        }

        assert_eq!(&*shown(&Broken, 100), "so far… (Debug panicked: no further)");
        assert_eq!(&*shown(&Broken, 3), "so …", "it was told to stop before");
    }

    #[test]
    fn a_payload_that_panics_when_it_is_dropped_does_so_in_here() {
        struct Bomb;

        impl Drop for Bomb {
            fn drop(&mut self) {
                panic_any(Self)
            }
        }

        assert_eq!(caught(9, || panic_any(Bomb)).expect_err("it panics").len(), 32);
        assert_eq!(discard(Bomb, 9).expect_err("it panics").len(), 32);
        assert_eq!(&*caught(3, || panic!("{}", "long")).expect_err("it panics"), "lon…");
        assert_eq!(caught(3, || 7), Ok(7));
    }
}
