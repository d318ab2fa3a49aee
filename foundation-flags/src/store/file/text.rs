//! The text of a file: how it comes from the disk, and where in it something is wrong.

use std::{
    fs::{self, File},
    io::{self, Read},
    ops::Range,
    path::Path,
};

use crate::FileError;

/// In bytes. No file that is kept by a program comes near it, and whatever is given by mistake does not fill the memory.
pub(super) const LONGEST: u64 = 16 << 20;

/// What is wrong with a text, and at which byte.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    at: Option<usize>,
    pub(super) text: String,
}

impl Problem {
    pub(super) fn new(at: Option<Range<usize>>, text: impl Into<String>) -> Self {
        Self { at: at.map(|at| at.start), text: text.into() }
    }

    /// With its line and column.
    pub(super) fn of(&self, path: &Path, text: &str) -> FileError {
        FileError::new(path, self.at.map(|at| place(text, at)), &self.text)
    }
}

/// Line and column, from 1 on, the column in characters.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at)];
    let line = before.rfind('\n').map_or(0, |end| end + 1);
    let column = before[line..].trim_start_matches('\u{feff}').chars().count();
    (before.matches('\n').count() + 1, column + 1)
}

/// What stands in the file; `None`: there is none. It waits for nobody, so what is no plain file is refused.
pub(in crate::store) fn read(path: &Path) -> Result<Option<String>, FileError> {
    let wrong = |problem: &str| FileError::new(path, None, problem);
    let failed = |error: io::Error| wrong(&format!("it can't be read: {error}"));
    let opened = match fs::metadata(path) {
        Ok(there) if !there.is_file() => {
            let what = if there.is_dir() { "a directory" } else { "a device, a pipe or a socket" };
            return Err(wrong(&format!("it is {what}: give the path of a plain file, or of none yet")));
        }
        Ok(_) => File::open(path),
        Err(error) => Err(error),
    };
    let file = match opened {
        Ok(file) => file,
        // A link that leads nowhere, too: a file is made there.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LONGEST {
        return Err(wrong(&format!("it is longer than {LONGEST} bytes, so it is none of flags")));
    }
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let upto = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..upto]);
        FileError::new(path, Some(place(&before, upto)), "here is a byte that is no text: save the file as UTF-8")
    })
}

/// How the lines of a text end, and whether it has a mark at its beginning: an editor of a person wants to find both again.
#[derive(Clone, Copy)]
pub(super) struct Form {
    marked: bool,
    returns: bool,
}

const MARK: char = '\u{feff}';

impl Form {
    pub(super) fn of(text: &str) -> Self {
        let (all, returns) = (text.matches('\n').count(), text.matches("\r\n").count());
        Self { marked: text.starts_with(MARK), returns: all > 0 && all == returns }
    }

    pub(super) fn give(self, text: String) -> String {
        let text = if self.returns { text.replace("\r\n", "\n").replace('\n', "\r\n") } else { text };
        if self.marked { format!("{MARK}{text}") } else { text }
    }
}
