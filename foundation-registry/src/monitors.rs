//! What is known of all monitors: how many there were and are, which they are, and which of them nobody seems to need.

use std::{fmt, panic::Location, sync::Arc, time::Duration};

use foundation_context::{Fields, Incarnation, Value, fields};
use foundation_sync::{Clock, Mutex, Nanos, Permit};
use foundation_telemetry::{Emitter, Telemetry, events};

use crate::{Down, Exit, Owner, Owners, vigil::Vigil};

events! {
    /// The events of monitors.
    pub(crate) const EVENTS;

    /// A monitor was made, also one whose news was there at once.
    pub const MONITOR_CREATED = ["foundation", "monitor", "created"];
    measurements {}
    metadata {
        target: "incarnation", location: "file:line:column", tag: "text" if "it has one",
        caller: "incarnation" if "it has one"
    }

    /// A monitor was dropped before it got its news. What is delivered, or dropped with its caller, is counted and emits
    /// nothing: a thread that ends may run nobody's handlers.
    pub const MONITOR_WITHDRAWN = ["foundation", "monitor", "withdrawn"];
    measurements { age: "ns" }
    metadata {
        target: "incarnation", location: "file:line:column", tag: "text" if "it has one",
        caller: "incarnation" if "it has one"
    }

    /// Monitors were found by [`Owners::leaks`] that it had not found before.
    pub const MONITOR_LEAKED = ["foundation", "monitor", "leaked"];
    measurements { count: "monitors", age: "ns, of the oldest of them" }
    metadata {
        target: "incarnation, as the rest of the oldest of them", location: "file:line:column",
        tag: "text" if "it has one", caller: "incarnation" if "it has one"
    }
}

/// How many monitors there were, and are: each that was created is active, delivered, withdrawn or dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MonitorStats {
    /// Made.
    pub created: u64,
    /// Waiting for their news.
    pub active: u64,
    /// Got their Down.
    pub delivered: u64,
    /// Of the delivered: nothing was known of their target any more, or ever ([`Exit::NoSuchIncarnation`]).
    pub unknown: u64,
    /// Of the delivered: their queue was closed, and wanted no news.
    pub unwanted: u64,
    /// Dropped by who held them.
    pub withdrawn: u64,
    /// Dropped with their caller, which ended before their target did.
    pub dropped: u64,
    /// Found by [`Owners::leaks`], each counted once.
    pub leaked: u64,
}

/// What is known of a monitor that waits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MonitorNote {
    /// Whose end it waits for.
    pub target: Incarnation,
    /// The target's name, for people.
    pub target_name: Arc<str>,
    /// Whether the target lives; if not, the news is on its way.
    pub target_lives: bool,
    /// What it is for.
    pub tag: Option<Arc<str>>,
    /// On whose behalf it was made.
    pub caller: Option<Incarnation>,
    /// How long it has waited.
    pub age: Duration,
    /// Where it was made.
    pub location: &'static Location<'static>,
}

impl fmt::Display for MonitorNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a monitor of {} ({})", self.target_name, self.target)?;
        if let Some(tag) = &self.tag {
            write!(f, ", `{tag}`")?;
        }
        write!(f, ", made at {}", self.location)?;
        if let Some(caller) = self.caller {
            write!(f, " for {caller}")?;
        }
        write!(f, " {:?} ago", self.age)
    }
}

impl Owners {
    /// The monitors that wait, the oldest first: each waited at some moment of the call.
    pub fn monitors(&self) -> Vec<MonitorNote> {
        let now = self.0.clock.now();
        self.vigils().iter().filter(|vigil| vigil.waits()).map(|vigil| vigil.note(now)).collect()
    }

    /// How many monitors there were and are, at one moment.
    pub fn monitor_stats(&self) -> MonitorStats {
        *self.0.book.stats.lock()
    }

    /// The monitors that have waited longer than that for one who lives, on behalf of one who lives, or of nobody who was
    /// named: the oldest first. Perhaps somebody has forgotten to drop them.
    ///
    /// It looks at all monitors. Those that it finds for the first time are counted ([`MonitorStats::leaked`]), and are an
    /// event, on the calling thread ([`MONITOR_LEAKED`]).
    pub fn leaks(&self, older_than: Duration) -> Vec<MonitorNote> {
        let now = self.0.clock.now();
        let mut vigils = self.vigils();
        vigils.retain(|vigil| vigil.is_needless(now, older_than));
        let (mut found, mut first, mut newly) = (Vec::new(), None, 0);
        for vigil in &vigils {
            // Nothing: it is over meanwhile.
            let Some(new) = vigil.find() else { continue };
            found.push(vigil.note(now));
            if new {
                newly += 1;
                first.get_or_insert(vigil);
            }
        }
        if let Some(oldest) = first {
            self.0.book.leak(newly);
            self.0.book.say_leaked(newly, oldest, now);
        }
        found
    }

    fn vigils(&self) -> Vec<Arc<Vigil>> {
        let mut vigils: Vec<_> = self.records().iter().flat_map(Owner::vigils).collect();
        vigils.sort_unstable_by_key(|vigil| vigil.number);
        vigils
    }
}

impl Vigil {
    fn age(&self, now: Nanos) -> Nanos {
        now.saturating_sub(self.made)
    }

    fn note(&self, now: Nanos) -> MonitorNote {
        MonitorNote {
            target: self.target.incarnation(),
            target_name: Arc::clone(self.target.name()),
            target_lives: !self.target.fenced(),
            tag: self.tag.clone(),
            caller: self.caller.as_ref().map(Owner::incarnation),
            age: Duration::from_nanos(self.age(now)),
            location: self.location,
        }
    }

    fn is_needless(&self, now: Nanos, older_than: Duration) -> bool {
        let lives = |owner: &Owner| !owner.fenced();
        Duration::from_nanos(self.age(now)) > older_than && lives(&self.target) && self.caller.iter().all(lives)
    }

    fn metadata(&self) -> Fields {
        metadata(self.target.incarnation(), self.tag.as_ref(), self.caller.as_ref(), self.location)
    }
}

fn metadata(
    target: Incarnation,
    tag: Option<&Arc<str>>,
    caller: Option<&Owner>,
    location: &'static Location<'static>,
) -> Fields {
    let tag = tag.map(|tag| ("tag", Value::from(Arc::clone(tag))));
    let caller = caller.map(|caller| ("caller", Value::from(caller.incarnation())));
    let always = [("target", target.into()), ("location", location.to_string().into())];
    always.into_iter().chain(tag).chain(caller).collect()
}

/// The counts, and who is told. One lock, so that the counts agree with each other.
#[derive(Default)]
pub(crate) struct Book {
    stats: Mutex<MonitorStats>,
    events: Option<Events>,
}

struct Events {
    created: Emitter,
    withdrawn: Emitter,
    leaked: Emitter,
}

impl Book {
    pub(crate) fn telling(telemetry: &Telemetry) -> Self {
        let events = Events {
            created: telemetry.emitter(MONITOR_CREATED),
            withdrawn: telemetry.emitter(MONITOR_WITHDRAWN),
            leaked: telemetry.emitter(MONITOR_LEAKED),
        };
        Self { stats: Mutex::default(), events: Some(events) }
    }

    /// One more waits. Its number.
    pub(crate) fn begin(&self) -> u64 {
        let mut stats = self.stats.lock();
        stats.created += 1;
        stats.active += 1;
        stats.created
    }

    /// Counts it first: who has the news sees it counted.
    pub(crate) fn deliver(&self, place: Permit<Down>, down: Down) {
        let unknown = down.exit == Exit::NoSuchIncarnation;
        self.end(|stats| {
            stats.delivered += 1;
            stats.unknown += u64::from(unknown);
        });
        if place.send(down).is_err() {
            self.stats.lock().unwanted += 1;
        }
    }

    pub(crate) fn withdraw(&self) {
        self.end(|stats| stats.withdrawn += 1);
    }

    pub(crate) fn drop_one(&self) {
        self.end(|stats| stats.dropped += 1);
    }

    fn leak(&self, count: u64) {
        self.stats.lock().leaked += count;
    }

    fn end(&self, so: impl FnOnce(&mut MonitorStats)) {
        let mut stats = self.stats.lock();
        stats.active -= 1;
        so(&mut stats);
    }

    pub(crate) fn say_created(
        &self,
        target: Incarnation,
        tag: Option<&Arc<str>>,
        caller: Option<&Owner>,
        location: &'static Location<'static>,
    ) {
        if let Some(events) = &self.events {
            events.created.emit(|| (Fields::new(), metadata(target, tag, caller, location)));
        }
    }

    pub(crate) fn say_withdrawn(&self, vigil: &Vigil, clock: &Clock) {
        if let Some(events) = &self.events {
            events.withdrawn.emit(|| (fields! { age: vigil.age(clock.now()) }, vigil.metadata()));
        }
    }

    fn say_leaked(&self, count: u64, oldest: &Vigil, now: Nanos) {
        if let Some(events) = &self.events {
            events.leaked.emit(|| (fields! { count: count, age: oldest.age(now) }, oldest.metadata()));
        }
    }
}
