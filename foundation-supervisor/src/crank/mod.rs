//! The shell around the core: what is decided is done, by whoever brought the news.
//!
//! A turn steps the core by one event and carries out its actions in order; the answer to an action that has one (a spawn,
//! an abandonment) is stepped before any other news. A turn steps so many at most: then the answer is kept for the next
//! turn, which is asked for at once, and other news that comes meanwhile waits beside it. No action waits, none runs a
//! user's code: what would, goes to the courier.
//!
//! Named races:
//! - *abandon against exit*: the stop deadline passes while the worker ends. The worker's record lets one of the two
//!   through (see [`OwnerGuard::end`](foundation_registry::OwnerGuard::end)); if it was the exit, its news is on its way.

mod lives;
mod news;
#[cfg(test)]
mod tests;
mod turns;

use std::{any::Any, collections::BTreeMap, fmt, mem, sync::Arc};

use foundation_registry::{Cause, Exit, Owner};
use foundation_sync::{
    Agenda, Nanos, Serial, TimerId,
    atomic::{AtomicU64, Ordering},
    planted, reached,
};

pub(crate) use self::news::{Key, News, Reply, Request, Ticket, Waiter};
use self::{
    lives::{Employed, Occupant},
    turns::{Rest, SHARE},
};
use crate::{
    Budget, ChildSpec, SpecError, Supervisor, System,
    core::{Action, Answer, Core, Event, Phase, Seat, Who, Window},
    courier::Job,
    ender::Ender,
    snapshot::{
        ExitNote,
        record::{ChildRecord, Chronicle, Records, RoleRecord},
    },
    spec::{Kind, Making},
};

/// One supervisor's hands.
pub(crate) struct Crank {
    system: System,
    /// Its path, with a slash behind it; empty for the universe's own.
    prefix: Arc<str>,
    owner: Owner,
    /// Gone when it has ended.
    above: Option<Above>,
    core: Core<Ticket>,
    /// Abandoned lives that still run, also of those in whose place this one is.
    left: Arc<AtomicU64>,
    /// The names are shown with their numbers, so that several children may have one.
    numbered: bool,
    /// Boxed, for half of a map's room is empty.
    places: BTreeMap<Seat, Box<Place>>,
    seats: BTreeMap<Arc<str>, Seat>,
    /// Because of which child the first start failed.
    start_failure: Option<Arc<str>>,
    /// What it keeps for those who ask.
    chronicle: Chronicle,
    /// Its end has been told.
    finished: bool,
    #[cfg(test)]
    breaks_at_its_end: bool,
    /// For the courier, when this turn is done: awake, it would take a processor from whoever was just started.
    jobs: Vec<Job>,
    /// As long as this is there, [`News::GoOn`] is on its way.
    rest: Option<Box<Rest>>,
}

/// Who ends a supervisor's life when it has finished.
pub(crate) enum Above {
    /// The one above it, in whose seat it is.
    Supervisor(Serial<Crank>, Who),
    /// Nobody is above it: it does that itself.
    Nobody(Ender),
}

/// What belongs to a seat.
struct Place {
    name: Arc<str>,
    /// Its lives are called so.
    path: Arc<str>,
    /// Gone when the supervisor has ended: a body may hold a handle to its own tree.
    making: Option<Making>,
    /// It is not in the supervisor's spec: another life of that will not have it.
    later: bool,
    occupant: Option<(Who, Occupant)>,
    /// How the life before that ended.
    last: Option<Arc<ExitNote>>,
    timer: Option<TimerId>,
}

impl Crank {
    /// A supervisor that has not started its children yet.
    pub(crate) fn new(
        system: &System,
        supervisor: &Supervisor,
        prefix: Arc<str>,
        owner: &Owner,
        above: Above,
    ) -> Serial<Crank> {
        Serial::new(Self::hands(system, supervisor, prefix, owner, Some(above)), system.timekeeper())
    }

    fn hands(system: &System, supervisor: &Supervisor, prefix: Arc<str>, owner: &Owner, above: Option<Above>) -> Self {
        let plan = supervisor.plan();
        let mut hands = Self {
            system: system.clone(),
            prefix,
            owner: owner.clone(),
            above,
            core: Core::new(&plan),
            left: Arc::clone(&supervisor.left),
            numbered: supervisor.dynamic.is_some(),
            places: BTreeMap::new(),
            seats: BTreeMap::new(),
            start_failure: None,
            chronicle: Chronicle::new(&plan, system.clock().now()),
            finished: false,
            #[cfg(test)]
            breaks_at_its_end: false,
            jobs: Vec::new(),
            rest: None,
        };
        supervisor.children.iter().for_each(|spec| _ = hands.seat(spec.clone(), false));
        hands
    }

    fn now(&self) -> Nanos {
        self.system.clock().now()
    }

    /// Gives a child a seat, behind all others: a number that no life has.
    fn seat(&mut self, spec: ChildSpec, later: bool) -> Seat {
        let seat = self.system.next_id();
        let ChildSpec { name, rules, making } = spec;
        let name = if self.numbered { format!("{name}:{seat}").into() } else { name };
        self.core.add(seat, rules);
        self.seats.insert(Arc::clone(&name), seat);
        let path = format!("{}{name}", self.prefix).into();
        let place = Place { name, path, making: Some(making), later, occupant: None, last: None, timer: None };
        self.places.insert(seat, Box::new(place));
        seat
    }

    fn find(&self, key: &Key) -> Option<Seat> {
        match key {
            Key::Name(name) => self.seats.get(name).copied(),
            Key::Life(life) => Some(life.id).filter(|seat| self.places.contains_key(seat)),
        }
    }

    /// Why this child is not even tried.
    fn refusal(&self, spec: &ChildSpec) -> Option<Reply> {
        if self.core.is_over() && !planted!("crank: a child is added to what is over") {
            reached!("a child for what is over");
            Some(Reply::Core(Answer::Over))
        } else if !self.numbered && self.seats.contains_key(&spec.name) {
            Some(Reply::AlreadyPresent)
        } else if !self.core.has_room() && !planted!("crank: room is not looked for") {
            Some(Reply::TooMany)
        } else if spec.rules.significant && !self.core.ends_with_children() {
            let name = Arc::clone(&spec.name);
            Some(Reply::BadSpec(match self.numbered {
                true => SpecError::SignificantDynamic(name),
                false => SpecError::SignificantForNothing(name),
            }))
        } else {
            None
        }
    }

    fn place(&mut self, seat: Seat) -> &mut Place {
        self.places.get_mut(&seat).expect("a seat has a place until it is forgotten")
    }

    /// Steps the core, and does what it decides, until it needs other news or has done its share.
    fn run(&mut self, me: &Serial<Self>, event: Event<Ticket>, agenda: &mut Agenda) {
        let (mut next, mut share) = (Some(event), SHARE);
        while let Some(event) = next.take() {
            if share == 0 {
                self.rest.get_or_insert_default().answer = Some(event);
                break;
            }
            share -= 1;
            let now = self.now();
            // Supervisors below: their Downs go out when their seats are free.
            let mut ended = Vec::new();
            for action in self.core.step(now, event) {
                let feedback = self.execute(me, action, &mut ended, agenda);
                debug_assert!(next.is_none() || feedback.is_none(), "one action of a step has an answer");
                next = next.or(feedback);
            }
            for (ender, exit) in ended {
                self.end(&ender, exit);
            }
        }
        self.send(agenda);
        self.system.activity().bump();
    }

    fn execute(
        &mut self,
        me: &Serial<Self>,
        action: Action<Ticket>,
        ended: &mut Vec<(Ender, Exit)>,
        agenda: &mut Agenda,
    ) -> Option<Event<Ticket>> {
        match action {
            Action::Spawn(who) => {
                return Some(match self.spawn(me, who, agenda) {
                    Ok(()) => Event::Spawned(who),
                    Err(error) => {
                        let exit = Exit::Failed(format!("it can't begin: {error}").into());
                        let now = self.now();
                        self.place(who.seat).last = Some(ExitNote::kept(who.generation, exit.clone(), now, None));
                        Event::SpawnFailed(who, exit)
                    }
                });
            }
            Action::SignalStop(who, cause) => {
                if let Some((_, occupant)) = &self.place(who.seat).occupant {
                    match &occupant.body {
                        Employed::Worker(orders) => orders.stop(cause),
                        Employed::Supervisor(child, _) => {
                            child.push_later(News::Core(Event::Stop(None, cause)), agenda);
                        }
                    }
                }
            }
            Action::Abandon(who, since) => return self.abandon(who, since),
            Action::Look(who) => return Some(Event::Beat(who, self.beats(who))),
            Action::SetTimer(who, timer, at) => {
                let id = self.system.timekeeper().set(at, me, News::Core(Event::Due(who, timer)));
                self.place(who.seat).timer = Some(id);
            }
            Action::CancelTimer(who, _) => {
                if let Some(id) = self.place(who.seat).timer.take() {
                    self.system.timekeeper().cancel(id);
                }
            }
            Action::Gone(who, exit, budget) => {
                let now = self.now();
                let place = self.place(who.seat);
                let occupant = place.occupant.take();
                let orders = occupant.as_ref().and_then(|(_, occupant)| occupant.body.orders());
                place.last = Some(ExitNote::kept(who.generation, exit.clone(), now, orders.map(|orders| &**orders)));
                let report = orders.and_then(|orders| {
                    orders.go();
                    orders.report.lock().take()
                });
                if let Some(mut report) = report {
                    report.0.restarts = budget;
                    self.jobs.push(Job::Crashed(report));
                }
                if let Some((_, Occupant { body: Employed::Supervisor(_, ender), .. })) = occupant {
                    ended.push((ender, exit));
                }
            }
            // Its own thread tells of it.
            Action::LateExit(who, _) => {
                self.chronicle.late_exit(who);
                self.system.count_late_exit();
                // ordering: Relaxed, both: a count
                _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |lives| lives.checked_sub(1));
            }
            Action::StartFailed(who, exit) => {
                let failure = format!("`{}` {exit}", self.place(who.seat).path);
                self.start_failure = Some(failure.into());
            }
            Action::Restarting(who) => {
                let now = self.now();
                let Budget { used, allowed, .. } = self.core.budget(now, Some(who.seat));
                let worker = Arc::clone(&self.place(who.seat).path);
                self.system.count_restart();
                self.jobs.push(Job::Restarted { worker, used, allowed });
            }
            Action::Again(seat) => me.push_later(News::Core(Event::Again(seat)), agenda),
            Action::Forget(seat) => {
                if let Some(place) = self.places.remove(&seat) {
                    self.seats.remove(&place.name);
                    // Now: the courier, which drops it, may have much to do.
                    let unsettled = place.making.as_ref().and_then(Making::rests);
                    self.discard((unsettled, place.making));
                }
            }
            Action::Rests(seat) => {
                let unsettled = self.place(seat).making.as_ref().and_then(Making::rests);
                unsettled.into_iter().for_each(|unsettled| self.discard(unsettled));
            }
            Action::Reply(ticket, answer) => ticket.reply(self.reply(answer)),
            Action::Up => {
                self.chronicle.phase = Phase::Running;
                if let Some(Above::Supervisor(parent, who)) = &self.above {
                    parent.push_later(News::Core(Event::Ready(*who)), agenda);
                }
            }
            Action::Finished(exit) => {
                #[cfg(test)]
                assert!(!mem::take(&mut self.breaks_at_its_end), "a defect of ours");
                self.chronicle.phase = Phase::Stopped;
                // OTP's `{shutdown, {failed_to_start_child, Id, Reason}}`.
                let failed = self.start_failure.take().filter(|_| exit != Exit::Shutdown(Cause::Halted));
                let exit = failed.map_or(exit, Exit::Failed);
                // Who is in the spec rests when that does: another life of this supervisor may bring it back.
                let rests = |place: &mut Box<Place>| {
                    let making = place.making.take()?;
                    Some((place.later.then(|| making.rests()).flatten(), making))
                };
                let makings: Vec<_> = self.places.values_mut().filter_map(rests).collect();
                if !makings.is_empty() {
                    self.discard(makings);
                }
                if matches!(
                    exit,
                    Exit::Shutdown(
                        Cause::Intensity | Cause::Abandoned | Cause::TooManyAbandoned | Cause::Halted | Cause::Broken
                    )
                ) {
                    let (tree, exit) = (Arc::clone(self.owner.name()), exit.clone());
                    self.jobs.push(Job::GaveUp { tree, exit });
                }
                self.finished = true;
                match self.above.take() {
                    // Its parent gives the Down out.
                    Some(Above::Supervisor(parent, who)) => {
                        parent.push_later(News::Core(Event::Exited(who, exit)), agenda);
                    }
                    Some(Above::Nobody(ender)) => {
                        self.end(&ender, exit);
                        self.system.over();
                    }
                    None => {}
                }
            }
        }
        None
    }

    fn reply(&self, answer: Answer) -> Reply {
        match answer {
            Answer::StartFailed(_, exit) => Reply::StartFailed(exit),
            Answer::Children(children) => {
                let now = self.now();
                let record = |(who, phase): (Who, Phase)| {
                    let place = self.places.get(&who.seat)?;
                    let rules = self.core.rules(who.seat)?;
                    let restarts = rules.intensity.map(|_| self.core.budget(now, Some(who.seat)));
                    Some(ChildRecord { restarts, heartbeat: rules.heartbeat, ..place.record(who, phase) })
                };
                let children = children.into_iter().filter_map(record).collect();
                let (abandoned, more_abandoned) = self.chronicle.abandoned();
                Reply::Children(Box::new(Records {
                    system: self.system.clone(),
                    prefix: Arc::clone(&self.prefix),
                    strategy: self.chronicle.strategy,
                    budget: self.core.budget(now, None),
                    phase: if self.core.is_closing() { Phase::Stopping } else { self.chronicle.phase },
                    since: self.chronicle.since,
                    children,
                    abandoned,
                    more_abandoned,
                }))
            }
            answer => Reply::Core(answer),
        }
    }

    /// Ends a life that has no thread. It may hold something all the same: whoever knows an incarnation finds its owner.
    fn end(&mut self, ender: &Ender, exit: Exit) {
        if let Some(remains) = ender.end(exit).filter(|remains| !remains.is_empty()) {
            self.discard(remains);
        }
    }

    /// Gives a value that may hold a user's to the courier, to be dropped there.
    fn discard(&mut self, value: impl Any + Send) {
        self.jobs.push(Job::Discard(Box::new(value)));
    }

    /// Gives the courier what there is for it.
    fn send(&mut self, agenda: &mut Agenda) {
        if !self.jobs.is_empty() {
            self.system.tell_later(mem::take(&mut self.jobs), agenda);
        }
    }
}

impl Place {
    /// What is answered to those who ask for the child.
    fn record(&self, who: Who, phase: Phase) -> ChildRecord {
        let occupant = self.occupant.as_ref().map(|(_, occupant)| occupant);
        let role = match (self.making.as_ref().map(|making| &making.kind), occupant.map(|occupant| &occupant.body)) {
            (Some(Kind::Supervisor(supervisor)), body) => {
                let (plan, crank) = (supervisor.plan(), body.and_then(Employed::crank).cloned());
                RoleRecord::Supervisor { strategy: plan.strategy, budget: Window::new(plan.intensity).budget(0), crank }
            }
            (_, body) => RoleRecord::Worker(body.and_then(Employed::orders).cloned()),
        };
        let (name, incarnation) = (Arc::clone(&self.name), who.incarnation());
        let (since, last) = (occupant.map(|occupant| occupant.since), self.last.clone());
        ChildRecord { name, incarnation, phase, since, last, restarts: None, heartbeat: None, role }
    }
}

impl fmt::Debug for Crank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crank({:?})", self.owner)
    }
}
