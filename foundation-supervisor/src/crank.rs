//! The shell around the core: what is decided is done, by whoever brought the news.
//!
//! A turn steps the core by one event and carries out its actions in order; the answer to an action that has one
//! (a spawn, an abandonment) is stepped before any other news. No action waits, none runs a user's code: what would, goes
//! to the courier.
//!
//! Named races:
//! - *abandon against exit*: the stop deadline passes while the worker ends. The worker's record lets one of the two
//!   through (see [`Owner::end`](foundation_registry::Owner::end)); if it was the exit, its news is on its way.

use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    fmt, io, mem,
    sync::Arc,
    time::Duration,
};

use foundation_context::Incarnation;
use foundation_registry::{Cause, Exit, Owner};
use foundation_sync::{
    Agenda, Full, Nanos, Queue, RecvError, Serial, TimerId, TryRecvError, Turn, Until, planted, reached,
};

use crate::{
    Budget, ChildSpec, CrashReport, Life, SpecError, Supervisor, System, Tree,
    core::{Action, Answer, Core, Event, Phase, Seat, Who, Window},
    courier::Job,
    life::Orders,
    snapshot::{
        ExitNote,
        record::{ChildRecord, Chronicle, Left, Records, RoleRecord},
        thread_name,
    },
    spec::Kind,
    worker::live,
};

/// What a supervisor is told.
pub(crate) enum News {
    Core(Event<Ticket>),
    Child(Key, Request, Ticket),
    StartChild(Box<ChildSpec>, Ticket),
    Children(Ticket),
    /// Panics: a defect of ours.
    #[cfg(test)]
    Break,
}

/// Which child is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Name(Arc<str>),
    /// One of its lives, whichever.
    Life(Incarnation),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Life(life) => life.fmt(f),
        }
    }
}

/// What is to be done with a child.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Request {
    Terminate,
    Restart,
    Delete,
    SkipBackoff,
}

/// What a caller is answered.
pub(crate) enum Reply {
    Core(Answer),
    StartFailed(Exit),
    AlreadyPresent,
    TooMany,
    BadSpec(SpecError),
    Children(Box<Records>),
}

/// The right to answer one caller. Dropped unused, it answers that the supervisor is over.
pub(crate) struct Ticket(Queue<Reply>);

impl Ticket {
    pub(crate) fn new() -> (Self, Waiter) {
        let answer = Queue::bounded(1, Full::Refuse);
        (Self(answer.clone()), Waiter(answer))
    }

    fn reply(self, reply: Reply) {
        // One ticket, one answer: there is room, unless the caller has gone.
        _ = self.0.try_send(reply);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Where a caller waits for its answer.
pub(crate) struct Waiter(Queue<Reply>);

impl Waiter {
    /// Whether there is no answer yet.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.0.try_recv(), Err(TryRecvError::Empty))
    }

    #[track_caller]
    pub(crate) fn wait<'a>(&self, until: impl Into<Until<'a>>) -> Result<Reply, RecvError> {
        match self.0.recv(until) {
            Err(RecvError::Closed) => Ok(Reply::Core(Answer::Over)),
            other => other,
        }
    }
}

/// One supervisor's hands.
pub(crate) struct Crank {
    system: System,
    /// Its path, with a slash behind it; empty for the universe's own.
    prefix: Arc<str>,
    owner: Owner,
    parent: Option<(Serial<Crank>, Who)>,
    core: Core<Ticket>,
    /// The names are shown with their numbers, so that several children may have one.
    numbered: bool,
    /// Boxed, for half of a map's room is empty.
    places: BTreeMap<Seat, Box<Place>>,
    seats: HashMap<Arc<str>, Seat>,
    /// Because of which child the first start failed.
    start_failure: Option<Arc<str>>,
    /// What it keeps for those who ask.
    chronicle: Chronicle,
    /// Supervisors below that have ended in this step: their Downs go out when their seats are free.
    ended: Vec<(Owner, Exit)>,
    /// For the courier, when this turn is done: awake, it would take a processor from whoever was just started.
    jobs: Vec<Job>,
}

/// What belongs to a seat.
struct Place {
    name: Arc<str>,
    /// Its lives are called so.
    path: Arc<str>,
    /// Gone when the supervisor has ended: a body may hold a handle to its own tree.
    spec: Option<ChildSpec>,
    occupant: Option<(Who, Occupant)>,
    /// How the life before that ended.
    last: Option<Arc<ExitNote>>,
    timer: Option<TimerId>,
}

struct Occupant {
    owner: Owner,
    since: Nanos,
    /// Its number of checkpoints when it was last looked at.
    beat: u64,
    body: Employed,
}

enum Employed {
    Worker(Arc<Orders>),
    Supervisor(Serial<Crank>),
}

impl Employed {
    fn orders(&self) -> Option<&Arc<Orders>> {
        match self {
            Self::Worker(orders) => Some(orders),
            Self::Supervisor(_) => None,
        }
    }

    fn crank(&self) -> Option<&Serial<Crank>> {
        match self {
            Self::Worker(_) => None,
            Self::Supervisor(crank) => Some(crank),
        }
    }
}

impl Crank {
    /// A supervisor that has not started its children yet.
    pub(crate) fn new(
        system: &System,
        supervisor: &Supervisor,
        prefix: Arc<str>,
        owner: Owner,
        parent: Option<(Serial<Crank>, Who)>,
    ) -> Serial<Crank> {
        let plan = supervisor.plan();
        let mut hands = Self {
            system: system.clone(),
            prefix,
            owner,
            parent,
            core: Core::new(&plan),
            numbered: supervisor.dynamic.is_some(),
            places: BTreeMap::new(),
            seats: HashMap::new(),
            start_failure: None,
            chronicle: Chronicle::new(&plan, system.clock().now()),
            ended: Vec::new(),
            jobs: Vec::new(),
        };
        supervisor.children.iter().for_each(|spec| _ = hands.seat(spec.clone()));
        Serial::new(hands, system.timekeeper())
    }

    fn now(&self) -> Nanos {
        self.system.clock().now()
    }

    /// Gives a child a seat, behind all others: a number that no life has.
    fn seat(&mut self, spec: ChildSpec) -> Seat {
        let seat = self.system.next_id();
        let name = if self.numbered { format!("{}:{seat}", spec.name).into() } else { Arc::clone(&spec.name) };
        self.core.add(seat, spec.rules);
        self.seats.insert(Arc::clone(&name), seat);
        let path = format!("{}{name}", self.prefix).into();
        let place = Place { name, path, spec: Some(spec), occupant: None, last: None, timer: None };
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
        } else if !self.core.has_room() {
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

    /// Steps the core, and does what it decides, until it needs other news.
    fn run(&mut self, me: &Serial<Self>, event: Event<Ticket>, agenda: &mut Agenda) {
        if matches!(event, Event::Stop(..)) && !self.core.is_over() {
            self.chronicle.phase = Phase::Stopping;
        }
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let now = self.now();
            for action in self.core.step(now, event) {
                let feedback = self.execute(me, action, agenda);
                debug_assert!(next.is_none() || feedback.is_none(), "one action of a step has an answer");
                next = next.or(feedback);
            }
            for (owner, exit) in mem::take(&mut self.ended) {
                self.end(&owner, exit);
            }
        }
        self.send(agenda);
        self.system.activity().bump();
    }

    fn execute(&mut self, me: &Serial<Self>, action: Action<Ticket>, agenda: &mut Agenda) -> Option<Event<Ticket>> {
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
                        Employed::Supervisor(child) => {
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
                let report = orders.and_then(|orders| orders.report.lock().take());
                if let Some(mut report) = report {
                    report.0.restarts = budget;
                    self.jobs.push(Job::Crashed(report));
                }
                if let Some((_, Occupant { owner, body: Employed::Supervisor(_), .. })) = occupant {
                    self.ended.push((owner, exit));
                }
            }
            // Its own thread tells of it.
            Action::LateExit(who, _) => {
                self.chronicle.late_exit(who);
                self.system.count_late_exit();
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
                    self.discard(place.spec);
                }
            }
            Action::Reply(ticket, answer) => ticket.reply(self.reply(answer)),
            Action::Up => {
                self.chronicle.phase = Phase::Running;
                if let Some((parent, who)) = &self.parent {
                    parent.push_later(News::Core(Event::Ready(*who)), agenda);
                }
            }
            Action::Finished(exit) => {
                self.chronicle.phase = Phase::Stopped;
                // OTP's `{shutdown, {failed_to_start_child, Id, Reason}}`.
                let exit = self.start_failure.take().map_or(exit, Exit::Failed);
                let specs: Vec<_> = self.places.values_mut().filter_map(|place| place.spec.take()).collect();
                if !specs.is_empty() {
                    self.discard(specs);
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
                match self.parent.take() {
                    // Its parent gives the Down out.
                    Some((parent, who)) => parent.push_later(News::Core(Event::Exited(who, exit)), agenda),
                    None => {
                        let owner = self.owner.clone();
                        self.end(&owner, exit);
                        self.system.over();
                    }
                }
            }
        }
        None
    }

    /// Race "abandon against exit".
    fn abandon(&mut self, who: Who, since: Nanos) -> Option<Event<Ticket>> {
        let now = self.now();
        let waited = Duration::from_nanos(now.saturating_sub(since));
        let (_, occupant) = self.place(who.seat).occupant.as_ref()?;
        let exit = Exit::Abandoned { waited };
        let Some(remains) = occupant.owner.end(exit.clone()) else {
            reached!("abandon lost to exit");
            return None;
        };
        reached!("abandoned");
        let (worker, incarnation) = (Arc::clone(occupant.owner.name()), occupant.owner.incarnation());
        let orders = occupant.body.orders().cloned();
        let mut report = CrashReport::new(Arc::clone(&worker), incarnation, now, exit.clone());
        report.context = self.place(who.seat).spec.as_ref().map(|spec| spec.fields.clone()).unwrap_or_default();
        report.restarts = self.core.budget(now, Some(who.seat));
        report.checkpoint = orders.as_ref().and_then(|orders| orders.checkpoints.place());
        let thread = thread_name(&worker, who.generation);
        let waits = self.system.threads().into_iter().find(|known| *known.name == *thread);
        report.waits_at = waits.and_then(|thread| thread.waits_at());
        self.discard(remains);
        self.system.count_abandoned();
        if let Some(orders) = orders {
            self.chronicle.abandon(Left { who, incarnation, path: worker, at: now, orders });
        }
        self.jobs.push(Job::Crashed(Box::new((report, None))));
        Some(Event::Abandoned(who, exit))
    }

    /// Whether it has passed a checkpoint since it was last looked at, or is idle.
    fn beats(&mut self, who: Who) -> bool {
        let Some((_, Occupant { body: Employed::Worker(orders), beat, .. })) = &mut self.place(who.seat).occupant
        else {
            return true;
        };
        let before = mem::replace(beat, orders.checkpoints.number());
        orders.checkpoints.idle() || *beat != before
    }

    fn spawn(&mut self, me: &Serial<Self>, who: Who, agenda: &mut Agenda) -> io::Result<()> {
        let system = self.system.clone();
        let place = self.places.get(&who.seat).expect("a seat has a place until it is forgotten");
        let path = Arc::clone(&place.path);
        let Some(spec) = &place.spec else { return Err(io::ErrorKind::NotFound.into()) };
        let owner = system.owners().begin(who.incarnation(), Arc::clone(&path));
        if owner.fenced() {
            let taken = format!("{} lives already, begun by somebody else", owner.incarnation());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, taken));
        }
        let body = match &spec.kind {
            Kind::Worker(body) => {
                let (body, fields, stack) = (Arc::clone(body), spec.fields.clone(), spec.stack);
                let orders = Arc::new(Orders::of(&owner));
                let life = Life {
                    system: system.clone(),
                    owner: owner.clone(),
                    orders: Arc::clone(&orders),
                    tree: Tree::new(me.clone(), self.owner.clone(), Arc::clone(&self.prefix), system.census()),
                    who,
                };
                let name = thread_name(&path, who.generation);
                if let Err(error) = system.census().spawn(&name, stack, move || live(life, body, fields)) {
                    self.end(&owner, Exit::Failed(format!("no thread: {error}").into()));
                    return Err(error);
                }
                Employed::Worker(orders)
            }
            Kind::Supervisor(supervisor) => {
                let prefix = match supervisor.nameless {
                    true => Arc::clone(&self.prefix),
                    false => format!("{path}/").into(),
                };
                let parent = Some((me.clone(), who));
                let child = Crank::new(&system, supervisor, prefix, owner.clone(), parent);
                match &spec.born {
                    // Whoever waits there starts it. It drops the oldest: there is room.
                    Some(born) => _ = born.try_send((child.clone(), owner.clone())),
                    None => child.push_later(News::Core(Event::Start(None)), agenda),
                }
                Employed::Supervisor(child)
            }
        };
        let since = self.now();
        self.place(who.seat).occupant = Some((who, Occupant { owner, since, beat: 0, body }));
        Ok(())
    }

    fn reply(&self, answer: Answer) -> Reply {
        match answer {
            Answer::StartFailed(_, exit) => Reply::StartFailed(exit),
            Answer::Children(children) => {
                let record = |(who, phase): (Who, Phase)| Some(self.places.get(&who.seat)?.record(who, phase));
                let children = children.into_iter().filter_map(record).collect();
                let (abandoned, more_abandoned) = self.chronicle.abandoned();
                Reply::Children(Box::new(Records {
                    system: self.system.clone(),
                    prefix: Arc::clone(&self.prefix),
                    strategy: self.chronicle.strategy,
                    budget: self.core.budget(self.now(), None),
                    phase: self.chronicle.phase,
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
    fn end(&mut self, owner: &Owner, exit: Exit) {
        if let Some(remains) = owner.end(exit).filter(|remains| !remains.is_empty()) {
            self.discard(remains);
        }
    }

    /// Gives a value that may hold a user's to the courier, to be dropped there.
    fn discard(&mut self, value: impl Any + Send) {
        self.jobs.push(Job::Discard(Box::new(value)));
    }

    /// Gives the courier what there is for it.
    fn send(&mut self, agenda: &mut Agenda) {
        for job in mem::take(&mut self.jobs) {
            self.system.tell_later(job, agenda);
        }
    }
}

impl Turn for Crank {
    type Event = News;

    fn turn(&mut self, me: &Serial<Self>, news: News, agenda: &mut Agenda) {
        let event = match news {
            News::Core(event) => event,
            News::Children(ticket) => Event::Which(ticket),
            #[cfg(test)]
            News::Break => panic!("a defect of ours"),
            News::Child(key, request, ticket) => match (self.find(&key), request) {
                (None, _) => return ticket.reply(Reply::Core(Answer::NotFound)),
                (Some(seat), Request::Terminate) => Event::Terminate(seat, ticket),
                (Some(seat), Request::Restart) => Event::RestartChild(seat, ticket),
                (Some(seat), Request::Delete) => Event::Delete(seat, ticket),
                (Some(seat), Request::SkipBackoff) => Event::SkipBackoff(seat, ticket),
            },
            News::StartChild(spec, ticket) => {
                if let Some(refusal) = self.refusal(&spec) {
                    self.discard(spec);
                    self.send(agenda);
                    return ticket.reply(refusal);
                }
                Event::StartChild(self.seat(*spec), ticket)
            }
        };
        self.run(me, event, agenda);
    }

    /// The core panicked: it is replaced by one that knows who lives, and stops them.
    fn broken(&mut self, me: &Serial<Self>, panic: Box<dyn Any + Send>, agenda: &mut Agenda) {
        self.jobs.push(Job::Broken { tree: Arc::clone(self.owner.name()), panic });
        self.send(agenda);
        if self.core.is_over() {
            return;
        }
        let live = self.places.values().filter_map(|place| {
            let (who, _) = place.occupant.as_ref()?;
            Some((*who, place.spec.as_ref()?.rules))
        });
        self.core = Core::salvaged(live);
        me.push_later(News::Core(Event::Stop(None, Cause::Broken)), agenda);
    }
}

impl Place {
    /// What is answered to those who ask for the child.
    fn record(&self, who: Who, phase: Phase) -> ChildRecord {
        let occupant = self.occupant.as_ref().map(|(_, occupant)| occupant);
        let role = match (self.spec.as_ref().map(|spec| &spec.kind), occupant.map(|occupant| &occupant.body)) {
            (Some(Kind::Supervisor(supervisor)), body) => {
                let (plan, crank) = (supervisor.plan(), body.and_then(Employed::crank).cloned());
                RoleRecord::Supervisor { strategy: plan.strategy, budget: Window::new(plan.intensity).budget(0), crank }
            }
            (_, body) => RoleRecord::Worker(body.and_then(Employed::orders).cloned()),
        };
        let (name, incarnation) = (Arc::clone(&self.name), who.incarnation());
        let (since, last) = (occupant.map(|occupant| occupant.since), self.last.clone());
        ChildRecord { name, incarnation, phase, since, last, role }
    }
}

impl fmt::Debug for Crank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crank({:?})", self.owner)
    }
}

#[cfg(test)]
mod tests {
    use foundation_sync::MINUTE;

    use super::*;
    use crate::{Failure, Foundation, Strategy};

    /// A supervisor that went without its children left their names behind, and its successor could not start them.
    #[test]
    fn a_supervisor_that_breaks_stops_its_children_and_is_replaced_by_the_one_above() {
        let foundation = Foundation::builder().start();
        let lives = Queue::bounded(8, Full::Refuse);
        let worker = |name: &'static str| {
            let begun = lives.clone();
            let body = move |life: &Life| -> Result<(), Failure> {
                let _name = life.register(name, ())?;
                begun.try_send((life.tree().clone(), life.incarnation())).map_err(|_| Failure::new("too many"))?;
                life.ready();
                let nothing = Queue::<()>::bounded(1, Full::Wait);
                while life.next(&nothing)?.is_some() {}
                begun.try_send((life.tree().clone(), life.incarnation())).map_err(|_| Failure::new("too many"))
            };
            ChildSpec::worker(name, body).ready_within(MINUTE)
        };
        let sub = Supervisor::new("sub", Strategy::OneForOne).child(worker("a")).child(worker("b"));
        let tree = Supervisor::new("t", Strategy::OneForOne).child(ChildSpec::supervisor(sub));
        let tree = tree.start(&foundation, foundation.within(MINUTE)).expect("it can be started");
        let next = || lives.recv(foundation.within(MINUTE)).expect("it comes");
        let ((below, a), (_, b)) = (next(), next());
        below.push(News::Break);
        // Stopped in reverse order, then started again, and every name was free.
        let order = [next(), next(), next(), next()].map(|(_, life)| life);
        assert_eq!(order[..2], [b, a]);
        assert!(order[2..].iter().all(|life| *life != a && *life != b && foundation.owners().get(*life).is_some()));
        assert_eq!(below.wait(foundation.within(MINUTE)), Ok(Exit::Shutdown(Cause::Broken)));
        tree.stop(foundation.within(MINUTE)).expect("it stops");
        assert!(foundation.stop(MINUTE).is_clean());
    }
}
