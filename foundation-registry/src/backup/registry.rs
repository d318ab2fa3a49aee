//! A registry's own entries, to a file and back.

use std::{path::Path, time::Duration};

use super::{BackupError, Kind, Record, RestoreError, Restored, Written, restore, write};
use crate::{Entry, Owner, Registration, Registry};

impl<V: Send + Sync + 'static> Registry<V> {
    /// Writes all names and members of groups, of all threads, to a file: each that is there at some moment of the call
    /// and whose owner lives. `text` makes of an entry the text that its value is made from again; `None`: nothing.
    ///
    /// The file is replaced as a whole: whenever this is cut off, the old one or the new one is there.
    ///
    /// # Errors
    /// The file can't be written, or an entry can't stand in it (a line that is too long, a field of a kind that the format
    /// does not have): the old one stays, but for the one error of
    /// [`ReplaceError::is_replaced`](foundation_sync::file::ReplaceError::is_replaced).
    pub fn backup(
        &self,
        path: impl AsRef<Path>,
        mut text: impl FnMut(&Entry<V>) -> Option<String>,
    ) -> Result<Written, BackupError> {
        let clock = self.owners().clock();
        let (made, now) = (clock.date(), clock.now());
        let members = self.0.groups.all().into_iter().flat_map(|bag| bag.members());
        let mut all: Vec<_> = self.0.names.all().into_iter().chain(members).filter(|held| held.is_live()).collect();
        all.sort_by(|a, b| (&a.key, a.id).cmp(&(&b.key, b.id)));
        let records = all.into_iter().map(Entry).map(|entry| {
            let kind = if entry.0.group.is_some() { Kind::Member } else { Kind::Unique };
            let age = Duration::from_nanos(now.saturating_sub(entry.since()));
            let record = Record::new(entry.name(), entry.incarnation(), &**entry.owner().name(), made - age);
            record.kind(kind).metadata(entry.metadata()).value(text(&entry))
        });
        write(path, made, records)
    }

    /// Registers what a backup holds, once all of the file was checked. For each record `take` says whose it is now, and
    /// what it stands for; `None`: nobody's. Owners keep what is registered until they end. `known` are the names of the
    /// metadata's fields that the program knows.
    ///
    /// What could not be restored is listed in the result, with the reason; it does not hinder the rest.
    ///
    /// # Errors
    /// The file is no whole backup of a version that this program reads: then nobody was asked, and nothing is registered.
    /// Or somebody wrote into it meanwhile, or it can't be read any more: what was registered until then stays, and
    /// [`RestoreError::restored`] tells.
    pub fn restore(
        &self,
        path: impl AsRef<Path>,
        known: &[&'static str],
        take: impl FnMut(&Record) -> Option<(Owner, V)>,
    ) -> Result<Restored, RestoreError> {
        restore(path, known, take, |record, fields, (owner, value)| {
            let registered = match record.kind {
                Kind::Unique => self.register(&record.name, &owner, value, fields),
                Kind::Member => self.join(&record.name, &owner, value, fields),
            };
            registered.map(Registration::keep)
        })
    }
}
