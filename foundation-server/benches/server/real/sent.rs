//! Casts until they are done: ours, and a bounded crossbeam channel.
//!
//! A burst of all senders together fits into the mailbox, for a cast waits for no room; each sender ends its own with a
//! call, which is answered when what it sent before is done.

use std::hint::black_box;

use crossbeam_channel::{Receiver, Sender, bounded};
use foundation_server::{Handle, Server, ServerRef, Turn, server};
use foundation_supervisor::{Foundation, Strategy, Supervisor};
use foundation_sync::{SECOND, SECONDS_5, thread};

use crate::real::asked::{ROOM, at_once};

/// So many of all senders together.
pub(crate) const BURST: usize = 1000;
const MOST_SENDERS: usize = 8;

pub(crate) trait Sent: Sync {
    fn send(&self, number: u64);

    /// Waits until all is done that this sender has sent.
    fn done(&self, sender: usize) -> u64;
}

/// One burst of so many senders that are there already.
pub(crate) fn burst(sent: &impl Sent, senders: usize) {
    burst_of(sent, senders, 0);
}

/// So many bursts of so many senders, one of each after the other.
pub(crate) fn bursts(sent: &impl Sent, senders: usize, times: usize) {
    at_once(senders, |sender| (0..times).for_each(|_| burst_of(sent, senders, sender)));
}

fn burst_of(sent: &impl Sent, senders: usize, sender: usize) {
    (0..BURST / senders).for_each(|_| sent.send(1));
    black_box(sent.done(sender));
}

struct Totals(u64);
struct Add(u64);
struct Get;

impl Server for Totals {}

impl Handle<Add> for Totals {
    type Reply = ();
    fn handle(&mut self, Add(number): Add, _: &mut Turn<'_, Self>) {
        self.0 += number;
    }
}

impl Handle<Get> for Totals {
    type Reply = u64;
    fn handle(&mut self, _: Get, _: &mut Turn<'_, Self>) -> u64 {
        self.0
    }
}

pub(crate) struct Ours {
    totals: ServerRef<Totals>,
    system: Foundation,
}

impl Ours {
    pub(crate) fn new() -> Self {
        let system = Foundation::builder().start();
        let (spec, totals) = server("totals", || Totals(0));
        let tree = Supervisor::new("t", Strategy::OneForOne).child(spec);
        tree.start(&system, system.within(SECONDS_5)).expect("it starts");
        Self { totals, system }
    }
}

impl Sent for Ours {
    fn send(&self, number: u64) {
        self.totals.cast(Add(number)).expect("there is room");
    }

    fn done(&self, _: usize) -> u64 {
        self.totals.call(Get, self.system.within(SECOND)).expect("it answers")
    }
}

enum Message {
    Add(u64),
    Get(usize),
}

pub(crate) struct Bare {
    messages: Option<Sender<Message>>,
    answers: Vec<Receiver<u64>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Bare {
    pub(crate) fn new() -> Self {
        let (messages, received) = bounded(ROOM);
        let (to, answers): (Vec<_>, Vec<_>) = (0..MOST_SENDERS).map(|_| bounded(1)).unzip();
        let body = move || {
            let mut total = 0;
            received.iter().for_each(|message| match message {
                Message::Add(number) => total += number,
                Message::Get(sender) => to[sender].send(total).expect("it is waited for"),
            });
        };
        let thread = thread::Builder::new("adds").spawn(body).expect("a thread can be started");
        Self { messages: Some(messages), answers, thread: Some(thread) }
    }

    fn tell(&self, message: Message) {
        self.messages.as_ref().expect("it is there until the end").send(message).expect("it is received");
    }
}

impl Sent for Bare {
    fn send(&self, number: u64) {
        self.tell(Message::Add(number));
    }

    fn done(&self, sender: usize) -> u64 {
        self.tell(Message::Get(sender));
        self.answers[sender].recv().expect("it answers")
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.messages = None;
        self.thread.take().expect("it is joined once").join().expect("it did not panic");
    }
}
