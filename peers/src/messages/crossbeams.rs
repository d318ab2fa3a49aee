//! crossbeam-channel used directly: a thread that receives, and a channel for the answers to each who asks. No name, no
//! restart, no deadline.

use crossbeam_channel::{Receiver, Sender, bounded};

use super::{BURST, CALLS, MANY, Messages};

enum Message {
    Add(u64),
    Get(Sender<u64>),
}

/// The first is for one alone.
pub(super) struct Crossbeams(Vec<Sender<Message>>);

pub(super) fn start() -> Crossbeams {
    let one = |_| {
        let (to, from) = bounded(1024);
        let serve = move || {
            let mut total = 0;
            for message in from {
                match message {
                    Message::Add(number) => total += number,
                    Message::Get(answer) => answer.send(total).expect("who asks waits"),
                }
            }
        };
        std::thread::Builder::new().stack_size(128 * 1024).spawn(serve).expect("a thread");
        to
    };
    Crossbeams((0..=MANY).map(one).collect())
}

impl Crossbeams {
    fn ask(&self, of: usize, (answer, answers): &(Sender<u64>, Receiver<u64>)) {
        self.0[of].send(Message::Get(answer.clone())).expect("it lives");
        answers.recv().expect("it answers");
    }
}

impl Messages for Crossbeams {
    fn calls(&self, callers: usize) {
        let some = || {
            let line = bounded(1);
            (0..CALLS / callers).for_each(|_| self.ask(0, &line));
        };
        std::thread::scope(|scope| {
            (1..callers).for_each(|_| _ = scope.spawn(some));
            some();
        });
    }

    fn casts(&self) {
        (0..BURST).for_each(|_| self.0[0].send(Message::Add(1)).expect("it lives"));
        self.ask(0, &bounded(1));
    }

    fn fan_out(&self) {
        self.0[1..].iter().for_each(|one| one.send(Message::Add(1)).expect("it lives"));
        let line = bounded(1);
        (1..=MANY).for_each(|of| self.ask(of, &line));
    }
}
