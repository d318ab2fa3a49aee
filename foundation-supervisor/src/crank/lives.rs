//! How a child's lives begin, are looked at, and are given up.

use std::{io, mem, sync::Arc, time::Duration};

use foundation_registry::{Exit, Owner};
use foundation_sync::{Agenda, Nanos, Serial, atomic::Ordering, reached};

use super::{Above, Crank, News, Ticket};
use crate::{
    CrashReport, Life, Restart, Tree,
    core::{Event, Who},
    courier::Job,
    ender::Ender,
    life::Orders,
    snapshot::{record::Left, thread_name},
    spec::Kind,
    worker::live,
};

pub(super) struct Occupant {
    pub(super) since: Nanos,
    /// Its number of checkpoints when it was last looked at.
    pub(super) beat: u64,
    pub(super) body: Employed,
}

pub(super) enum Employed {
    Worker(Arc<Orders>),
    Supervisor(Serial<Crank>, Ender),
}

impl Employed {
    /// The right to end its life.
    pub(super) fn ender(&self) -> &Ender {
        match self {
            Self::Worker(orders) => &orders.ender,
            Self::Supervisor(_, ender) => ender,
        }
    }

    pub(super) fn orders(&self) -> Option<&Arc<Orders>> {
        match self {
            Self::Worker(orders) => Some(orders),
            Self::Supervisor(..) => None,
        }
    }

    pub(super) fn crank(&self) -> Option<&Serial<Crank>> {
        match self {
            Self::Worker(_) => None,
            Self::Supervisor(crank, _) => Some(crank),
        }
    }
}

impl Crank {
    /// Race "abandon against exit".
    pub(super) fn abandon(&mut self, who: Who, since: Nanos) -> Option<Event<Ticket>> {
        let now = self.now();
        let waited = Duration::from_nanos(now.saturating_sub(since));
        let (_, occupant) = self.place(who.seat).occupant.as_ref()?;
        let exit = Exit::Abandoned { waited };
        let ender = occupant.body.ender();
        let Some(remains) = ender.end(exit.clone()) else {
            reached!("abandon lost to exit");
            return None;
        };
        reached!("abandoned");
        let (worker, incarnation) = (Arc::clone(ender.name()), ender.incarnation());
        let orders = occupant.body.orders().cloned();
        let mut report = CrashReport::new(Arc::clone(&worker), incarnation, now, exit.clone());
        report.context = self.place(who.seat).making.as_ref().map(|making| making.fields.clone()).unwrap_or_default();
        report.restarts = self.core.budget(now, Some(who.seat));
        report.checkpoint = orders.as_ref().and_then(|orders| orders.checkpoints.place());
        report.waits_at = orders.as_ref().and_then(|orders| self.system.census().abandon(&orders.whereabouts));
        self.discard(remains);
        self.system.count_abandoned();
        let before = self.left.fetch_add(1, Ordering::Relaxed); // ordering: a count
        self.core.answers_for(usize::try_from(before).unwrap_or(usize::MAX));
        if let Some(orders) = orders {
            self.chronicle.abandon(Left { who, incarnation, path: worker, at: now, orders });
        }
        self.jobs.push(Job::Crashed(Box::new((report, None))));
        Some(Event::Abandoned(who, exit))
    }

    /// Whether it has passed a checkpoint since it was last looked at, or is idle.
    pub(super) fn beats(&mut self, who: Who) -> bool {
        let Some((_, Occupant { body: Employed::Worker(orders), beat, .. })) = &mut self.place(who.seat).occupant
        else {
            return true;
        };
        let (number, idle) = orders.checkpoints.look();
        mem::replace(beat, number) != number || idle
    }

    pub(super) fn spawn(&mut self, me: &Serial<Self>, who: Who, agenda: &mut Agenda) -> io::Result<()> {
        let system = self.system.clone();
        let place = self.places.get(&who.seat).expect("a seat has a place until it is forgotten");
        let path = Arc::clone(&place.path);
        let Some(making) = &place.making else { return Err(io::ErrorKind::NotFound.into()) };
        let ender = Ender::begin(&system, who.incarnation(), Arc::clone(&path));
        if ender.fenced() {
            let taken = format!("{} lives already, begun by somebody else", ender.incarnation());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, taken));
        }
        let body = match &making.kind {
            Kind::Worker(body) => {
                let (body, fields, stack) = (Arc::clone(body), making.fields.clone(), making.stack);
                let orders = Arc::new(Orders::of(ender));
                let life = Life {
                    system: system.clone(),
                    orders: Arc::clone(&orders),
                    tree: Tree::new(me.clone(), self.owner.clone(), Arc::clone(&self.prefix), system.census()),
                    who,
                    restart: self.core.restart(who.seat).unwrap_or(Restart::Temporary),
                };
                let name = thread_name(&path, who.generation);
                let started = system.census().spawn(&name, stack, Some(&orders), move || live(life, body, fields));
                if let Err(error) = started {
                    self.end(&orders.ender, Exit::Failed(format!("no thread: {error}").into()));
                    return Err(error);
                }
                Employed::Worker(orders)
            }
            Kind::Supervisor(supervisor) => {
                let prefix = match supervisor.nameless {
                    true => Arc::clone(&self.prefix),
                    false => format!("{path}/").into(),
                };
                let above = Above::Supervisor(me.clone(), who);
                let child = Crank::new(&system, supervisor, prefix, &ender, above);
                match &making.born {
                    // Whoever waits there starts it, unless it has given up.
                    Some(born) => {
                        if !born((child.clone(), Owner::clone(&ender))) {
                            self.end(&ender, Exit::Failed("nobody waits for its start any more".into()));
                            return Err(io::ErrorKind::TimedOut.into());
                        }
                    }
                    None => child.push_later(News::Core(Event::Start(None)), agenda),
                }
                Employed::Supervisor(child, ender)
            }
        };
        let since = self.now();
        self.place(who.seat).occupant = Some((who, Occupant { since, beat: 0, body }));
        Ok(())
    }
}
