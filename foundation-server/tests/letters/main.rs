//! Dead letters, supervised sends, broadcasts, and the table of servers: on real threads.
#![cfg(not(any(loom, shuttle)))]

mod box_of_letters;
mod broadcasts;
mod retries;
mod sends;
mod table;
mod told;

use std::{panic::resume_unwind, sync::Arc};

use foundation_server::{Handle, Server, ServerRef, ServerSpec, Turn, WhenFull, server};
use foundation_supervisor::{ChildSpec, Strategy, Supervisor, Tree};
use foundation_sync::{Full, Mutex, Queue};
use foundation_testkit::{TestUniverse, wait_for};

/// Notes what it is told; can be held up, and crashed.
struct Clerk(Notes);

/// What all lives of a clerk have noted.
type Notes = Arc<Mutex<Vec<u32>>>;

#[derive(Clone)]
struct Note(u32);
/// It is at this until something comes, or it is told to stop.
struct Hold(Queue<()>);
/// Crashes.
#[derive(Clone)]
struct Crash;

impl Server for Clerk {}

impl Handle<Note> for Clerk {
    type Reply = ();
    fn handle(&mut self, Note(number): Note, _: &mut Turn<Self>) {
        self.0.lock().push(number);
    }
}

impl Handle<Hold> for Clerk {
    type Reply = ();
    fn handle(&mut self, Hold(until): Hold, turn: &mut Turn<Self>) {
        _ = until.recv(turn.stop());
    }
}

impl Handle<Crash> for Clerk {
    type Reply = ();
    fn handle(&mut self, _: Crash, _: &mut Turn<Self>) {
        // Without the panic hook, which would print.
        resume_unwind(Box::new("crashed"));
    }
}

/// A clerk that is to be started.
struct Office {
    spec: ServerSpec<Clerk>,
    clerk: ServerRef<Clerk>,
    notes: Notes,
}

fn office(name: &str) -> Office {
    let notes = Notes::default();
    let kept = Arc::clone(&notes);
    let (spec, clerk) = server(name, move || Clerk(Arc::clone(&kept)));
    Office { spec, clerk, notes }
}

fn of(spec: impl Into<ChildSpec>) -> Supervisor {
    Supervisor::new("office", Strategy::OneForOne).intensity(1000, std::time::Duration::from_secs(1)).child(spec)
}

fn start(t: &TestUniverse, spec: impl Into<ChildSpec>) -> Tree {
    t.start(of(spec))
}

/// A clerk who has a message in hand, and goes on with the next when `go` hears of it.
struct Held {
    clerk: ServerRef<Clerk>,
    notes: Notes,
    go: Queue<()>,
    tree: Tree,
}

fn held(t: &TestUniverse, name: &str, capacity: usize, full: WhenFull) -> Held {
    let Office { spec, clerk, notes } = office(name);
    let tree =
        t.start(Supervisor::new(format!("tree of {name}"), Strategy::OneForOne).child(spec.mailbox(capacity, full)));
    let go = Queue::bounded(8, Full::Refuse);
    clerk.cast(Hold(go.clone())).expect("it runs");
    wait_for(|| clerk.status().handled == 1 && clerk.status().waiting == 0);
    Held { clerk, notes, go, tree }
}

impl Held {
    /// Puts as many into the mailbox as there is room for.
    fn fill(&self) {
        let status = self.clerk.status();
        (status.waiting..status.capacity)
            .for_each(|at| self.clerk.cast(Note(1000 + at as u32)).expect("there is room"));
    }

    fn noted(&self) -> Vec<u32> {
        self.notes.lock().clone()
    }
}

/// By which thread this is run.
fn thread_name() -> String {
    std::thread::current().name().unwrap_or_default().to_owned()
}
