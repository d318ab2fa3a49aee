//! A backup is written.

use std::{
    io::{self, Write},
    path::Path,
    time::SystemTime,
};

use foundation_sync::file;

use super::{BackupError, Problem, Record, line};

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// How many records.
    pub records: u64,
    /// How many of them have no text for their value.
    pub without_value: u64,
    /// How long the file is.
    pub bytes: u64,
}

/// Writes a backup of these records, made at this date ([`Clock::date`](foundation_sync::Clock::date)), in the place of the
/// file that stands there.
///
/// The records are asked for one by one while the file is written; no lock is held but the one of the file.
///
/// # Errors
/// The file can't be written, or a record can't stand in one. The file is as it was, but for the one error of
/// [`ReplaceError::is_replaced`](file::ReplaceError::is_replaced).
pub fn write(
    path: impl AsRef<Path>,
    made: SystemTime,
    records: impl IntoIterator<Item = Record>,
) -> Result<Written, BackupError> {
    let path = path.as_ref();
    let mut refused = None;
    let written = file::replace(path, |out| {
        let mut out = Summed { out, sum: crc32fast::Hasher::new(), bytes: 0 };
        out.put(&line::header(made))?;
        let (mut count, mut without_value, mut text) = (0, 0, String::new());
        for record in records {
            if let Err(problem) = line::record(&record, &mut text) {
                refused = Some(problem);
                return Err(io::Error::other("a record can't be written"));
            }
            out.put(&text)?;
            count += 1;
            without_value += u64::from(record.value.is_none());
        }
        let sum = out.sum.clone().finalize();
        out.put(&line::end(count, sum))?;
        Ok(Written { records: count, without_value, bytes: out.bytes })
    });
    written.map_err(|error| BackupError::new(path, None, refused.unwrap_or(Problem::Write(error))))
}

struct Summed<'a> {
    out: &'a mut dyn Write,
    sum: crc32fast::Hasher,
    bytes: u64,
}

impl Summed<'_> {
    fn put(&mut self, text: &str) -> io::Result<()> {
        self.sum.update(text.as_bytes());
        self.bytes += text.len() as u64;
        self.out.write_all(text.as_bytes())
    }
}
