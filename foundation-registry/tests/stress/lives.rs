//! What the threads were told, put together: each registration's life, as far as it is known.
//!
//! A registration has a *version* for each update. It is known of a version when it may have come at the earliest (the
//! call that put it in was made) and at the latest (that call returned, or somebody has seen it), and the same of its
//! going. What is between the latest coming and the earliest going is *certain*; what is between the earliest coming and
//! the latest going is *possible*.

use std::collections::HashMap;

use foundation_context::Incarnation;
use foundation_registry::{Exit, TOMBSTONES};

use crate::log::{Event, History, Key, Op, Refused, Set, Span, Version};

pub(crate) const NEVER: u64 = u64::MAX;

/// One registration, or place in a group; or an attempt that was refused.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) key: Key,
    pub(crate) owner: Incarnation,
    pub(crate) thread: usize,
    pub(crate) accepted: bool,
    pub(crate) put: Span,
    pub(crate) versions: Vec<Seen>,
    /// When somebody first began to take it away.
    pub(crate) going: u64,
    /// From when on no lookup finds it.
    pub(crate) dead: u64,
    /// From when on it is nowhere.
    pub(crate) gone: u64,
    /// Whether somebody other than its owner's end took it away for sure; whether its registration was dropped.
    pub(crate) given_up: bool,
    pub(crate) dropped: bool,
}

/// One version of it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) version: Version,
    pub(crate) zone: Option<u64>,
    pub(crate) put: Span,
    /// The update that replaced it.
    pub(crate) over: Option<Span>,
    /// The last lookup that found it was made then; the last one of any kind that did.
    pub(crate) found: u64,
    pub(crate) seen: u64,
    /// The first call that found it had returned then.
    pub(crate) known: u64,
}

#[derive(Debug)]
struct Ending {
    /// When the first call that might end it was made.
    from: u64,
    /// When it was first known that it has ended.
    known: u64,
    /// When it was first known that its names are gone.
    done: u64,
    exit: Option<Exit>,
}

impl Default for Ending {
    fn default() -> Self {
        Self { from: NEVER, known: NEVER, done: NEVER, exit: None }
    }
}

pub(crate) struct Lives {
    pub(crate) seed: u64,
    pub(crate) all: Vec<Life>,
    /// Where a version is among all lives, and among its life's.
    places: HashMap<Version, (usize, usize)>,
    ends: HashMap<Incarnation, Ending>,
}

impl Life {
    /// When this version may have come at the latest.
    pub(crate) fn came(&self, at: usize) -> u64 {
        self.versions[at].put.to.min(self.versions[at].known)
    }

    /// When it may have gone at the earliest, but for who saw it later.
    pub(crate) fn going(&self, at: usize) -> u64 {
        self.versions[at].over.map_or(self.going, |over| over.from.min(self.going))
    }

    /// While a lookup may find this version.
    pub(crate) fn may_be_found(&self, at: usize) -> Span {
        let seen = &self.versions[at];
        Span { from: seen.put.from, to: seen.over.map_or(self.dead, |over| over.to.min(self.dead)) }
    }

    /// While somebody who has resolved it may be given this version.
    pub(crate) fn may_be_held(&self, at: usize) -> Span {
        let seen = &self.versions[at];
        Span { from: seen.put.from, to: seen.over.map_or(self.gone, |over| over.to.min(self.gone)) }
    }

    /// While it takes room.
    pub(crate) fn possible(&self) -> Span {
        Span { from: self.put.from, to: self.gone }
    }

    /// While a lookup finds one version or another.
    pub(crate) fn certain(&self) -> Span {
        let from = (0..self.versions.len()).map(|at| self.came(at)).min().expect("there is one");
        let found = self.versions.iter().map(|seen| seen.found).max().expect("there is one");
        Span { from, to: self.going.max(found) }
    }
}

impl Lives {
    pub(crate) fn of(history: &History) -> Self {
        let mut lives = Self { seed: history.seed, all: Vec::new(), places: HashMap::new(), ends: HashMap::new() };
        history.events.iter().for_each(|event| lives.owner(event));
        lives.check_exits(&history.events);
        let updates = lives.updates(&history.events);
        history.events.iter().for_each(|event| lives.put(event, &updates));
        let known: usize = lives.all.iter().map(|life| life.versions.len() - 1).sum();
        lives.check(known == updates.len(), || "an update of what was never registered".into());
        history.events.iter().for_each(|event| lives.go(event));
        history.events.iter().for_each(|event| lives.see(event));
        lives
    }

    #[track_caller]
    pub(crate) fn check(&self, holds: bool, what: impl FnOnce() -> String) {
        assert!(holds, "seed {}: {}", self.seed, what());
    }

    pub(crate) fn ends_from(&self, owner: Incarnation) -> u64 {
        self.ends.get(&owner).map_or(NEVER, |end| end.from)
    }

    pub(crate) fn exit(&self, owner: Incarnation) -> Option<&Exit> {
        self.ends.get(&owner)?.exit.as_ref()
    }

    /// The life of this version, and which one of that it is.
    #[track_caller]
    pub(crate) fn of_version(&self, version: Version, why: &dyn std::fmt::Debug) -> (&Life, usize) {
        let Some((life, at)) = self.places.get(&version) else {
            panic!("seed {}: {version:?} was found, and never registered: {why:?}", self.seed)
        };
        (&self.all[*life], *at)
    }

    fn owner(&mut self, Event { span, op, .. }: &Event) {
        match op {
            Op::End { owner, won, exit } => {
                let end = self.ends.entry(*owner).or_default();
                end.from = end.from.min(span.from);
                end.known = end.known.min(span.to);
                if *won {
                    assert!(end.exit.replace(exit.clone()).is_none(), "seed {}: {owner} has ended twice", self.seed);
                    end.done = end.done.min(span.to);
                }
            }
            Op::Put { owner, answer: Err(Refused::Fenced), .. }
            | Op::Update { owner, answer: Err(Refused::Fenced), .. } => {
                let end = self.ends.entry(*owner).or_default();
                end.known = end.known.min(span.to);
            }
            Op::Down { owner, .. } => {
                let end = self.ends.entry(*owner).or_default();
                end.known = end.known.min(span.to);
                end.done = end.done.min(span.to);
            }
            _ => {}
        }
    }

    /// A Down has the reason of the end that came first; who is said to have ended has.
    fn check_exits(&self, events: &[Event]) {
        for (owner, end) in &self.ends {
            self.check(end.exit.is_some(), || format!("{owner} has ended, by nobody"));
            self.check(end.from < end.known, || format!("{owner} was known to have ended before it had"));
        }
        for event in events {
            if let Op::Down { owner, exit } = &event.op {
                let forgotten = *exit == Exit::NoSuchIncarnation && self.ends.len() > TOMBSTONES;
                let true_one = self.exit(*owner) == Some(exit);
                self.check(true_one || forgotten, || format!("not the reason: {event:?}, but {:?}", self.exit(*owner)));
            }
        }
    }

    /// What each version was replaced with, when, and in which zone that is.
    fn updates(&self, events: &[Event]) -> HashMap<Version, (Version, Span, Option<u64>)> {
        let mut updates = HashMap::new();
        for event in events {
            if let Op::Update { new, zone, answer: Ok(old), .. } = &event.op {
                let twice = updates.insert(*old, (*new, event.span, *zone)).is_some();
                self.check(!twice, || format!("a version was updated twice: {event:?}"));
            }
        }
        updates
    }

    fn put(&mut self, Event { thread, span, op }: &Event, updates: &HashMap<Version, (Version, Span, Option<u64>)>) {
        let Op::Put { key, owner, new, zone, answer } = op else { return };
        let accepted = answer.is_ok();
        let end = self.ends.entry(*owner).or_default();
        let (dead, gone) = if accepted { (end.known, end.done) } else { (span.to, span.to) };
        let first = Seen { version: *new, zone: *zone, put: *span, over: None, found: 0, seen: 0, known: NEVER };
        let mut versions = vec![first];
        while let Some((version, put, zone)) = updates.get(&versions.last().expect("the first").version) {
            versions.last_mut().expect("the first").over = Some(*put);
            versions.push(Seen {
                version: *version,
                zone: *zone,
                put: *put,
                over: None,
                found: 0,
                seen: 0,
                known: NEVER,
            });
        }
        for (at, seen) in versions.iter().enumerate() {
            self.places.insert(seen.version, (self.all.len(), at));
        }
        let (key, owner, thread, going) = (*key, *owner, *thread, if accepted { end.from } else { span.from });
        self.all.push(Life {
            key,
            owner,
            thread,
            accepted,
            put: *span,
            versions,
            going,
            dead,
            gone,
            given_up: false,
            dropped: false,
        });
    }

    /// Somebody takes it away.
    fn go(&mut self, Event { span, op, .. }: &Event) {
        let (version, for_sure) = match op {
            Op::Drop { number } => (self.first(*number), false),
            Op::Leave { number, left: true } => (self.first(*number), true),
            Op::Unregister { gone: Some(version), .. } => (self.places.get(version).map(|(life, _)| *life), true),
            _ => return,
        };
        let life = version.unwrap_or_else(|| panic!("seed {}: what never was is taken away: {op:?}", self.seed));
        let ending = self.ends.get(&self.all[life].owner).map_or(NEVER, |end| end.from);
        let life = &mut self.all[life];
        assert!(!(for_sure && life.given_up), "seed {}: it is given up twice: {op:?}", self.seed);
        life.given_up |= for_sure;
        life.dropped |= !for_sure;
        life.going = life.going.min(span.from);
        // What is dropped while its owner ends goes with that.
        if for_sure || ending > span.to {
            life.dead = life.dead.min(span.to);
            life.gone = life.gone.min(span.to);
        }
    }

    fn first(&self, number: u64) -> Option<usize> {
        let first = [number, 0].map(|metadata| self.places.get(&Version { value: number, metadata }));
        first.into_iter().flatten().map(|(life, _)| *life).next()
    }

    /// Somebody has seen a version.
    fn see(&mut self, event: &Event) {
        let mut saw = |version: &Version, found: bool| {
            let Some((life, at)) = self.places.get(version) else {
                panic!("seed {}: {version:?} was found, and never registered: {event:?}", self.seed)
            };
            let seen = &mut self.all[*life].versions[*at];
            seen.known = seen.known.min(event.span.to);
            seen.seen = seen.seen.max(event.span.from);
            if found {
                seen.found = seen.found.max(event.span.from);
            }
        };
        match &event.op {
            Op::Look { found: Some(version), resolved, .. } => saw(version, !resolved),
            Op::Update { answer: Ok(old), .. } => saw(old, true),
            Op::Unregister { gone: Some(version), .. } => saw(version, true),
            // One that an index finds may have left its name's place a moment ago.
            Op::List { set, found } => found.iter().for_each(|version| saw(version, !matches!(set, Set::Zone(_)))),
            _ => {}
        }
    }
}
