//! What a thread may see while the registry is switched between its two ways to work.

use std::collections::HashMap;

use crate::{
    lives::{Life, Lives, NEVER},
    log::{Event, History, Key, Op, Refused, Span},
    oracle::{check_apart, covers},
};

pub(crate) struct Modes {
    flipped: bool,
    /// When it was turned on, and when off again.
    on: Vec<(Span, Span)>,
    /// What a thread is sure to find of its own, and what everybody is.
    own: HashMap<(usize, Key), Vec<(Span, u64)>>,
    everybodys: HashMap<Key, Vec<(Span, u64)>>,
    /// Who lives and may be found by everybody, also if another one stands in the name's place: from when on, and until
    /// when one of those does who came by then.
    living: HashMap<Key, Vec<(u64, u64)>>,
}

impl Modes {
    pub(crate) fn of(history: &History, lives: &Lives) -> Self {
        let mut on = vec![(Span { from: 0, to: 0 }, Span { from: NEVER, to: NEVER })];
        for event in &history.events {
            match event.op {
                Op::Flip { on: true } => on.push((event.span, Span { from: NEVER, to: NEVER })),
                Op::Flip { on: false } => on.last_mut().expect("it began on").1 = event.span,
                _ => {}
            }
        }
        let (own, everybodys, living) = Default::default();
        let mut modes = Self { flipped: history.flipped, on, own, everybodys, living };
        if history.flipped {
            modes.find(lives);
        }
        modes
    }

    pub(crate) fn is_new(&self) -> bool {
        !self.flipped
    }

    /// Whether its thread has seen something of its own, or what may be everybody's.
    pub(crate) fn may_see(&self, life: &Life, event: &Event) -> bool {
        let since = |(on, off): &(Span, Span)| on.from <= event.span.to && off.to >= life.put.from;
        life.thread == event.thread || self.is_new() || self.on.iter().any(since)
    }

    /// From when on everybody finds it, if it stands in its name's place.
    fn shown(&self, life: &Life) -> u64 {
        let at = self.on.partition_point(|(on, _)| on.to < life.put.from);
        let was_on = at.checked_sub(1).is_some_and(|at| life.put.to < self.on[at].1.from);
        let next = self.on.partition_point(|(on, _)| on.from < life.put.to);
        match self.on.get(next) {
            _ if was_on => 0,
            Some((on, _)) => on.to,
            None => NEVER,
        }
    }

    fn find(&mut self, lives: &Lives) {
        let mut names: HashMap<Key, Vec<&Life>> = HashMap::new();
        for life in lives.all.iter().filter(|life| matches!(life.key, Key::Name(_))) {
            names.entry(life.key).or_default().push(life);
        }
        for (key, mut those) in names {
            those.sort_by_key(|life| life.put.from);
            let mut latest = 0;
            for (at, life) in those.iter().enumerate() {
                // It took the name's place, if nobody else may have been there or been about to.
                let alone = latest < life.put.from && those.get(at + 1).is_none_or(|next| next.put.from > life.put.to);
                latest = latest.max(life.gone);
                let (certain, value) = (life.certain(), life.versions[0].version.value);
                if !life.accepted || certain.from >= certain.to {
                    continue;
                }
                self.own.entry((life.thread, key)).or_default().push((certain, value));
                let from = certain.from.max(self.shown(life));
                self.living.entry(key).or_default().push((from, certain.to));
                if alone && from < certain.to {
                    self.everybodys.entry(key).or_default().push((Span { from, to: certain.to }, value));
                }
            }
        }
        for those in self.living.values_mut() {
            those.sort_unstable();
            those.iter_mut().fold(0, |latest, (_, to)| {
                *to = latest.max(*to);
                *to
            });
        }
        self.own.values_mut().for_each(|those| check_apart(lives, those));
        self.everybodys.values_mut().for_each(|those| check_apart(lives, those));
    }

    /// A thread finds its own, before all others', and what is everybody's; and has a name once.
    pub(crate) fn check(&self, lives: &Lives, event: &Event) {
        let (name, found) = match &event.op {
            Op::Look { name, found, .. } => (*name, *found),
            Op::Update { name, answer: Err(Refused::Nobody), .. } => (*name, None),
            Op::Put { key: Key::Name(name), answer: Ok(()), .. } => (*name, None),
            _ => return,
        };
        let key = Key::Name(name);
        let own = self.own.get(&(event.thread, key)).and_then(|those| covers(those, event.span));
        let first = |version| lives.of_version(version, event).0.versions[0].version.value;
        let own_is_found = own.is_none() || found.map(first) == own;
        lives.check(own_is_found, || format!("its own, {own:?}, was there: {event:?}"));
        if let Op::Put { .. } = event.op {
            let living = self.living.get(&key).map_or(&[][..], Vec::as_slice);
            let before = living.partition_point(|(from, _)| *from < event.span.from);
            let there = before.checked_sub(1).is_some_and(|at| living[at].1 > event.span.to);
            lives.check(!there, || format!("somebody lived who is everybody's: {event:?}"));
        } else if found.is_none() {
            let there = self.everybodys.get(&key).and_then(|those| covers(those, event.span));
            lives.check(there.is_none(), || format!("everybody's was there, {there:?}: {event:?}"));
        }
    }
}
