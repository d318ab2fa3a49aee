//! The shell around the core: what is decided is done, by whoever brought the news.
//!
//! A turn steps the core by one event and carries out its actions in order; the answer to an action that has one
//! (a spawn, an abandonment) is stepped before any other news. No action waits, none runs a user's code: what would, goes
//! to the courier.
//!
//! Named races:
//! - *abandon against exit*: the stop deadline passes while the worker ends. The worker's record lets one of the two
//!   through (see [`Owner::end`](foundation_registry::Owner::end)); if it was the exit, its news is on its way.

use std::{any::Any, collections::BTreeMap, fmt, io, sync::Arc, time::Duration};

use foundation_context::Incarnation;
use foundation_registry::{Cause, Exit, Owner};
use foundation_sync::{
    Agenda, Full, Nanos, Queue, RecvError, Serial, TimerId, TryRecvError, Turn, Until, planted, reached,
};

use crate::{
    ChildSpec, CrashReport, Life, Supervisor, System, Tree,
    core::{Action, Answer, Core, Event, Phase, Seat, Timer, Who},
    courier::Job,
    life::Orders,
    spec::Kind,
    worker::live,
};

/// What a supervisor is told.
pub(crate) enum News {
    Core(Event<Ticket>),
    Terminate(Arc<str>, Ticket),
    RestartChild(Arc<str>, Ticket),
    StartChild(Box<ChildSpec>, Ticket),
    Children(Ticket),
}

/// What a caller is answered.
#[derive(Debug, PartialEq)]
pub(crate) enum Reply {
    Core(Answer),
    StartFailed(Exit),
    AlreadyPresent,
    Children(Vec<(Arc<str>, Incarnation, Phase)>),
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
        self.0.try_recv() == Err(TryRecvError::Empty)
    }

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
    places: BTreeMap<Seat, Place>,
    /// Because of which child the first start failed.
    start_failure: Option<Arc<str>>,
    /// Supervisors below that have ended in this step: their Downs go out when their seats are free.
    ended: Vec<(Owner, Exit)>,
}

/// What belongs to a seat.
struct Place {
    name: Arc<str>,
    id: u64,
    /// Gone when the supervisor has ended: a body may hold a handle to its own tree.
    spec: Option<ChildSpec>,
    occupant: Option<(Who, Occupant)>,
    timer: Option<TimerId>,
}

struct Occupant {
    owner: Owner,
    told: Nanos,
    body: Employed,
}

enum Employed {
    Worker(Arc<Orders>),
    Supervisor(Serial<Crank>),
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
        let core = Core::new(&supervisor.plan());
        let places = supervisor.children.iter().enumerate();
        let places = places.map(|(seat, spec)| (seat as Seat, Place::new(system, spec.clone()))).collect();
        let (start_failure, ended) = (None, Vec::new());
        let hands = Self { system: system.clone(), prefix, owner, parent, core, places, start_failure, ended };
        Serial::new(hands, system.timekeeper())
    }

    fn now(&self) -> Nanos {
        self.system.clock().now()
    }

    fn seat(&self, name: &str) -> Option<Seat> {
        self.places.iter().find(|(_, place)| *place.name == *name).map(|(seat, _)| *seat)
    }

    fn place(&mut self, seat: Seat) -> &mut Place {
        self.places.get_mut(&seat).expect("a seat has a place until it is forgotten")
    }

    /// Steps the core, and does what it decides, until it needs other news.
    fn run(&mut self, me: &Serial<Self>, event: Event<Ticket>, agenda: &mut Agenda) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let now = self.now();
            for action in self.core.step(now, event) {
                let feedback = self.execute(me, action, agenda);
                debug_assert!(next.is_none() || feedback.is_none(), "one action of a step has an answer");
                next = next.or(feedback);
            }
            for (owner, exit) in std::mem::take(&mut self.ended) {
                self.end(&owner, exit, agenda);
            }
        }
        self.system.activity().bump();
    }

    fn execute(&mut self, me: &Serial<Self>, action: Action<Ticket>, agenda: &mut Agenda) -> Option<Event<Ticket>> {
        match action {
            Action::Spawn(who) => {
                return Some(match self.spawn(me, who, agenda) {
                    Ok(()) => Event::Spawned(who),
                    Err(error) => Event::SpawnFailed(who, Exit::Failed(format!("it can't begin: {error}").into())),
                });
            }
            Action::SignalStop(who, cause) => {
                let now = self.now();
                if let Some((_, occupant)) = &mut self.place(who.seat).occupant {
                    occupant.told = now;
                    match &occupant.body {
                        Employed::Worker(orders) => orders.stop(cause),
                        Employed::Supervisor(child) => {
                            child.push_later(News::Core(Event::Stop(None, cause)), agenda);
                        }
                    }
                }
            }
            Action::Abandon(who) => return self.abandon(who, agenda),
            Action::SetTimer(who, timer, at) => {
                let id = self.system.timekeeper().set(at, me, News::Core(Event::Due(who, timer)));
                self.place(who.seat).timer = Some(id);
            }
            Action::CancelTimer(who, Timer::Start | Timer::Stop) => {
                if let Some(id) = self.place(who.seat).timer.take() {
                    self.system.timekeeper().cancel(id);
                }
            }
            Action::Gone(who, exit) => {
                let occupant = self.place(who.seat).occupant.take();
                if let Some((_, Occupant { owner, body: Employed::Supervisor(_), .. })) = occupant {
                    self.ended.push((owner, exit));
                }
            }
            // Its own thread tells of it.
            Action::LateExit(..) => {}
            Action::StartFailed(who, exit) => {
                let name = Arc::clone(&self.place(who.seat).name);
                self.start_failure = Some(format!("`{}` {exit}", self.path(&name)).into());
            }
            Action::Restarting(who) => {
                let now = self.now();
                let (used, allowed) = self.core.budget(now);
                let name = Arc::clone(&self.place(who.seat).name);
                let worker = self.path(&name);
                self.system.count_restart();
                self.system.tell_later(Job::Restarted { worker, used, allowed }, agenda);
            }
            Action::Again(seat) => me.push_later(News::Core(Event::Again(seat)), agenda),
            Action::Forget(seat) => {
                if let Some(place) = self.places.remove(&seat) {
                    self.discard(place.spec, agenda);
                }
            }
            Action::Reply(ticket, answer) => ticket.reply(self.reply(answer)),
            Action::Up => {
                if let Some((parent, who)) = &self.parent {
                    parent.push_later(News::Core(Event::Ready(*who)), agenda);
                }
            }
            Action::Finished(exit) => {
                // OTP's `{shutdown, {failed_to_start_child, Id, Reason}}`.
                let exit = self.start_failure.take().map_or(exit, Exit::Failed);
                let specs: Vec<_> = self.places.values_mut().filter_map(|place| place.spec.take()).collect();
                if !specs.is_empty() {
                    self.discard(specs, agenda);
                }
                if matches!(exit, Exit::Shutdown(Cause::Intensity | Cause::AbandonedSibling | Cause::Broken)) {
                    let (tree, exit) = (Arc::clone(self.owner.name()), exit.clone());
                    self.system.tell_later(Job::GaveUp { tree, exit }, agenda);
                }
                match self.parent.take() {
                    // Its parent gives the Down out.
                    Some((parent, who)) => parent.push_later(News::Core(Event::Exited(who, exit)), agenda),
                    None => {
                        self.end(&self.owner, exit, agenda);
                        self.system.over();
                    }
                }
            }
        }
        None
    }

    /// Race "abandon against exit".
    fn abandon(&mut self, who: Who, agenda: &mut Agenda) -> Option<Event<Ticket>> {
        let now = self.now();
        let (_, occupant) = self.place(who.seat).occupant.as_ref()?;
        let exit = Exit::Abandoned { waited: Duration::from_nanos(now.saturating_sub(occupant.told)) };
        let Some(remains) = occupant.owner.end(exit.clone()) else {
            reached!("abandon lost to exit");
            return None;
        };
        reached!("abandoned");
        let (worker, incarnation) = (Arc::clone(occupant.owner.name()), occupant.owner.incarnation());
        let context = self.place(who.seat).spec.as_ref().map(|spec| spec.fields.clone()).unwrap_or_default();
        self.discard(remains, agenda);
        self.system.count_abandoned();
        let report = CrashReport { worker, incarnation, exit: exit.clone(), context, failure: None };
        self.system.tell_later(Job::Crashed(report), agenda);
        Some(Event::Abandoned(who, exit))
    }

    fn spawn(&mut self, me: &Serial<Self>, who: Who, agenda: &mut Agenda) -> io::Result<()> {
        let system = self.system.clone();
        let place = self.places.get(&who.seat).expect("a seat has a place until it is forgotten");
        let path = self.path(&place.name);
        let Some(spec) = &place.spec else { return Err(io::ErrorKind::NotFound.into()) };
        let owner = system.owners().begin(place.incarnation(who), &path);
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
                    tree: Tree::new(me.clone(), self.owner.clone()),
                    who,
                };
                let name = format!("{path}#{}", who.generation);
                if let Err(error) = system.census().spawn(&name, stack, move || live(life, body, fields)) {
                    self.end(&owner, Exit::Failed(format!("no thread: {error}").into()), agenda);
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
        self.place(who.seat).occupant = Some((who, Occupant { owner, told: 0, body }));
        Ok(())
    }

    fn path(&self, name: &str) -> Arc<str> {
        format!("{}{name}", self.prefix).into()
    }

    fn reply(&self, answer: Answer) -> Reply {
        match answer {
            Answer::StartFailed(_, exit) => Reply::StartFailed(exit),
            Answer::Children(children) => {
                let view = |(who, phase): (Who, Phase)| {
                    let place = self.places.get(&who.seat)?;
                    Some((Arc::clone(&place.name), place.incarnation(who), phase))
                };
                Reply::Children(children.into_iter().filter_map(view).collect())
            }
            answer => Reply::Core(answer),
        }
    }

    /// Ends a life that has no thread. It may hold something all the same: whoever knows an incarnation finds its owner.
    fn end(&self, owner: &Owner, exit: Exit, agenda: &mut Agenda) {
        if let Some(remains) = owner.end(exit).filter(|remains| !remains.is_empty()) {
            self.discard(remains, agenda);
        }
    }

    /// Gives a value that may hold a user's to the courier, to be dropped there.
    fn discard(&self, value: impl Any + Send, agenda: &mut Agenda) {
        self.system.tell_later(Job::Discard(Box::new(value)), agenda);
    }
}

impl Turn for Crank {
    type Event = News;

    fn turn(&mut self, me: &Serial<Self>, news: News, agenda: &mut Agenda) {
        let event = match news {
            News::Core(event) => event,
            News::Children(ticket) => Event::Which(ticket),
            News::Terminate(name, ticket) => match self.seat(&name) {
                Some(seat) => Event::Terminate(seat, ticket),
                None => return ticket.reply(Reply::Core(Answer::NotFound)),
            },
            News::RestartChild(name, ticket) => match self.seat(&name) {
                Some(seat) => Event::RestartChild(seat, ticket),
                None => return ticket.reply(Reply::Core(Answer::NotFound)),
            },
            News::StartChild(spec, ticket) => {
                if self.core.is_over() && !planted!("crank: a child is added to what is over") {
                    reached!("a child for what is over");
                    self.discard(spec, agenda);
                    return ticket.reply(Reply::Core(Answer::Over));
                }
                if self.seat(&spec.name).is_some() {
                    self.discard(spec, agenda);
                    return ticket.reply(Reply::AlreadyPresent);
                }
                let seat = self.core.add(spec.rules);
                self.places.insert(seat, Place::new(&self.system, *spec));
                Event::StartChild(seat, ticket)
            }
        };
        self.run(me, event, agenda);
    }

    /// The core panicked: it is replaced by one that knows who lives, and stops them.
    fn broken(&mut self, me: &Serial<Self>, _panic: Box<dyn Any + Send>, agenda: &mut Agenda) {
        if self.core.is_over() {
            return;
        }
        let live = self.places.values().filter_map(|place| {
            let (who, _) = place.occupant.as_ref()?;
            Some((*who, place.spec.as_ref()?.rules))
        });
        let next_seat = self.places.keys().next_back().map_or(0, |last| last + 1);
        self.core = Core::salvaged(live, next_seat);
        me.push_later(News::Core(Event::Stop(None, Cause::Broken)), agenda);
    }
}

impl Place {
    fn new(system: &System, spec: ChildSpec) -> Self {
        let name = Arc::clone(&spec.name);
        Self { name, id: system.next_id(), spec: Some(spec), occupant: None, timer: None }
    }

    fn incarnation(&self, who: Who) -> Incarnation {
        Incarnation { id: self.id, generation: who.generation }
    }
}

impl fmt::Debug for Crank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crank({:?})", self.owner)
    }
}
