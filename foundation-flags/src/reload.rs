//! What a person changes in the file while the program runs is taken up as one decision, or not at all.
//!
//! Named race:
//! - *emergency against reload*: an emergency comes while a reload is being written down. The reload is made once more, of
//!   what the emergency has left. Until it is published what stands in the file counts as not reloaded, so nobody
//!   overwrites it.

use std::sync::Arc;

#[cfg(feature = "watch")]
use foundation_sync::SECONDS_5;
use foundation_sync::{Deadline, planted, reached};

use crate::{
    Change, ChangeError, Flags, Rule, Said, Source, What,
    decisions::Role,
    flags::Inner,
    state::{Shape, State, Who},
    store::MOST_AGAIN,
};

impl Flags {
    /// Takes up what a person has changed in the file: what is said of flags of no plan, all of it as one decision, which
    /// can be [undone](Self::undo). `None`: nothing that the flags say. Stages and holds are not changed by hand, and a copy
    /// from before the last decision is refused, as its `version` says.
    ///
    /// Save the file by renaming a whole one into its place, as most editors do. Of a file that is written in pieces a
    /// beginning may be found that is well formed; what it does not say yet is taken for removed, until the rest is there
    /// and is reloaded. What is saved while the program writes the file is found and taken up, but for the microseconds just
    /// before the rename.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("flags.toml");
    /// # use foundation_flags::{Flag, Flags};
    /// # use foundation_sync::{Clock, SECOND};
    /// const NEW_CHECKOUT: Flag = Flag::off("new_checkout");
    /// let (flags, clock) = (Flags::builder().flag(&NEW_CHECKOUT).file(&path).start()?, Clock::system());
    ///
    /// std::fs::write(&path, "[flags]\nnew_checkout = true # since the figures agree\n")?; // by a person
    /// let change = flags.reload("alice", clock.within(SECOND))?.expect("it says something else");
    /// assert!(flags.enabled(&NEW_CHECKOUT) && change.said.len() == 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ChangeError::FileText`]: what the file says can't be taken up, with line and column. [`ChangeError::NoFile`];
    /// or another change was under way until the deadline, or it could not be written down. Nothing was changed, and the
    /// file is as the person left it.
    pub fn reload(&self, by: &str, until: Deadline) -> Result<Option<Arc<Change>>, ChangeError> {
        self.0.reload(by, &until)
    }
}

impl Inner {
    fn reload(self: &Arc<Self>, by: &str, until: &Deadline) -> Result<Option<Arc<Change>>, ChangeError> {
        self.desk.take(until)?;
        self.reload_in_role(by, until)
    }

    /// The same for whoever has heard that the file was changed: it does not wait for the role, and loses nothing by that.
    #[cfg(feature = "watch")]
    pub(crate) fn reload_or_note(self: &Arc<Self>, by: &Arc<str>) {
        // Race "note against return".
        if self.desk.take_or_note(by) {
            // An error stands in the status, and is told.
            _ = self.reload_in_role(by, &self.clock.within(SECONDS_5));
        }
    }

    fn reload_in_role(self: &Arc<Self>, by: &str, until: &Deadline) -> Result<Option<Arc<Change>>, ChangeError> {
        let role = Role(self);
        let mut again = 0;
        let reloaded = loop {
            match self.reload_once(by) {
                // Race "emergency against reload".
                Err(ChangeError::Superseded(_)) if !until.passed() => reached!("reload: made once more"),
                // Race "save against save".
                Err(ChangeError::FileChanged(_)) if again < MOST_AGAIN => again += 1,
                reloaded => break reloaded,
            }
        };
        self.store.reloaded(reloaded.as_ref().err().map(|error| error.to_string().into()));
        drop(role);
        self.follow();
        reloaded
    }

    fn reload_once(&self, by: &str) -> Result<Option<Arc<Change>>, ChangeError> {
        let before = self.state.load();
        let Some(reread) = self.store.reread(&self.shape, &before)? else { return Ok(None) };
        let who = self.who(by, "the file was changed");
        let after = before.reloaded(&self.shape, &reread.content.rules, &who);
        if after.is_none() && !self.desk.is_behind() && self.store.is_as_it_ought_to_be(&reread, &self.shape, &before) {
            // The next decision writes what else a person has changed there. Two programs that have one file by mistake
            // would go on to write it for ever, each because of the other.
            self.store.leave(&reread, &before);
            self.store.take_up(reread);
            return Ok(None);
        }
        let written = self.store.save_over(&reread, &self.shape, after.as_ref().unwrap_or(&before));
        let change = written.and_then(|()| after.map(|after| self.publish(&before, &after)).transpose());
        match &change {
            Ok(_) => self.store.take_up(reread),
            // Nothing was written.
            Err(ChangeError::FileChanged(_)) => {}
            Err(_) => {
                if planted!("reload: what never was is taken up") {
                    self.store.take_up(reread);
                }
                // The file may say what never was.
                self.desk.note_behind();
            }
        }
        change
    }
}

impl State {
    /// What is written down about flags of no plan is this. `None`: it was that already.
    fn reloaded(&self, shape: &Shape, rules: &[Option<Arc<Rule>>], who: &Who) -> Option<Self> {
        let mut next = self.clone();
        let mut said = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            let (before, after) = (&self.rules[number], rule.clone().unwrap_or_default());
            if *before == after {
                continue;
            }
            let all = before.parts().chain(after.parts());
            let mut parts: Vec<_> =
                all.map(|(part, _)| part).filter(|part| before.get(part) != after.get(part)).collect();
            parts.sort();
            parts.dedup();
            said.extend(parts.into_iter().map(|part| {
                let (before, after) = (before.get(&part), after.get(&part));
                Said { flag: shape.table.flags()[number].name(), part, before, after }
            }));
            next.sources[number] = if after.is_empty() { Source::Default } else { Source::File };
            next.rules[number] = after;
        }
        (!said.is_empty()).then(|| next.decided(self, shape, who, What::Reloaded, said))
    }
}
