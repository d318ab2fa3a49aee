//! Threads that do to one registry whatever can be done to it, and write down what they were told.

use std::{sync::Arc, time::Duration};

use foundation_context::{Fields, Incarnation, fields};
use foundation_registry::{
    Entry, Exit, Monitor, Name, Owner, OwnerGuard, Owners, Query, RegisterError, Registration, Registry, UpdateError,
};
use foundation_sync::{
    Deadline, Mutex,
    atomic::{AtomicU64, Ordering},
};
use foundation_telemetry::Telemetry;

use crate::beside::Beside;
use crate::log::{Event, Heard, History, Key, Op, Refused, Set, Span, Version};

const THREADS: usize = 8;
const NAMES: usize = 48;
/// Half of all calls are about these.
const HOT: usize = 3;
const GROUPS: usize = 4;
const ZONES: u64 = 4;
/// How many registrations a thread has in its hand.
const HELD: usize = 8;

/// How a round is played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) capacity: usize,
    pub(crate) flipped: bool,
    /// Of all threads together.
    pub(crate) calls: usize,
}

struct World {
    owners: Owners,
    registry: Registry<u64>,
    stamps: AtomicU64,
    names: Vec<String>,
    groups: Vec<String>,
    /// Who lives, or just ended: one for each thread, but anybody may use it, and end it.
    living: Vec<Mutex<Arc<OwnerGuard>>>,
}

struct Player {
    world: Arc<World>,
    me: usize,
    rng: fastrand::Rng,
    flips: bool,
    numbers: u64,
    held: Vec<(u64, Key, Registration)>,
    resolved: Vec<Name<u64>>,
    monitors: Vec<(Owner, Monitor)>,
    events: Vec<Event>,
}

/// Plays a round to its end, at which nothing may be left.
pub(crate) fn play(seed: u64, rules: Rules) -> History {
    let owners = Owners::default();
    let registry = Registry::<u64>::builder(&owners, &Telemetry::new()).capacity(rules.capacity).index("zone").build();
    let living = (0..THREADS).map(|thread| Mutex::new(Arc::new(begin(&owners, thread, 0)))).collect();
    let names = (0..NAMES).map(|name| format!("name {name}")).collect();
    let groups = (0..GROUPS).map(|group| format!("group {group}")).collect();
    let world = Arc::new(World { owners, registry, stamps: AtomicU64::new(1), names, groups, living });
    let ear = world.registry.listen(4 * rules.calls);
    let hears = {
        let world = Arc::clone(&world);
        Beside::spawn("ear", move || {
            let changes = std::iter::from_fn(|| ear.recv(Deadline::never()).ok());
            let heard: Vec<_> = changes
                .take_while(|change| change.entry.name() != "end")
                .map(|change| world.heard(change.what, &change.entry))
                .collect();
            (heard, ear.lost())
        })
    };
    let players = (0..THREADS).map(|me| {
        let mut player = Player::new(&world, me, seed, rules);
        Beside::spawn("player", move || {
            (0..rules.calls / THREADS).for_each(|_| player.call());
            player
        })
    });
    let players: Vec<_> = players.collect();
    let mut players: Vec<_> = players.into_iter().map(Beside::join).collect();
    // Everybody ends, and then gives up and hears what there is.
    players.iter_mut().for_each(Player::end_own);
    players.iter_mut().for_each(Player::finish);
    end_of_all(&world, rules, seed);
    let (heard, lost) = hears.join();
    assert_eq!(lost, 0, "seed {seed}: a queue of this size hears all");
    let events = players.into_iter().flat_map(|player| player.events).collect();
    History { seed, capacity: rules.capacity, flipped: rules.flipped, events, heard }
}

/// All owners have ended: nothing is left, and all of the room is free.
fn end_of_all(world: &World, rules: Rules, seed: u64) {
    let World { owners, registry, .. } = world;
    let left = (registry.len(), registry.entries().len(), registry.groups(), owners.live(), owners.monitors().len());
    assert_eq!(left, (0, 0, Vec::new(), Vec::new(), 0), "seed {seed}: this is left");
    for zone in 0..ZONES {
        assert!(
            registry.query(&Query::new().eq("zone", zone)).is_empty(),
            "seed {seed}: zone {zone} has an entry left"
        );
    }
    let last = begin(owners, THREADS, 0);
    registry.register("end", &last, 0, Fields::new()).expect("seed {seed}: there is room").keep();
    for n in 1..rules.capacity {
        let put = registry.register(&format!("last {n}"), &last, 0, Fields::new());
        put.unwrap_or_else(|error| panic!("seed {seed}: {n} are in, then: {error}")).keep();
    }
    let full = registry.register("one more", &last, 0, Fields::new()).map(drop);
    assert!(matches!(full, Err(RegisterError::Full { .. })), "seed {seed}: the room is exactly {}", rules.capacity);
    drop(last.end(Exit::Normal));
    assert!(registry.is_empty());
}

fn begin(owners: &Owners, thread: usize, generation: u64) -> OwnerGuard {
    owners.begin(Incarnation { id: thread as u64, generation }, "one of many")
}

impl World {
    fn stamp(&self) -> u64 {
        self.stamps.fetch_add(1, Ordering::SeqCst)
    }

    fn call<R>(&self, act: impl FnOnce() -> R) -> (Span, R) {
        let from = self.stamp();
        let result = act();
        (Span { from, to: self.stamp() }, result)
    }

    fn heard(&self, what: foundation_registry::What, entry: &Entry<u64>) -> Heard {
        let (kind, number) = entry.name().split_once(' ').expect("all are named so");
        let number = number.parse().expect("all are named so");
        let key = if kind == "name" { Key::Name(number) } else { Key::Group(number) };
        Heard { what, key, version: Version::of(entry) }
    }
}

impl Player {
    fn new(world: &Arc<World>, me: usize, seed: u64, rules: Rules) -> Self {
        Self {
            resolved: world.names.iter().map(|name| world.registry.name(name)).collect(),
            world: Arc::clone(world),
            me,
            rng: fastrand::Rng::with_seed(seed * THREADS as u64 + me as u64),
            flips: rules.flipped && me == 0,
            numbers: 0,
            held: Vec::new(),
            monitors: Vec::new(),
            events: Vec::new(),
        }
    }

    fn call(&mut self) {
        if self.flips && self.rng.u8(..) < 6 {
            return self.flip();
        }
        match self.rng.u8(..100) {
            0..20 => self.register(),
            20..30 => self.drop_one(),
            30..35 => self.unregister(),
            35..45 => self.update(),
            45..60 => self.look_up(),
            60..76 => self.resolve(),
            76..84 => self.join(),
            84..86 => self.leave(),
            86..93 => self.list(),
            93..96 => self.end(),
            96..98 => self.monitor(),
            _ => self.hear(),
        }
    }

    fn end_own(&mut self) {
        let owner = Arc::clone(&self.world.living[self.me].lock());
        self.end_one(&owner, Exit::Normal);
    }

    /// On the main thread, when everybody has ended.
    fn finish(&mut self) {
        while !self.held.is_empty() {
            self.drop_one();
        }
        self.hear();
        assert!(self.monitors.is_empty(), "these have no Down: {:?}", self.monitors);
        self.resolved.clear();
    }

    fn note(&mut self, span: Span, op: Op) {
        self.events.push(Event { thread: self.me, span, op });
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers * THREADS as u64 + self.me as u64
    }

    fn name(&mut self) -> usize {
        let most = if self.rng.bool() { HOT } else { NAMES };
        self.rng.usize(..most)
    }

    /// Its own mostly; one that has ended now and then.
    fn owner(&mut self) -> Owner {
        let whose = if self.rng.u8(..4) > 0 { self.me } else { self.rng.usize(..THREADS) };
        let mut living = self.world.living[whose].lock();
        if whose == self.me && living.fenced() && self.rng.u8(..4) > 0 {
            *living = Arc::new(begin(&self.world.owners, self.me, living.incarnation().generation + 1));
        }
        Owner::clone(&living)
    }

    fn metadata(&mut self, number: u64) -> (Fields, u64, u64) {
        let zone = self.rng.u64(..ZONES);
        (fields! { zone: zone, version: number }, number, zone)
    }

    fn register(&mut self) {
        let (name, owner, value) = (self.name(), self.owner(), self.number());
        let (fields, metadata, zone) = match self.rng.bool() {
            true => self.metadata(value),
            false => (Fields::new(), 0, ZONES),
        };
        let world = Arc::clone(&self.world);
        let (span, done) = world.call(|| world.registry.register(&world.names[name], &owner, value, fields));
        self.put(span, Key::Name(name), &owner, Version { value, metadata }, (zone < ZONES).then_some(zone), done);
    }

    fn join(&mut self) {
        let (group, owner, value) = (self.rng.usize(..GROUPS), self.owner(), self.number());
        let world = Arc::clone(&self.world);
        let (span, done) = world.call(|| world.registry.join(&world.groups[group], &owner, value, Fields::new()));
        self.put(span, Key::Group(group), &owner, Version { value, metadata: 0 }, None, done);
    }

    fn put(
        &mut self,
        span: Span,
        key: Key,
        owner: &Owner,
        new: Version,
        zone: Option<u64>,
        done: Result<Registration, RegisterError>,
    ) {
        let answer = done.map_err(|error| match error {
            RegisterError::AlreadyRegistered { owner, .. } => Refused::Taken(owner),
            RegisterError::Fenced(_) => Refused::Fenced,
            _ => Refused::Full,
        });
        let refused = answer.as_ref().map(drop).map_err(|refused| *refused);
        self.note(span, Op::Put { key, owner: owner.incarnation(), new, zone, answer: refused });
        let Ok(registration) = answer else { return };
        match self.rng.u8(..4) {
            // Somebody unregisters it, or its owner's end does.
            0 => registration.keep(),
            _ => self.held.push((new.value, key, registration)),
        }
        if self.held.len() > HELD {
            self.drop_one();
        }
    }

    fn drop_one(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let (number, _, registration) = self.held.swap_remove(self.rng.usize(..self.held.len()));
        let (span, ()) = self.world.call(|| drop(registration));
        self.note(span, Op::Drop { number });
    }

    fn leave(&mut self) {
        let group = |(number, key, _): &(u64, Key, Registration)| match key {
            Key::Group(group) => Some((*number, *group)),
            Key::Name(_) => None,
        };
        let Some((number, group)) = self.held.iter().find_map(group) else { return };
        let (world, owner) = (Arc::clone(&self.world), self.owner());
        let act = || world.registry.leave_if(&world.groups[group], &owner, |entry| *entry.value() == number);
        let (span, left) = world.call(act);
        self.note(span, Op::Leave { number, left: left == 1 });
    }

    fn unregister(&mut self) {
        let (name, world) = (self.name(), Arc::clone(&self.world));
        let owner = match world.registry.lookup(&world.names[name]) {
            Some(entry) if self.rng.u8(..4) > 0 => entry.incarnation(),
            _ => self.owner().incarnation(),
        };
        let (span, gone) = world.call(|| world.registry.unregister(&world.names[name], owner));
        self.note(span, Op::Unregister { name, owner, gone: gone.as_ref().map(Version::of) });
    }

    fn update(&mut self) {
        let (name, world) = (self.name(), Arc::clone(&self.world));
        let owner = match world.registry.lookup(&world.names[name]) {
            Some(entry) if self.rng.u8(..8) > 0 => entry.owner().clone(),
            _ => self.owner(),
        };
        let (number, mut old) = (self.number(), None);
        let (fields, _, zone) = self.metadata(number);
        let value = self.rng.bool();
        let (registry, text) = (&world.registry, &world.names[name]);
        let (span, done) = world.call(|| match value {
            true => registry.update_value(text, &owner, |entry| {
                old = Some(entry.clone());
                number
            }),
            false => registry.update_metadata(text, &owner, |entry| {
                old = Some(entry.clone());
                fields.clone()
            }),
        });
        let answer = done.map_err(|error| match error {
            UpdateError::NotOwner { owner, .. } => Refused::Taken(owner),
            UpdateError::Fenced(_) => Refused::Fenced,
            _ => Refused::Nobody,
        });
        let new = answer.as_ref().map_or(Version { value: 0, metadata: 0 }, Version::of);
        let old_zone = old.as_ref().and_then(|old| old.metadata().get("zone")?.as_u64());
        let zone = if value { old_zone } else { Some(zone) };
        let answer = answer.map(|_| Version::of(old.as_ref().expect("it was asked what becomes of it")));
        self.note(span, Op::Update { name, owner: owner.incarnation(), new, zone, answer });
    }

    fn look_up(&mut self) {
        let (name, world) = (self.name(), Arc::clone(&self.world));
        let (span, found) = world.call(|| world.registry.lookup(&world.names[name]));
        self.note(span, Op::Look { name, resolved: false, found: found.as_ref().map(Version::of) });
    }

    fn resolve(&mut self) {
        let (name, world) = (self.name(), Arc::clone(&self.world));
        let resolved = &mut self.resolved[name];
        let (span, found) = world.call(|| resolved.get());
        let found = found.map(Version::of);
        self.note(span, Op::Look { name, resolved: true, found });
    }

    fn list(&mut self) {
        let (world, pick) = (Arc::clone(&self.world), self.rng.u8(..16));
        let set = match pick {
            0..8 => Set::Group(self.rng.usize(..GROUPS)),
            8..15 => Set::Zone(self.rng.u64(..ZONES)),
            _ => Set::All,
        };
        let (span, found) = world.call(|| match set {
            Set::Group(group) => world.registry.members(&world.groups[group]),
            Set::Zone(zone) => world.registry.query(&Query::new().eq("zone", zone)),
            Set::All => world.registry.entries(),
        });
        self.note(span, Op::List { set, found: found.iter().map(Version::of).collect() });
    }

    fn end(&mut self) {
        let whose = if self.rng.bool() { self.me } else { self.rng.usize(..THREADS) };
        let owner = Arc::clone(&self.world.living[whose].lock());
        let exit = match self.rng.u8(..3) {
            0 => Exit::Normal,
            1 => Exit::Failed(format!("by {}", self.me).into()),
            _ => Exit::Abandoned { waited: Duration::from_secs(self.me as u64) },
        };
        self.end_one(&owner, exit);
    }

    fn end_one(&mut self, owner: &OwnerGuard, exit: Exit) {
        let (span, remains) = self.world.call(|| owner.end(exit.clone()));
        self.note(span, Op::End { owner: owner.incarnation(), won: remains.is_some(), exit });
    }

    fn monitor(&mut self) {
        let owner = Owner::clone(&self.world.living[self.rng.usize(..THREADS)].lock());
        let monitor = match self.rng.bool() {
            true => owner.monitor(),
            false => self.world.owners.monitor(owner.incarnation()),
        };
        self.monitors.push((owner, monitor));
        if self.monitors.len() > HELD {
            drop(self.monitors.swap_remove(self.rng.usize(..HELD)));
        }
    }

    fn hear(&mut self) {
        let (world, mut waiting) = (Arc::clone(&self.world), std::mem::take(&mut self.monitors));
        waiting.retain(|(owner, monitor)| {
            let (span, Ok(down)) = world.call(|| monitor.try_recv()) else { return true };
            assert_eq!(down.incarnation, owner.incarnation());
            // Closed, or just being closed by who brought the news.
            assert!(monitor.try_recv().is_err(), "there is one Down");
            self.note(span, Op::Down { owner: down.incarnation, exit: down.exit });
            false
        });
        self.monitors = waiting;
    }

    #[cfg(feature = "legacy")]
    fn flip(&mut self) {
        let world = Arc::clone(&self.world);
        let switch = world.registry.switch();
        let on = !switch.is_on();
        let (span, pushed) = world.call(|| switch.push(switch.epoch().turned(on)));
        assert!(pushed, "nobody else pushes it");
        self.note(span, Op::Flip { on });
    }

    #[cfg(not(feature = "legacy"))]
    fn flip(&mut self) {
        unreachable!("it has no switch")
    }
}
