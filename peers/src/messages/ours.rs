//! Foundation: a server is a thread, and so is who asks it.

use foundation_server::{Handle, Server, ServerRef, Turn, server};
use foundation_supervisor::{Foundation, Strategy, Supervisor};
use foundation_sync::{MINUTE, SECOND};

use super::{BURST, CALLS, MANY, Messages};

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

pub(super) struct Ours {
    /// The first is for one alone.
    all: Vec<ServerRef<Totals>>,
    system: Foundation,
}

pub(super) fn start() -> Ours {
    let system = Foundation::builder().start();
    let mut tree = Supervisor::new("totals", Strategy::OneForOne);
    let mut all = Vec::new();
    for number in 0..=MANY {
        let (spec, totals) = server(format!("t{number}"), || Totals(0));
        tree = tree.child(spec.child().stack(128 * 1024));
        all.push(totals);
    }
    tree.start(&system, system.within(MINUTE)).expect("it starts");
    Ours { all, system }
}

impl Ours {
    fn ask(&self, of: usize) {
        self.all[of].call(Get, self.system.within(SECOND)).expect("it answers");
    }
}

impl Messages for Ours {
    fn calls(&self, callers: usize) {
        let some = || (0..CALLS / callers).for_each(|_| self.ask(0));
        std::thread::scope(|scope| {
            (1..callers).for_each(|_| _ = scope.spawn(some));
            some();
        });
    }

    fn casts(&self) {
        (0..BURST).for_each(|_| self.all[0].cast(Add(1)).expect("there is room"));
        self.ask(0);
    }

    fn fan_out(&self) {
        self.all[1..].iter().for_each(|one| one.cast(Add(1)).expect("there is room"));
        (1..=MANY).for_each(|of| self.ask(of));
    }
}
