//! Events one after another, without a thread: whoever brings news turns the crank.
//!
//! # Protocol
//! What handles the events is a value, the *hands*. They lie in the serial when nobody turns it; who brings news while
//! they lie there takes them, and with them the duty to turn. They are put back under the same lock under which the
//! queue was found empty. One event is handled outside any lock. News for another serial only queues there; if its
//! hands were free, that duty joins the *agenda* of this thread: nothing recurses, and no thread waits.
//! A thread turns a bounded number of events; then the duty goes to the timekeeper.
//!
//! Named races:
//! - *last look*: news arrives between the last look at the queue and the return of the hands. Both happen under one
//!   lock, so either the news is seen or its bringer finds the hands.
//! - *no taker*: the timekeeper has ended when a duty is to be handed over. It refuses, and the thread goes on alone.

use std::{any::Any, collections::VecDeque, fmt, panic, sync::Arc};

use crate::{MODEL, Mutex, Timekeeper, payload, planted, reached, virtual_time::Turning};

/// What handles the events of a [`Serial`]: the library's own code, never a user's.
pub trait Turn: Sized + Send + 'static {
    /// The news.
    type Event: Send + 'static;

    /// Handles one event: on one thread at a time, under no lock. May not wait.
    fn turn(&mut self, me: &Serial<Self>, event: Self::Event, agenda: &mut Agenda);

    /// `turn` panicked, which is a defect of the library: bring what is left into order, and report it. What is left of the
    /// news is handled afterwards, also if this panics.
    fn broken(&mut self, me: &Serial<Self>, panic: Box<dyn Any + Send>, agenda: &mut Agenda);
}

/// How many events a thread handles before the timekeeper takes over.
///
/// In models twelve, so that handing over is explored, too.
const SHARE: usize = if MODEL { 12 } else { 64 };

/// Events handled one after another by whoever brings them. A clone is another handle.
pub struct Serial<H: Turn>(Arc<Inner<H>>);

struct Inner<H: Turn> {
    keeper: Timekeeper,
    state: Mutex<State<H>>,
}

struct State<H: Turn> {
    /// It grows only while somebody turns: whoever finds the hands free turns until it is empty.
    news: VecDeque<H::Event>,
    /// Absent while somebody turns.
    hands: Option<H>,
}

impl<H: Turn> Serial<H> {
    /// Hands with nothing to do.
    pub fn new(hands: H, keeper: &Timekeeper) -> Self {
        let state = State { news: VecDeque::new(), hands: Some(hands) };
        Self(Arc::new(Inner { keeper: keeper.clone(), state: Mutex::new(state) }))
    }

    /// Brings news, and turns unless somebody does.
    pub fn push(&self, event: H::Event) {
        if let Some(duty) = self.post(event) {
            work(duty, &self.0.keeper);
        }
    }

    /// Brings news from within a turn. If nobody turns this serial, the duty joins the agenda.
    pub fn push_later(&self, event: H::Event, agenda: &mut Agenda) {
        agenda.0.extend(self.post(event));
    }

    /// Brings news, and gives out the duty to turn if nobody has it.
    pub(crate) fn post(&self, event: H::Event) -> Option<Box<dyn Duty>> {
        let (hands, first) = {
            let mut state = self.0.state.lock();
            match state.hands.take() {
                Some(hands) => (hands, event),
                None => {
                    reached!("news for somebody who turns");
                    state.news.push_back(event);
                    return None;
                }
            }
        };
        Some(Box::new(Held { serial: self.clone(), hands, first: Some(first) }))
    }
}

impl<H: Turn> Clone for Serial<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<H: Turn> fmt::Debug for Serial<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Serial(..)")
    }
}

/// The serials that this thread has to turn.
#[derive(Default)]
pub struct Agenda(VecDeque<Box<dyn Duty>>);

impl fmt::Debug for Agenda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Agenda({})", self.0.len())
    }
}

/// The right, and the duty, to turn one serial.
pub(crate) trait Duty: Send {
    /// Handles one event, if this thread may go on.
    fn turn(self: Box<Self>, may_go_on: bool, agenda: &mut Agenda) -> Turned;
}

pub(crate) enum Turned {
    On(Box<dyn Duty>),
    TooLong(Box<dyn Duty>),
    Done,
}

struct Held<H: Turn> {
    serial: Serial<H>,
    hands: H,
    /// The event with which they were taken, before all news: most come alone, and need no list.
    first: Option<H::Event>,
}

impl<H: Turn> Duty for Held<H> {
    fn turn(mut self: Box<Self>, may_go_on: bool, agenda: &mut Agenda) -> Turned {
        let event = if let Some(first) = self.first.take() {
            if !may_go_on {
                self.first = Some(first);
                return Turned::TooLong(self);
            }
            first
        } else {
            let mut state = self.serial.0.state.lock();
            if state.news.is_empty() {
                if planted!("serial: last look") {
                    drop(state);
                    self.serial.clone().0.state.lock().hands = Some(self.hands);
                } else {
                    let hands = self.hands;
                    state.hands = Some(hands);
                }
                return Turned::Done;
            }
            if !may_go_on {
                drop(state);
                return Turned::TooLong(self);
            }
            state.news.pop_front().expect("looked at above")
        };
        let turned = panic::catch_unwind(panic::AssertUnwindSafe(|| self.hands.turn(&self.serial, event, agenda)));
        if let Err(panic) = turned {
            let broken = panic::AssertUnwindSafe(|| self.hands.broken(&self.serial, panic, agenda));
            if let Err(worse) = panic::catch_unwind(broken) {
                // A model's failure is the model's; for real the panic hook has said it, and the news that waits goes on.
                if MODEL {
                    panic::resume_unwind(worse);
                }
                payload::forget(worse);
            }
        }
        Turned::On(self)
    }
}

/// Turns one serial, and those that it sets going, until they are done or this thread has done its share.
pub(crate) fn work(first: Box<dyn Duty>, keeper: &Timekeeper) {
    turn_all(VecDeque::from([first]), SHARE, keeper);
}

/// The same without a share: there is nobody to hand over to.
pub(crate) fn work_alone(duties: VecDeque<Box<dyn Duty>>, keeper: &Timekeeper) {
    turn_all(duties, usize::MAX, keeper);
}

fn turn_all(duties: VecDeque<Box<dyn Duty>>, mut left: usize, keeper: &Timekeeper) {
    // In virtual time what is turned is not done before it is, whoever turns it.
    let _turning = keeper.clock().virtual_time().filter(|_| !duties.is_empty()).map(Turning::new);
    let mut agenda = Agenda(duties);
    while let Some(duty) = agenda.0.pop_front() {
        match duty.turn(left > 0, &mut agenda) {
            Turned::On(duty) => {
                left = left.saturating_sub(1);
                agenda.0.push_back(duty);
            }
            Turned::TooLong(duty) => {
                let mut refused = keeper.take_over(duty);
                if !refused.is_empty() {
                    reached!("no taker");
                    left = usize::MAX;
                    agenda.0.append(&mut refused);
                }
            }
            Turned::Done => {}
        }
    }
}
