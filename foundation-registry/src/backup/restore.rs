//! What a backup holds is registered again.

use std::{fmt, path::Path};

use foundation_context::Fields;

use super::{BackupError, Record, UnknownField, error::shown, read};
use crate::RegisterError;

/// What became of a backup's records.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "it lists what was not restored"]
pub struct Restored {
    /// How many were registered.
    pub restored: u64,
    /// Those that were not, and why, in the order of the file.
    pub refused: Vec<(Record, Refused)>,
}

/// Why not all of a backup's records had their turn.
#[derive(Debug)]
#[non_exhaustive]
pub struct RestoreError {
    /// What is wrong with the backup.
    pub error: Box<BackupError>,
    /// What became of the records before that; what was registered stays. None had their turn if the backup was found not
    /// to be whole.
    pub restored: Restored,
}

/// Why a record was not restored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// Nobody took it.
    NotTaken,
    /// Its metadata has a field of a name that is not known.
    UnknownField(UnknownField),
    /// The registry refused it: the name is taken, its owner has ended, there is no room.
    Register(RegisterError),
}

/// Registers what the backup holds, once all of it was checked.
///
/// For each record: its fields' names are looked up among the `known`; `take` says who takes it up and with what, or
/// `None`; `register` registers it. What is refused is in the result, and does not hinder the others: also the second of
/// two records with the same unique name.
///
/// # Errors
/// The file is no whole backup: then nobody was asked, and nothing was registered. Only after
/// [`Problem::Changed`](super::Problem::Changed) or [`Problem::Read`](super::Problem::Read) in a later line what stands
/// before it was taken up: [`RestoreError::restored`] tells what became of it.
pub fn restore<T>(
    path: impl AsRef<Path>,
    known: &[&'static str],
    mut take: impl FnMut(&Record) -> Option<T>,
    mut register: impl FnMut(&Record, Fields, T) -> Result<(), RegisterError>,
) -> Result<Restored, RestoreError> {
    let mut restored = Restored { restored: 0, refused: Vec::new() };
    let mut attempt = |record: &Record| {
        let fields = record.fields(known).map_err(Refused::UnknownField)?;
        let taken = take(record).ok_or(Refused::NotTaken)?;
        register(record, fields, taken).map_err(Refused::Register)
    };
    let ended = read(path).and_then(|mut records| {
        records.try_for_each(|record| {
            let record = record?;
            match attempt(&record) {
                Ok(()) => restored.restored += 1,
                Err(why) => restored.refused.push((record, why)),
            }
            Ok(())
        })
    });
    match ended {
        Ok(()) => Ok(restored),
        Err(error) => Err(RestoreError { error: Box::new(error), restored }),
    }
}

/// As many of them as a person may want to read; `refused` has them all.
const SHOWN: usize = 20;

impl Restored {
    /// Whether all were registered.
    pub fn is_complete(&self) -> bool {
        self.refused.is_empty()
    }
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} restored, {} not", self.restored, self.refused.len())?;
        for (record, why) in self.refused.iter().take(SHOWN) {
            let (name, owner) = (shown(&record.name), shown(&record.owner_name));
            write!(f, "\n`{name}` of {owner} ({}): {why}", record.owner)?;
        }
        match self.refused.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)?;
        if self.restored.restored > 0 || !self.restored.is_complete() {
            write!(f, "\nuntil then {}", self.restored)?;
        }
        Ok(())
    }
}

impl std::error::Error for RestoreError {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTaken => f.write_str("nobody took it"),
            Self::UnknownField(error) => error.fmt(f),
            Self::Register(error) => error.fmt(f),
        }
    }
}
