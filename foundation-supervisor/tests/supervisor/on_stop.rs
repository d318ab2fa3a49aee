//! Hooks for workers that can't hear the word to stop.

use std::{
    io::Read,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
};

use foundation_context::fields;
use foundation_registry::{Cause, Exit};
use foundation_supervisor::{ChildSpec, Failure, Life, OnStop, Strategy, Supervisor};
use foundation_sync::{Full, Mutex, Queue};
use foundation_telemetry::{Event, EventName, event_name};
use foundation_testkit::{TestUniverse, patience};

const SAID: EventName = event_name!("test", "said");

fn one(body: impl Fn(&Life) -> Result<(), Failure> + Send + Sync + 'static) -> Supervisor {
    Supervisor::new("t", Strategy::OneForOne).child(ChildSpec::worker("w", body).ready_within(patience()))
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a loopback");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

#[test]
fn a_worker_that_accepts_ends_when_its_hook_knocks() {
    let t = TestUniverse::new();
    let body = |life: &Life| {
        let (listener, address) = listen();
        let _hook = life.on_stop(move || drop(TcpStream::connect(address)));
        life.ready();
        for stream in listener.incoming() {
            drop(stream?);
            if life.told() {
                break;
            }
        }
        Ok(())
    };
    let tree = t.start(one(body));
    assert_eq!(tree.stop(t.patience()), Ok(Exit::Shutdown(Cause::Requested)));
    assert_eq!(t.abandoned(), 0);
}

#[test]
fn a_worker_that_reads_ends_when_its_hook_shuts_the_socket_down() {
    let t = TestUniverse::new();
    let (listener, address) = listen();
    let body = move |life: &Life| {
        let mut stream = TcpStream::connect(address)?;
        let other = stream.try_clone()?;
        let _hook = life.on_stop(move || _ = other.shutdown(Shutdown::Both));
        life.ready();
        let read = stream.read(&mut [0])?;
        if read == 0 { Ok(()) } else { Err(Failure::new("nobody writes")) }
    };
    let tree = t.start(one(body));
    let _peer = listener.accept().expect("it has connected");
    assert_eq!(tree.stop(t.patience()), Ok(Exit::Shutdown(Cause::Requested)));
    assert_eq!(t.abandoned(), 0);
}

#[test]
fn a_hook_is_run_once_also_if_the_word_was_said_before_and_a_panic_of_it_is_counted() {
    let t = TestUniverse::new();
    let (runs, kept) = (Queue::bounded(8, Full::Refuse), Arc::new(Mutex::new(Vec::new())));
    let (ran, keeps) = (runs.clone(), Arc::clone(&kept));
    let body = move |life: &Life| {
        let run = |what: &'static str| {
            let ran = ran.clone();
            move || _ = ran.try_send(what)
        };
        let mut guards = vec![life.on_stop(run("before"))];
        drop(life.on_stop(run("taken away")));
        guards.push(life.on_stop(|| panic!("in a hook")));
        life.ready();
        life.wait_until_told();
        guards.push(life.on_stop(run("after")));
        keeps.lock().append(&mut guards);
        Ok(())
    };
    let tree = t.start(one(body));
    assert_eq!(tree.stop(t.patience()), Ok(Exit::Shutdown(Cause::Requested)));
    t.wait_for(|| (runs.len(), t.lost()) == (2, 1));
    drop(kept);
    let mut runs = runs.drain();
    runs.sort_unstable();
    assert_eq!(runs, ["after", "before"]);
}

/// The word is said, and the courier has not come to the hook.
#[test]
fn a_hook_whose_guard_is_dropped_before_it_begins_is_never_run() {
    let t = TestUniverse::new();
    let (gate, entered) = (Queue::<()>::bounded(1, Full::Refuse), Queue::bounded(1, Full::Refuse));
    let (waits, enters, until) = (gate.clone(), entered.clone(), t.patience());
    let holds = move |_: &Event| {
        _ = enters.try_send(());
        _ = waits.recv(&until);
    };
    t.telemetry().attach_queued("holds", SAID, 8, holds).expect("the id is free");
    t.telemetry().emit(SAID, || (fields! {}, fields! {}));
    entered.recv(t.patience()).expect("the courier is held up");
    let ran = Arc::new(Mutex::new(Vec::new()));
    let (runs, kept) = (Arc::clone(&ran), Arc::new(Mutex::new(None::<OnStop>)));
    let keeps = Arc::clone(&kept);
    let body = move |life: &Life| {
        let push = |what: &'static str| {
            let runs = Arc::clone(&runs);
            move || runs.lock().push(what)
        };
        let dropped = life.on_stop(push("dropped in time"));
        *keeps.lock() = Some(life.on_stop(push("kept")));
        life.ready();
        life.wait_until_told();
        drop(dropped);
        Ok(())
    };
    let tree = t.start(one(body));
    assert_eq!(tree.stop(t.patience()), Ok(Exit::Shutdown(Cause::Requested)));
    assert_eq!(format!("{:?}", *kept.lock()), "Some(OnStop(waits))");
    gate.close();
    t.wait_for(|| !ran.lock().is_empty());
    assert_eq!(*ran.lock(), ["kept"], "in the order in which they were left");
    assert_eq!(format!("{:?}", *kept.lock()), "Some(OnStop(taken))");
    t.telemetry().detach("holds").expect("it is attached");
}
