//! So many of each window, each with the same chance.
//!
//! # Protocol
//! Vitter's algorithm R. That an event has a place, and which, is decided under a lock, before it is built: the place then
//! has its number and stays empty until it is built, under no lock. It is laid down if the place is still its own. A window
//! is closed once: what lies in it is taken out and emitted. What is being built at that moment is *owed*: it finds its
//! window closed, and is emitted by whoever built it. So exactly as many of a window are emitted as have a place, unless a
//! builder panics; that is counted.
//!
//! Who says that a window is over is the timekeeper, and its errand emits; where there is none, the next event of the name
//! finds it over, and its emitter emits.
//!
//! Named races:
//! - *built against replaced*: an event loses its place while it is built. It finds another number there, and is dropped.
//! - *built against closed*: told above.
//! - *offered against ended*: an event is on its way here while its sampler goes. It finds that under the lock, and passes.

use std::{sync::Arc, time::Duration};

use foundation_context::{Fields, Value};
use foundation_sync::{Mutex, Nanos, planted, reached};

use super::with_field;
use crate::{Event, EventName, Telemetry, handlers::Slot};

pub(crate) struct Reservoir {
    keep: usize,
    window: Nanos,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<Window>,
    opened: u64,
    /// There is no sampler any more.
    ended: bool,
    passed: u64,
    lost: u64,
    owed: Vec<Owed>,
}

struct Window {
    number: u64,
    until: Nanos,
    seen: u64,
    places: Vec<Place>,
}

struct Place {
    /// Which of the window's events has it; none, if that one's builder panicked.
    event: Option<u64>,
    built: Option<Event>,
}

/// An event that was being built when its window was closed.
struct Owed {
    window: u64,
    event: u64,
    share: Share,
}

/// How many were kept of how many.
#[derive(Clone, Copy)]
struct Share {
    kept: u64,
    seen: u64,
}

impl Share {
    fn mark(self, event: &mut Event) {
        let share = Value::F64(self.kept as f64 / self.seen as f64);
        let marked = with_field(&event.measurements, ("sampled", share));
        event.measurements = with_field(&marked, ("sampled_from", Value::U64(self.seen)));
    }
}

/// What a window held.
struct Closed {
    /// In the order in which they came.
    events: Vec<Event>,
    share: Share,
}

impl Reservoir {
    pub(super) fn new(keep: u32, window: Duration) -> Self {
        let window = Nanos::try_from(window.as_nanos()).unwrap_or(Nanos::MAX);
        Self { keep: keep.max(1) as usize, window, state: Mutex::default() }
    }

    /// What comes from now on passes.
    pub(super) fn end(&self) {
        self.state.lock().ended = !planted!("sampling: a reservoir that has ended takes in");
    }

    /// How many have passed, lie here, and were lost.
    pub(super) fn figures(&self) -> (u64, u64, u64) {
        let state = self.state.lock();
        let kept = |window: &Window| window.places.iter().filter(|place| place.event.is_some()).count();
        (state.passed, state.open.as_ref().map_or(0, kept) as u64, state.lost)
    }

    /// Closes the window: the one that is open, if it is this one.
    fn close(&self, number: Option<u64>) -> Option<Closed> {
        let window = {
            let mut state = self.state.lock();
            let window = state.open.take_if(|open| number.is_none_or(|number| number == open.number))?;
            state.owe(&window);
            window
        };
        Some(window.closed())
    }

    fn lose(&self, count: usize) {
        self.state.lock().lost += count as u64;
    }
}

impl State {
    fn owe(&mut self, window: &Window) {
        if planted!("sampling: what is being built is forgotten") {
            return;
        }
        let share = window.share();
        let empty = window.places.iter().filter(|place| place.built.is_none());
        self.owed.extend(empty.filter_map(|place| Some(Owed { window: window.number, event: place.event?, share })));
    }
}

impl Window {
    fn share(&self) -> Share {
        let kept = self.places.iter().filter(|place| place.event.is_some()).count() as u64;
        Share { kept, seen: self.seen }
    }

    fn closed(mut self) -> Closed {
        self.places.sort_unstable_by_key(|place| place.event);
        let share = self.share();
        Closed { events: self.places.into_iter().filter_map(|place| place.built).collect(), share }
    }

    /// Gives the event that comes now a place, or none; and what has to make room for it.
    fn place(&mut self, keep: usize, draw: u64) -> (Option<usize>, Option<Event>) {
        self.seen += 1;
        let event = Some(self.seen);
        if self.places.len() < keep {
            self.places.push(Place { event, built: None });
            return (Some(self.places.len() - 1), None);
        }
        // One of as many numbers as have come; the first `keep` are places.
        let number = (u128::from(draw) * u128::from(self.seen)) >> 64;
        match usize::try_from(number).ok().and_then(|at| Some((at, self.places.get_mut(at)?))) {
            Some((at, place)) => {
                let old = std::mem::replace(place, Place { event, built: None });
                (Some(at), old.built)
            }
            None => (None, None),
        }
    }
}

/// The duty to emit what a window has kept; dropped, that is lost and counted.
pub(super) struct Harvest {
    telemetry: Telemetry,
    slot: Arc<Slot>,
    reservoir: Arc<Reservoir>,
    what: What,
}

enum What {
    /// What the window that is open will hold then, if it is this one.
    Open(Option<u64>),
    Closed(Closed),
    Nothing,
}

impl Harvest {
    pub(super) fn of_open(
        telemetry: &Telemetry,
        slot: &Arc<Slot>,
        reservoir: &Arc<Reservoir>,
        number: Option<u64>,
    ) -> Self {
        Self::of(telemetry, slot, reservoir, What::Open(number))
    }

    fn of(telemetry: &Telemetry, slot: &Arc<Slot>, reservoir: &Arc<Reservoir>, what: What) -> Self {
        let (telemetry, slot, reservoir) = (telemetry.clone(), Arc::clone(slot), Arc::clone(reservoir));
        Self { telemetry, slot, reservoir, what }
    }

    fn take(&mut self) -> Option<Closed> {
        match std::mem::replace(&mut self.what, What::Nothing) {
            What::Open(number) => self.reservoir.close(number),
            What::Closed(closed) => Some(closed),
            What::Nothing => None,
        }
    }

    pub(super) fn run(mut self) {
        for event in self.take().into_iter().flat_map(|closed| closed.marked()) {
            self.telemetry.release(&self.slot, &self.reservoir, &event);
        }
    }
}

impl Closed {
    fn marked(self) -> impl Iterator<Item = Event> {
        let share = self.share;
        self.events.into_iter().map(move |mut event| {
            share.mark(&mut event);
            event
        })
    }
}

impl Drop for Harvest {
    fn drop(&mut self) {
        if let Some(closed) = self.take() {
            self.reservoir.lose(closed.events.len());
        }
    }
}

/// A place for an event that is being built; dropped before it is, the place is given up.
struct Promise {
    reservoir: Arc<Reservoir>,
    window: u64,
    event: u64,
    place: usize,
    kept: bool,
}

impl Promise {
    /// Lays the event down; it comes back if it has to be emitted, since its window is closed.
    fn keep(mut self, event: Event) -> Option<Event> {
        self.kept = true;
        let (back, replaced) = self.reservoir.state.lock().put(&self, event);
        drop(replaced);
        back
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if !self.kept {
            self.reservoir.state.lock().give_up(self);
        }
    }
}

impl State {
    fn place(&mut self, promise: &Promise) -> Option<&mut Place> {
        let window = self.open.as_mut().filter(|window| window.number == promise.window)?;
        let place = &mut window.places[promise.place];
        (place.event == Some(promise.event)).then_some(place)
    }

    fn owed(&mut self, promise: &Promise) -> Option<Owed> {
        let same = |owed: &Owed| owed.window == promise.window && owed.event == promise.event;
        self.owed.iter().position(same).map(|at| self.owed.swap_remove(at))
    }

    /// What is to be emitted, and what is to be dropped, both under no lock.
    fn put(&mut self, promise: &Promise, mut event: Event) -> (Option<Event>, Option<Event>) {
        if let Some(place) = self.place(promise) {
            place.built = Some(event);
            return (None, None);
        }
        match self.owed(promise) {
            Some(owed) => {
                reached!("sampling: the window was closed meanwhile");
                owed.share.mark(&mut event);
                (Some(event), None)
            }
            None => (None, Some(event)),
        }
    }

    fn give_up(&mut self, promise: &Promise) {
        let held = match self.place(promise) {
            Some(place) => {
                place.event = None;
                true
            }
            None => self.owed(promise).is_some(),
        };
        self.lost += u64::from(held);
    }
}

impl Telemetry {
    /// Gives the event a place, if chance has one for it, and builds it then.
    pub(super) fn offer(
        &self,
        (slot, name): (&Arc<Slot>, EventName),
        reservoir: &Arc<Reservoir>,
        draw: u64,
        build: impl FnOnce() -> (Fields, Fields),
    ) {
        let (over, begun, promise, replaced) = {
            let mut state = reservoir.state.lock();
            if state.ended {
                drop(state);
                reached!("sampling: the sampler has gone meanwhile");
                return self.deliver(slot, &Event::new(name, build()));
            }
            // Read under the lock: a time read before could be older than a window that has come and gone.
            let now = self.0.clock.now();
            let over = state.open.take_if(|window| window.until <= now);
            if let Some(window) = &over {
                state.owe(window);
            }
            let mut begun = None;
            if state.open.is_none() {
                state.opened += 1;
                let (number, until) = (state.opened, now.saturating_add(reservoir.window));
                state.open = Some(Window { number, until, seen: 0, places: Vec::new() });
                begun = Some((number, until));
            }
            let window = state.open.as_mut().expect("opened above");
            let (place, replaced) = window.place(reservoir.keep, draw);
            let (window, event) = (window.number, window.seen);
            let promise =
                place.map(|place| Promise { reservoir: Arc::clone(reservoir), window, event, place, kept: false });
            (over, begun, promise, replaced)
        };
        drop(replaced);
        if let Some(window) = over {
            let harvest = Harvest::of(self, slot, reservoir, What::Closed(window.closed()));
            // Refused, it is dropped and counted.
            drop(self.0.errands.send(Box::new(|| harvest.run())));
        }
        if let Some((number, until)) = begun.filter(|_| self.0.later.comes()) {
            let harvest = Harvest::of_open(self, slot, reservoir, Some(number));
            self.0.later.at(until, Box::new(|| harvest.run()));
        }
        let Some(promise) = promise else { return };
        if let Some(event) = promise.keep(Event::kept(name, build())) {
            self.release(slot, reservoir, &event);
        }
    }

    fn release(&self, slot: &Slot, reservoir: &Reservoir, event: &Event) {
        reservoir.state.lock().passed += 1;
        self.deliver(slot, event);
    }
}
