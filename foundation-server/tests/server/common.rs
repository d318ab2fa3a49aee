//! A server that does what a test tells it.

use std::sync::Arc;

use foundation_server::{CallError, Handle, Server, ServerRef, ServerSpec, Turn, server};
use foundation_supervisor::{ChildSpec, Failure, Strategy, Supervisor, Tree};
use foundation_sync::{Deadline, Full, Mutex, Queue};
use foundation_testkit::{TestUniverse, patience};

/// What was done, in this order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn add(&self, line: impl Into<String>) {
        self.0.lock().push(line.into());
    }

    pub(crate) fn text(&self) -> String {
        self.0.lock().join(", ")
    }
}

/// Adds up, in each life from 0.
pub(crate) struct Clerk {
    pub(crate) sum: u64,
    pub(crate) log: Log,
}

impl Server for Clerk {
    fn terminate(&mut self, _: &mut Turn<'_, Self>) {
        self.log.add("terminate");
    }
}

/// A number to be added.
#[derive(Debug, PartialEq)]
pub(crate) struct Add(pub(crate) u64);

impl Handle<Add> for Clerk {
    type Reply = u64;

    fn handle(&mut self, Add(number): Add, _: &mut Turn<'_, Self>) -> u64 {
        self.sum += number;
        self.sum
    }
}

/// A line for the log.
#[derive(Clone)]
pub(crate) struct Note(pub(crate) &'static str);

impl Handle<Note> for Clerk {
    type Reply = ();

    fn handle(&mut self, Note(line): Note, _: &mut Turn<'_, Self>) {
        self.log.add(line);
    }
}

type Job = dyn FnOnce(&mut Clerk, &mut Turn<'_, Clerk>) + Send;

/// Anything else.
pub(crate) struct Run(Box<Job>);

pub(crate) fn run(job: impl FnOnce(&mut Clerk, &mut Turn<'_, Clerk>) + Send + 'static) -> Run {
    Run(Box::new(job))
}

impl Handle<Run> for Clerk {
    type Reply = ();

    fn handle(&mut self, Run(job): Run, turn: &mut Turn<'_, Self>) {
        job(self, turn);
    }
}

/// A place where a server stays until its test opens it.
#[derive(Clone)]
pub(crate) struct Gate {
    there: Queue<()>,
    open: Queue<()>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self { there: Queue::bounded(16, Full::Refuse), open: Queue::bounded(1, Full::Refuse) }
    }

    /// A job that comes to the gate, and goes on when it is open.
    pub(crate) fn pass(&self) -> Run {
        self.then(|_, _| {})
    }

    /// The same, and then this.
    pub(crate) fn then(&self, job: impl FnOnce(&mut Clerk, &mut Turn<'_, Clerk>) + Send + 'static) -> Run {
        let gate = self.clone();
        run(move |clerk, turn| {
            gate.stay();
            job(clerk, turn);
        })
    }

    pub(crate) fn stay(&self) {
        self.there.try_send(()).expect("few come to a gate");
        _ = self.open.recv(Deadline::never());
    }

    /// Waits until somebody is there.
    #[track_caller]
    pub(crate) fn somebody(&self, t: &TestUniverse) {
        self.there.recv(t.patience()).expect("somebody comes to the gate");
    }

    pub(crate) fn open(&self) {
        self.open.close();
    }
}

/// A clerk, not in a tree yet.
pub(crate) fn clerk() -> (ServerSpec<Clerk>, ServerRef<Clerk>, Log) {
    let log = Log::default();
    let its = log.clone();
    let (spec, clerk) = server("clerk", move || Clerk { sum: 0, log: its.clone() });
    (spec, clerk, log)
}

/// One for one, and any number of restarts.
pub(crate) fn one_for_one() -> Supervisor {
    Supervisor::new("t", Strategy::OneForOne).intensity(1_000, patience())
}

/// Starts it in a tree of its own.
pub(crate) fn start(t: &TestUniverse, spec: impl Into<ChildSpec>) -> Tree {
    t.start(one_for_one().child(spec))
}

/// A clerk that serves.
pub(crate) fn served(t: &TestUniverse) -> (ServerRef<Clerk>, Log, Tree) {
    let (spec, clerk, log) = clerk();
    let tree = start(t, spec);
    (clerk, log, tree)
}

/// Asks, and is answered within the test's patience.
#[track_caller]
pub(crate) fn ask<M: Send + 'static>(
    t: &TestUniverse,
    clerk: &ServerRef<Clerk>,
    message: M,
) -> <Clerk as Handle<M>>::Reply
where
    Clerk: Handle<M>,
{
    match clerk.call(message, t.patience()) {
        Ok(reply) => reply,
        Err(error) => panic!("{error}"),
    }
}

/// Waits until so many messages wait.
#[track_caller]
pub(crate) fn waits(t: &TestUniverse, clerk: &ServerRef<Clerk>, messages: usize) {
    t.wait_for(|| (clerk.status().waiting == messages).then_some(()).ok_or_else(|| Box::new(clerk.status())));
}

pub(crate) fn boom() -> ! {
    panic!("boom")
}

pub(crate) fn fails() -> Result<(), Failure> {
    Err(Failure::new("told to fail"))
}

/// The message that came back, of a call that was refused one.
#[track_caller]
pub(crate) fn back<R>(outcome: Result<R, CallError<Add>>) -> Option<u64> {
    match outcome {
        Ok(_) => panic!("it was answered"),
        Err(error) => error.into_message().map(|Add(number)| number),
    }
}
