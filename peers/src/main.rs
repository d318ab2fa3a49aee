//! Supervision, messages and spans by other libraries beside ours, in the same run:
//! `cargo run --release --manifest-path peers/Cargo.toml`.
//!
//! Theirs are tasks on two threads of a runtime, ours are threads: a replacement of theirs is a task that is queued, one
//! of ours has a stack of its own.

mod kameos;
mod messages;
mod ours;
mod ractors;
mod spans;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use foundation_sync::{Deadline, Full, Mutex, Queue};

const ROUNDS: usize = 21;
const CRASHES: usize = 200;
pub(crate) const CHILDREN: usize = 1_000;

/// What lives after one another tell.
#[derive(Clone)]
pub(crate) struct Line {
    took: Queue<Duration>,
    since: Arc<Mutex<Option<Instant>>>,
}

impl Line {
    fn new() -> Self {
        Self { took: Queue::bounded(1, Full::Wait), since: Arc::default() }
    }

    /// The first instruction of a life.
    pub(crate) fn begin(&self) {
        let now = Instant::now();
        if let Some(since) = self.since.lock().take() {
            self.took.try_send(now - since).expect("one at a time");
        }
    }

    /// The last one.
    pub(crate) fn panic(&self) -> ! {
        *self.since.lock() = Some(Instant::now());
        panic!("once more")
    }
}

/// A child under a supervisor of its library.
pub(crate) trait Crashes {
    /// Tells the child that lives to panic.
    fn tell(&self);
}

pub(crate) struct Took {
    pub(crate) started: Duration,
    pub(crate) stopped: Duration,
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn micros(took: Duration) -> f64 {
    took.as_nanos() as f64 / 1000.0
}

fn print(what: &str, rounds: &[[f64; 3]]) {
    let [ours, ractor, kameo] = [0, 1, 2].map(|at| median(rounds.iter().map(|round| round[at]).collect()));
    println!("{what:<48} {ours:>12.1} {ractor:>12.1} {kameo:>12.1}");
}

fn main() {
    // A panic is part of it, its text is not.
    std::panic::set_hook(Box::new(|_| {}));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    println!("{:<48} {:>12} {:>12} {:>12}", "median of rounds by turns, us", "foundation", "ractor", "kameo");
    let line = Line::new();
    let all: [Box<dyn Crashes>; 3] = [
        Box::new(ours::start(&line)),
        Box::new(runtime.block_on(ractors::start(&line))),
        Box::new(runtime.block_on(kameos::start(&line))),
    ];
    let crash = |which: &dyn Crashes| {
        which.tell();
        micros(line.took.recv(Deadline::never()).expect("it is replaced"))
    };
    let round = |_| [0, 1, 2].map(|at| median((0..CRASHES).map(|_| crash(&*all[at])).collect()));
    let rounds: Vec<_> = (0..=ROUNDS).map(round).skip(1).collect();
    print("panic to the replacement's first instruction", &rounds);
    let crowds: Vec<_> = (0..=ROUNDS)
        .map(|_| [ours::crowd(), runtime.block_on(ractors::crowd()), runtime.block_on(kameos::crowd())])
        .skip(1)
        .collect();
    let of = |part: fn(&Took) -> Duration| -> Vec<_> {
        crowds.iter().map(|three| [0, 1, 2].map(|at| micros(part(&three[at])))).collect()
    };
    print("1,000 children started", &of(|took| took.started));
    print("1,000 children stopped", &of(|took| took.stopped));
    drop(all);
    messages::table(&runtime);
    drop(runtime);
    spans::print();
}
