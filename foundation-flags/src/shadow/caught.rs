//! A user's code and a user's text: neither does more than it may.

use std::{
    fmt::{self, Debug, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use foundation_sync::payload;

/// Runs it, and if it panics says what it said, as far as that is text.
pub(super) fn caught<R>(most: usize, work: impl FnOnce() -> R) -> Result<R, Arc<str>> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let said = cut(&payload::text(&*panic), most);
        payload::forget(panic);
        said
    })
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

        assert!(caught(99, || panic_any(Bomb)).is_err_and(|said| said.contains("no text")));
        assert!(caught(99, || drop(Bomb)).is_err_and(|said| said.contains("no text")));
        assert_eq!(&*caught(3, || panic!("{}", "long")).expect_err("it panics"), "lon…");
        assert_eq!(caught(3, || 7), Ok(7));
    }
}
