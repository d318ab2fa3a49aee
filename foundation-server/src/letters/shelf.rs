//! The letters themselves: what the box's lock guards. No clock, no thread, no user's code.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use foundation_sync::{Nanos, planted};

use super::{
    letter::{DeadLetter, LetterCounts, Reason, Retry, TakeError},
    load::Past,
};
use crate::rest::LEAST_WAIT;

/// How many it holds if nothing is said.
const CAPACITY: usize = 10_000;

/// `L` is what a letter holds.
pub(super) struct Shelf<L> {
    letters: BTreeMap<u64, Kept<L>>,
    /// What is to be tried by itself, when.
    due: BTreeSet<(Nanos, u64)>,
    capacity: Option<usize>,
    /// For those that have none of their own.
    pub(super) retry: Option<Retry>,
    counts: LetterCounts,
    /// Of the last event of each kind that may have to be told.
    pub(super) last: [Option<DeadLetter>; 4],
}

struct Kept<L> {
    view: DeadLetter,
    retry: Option<Retry>,
    /// It was quarantined, whatever keeps it here now.
    kills: bool,
    /// Nothing, while it is out.
    load: Option<L>,
}

/// A letter that comes.
pub(super) struct New<L> {
    pub(super) view: DeadLetter,
    pub(super) retry: Option<Retry>,
    /// It was quarantined before.
    pub(super) kills: bool,
    /// Nobody will ever take it.
    pub(super) hopeless: bool,
    pub(super) load: L,
}

pub(super) struct Added {
    pub(super) number: u64,
    pub(super) view: DeadLetter,
    pub(super) due: Due,
}

/// When a letter is tried by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Never,
    /// Others are due before it.
    Later,
    /// Before all others.
    First,
}

/// What is counted and told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Added,
    Delivered,
    Overflowed,
    Purged,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Added, Self::Delivered, Self::Overflowed, Self::Purged];

    pub(super) fn of(self, counts: &LetterCounts) -> u64 {
        match self {
            Self::Added => counts.added,
            Self::Delivered => counts.delivered,
            Self::Overflowed => counts.overflowed,
            Self::Purged => counts.purged,
        }
    }
}

impl<L> Default for Shelf<L> {
    fn default() -> Self {
        Self {
            letters: BTreeMap::new(),
            due: BTreeSet::new(),
            capacity: None,
            retry: None,
            counts: LetterCounts::default(),
            last: Default::default(),
        }
    }
}

impl<L> Shelf<L> {
    pub(super) fn capacity(&self) -> usize {
        self.capacity.unwrap_or(CAPACITY)
    }

    pub(super) fn set_capacity(&mut self, letters: usize) -> Result<(), usize> {
        if self.capacity.is_some() || self.counts.added > 0 {
            return Err(self.capacity());
        }
        self.capacity = Some(letters.max(1));
        Ok(())
    }

    pub(super) fn counts(&self) -> LetterCounts {
        LetterCounts { waiting: self.letters.len() as u64, ..self.counts }
    }

    /// One more, and what makes room for it.
    pub(super) fn add(&mut self, new: New<L>, now: Nanos) -> (Added, Option<L>) {
        let New { mut view, retry, kills, hopeless, load } = new;
        let kills = kills || matches!(view.reason, Reason::Quarantined { .. });
        let crowded_out = if self.letters.len() >= self.capacity() { self.crowd_out() } else { None };
        self.counts.added += 1;
        let number = self.counts.added;
        let retry = retry.or(self.retry);
        view.number = number;
        let due = self.schedule(&mut view, retry, hopeless || kills, now);
        self.last[Kind::Added as usize] = Some(view.clone());
        let added = Added { number, view: view.clone(), due };
        self.letters.insert(number, Kept { view, retry, kills, load: Some(load) });
        (added, crowded_out)
    }

    /// The oldest that is not out: race "full of what is out".
    fn crowd_out(&mut self) -> Option<L> {
        let oldest = self.letters.iter().find(|(_, kept)| kept.load.is_some()).map(|(number, _)| *number)?;
        let kept = self.remove(oldest)?;
        self.counts.overflowed += 1;
        self.last[Kind::Overflowed as usize] = Some(kept.view);
        kept.load
    }

    fn remove(&mut self, number: u64) -> Option<Kept<L>> {
        let kept = self.letters.remove(&number)?;
        if let Some(at) = kept.view.next_attempt {
            self.due.remove(&(at, number));
        }
        Some(kept)
    }

    fn schedule(&mut self, view: &mut DeadLetter, retry: Option<Retry>, never: bool, now: Nanos) -> Due {
        view.next_attempt = retry.filter(|retry| !never && view.attempts < retry.most).map(|retry| {
            let wait = retry.backoff.wait(view.attempts, view.number ^ now.rotate_left(16));
            let wait = Nanos::try_from(wait.as_nanos()).unwrap_or(Nanos::MAX);
            let least = if view.attempts == 0 { 0 } else { LEAST_WAIT };
            now.saturating_add(wait.max(least))
        });
        let Some(at) = view.next_attempt else { return Due::Never };
        self.enter(at, view.number)
    }

    fn enter(&mut self, at: Nanos, number: u64) -> Due {
        let is_first = self.next_due().is_none_or(|first| at < first);
        self.due.insert((at, number));
        if is_first { Due::First } else { Due::Later }
    }

    /// When the first is due.
    pub(super) fn next_due(&self) -> Option<Nanos> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The first that is due by now.
    pub(super) fn due(&self, now: Nanos) -> Option<u64> {
        self.due.first().filter(|(at, _)| *at <= now).map(|(_, number)| *number)
    }

    /// Takes a letter out, to be sent: race "two try one letter".
    pub(super) fn take_out(&mut self, number: u64) -> Option<(L, Past)> {
        let kept = self.letters.get_mut(&number)?;
        let load = kept.load.take()?;
        if let Some(at) = kept.view.next_attempt.take() {
            self.due.remove(&(at, number));
        }
        let Kept { view, retry, kills, .. } = kept;
        let past =
            Past { first_failure: view.first_failure, attempts: view.attempts + 1, retry: *retry, kills: *kills };
        Some((load, past))
    }

    /// A letter that was out has reached a mailbox.
    pub(super) fn delivered(&mut self, number: u64) {
        if planted!("letters: what was delivered stays") {
            return;
        }
        if let Some(mut kept) = self.remove(number) {
            kept.view.attempts += 1;
            self.counts.delivered += 1;
            self.last[Kind::Delivered as usize] = Some(kept.view);
        }
    }

    /// A letter that was out comes back; a reason, if it is another one than before.
    pub(super) fn failed(&mut self, number: u64, load: L, reason: Option<Reason>, hopeless: bool, now: Nanos) -> Due {
        let Some(mut kept) = self.letters.remove(&number) else { return Due::Never };
        self.counts.failed_attempts += 1;
        let view = &mut kept.view;
        view.attempts = view.attempts.saturating_add(1);
        view.last_failure = now;
        // It kills, whatever else keeps it here.
        if let Some(reason) = reason
            && !matches!(view.reason, Reason::Quarantined { .. })
        {
            view.reason = reason;
        }
        let due = self.schedule(view, kept.retry, hopeless || kept.kills, now);
        if !planted!("letters: what has failed is not put back") {
            kept.load = Some(load);
        }
        self.letters.insert(number, kept);
        due
    }

    /// Removes a letter, unless it is out.
    pub(super) fn purge(&mut self, number: u64) -> Option<L> {
        self.letters.get(&number).filter(|kept| kept.load.is_some())?;
        let kept = self.remove(number)?;
        self.counts.purged += 1;
        self.last[Kind::Purged as usize] = Some(kept.view);
        kept.load
    }

    /// Takes a letter out, to be unpacked, if it is such.
    pub(super) fn lift(&mut self, number: u64, such: impl FnOnce(&L) -> bool) -> Result<L, TakeError> {
        let kept = self.letters.get_mut(&number).ok_or(TakeError::NoSuchLetter(number))?;
        let load = kept.load.take().ok_or(TakeError::Out(number))?;
        if !such(&load) {
            kept.load = Some(load);
            return Err(TakeError::OtherType(kept.view.message));
        }
        if let Some(at) = kept.view.next_attempt {
            self.due.remove(&(at, number));
        }
        Ok(load)
    }

    /// A letter that was lifted is taken for good.
    pub(super) fn taken(&mut self, number: u64) {
        if self.letters.remove(&number).is_some() {
            self.counts.taken += 1;
        }
    }

    /// A letter that was lifted is as it was.
    pub(super) fn put_back(&mut self, number: u64, load: L) -> Due {
        let Some(kept) = self.letters.get_mut(&number) else { return Due::Never };
        kept.load = Some(load);
        match kept.view.next_attempt {
            Some(at) => self.enter(at, number),
            None => Due::Never,
        }
    }

    /// The views of so many letters after this one, to that one.
    pub(super) fn page(&self, after: u64, to: u64, most: usize) -> Vec<DeadLetter> {
        let range = (Bound::Excluded(after), Bound::Included(to.max(after)));
        self.letters.range(range).take(most).map(|(_, kept)| kept.view.clone()).collect()
    }
}
