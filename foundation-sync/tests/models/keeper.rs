//! Timekeepers and serials that the models share.

use std::{any::Any, sync::Arc};

use foundation_sync::{Agenda, Clock, Mutex, Serial, Timekeeper, Turn, thread};
use foundation_testkit::join;

/// Collects what it is told, in order, and sees to it that it is never entered twice.
pub(crate) struct Collects {
    pub(crate) seen: Arc<Mutex<Vec<(usize, usize)>>>,
    pub(crate) inside: bool,
}

impl Turn for Collects {
    type Event = (usize, usize);

    fn turn(&mut self, me: &Serial<Self>, event: (usize, usize), agenda: &mut Agenda) {
        assert!(!std::mem::replace(&mut self.inside, true), "entered twice");
        self.seen.lock().push(event);
        if event == (1, 0) {
            me.push_later((3, 0), agenda);
        }
        self.inside = false;
    }

    fn broken(&mut self, _: &Serial<Self>, panic: Box<dyn Any + Send>, _: &mut Agenda) {
        std::panic::resume_unwind(panic);
    }
}

pub(crate) fn nobody() -> Timekeeper {
    Timekeeper::new(Clock::system(), |_| Err(std::io::ErrorKind::Unsupported.into()))
}

/// A timekeeper whose threads are kept, to be joined.
pub(crate) type Bodies = Arc<Mutex<Vec<thread::JoinHandle<()>>>>;

pub(crate) fn keeper() -> (Timekeeper, Bodies) {
    let bodies = Bodies::default();
    let started = Arc::clone(&bodies);
    let keeper = Timekeeper::new(Clock::system(), move |body| {
        let body = thread::Builder::new("timekeeper").spawn(body)?;
        started.lock().push(body);
        Ok(())
    });
    (keeper, bodies)
}

pub(crate) fn join_all(bodies: &Bodies) {
    loop {
        let body = bodies.lock().pop();
        match body {
            Some(body) => join(body),
            None => return,
        }
    }
}
