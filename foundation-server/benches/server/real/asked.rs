//! A call and back: ours, and two crossbeam channels.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use foundation_server::{Handle, Server, ServerRef, Turn, server};
use foundation_supervisor::{Foundation, Strategy, Supervisor};
use foundation_sync::{Clock, Full, Queue, SECOND, SECONDS_5, thread};

use crate::real::cores::{Cores, stay};

pub(crate) const ROOM: usize = 1024;
/// So many calls until both sides know how they wait.
const WARM: usize = 1000;
/// After so long a server sleeps.
const PAUSE: Duration = Duration::from_micros(200);

/// Someone who answers.
pub(crate) trait Asked: Sync {
    fn ask(&self, caller: usize) -> u64;
}

struct Totals;
struct Stay(Option<usize>);
struct Get;

impl Server for Totals {}

impl Handle<Stay> for Totals {
    type Reply = ();
    fn handle(&mut self, Stay(core): Stay, _: &mut Turn<'_, Self>) {
        stay(core);
    }
}

impl Handle<Get> for Totals {
    type Reply = u64;
    fn handle(&mut self, _: Get, _: &mut Turn<'_, Self>) -> u64 {
        7
    }
}

pub(crate) struct Ours {
    totals: ServerRef<Totals>,
    system: Foundation,
}

impl Ours {
    pub(crate) fn on(cores: Cores) -> Self {
        let system = Foundation::builder().start();
        let (spec, totals) = server("totals", || Totals);
        let tree = Supervisor::new("t", Strategy::OneForOne).child(spec);
        tree.start(&system, system.within(SECONDS_5)).expect("it starts");
        let ours = Self { totals, system };
        // A thread that is kept on one core takes that for all there are: who waits here has asked by then.
        (0..WARM).for_each(|_| _ = ours.ask(0));
        ours.totals.call(Stay(cores.second()), ours.system.within(SECONDS_5)).expect("it answers");
        ours
    }
}

impl Asked for Ours {
    fn ask(&self, _: usize) -> u64 {
        self.totals.call(Get, self.system.within(SECOND)).expect("it answers")
    }
}

/// A thread, a channel for questions, and one for the answers to each caller.
pub(crate) struct Bare {
    questions: Option<Sender<usize>>,
    answers: Vec<Receiver<u64>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Bare {
    pub(crate) fn on(cores: Cores, callers: usize) -> Self {
        let (questions, asked) = bounded(ROOM);
        let (to, answers): (Vec<_>, Vec<_>) = (0..callers).map(|_| bounded(ROOM)).unzip();
        let body = move || {
            stay(cores.second());
            asked.iter().for_each(|caller: usize| to[caller].send(7).expect("it is waited for"));
        };
        let thread = thread::Builder::new("answers").spawn(body).expect("a thread can be started");
        Self { questions: Some(questions), answers, thread: Some(thread) }
    }
}

impl Asked for Bare {
    fn ask(&self, caller: usize) -> u64 {
        let questions = self.questions.as_ref().expect("it is there until the end");
        questions.send(caller).expect("it is received");
        self.answers[caller].recv().expect("it answers")
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.questions = None;
        self.thread.take().expect("it is joined once").join().expect("it did not panic");
    }
}

/// Runs `act` on a thread of its own, where the one who asks is to be.
pub(crate) fn beside<R: Send>(cores: Cores, act: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        let body = move || {
            stay(cores.first());
            act()
        };
        scope.spawn(body).join().expect("it does not panic")
    })
}

/// So many at once: each does this with its number.
pub(crate) fn at_once(threads: usize, act: impl Fn(usize) + Sync) {
    std::thread::scope(|scope| {
        let act = &act;
        (1..threads).for_each(|thread| _ = scope.spawn(move || act(thread)));
        act(0);
    });
}

/// What each of so many calls in quick succession took, in nanoseconds.
pub(crate) fn each(asked: &dyn Asked, calls: usize) -> Vec<u64> {
    // The first ones find it asleep.
    (0..calls / 4).for_each(|_| _ = asked.ask(0));
    (0..calls).map(|_| time(|| _ = asked.ask(0))).collect()
}

/// What each of so many calls took that found it asleep.
pub(crate) fn each_of_a_sleeper(asked: &dyn Asked, calls: usize) -> Vec<u64> {
    let nothing = Queue::<()>::bounded(1, Full::Wait);
    let ask = |_| {
        // Nothing comes; and it sleeps by then.
        _ = nothing.recv(Clock::system().within(PAUSE));
        time(|| _ = asked.ask(0))
    };
    (0..calls).map(ask).collect()
}

pub(crate) fn time(act: impl FnOnce()) -> u64 {
    let start = Instant::now();
    act();
    u64::try_from(start.elapsed().as_nanos()).expect("it takes less than centuries")
}
