//! A backup is read: checked as a whole, then given record by record.
//!
//! The file is gone through twice, so that a million records need not be held. Named race: *written between*: somebody
//! writes into the file itself between the check and a record's turn. Each line's checksum is kept from the check, so a
//! record is the one that was checked, or the backup ends with [`Problem::Changed`]. Whoever *replaces* the file is no
//! danger: the old one stays open.

use std::{
    fmt,
    fs::{self, File},
    io::{BufRead, BufReader, Read, Seek},
    path::{Path, PathBuf},
    time::SystemTime,
    vec,
};

use super::{BackupError, LONGEST_LINE, Problem, Record, VERSION, line};

/// A backup that was found whole. It gives its records in the order in which they were written.
///
/// An item is an error only if somebody wrote into the file after it was checked, or it can't be read any more; then it
/// is the last one.
pub struct Backup {
    path: PathBuf,
    made: SystemTime,
    records: u64,
    lines: Lines,
    /// The checksums of the records still to come.
    sums: vec::IntoIter<u32>,
    again: String,
}

/// Opens a backup and checks all of it: version, each line, count and checksum.
///
/// # Errors
/// The file can't be read, is none, is of a newer version, was cut or changed. The error says where, and what to do.
pub fn read(path: impl AsRef<Path>) -> Result<Backup, BackupError> {
    let path = path.as_ref();
    let failed = |problem| BackupError::new(path, None, problem);
    // Looked at first: a pipe would be waited for.
    let there = fs::metadata(path).map_err(|error| failed(Problem::Read(error)))?;
    if !there.is_file() {
        return Err(failed(Problem::NoFile));
    }
    let file = File::open(path).map_err(|error| failed(Problem::Read(error)))?;
    let mut lines = Lines { reader: BufReader::with_capacity(1 << 16, file), line: Vec::new(), number: 0 };
    let (made, sums) = check(&mut lines).map_err(|problem| {
        let line = !matches!(problem, Problem::Read(_) | Problem::NotABackup { .. } | Problem::Newer { .. });
        BackupError::new(path, line.then_some(lines.number), problem)
    })?;
    lines.rewind().map_err(failed)?;
    let records = sums.len() as u64;
    Ok(Backup { path: path.to_owned(), made, records, lines, sums: sums.into_iter(), again: String::new() })
}

/// The one place where versions are told apart.
fn check(lines: &mut Lines) -> Result<(SystemTime, Vec<u32>), Problem> {
    lines.next(HEADER)?;
    let (version, rest) = line::version(&lines.line)?;
    match version {
        1 => {
            if !lines.is_whole() {
                return Err(Problem::Cut { records: 0 });
            }
            let made = line::made(&lines.line, rest)?;
            check_1(lines).map(|sums| (made, sums))
        }
        newer if newer > VERSION => Err(Problem::Newer { version: newer }),
        none => Err(Problem::Damaged { what: format!("there is no version {none}") }),
    }
}

/// What follows the first line in version 1.
fn check_1(lines: &mut Lines) -> Result<Vec<u32>, Problem> {
    let mut sum = crc32fast::Hasher::new();
    let (mut sums, mut again) = (Vec::new(), String::new());
    loop {
        sum.update(&lines.line);
        lines.next(LONGEST_LINE)?;
        if !lines.is_whole() {
            if lines.line.len() >= LONGEST_LINE {
                return Err(Problem::Damaged { what: format!("it has more than {LONGEST_LINE} bytes") });
            }
            return Err(Problem::Cut { records: sums.len() as u64 });
        }
        if let Some((records, expected)) = line::parse_end(&lines.line)? {
            let (counted, found) = (sums.len() as u64, sum.finalize());
            if records != counted {
                return Err(Problem::Miscounted { found: counted, expected: records });
            }
            if found != expected {
                return Err(Problem::Checksum { found, expected });
            }
            lines.next(1)?;
            return if lines.line.is_empty() { Ok(sums) } else { Err(Problem::More) };
        }
        line::parse_record(&lines.line, &mut again)?;
        sums.push(crc32fast::hash(&lines.line));
    }
}

/// The longest first line that any version may have.
const HEADER: usize = 4096;

struct Lines {
    reader: BufReader<File>,
    /// The last one, with its end if it has one.
    line: Vec<u8>,
    /// Its number, from 1.
    number: u64,
}

impl Lines {
    /// The next line, or its first `most` bytes, or nothing at the file's end.
    fn next(&mut self, most: usize) -> Result<(), Problem> {
        self.line.clear();
        self.number += 1;
        let read = (&mut self.reader).take(most as u64).read_until(b'\n', &mut self.line);
        read.map(drop).map_err(Problem::Read)
    }

    fn is_whole(&self) -> bool {
        self.line.ends_with(b"\n")
    }

    /// To the first record.
    fn rewind(&mut self) -> Result<(), Problem> {
        self.reader.rewind().map_err(Problem::Read)?;
        self.number = 0;
        self.next(HEADER)
    }
}

impl Backup {
    /// When it was made.
    pub fn made(&self) -> SystemTime {
        self.made
    }

    /// How many records it has, those that were given already included.
    pub fn records(&self) -> u64 {
        self.records
    }
}

impl Iterator for Backup {
    type Item = Result<Record, BackupError>;

    fn next(&mut self) -> Option<Self::Item> {
        let sum = self.sums.next()?;
        let record = self.lines.next(LONGEST_LINE).and_then(|()| {
            // Race: *written between*.
            if crc32fast::hash(&self.lines.line) != sum {
                return Err(Problem::Changed { records: self.lines.number - 2 });
            }
            line::parse_record(&self.lines.line, &mut self.again)
        });
        Some(record.map_err(|problem| {
            self.sums = Vec::new().into_iter();
            BackupError::new(&self.path, Some(self.lines.number), problem)
        }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.sums.len()))
    }
}

impl std::iter::FusedIterator for Backup {}

impl fmt::Debug for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Backup({}, {} records)", self.path.display(), self.records)
    }
}
