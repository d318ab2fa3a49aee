//! A message to each of many: servers, and threads with a crossbeam channel each.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crossbeam_channel::{Receiver, Sender, bounded};
use foundation_server::{Handle, Server, ServerRef, Turn, server};
use foundation_supervisor::{Foundation, Strategy, Supervisor};
use foundation_sync::{MINUTE, thread};

pub(crate) const MANY: usize = 1000;
const STACK: usize = 128 * 1024;

/// Says when each of many has done its part.
#[derive(Clone)]
struct Roll {
    left: Arc<AtomicUsize>,
    done: Sender<()>,
}

impl Roll {
    fn call() -> (Self, Receiver<()>) {
        let (done, all_done) = bounded(1);
        (Self { left: Arc::new(AtomicUsize::new(0)), done }, all_done)
    }

    fn begin(&self) {
        self.left.store(MANY, Ordering::Release);
    }

    fn one(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.send(()).expect("it is waited for");
        }
    }
}

/// Many who do what they are told.
pub(crate) trait Many {
    /// Tells each, and waits until all have done it.
    fn tell_each(&self);

    /// Asks one after the other.
    fn ask_each(&self);
}

struct Member(Roll);
struct Tick;
struct Get;

impl Server for Member {}

impl Handle<Tick> for Member {
    type Reply = ();
    fn handle(&mut self, _: Tick, _: &mut Turn<'_, Self>) {
        self.0.one();
    }
}

impl Handle<Get> for Member {
    type Reply = u64;
    fn handle(&mut self, _: Get, _: &mut Turn<'_, Self>) -> u64 {
        7
    }
}

pub(crate) struct Ours {
    members: Vec<ServerRef<Member>>,
    roll: Roll,
    all_done: Receiver<()>,
    system: Foundation,
}

impl Ours {
    pub(crate) fn new() -> Self {
        let system = Foundation::builder().start();
        let (roll, all_done) = Roll::call();
        let mut tree = Supervisor::new("many", Strategy::OneForOne);
        let mut members = Vec::new();
        for number in 0..MANY {
            let roll = roll.clone();
            let (spec, member) = server(format!("m{number}"), move || Member(roll.clone()));
            tree = tree.child(spec.child().stack(STACK));
            members.push(member);
        }
        tree.start(&system, system.within(MINUTE)).expect("it starts");
        Self { members, roll, all_done, system }
    }
}

impl Many for Ours {
    fn tell_each(&self) {
        self.roll.begin();
        self.members.iter().for_each(|member| member.cast(Tick).expect("there is room"));
        self.all_done.recv().expect("all do it");
    }

    fn ask_each(&self) {
        let until = self.system.within(MINUTE);
        self.members.iter().for_each(|member| _ = member.call(Get, &until).expect("it answers"));
    }
}

enum Message {
    Tick,
    Get,
}

pub(crate) struct Bare {
    members: Vec<Sender<Message>>,
    threads: Vec<thread::JoinHandle<()>>,
    answers: Receiver<u64>,
    roll: Roll,
    all_done: Receiver<()>,
}

impl Bare {
    pub(crate) fn new() -> Self {
        let ((roll, all_done), (answer, answers)) = (Roll::call(), bounded(1));
        let start = |number| {
            let ((to, messages), answer, roll) = (bounded(1024), answer.clone(), roll.clone());
            let body = move || {
                messages.iter().for_each(|message| match message {
                    Message::Tick => roll.one(),
                    Message::Get => answer.send(7).expect("it is waited for"),
                });
            };
            let builder = thread::Builder::new(format!("m{number}")).stack(STACK);
            (to, builder.spawn(body).expect("a thread can be started"))
        };
        let (members, threads) = (0..MANY).map(start).unzip();
        Self { members, threads, answers, roll, all_done }
    }
}

impl Many for Bare {
    fn tell_each(&self) {
        self.roll.begin();
        self.members.iter().for_each(|member| member.send(Message::Tick).expect("it is received"));
        self.all_done.recv().expect("all do it");
    }

    fn ask_each(&self) {
        for member in &self.members {
            member.send(Message::Get).expect("it is received");
            self.answers.recv().expect("it answers");
        }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.members.clear();
        self.threads.drain(..).for_each(|thread| thread.join().expect("it did not panic"));
    }
}
