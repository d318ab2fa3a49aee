//! What outlasts a server's lives: its mailbox, who serves, what is in hand.
//!
//! # Protocol
//! A desk is *new*, *served* by a life, *vacant* between two lives, or *closed*: no life is to come, as far as can be told.
//! Its mailbox takes messages while it is served, and while it is vacant if they are to wait
//! ([`Pending::Wait`]); else it is closed, and a closed queue refuses under its own lock, so no sender looks at
//! the phase.
//!
//! A life *begins* (`begin`): the mailbox is open from now on, and the life is whose messages they are. Nobody else may
//! serve then: a spec that stands in two trees at once has one life, and the other one fails. It *receives* some at a
//! time, which lie here until it comes to them. Each is put *in hand*, and taken out afterwards, before it is answered; a
//! cast, which nobody waits for, when the next one is. Its end, whoever ends it, *inherits* ([`Heir`]): what was in hand
//! is told, and goes back to the front, if it is to be done again and has not killed too many lives; what was received
//! goes back behind it; what the life had *kept* for itself to do next is laid aside; and if no life is to come, what waits
//! is told, too, and laid aside. Nothing of a user's is dropped there. What was laid aside is *settled* where users' code
//! may run: it becomes dead letters, and what is none is dropped.
//!
//! Whether a life is to come:
//!
//! | it ended | then |
//! |---|---|
//! | however, after it alone had been told to ([`Cause::Terminated`]) | closed |
//! | by itself, in order, and is not permanent | closed |
//! | however, and is temporary | closed |
//! | before it was ready, and none had been there before | closed |
//! | else | vacant |
//!
//! That is what the life's own end can tell. A vacant desk is closed when its supervisor says that no life is to come
//! ([`Lease`]): it was terminated while its restart waited, when nobody was there to inherit, or just when it ended by
//! itself; its restart found nothing to do; its supervisor has given up, or has ended, and is not replaced. A life that
//! begins all the same opens the desk again.
//!
//! Named races:
//! - *answer against end*: a handler returns while its life is given up. Both take the message out of hand under the lock;
//!   one finds it there.
//! - *late life*: one that is given up has just received. It is not the life that serves, so what it has goes back to the
//!   front, and it is told to end.
//! - *late begin*: one that was given up before it began comes to begin, and another may serve by now. It leaves an heir
//!   first, and then looks under the lock whether it is fenced: if not, the heir comes after that.
//! - *kept against end*: a handler continues with something while its life is given up. The lock decides: its end finds
//!   what is kept, or it is kept no more, and comes back to the handler.
//! - *terminate against exit*: a life ends by itself, and its heir finds that it was told nothing, so another is to come;
//!   its supervisor, which has not heard of it, terminates the child. It says that none is to come when it has heard.
//! - *send against close*: the queue's own lock decides. What got in was there when it was drained.
//!
//! [`Heir`]: foundation_registry::Heir
//! [`Cause::Terminated`]: foundation_registry::Cause::Terminated

mod hand;
mod room;
mod told;

use std::{collections::VecDeque, mem, sync::Arc};

use foundation_context::Incarnation;
use foundation_registry::{Down, Exit, Fenced};
use foundation_supervisor::{Calls, Failure, Life, Restart, System, WeakSystem};
use foundation_sync::{
    Clock, Looks, Mutex, Nanos, Once, Queue,
    atomic::{AtomicU64, Ordering},
    planted, reached, thread,
};

use crate::{
    desk::{hand::InHand, told::Estate},
    envelope::Parcel,
    letters::{DeadLetters, Letter, Reason},
    rings::{Answers, Rings},
    server::Server,
    servers::{Listing, Seen},
    spec::{Pending, Terms},
};

pub(crate) use {room::NoRoom, told::Lease};

pub(crate) struct Desk<S: Server> {
    pub(crate) name: Arc<str>,
    /// Made when its spec is complete.
    office: Once<Office<S>>,
    /// What its callers know of their waits.
    pub(crate) looks: Looks,
    /// The universe in which its first life began.
    home: Once<Home>,
    state: Mutex<State<S>>,
    pub(crate) counts: Counts,
}

/// What is fixed for all lives.
pub(crate) struct Office<S: Server> {
    pub(crate) mailbox: Queue<Parcel<S>>,
    pub(crate) terms: Terms,
}

impl<S: Server> Answers for Desk<S> {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn thread(&self) -> Option<thread::ThreadId> {
        self.thread()
    }
}

/// What a desk has of its universe.
struct Home {
    rings: Arc<Rings>,
    calls: Arc<Calls>,
    /// Letters, which hold desks, are of the universe.
    system: WeakSystem,
    /// It stands in the universe's table as long as there is a desk.
    _listing: Listing,
}

/// On cache lines of its own: its lock is the server's, and senders look at what is beside it.
#[repr(align(64))]
struct State<S: Server> {
    phase: Phase,
    /// What the life that serves has received and not come to.
    received: VecDeque<Parcel<S>>,
    /// The spec is gone: nobody will ever live here.
    gone: bool,
    /// How many lives came to begin.
    lives: u64,
    /// How the last one ended that has served.
    last: Option<Down>,
    in_hand: Option<InHand<S>>,
    /// What the life that serves has said it does next.
    kept: Option<Parcel<S>>,
    /// How many messages were begun.
    handled: u64,
    /// What nobody will do, to be settled.
    aside: Vec<Left<S>>,
}

struct Left<S: Server> {
    parcel: Parcel<S>,
    /// Nothing, if it is no dead letter: it was done as often as it may be, or is its caller's.
    why: Option<Reason>,
}

#[derive(Clone)]
pub(crate) enum Phase {
    New,
    Served(Seat),
    Vacant(Down),
    /// With the end of the last life.
    Closed(Down),
}

/// Who serves.
#[derive(Clone)]
pub(crate) struct Seat {
    /// Which life of those that came to begin: universes count their incarnations alike.
    number: u64,
    pub(crate) incarnation: Incarnation,
    pub(crate) system: System,
    pub(crate) thread: thread::ThreadId,
    restart: Restart,
    /// Its start was complete, or it has taken over from one that had been.
    ready: bool,
}

/// What is seen of a desk.
pub(crate) struct View {
    pub(crate) phase: Phase,
    /// What is in hand, and since when.
    pub(crate) busy: Option<(&'static str, Nanos)>,
    /// How many messages were begun.
    pub(crate) handled: u64,
    /// How many were received and not come to.
    pub(crate) received: usize,
}

/// Counted over all lives.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Refused by the mailbox.
    pub(crate) refused: AtomicU64,
    /// Taken back, or come back, before they were begun; counted by whoever has them again.
    pub(crate) returned: AtomicU64,
    /// Done when nobody waited any more, or by a life that had been given up.
    pub(crate) late: AtomicU64,
    /// Messages that were begun and not done: their life ended.
    pub(crate) broken: AtomicU64,
    /// Those of the broken that came back: to be done once more, or to be buried.
    pub(crate) again: AtomicU64,
    /// Became dead letters.
    pub(crate) buried: AtomicU64,
    /// Dead letters that the mailbox has accepted after all.
    pub(crate) redelivered: AtomicU64,
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed); // ordering: a count
}

impl<S: Server> Desk<S> {
    pub(crate) fn new(name: Arc<str>) -> Self {
        let state = State {
            phase: Phase::New,
            gone: false,
            lives: 0,
            last: None,
            received: VecDeque::new(),
            in_hand: None,
            kept: None,
            handled: 0,
            aside: Vec::new(),
        };
        Self {
            name,
            office: Once::new(),
            looks: Looks::default(),
            home: Once::new(),
            state: Mutex::new(state),
            counts: Counts::default(),
        }
    }

    /// The spec is complete.
    pub(crate) fn open_office(&self, terms: Terms) {
        let mailbox = Queue::bounded(terms.capacity, terms.full);
        mailbox.close();
        _ = self.office.set(Office { mailbox, terms });
    }

    pub(crate) fn office(&self) -> Option<&Office<S>> {
        self.office.get()
    }

    fn made(&self) -> &Office<S> {
        self.office().expect("a life begins with a complete spec")
    }

    /// A life begins: the mailbox is its own.
    ///
    /// # Errors
    /// It may not serve: it was given up, or another one serves.
    pub(crate) fn begin(self: &Arc<Self>, life: &Life) -> Result<(), Failure> {
        let office = self.made();
        let home = self.home.get_or(|| Home {
            rings: life.system().part(),
            calls: life.system().part(),
            system: life.system().downgrade(),
            _listing: Listing::new(life.system(), Arc::downgrade(self) as _),
        });
        if !home.system.is(life.system()) {
            let why = format!("`{}` is at home in another universe: make a server for each", self.name);
            return Err(Failure::new(why));
        }
        let number = {
            let mut state = self.state.lock();
            state.lives += 1;
            state.lives
        };
        // The heir comes first: race "late begin".
        let heir = Estate { desk: Arc::clone(self), number, told: life.what_told() };
        life.owner().leave_to(Arc::new(heir)).map_err(Failure::from)?;
        let other = {
            let mut state = self.state.lock();
            match &state.phase {
                Phase::Served(seat) => Some(seat.incarnation),
                _ if life.owner().fenced() && !planted!("server: a late life begins") => {
                    reached!("server: a late begin");
                    return Err(Fenced(life.incarnation()).into());
                }
                before => {
                    let ready = matches!(before, Phase::Vacant(_));
                    state.phase = Phase::Served(Seat {
                        number,
                        incarnation: life.incarnation(),
                        system: life.system().clone(),
                        thread: thread::id(),
                        restart: life.restart(),
                        ready,
                    });
                    // Under the lock: its end closes it there.
                    office.mailbox.reopen();
                    None
                }
            }
        };
        match other {
            None => Ok(()),
            Some(other) => Err(Failure::new(format!(
                "`{}` is served by {other}: a server's spec is for one place in one tree, make another one",
                self.name
            ))),
        }
    }

    /// Its start is complete.
    pub(crate) fn ready(&self, who: Incarnation) {
        if let Phase::Served(seat) = &mut self.state.lock().phase
            && seat.incarnation == who
        {
            seat.ready = true;
        }
    }

    /// Back to the front, in their order.
    fn give_back(&self, state: &mut State<S>, parcels: VecDeque<Parcel<S>>, down: Option<&Down>) {
        for parcel in parcels.into_iter().rev() {
            if let Err(back) = self.made().mailbox.give_back(parcel) {
                self.lay_aside(state, back.into_inner(), down);
            }
        }
    }

    /// How it is, at one moment.
    pub(crate) fn view(&self) -> View {
        let state = self.state.lock();
        View {
            phase: state.phase.clone(),
            busy: state.in_hand.as_ref().map(|in_hand| (in_hand.parcel.message(), in_hand.since)),
            handled: state.handled,
            received: state.received.len(),
        }
    }

    pub(crate) fn rings(&self) -> Option<&Rings> {
        self.home.get().map(|home| &*home.rings)
    }

    /// A call has ended. Before the first life there is no universe to count it.
    pub(crate) fn count_call(&self, failed: bool) {
        if let Some(home) = self.home.get() {
            home.calls.count(failed);
        }
    }

    /// Whether nobody will ever live here.
    pub(crate) fn is_gone(&self) -> bool {
        self.state.lock().gone
    }

    /// The thread that serves.
    pub(crate) fn thread(&self) -> Option<thread::ThreadId> {
        match &self.state.lock().phase {
            Phase::Served(seat) => Some(seat.thread),
            _ => None,
        }
    }

    /// How the last life ended, if one has.
    pub(crate) fn last_end(&self) -> Option<Down> {
        self.state.lock().last.clone()
    }

    /// The life has ended so.
    fn inherit(&self, number: u64, terminated: bool, down: &Down) {
        let office = self.made();
        let mut state = self.state.lock();
        let Phase::Served(seat) = &state.phase else { return };
        if seat.number != number {
            return;
        }
        let closes = terminated || state.gone || seat.closes(&down.exit);
        state.phase = if closes { Phase::Closed(down.clone()) } else { Phase::Vacant(down.clone()) };
        state.last = Some(down.clone());
        // What is done again goes before what was received and not come to.
        let mut received = mem::take(&mut state.received);
        if let Some(InHand { parcel, .. }) = state.in_hand.take() {
            count(&self.counts.broken);
            parcel.end(down);
            match parcel.again() {
                None => state.aside.push(Left { parcel, why: None }),
                Some(lives)
                    if lives >= office.terms.quarantine_after && !planted!("server: a message kills for ever") =>
                {
                    reached!("server: a message was quarantined");
                    count(&self.counts.again);
                    let why = Some(Reason::Quarantined { lives, exit: down.exit.clone() });
                    state.aside.push(Left { parcel, why });
                }
                Some(_) => {
                    count(&self.counts.again);
                    received.push_front(parcel);
                }
            }
        }
        if let Some(parcel) = state.kept.take()
            && !planted!("server: what a life was to do next is lost")
        {
            self.lay_aside(&mut state, parcel, Some(down));
        }
        self.give_back(&mut state, received, Some(down));
        if closes || office.terms.pending == Pending::DeadLetter {
            self.close_mailbox(&mut state, down);
        }
    }

    /// Nobody is to come: who waits is told.
    fn close_mailbox(&self, state: &mut State<S>, down: &Down) {
        let mailbox = &self.made().mailbox;
        let early = if planted!("server: a close drains first") { mailbox.drain() } else { Vec::new() };
        mailbox.close();
        // Race "send against close": nothing comes after it.
        let late = if planted!("server: a close drains first") { Vec::new() } else { mailbox.drain() };
        for parcel in early.into_iter().chain(late) {
            self.lay_aside(state, parcel, Some(down));
        }
    }

    /// Nobody will do it.
    fn lay_aside(&self, state: &mut State<S>, parcel: Parcel<S>, down: Option<&Down>) {
        if let Some(down) = down {
            // It comes back to its caller with this.
            parcel.end(down);
        }
        let exit = || down.map(|down| down.exit.clone());
        let why = (!parcel.is_call()).then(|| Reason::NotRunning { exit: exit() });
        state.aside.push(Left { parcel, why });
    }

    /// No life is to come. Whether there is something to settle.
    fn rests(&self, gone: bool) -> bool {
        let mut state = self.state.lock();
        state.gone |= gone;
        if let Phase::Vacant(down) = state.phase.clone() {
            reached!("server: nobody comes any more");
            state.phase = Phase::Closed(down.clone());
            self.close_mailbox(&mut state, &down);
        }
        !state.aside.is_empty()
    }

    /// Makes dead letters of what was laid aside. Where users' code may run.
    pub(crate) fn settle(self: &Arc<Self>) {
        let aside = mem::take(&mut self.state.lock().aside);
        if aside.is_empty() {
            return;
        }
        let system = self.home.get().and_then(|home| home.system.upgrade());
        // Without a universe there is no box, and nobody who could look into it.
        let letters = system.as_ref().map(DeadLetters::of);
        let mut rest = Vec::new();
        for Left { parcel, why } in aside {
            self.counts.buried.fetch_add(u64::from(why.is_some()), Ordering::Relaxed); // ordering: a count
            match (why, &letters) {
                (Some(why), Some(letters)) => _ = letters.bury(Letter::of(self, parcel, why)),
                (_, _) => rest.push(parcel),
            }
        }
        // Last: their drop is a user's, and may panic.
        drop(rest);
    }

    /// The clock of the universe in which it lives, if it has lived.
    pub(crate) fn clock(&self) -> Option<Clock> {
        Some(self.home.get()?.system.upgrade()?.clock().clone())
    }
}

impl<S: Server> State<S> {
    fn is_served_by(&self, who: Incarnation) -> bool {
        matches!(&self.phase, Phase::Served(seat) if seat.incarnation == who)
    }
}

impl Seat {
    /// Whether no life is to come: see the module.
    fn closes(&self, exit: &Exit) -> bool {
        let in_order = matches!(exit, Exit::Normal | Exit::ShutdownWith(_));
        self.restart == Restart::Temporary || !self.ready || (in_order && self.restart != Restart::Permanent)
    }
}

impl<S: Server> Seen for Desk<S> {
    fn status(&self) -> crate::Status {
        self.status()
    }
}
