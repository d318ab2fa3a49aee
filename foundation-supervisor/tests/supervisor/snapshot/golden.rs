//! Text and JSON, as they are printed.

use foundation_context::{fields, with};
use foundation_supervisor::{Backoff, ChildError, ChildSpec, Failure, Life, Restart, Strategy, Supervisor, Tree};
use foundation_sync::{Deadline, Full, MINUTE, Queue, SECOND};
use foundation_testkit::TestUniverse;

use super::{HOUR, idle};

/// What stands before a number that is masked.
const MARKS: [&str; 5] = ["rs:", "thread ", "of 4096, ", "waiting, ", "of 1048576, "];

struct Shop {
    t: TestUniverse,
    tree: Tree,
    /// Closed, the guard who does not listen goes home.
    gate: Queue<()>,
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.gate.close();
    }
}

/// Thirteen seconds after its start: a porter who is done, a rider below a supervisor of its own, a guard who was abandoned
/// after three seconds, and a clerk who panicked after two and has an order left.
fn shop() -> Shop {
    let t = TestUniverse::with_virtual_time();
    let (orders, gate, dawn) =
        (Queue::bounded(8, Full::Wait), Queue::bounded(1, Full::Wait), Queue::bounded(1, Full::Wait));
    let (taken, closed, opens) = (orders.clone(), gate.clone(), dawn.clone());
    for order in 1..=3 {
        orders.try_send(order).expect("there is room");
    }
    let clerk = move |life: &Life| {
        life.watch_queue(&taken);
        if life.incarnation().generation == 2 {
            return idle(life);
        }
        life.next(&opens)?;
        while let Some(order) = life.next(&taken)? {
            life.checkpoint();
            with(fields! { order: order }, || assert_ne!(order, 2, "it can't be packed"));
        }
        Ok(())
    };
    let guard = move |life: &Life| {
        life.checkpoint();
        _ = closed.recv(life.system().within(HOUR));
        Ok(())
    };
    let porter: fn(&Life) -> Result<(), Failure> = |_| Ok(());
    let riders = Supervisor::new("riders", Strategy::OneForAll).child(ChildSpec::worker("anna", idle));
    let shop = Supervisor::new("shop", Strategy::OneForOne)
        .intensity(3, MINUTE)
        .child(ChildSpec::worker("porter", porter).restart(Restart::Transient))
        .child(ChildSpec::supervisor(riders))
        .child(ChildSpec::worker("guard", guard).stop_within(SECOND))
        .child(ChildSpec::worker("clerk", clerk));
    let tree = t.start(shop);
    t.clock().advance(2 * SECOND);
    dawn.try_send(()).expect("there is room");
    t.clock().advance(SECOND);
    // Nobody waits for it: it is abandoned after a second.
    assert_eq!(tree.terminate_child("guard", Deadline::now()), Err(ChildError::TimedOut));
    t.clock().advance(10 * SECOND);
    Shop { t, tree, gate }
}

/// The text without what depends on the machine, on chance or on a file's lines: line numbers, threads' numbers, how many
/// jobs the courier had at most, and how many bytes a table takes.
fn masked(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some((before, mark)) =
        MARKS.iter().filter_map(|mark| Some((rest.find(mark)?, *mark))).min_by_key(|(at, _)| *at)
    {
        let (head, tail) = rest.split_at(before + mark.len());
        let end = tail.find(|sign: char| !sign.is_ascii_digit() && sign != ':').unwrap_or(tail.len());
        // A colon that ends a place stays.
        let end = tail[..end].trim_end_matches(':').len();
        masked += head;
        masked += if end > 0 { "N" } else { "" };
        rest = &tail[end..];
    }
    masked + rest
}

#[test]
fn a_universes_tree_is_read_at_a_glance() {
    let shop = shop();
    let snapshot = shop.t.snapshot(shop.t.patience()).expect("it answers");
    let tree = shop.tree.snapshot(shop.t.patience()).expect("it answers");
    assert_eq!(snapshot.find("shop"), Some(&tree.root), "a tree is shown as it is in its universe");
    assert_eq!(masked(&snapshot.to_string()), include_str!("universe.txt").trim_end());
}

/// A client that backs off after its second crash, within an intensity of its own, beside a child that is looked after.
#[test]
fn a_child_that_backs_off_is_shown_with_the_time_that_is_left_and_with_its_own_restarts() {
    let t = TestUniverse::with_virtual_time();
    let fails = |_: &Life| Err(Failure::new("no route to host"));
    let client = ChildSpec::worker("client", fails)
        .intensity(5, MINUTE)
        .backoff(Backoff::exponential(SECOND, 8 * SECOND).jitter(0));
    let inner = ChildSpec::supervisor(Supervisor::new("inner", Strategy::OneForAll)).intensity(2, HOUR);
    let tree = Supervisor::new("t", Strategy::OneForOne)
        .child(client)
        .child(ChildSpec::worker("clerk", idle).heartbeat_within(3 * SECOND))
        .child(inner);
    let tree = t.start(tree);
    t.clock().advance(1500 * SECOND / 1000);
    let snapshot = tree.snapshot(t.patience()).expect("it answers");
    assert_eq!(masked(&snapshot.to_string()), include_str!("backs_off.txt").trim_end());
    #[cfg(feature = "json")]
    {
        let json = snapshot.to_json();
        let said = |n: usize, what: &str| json["root"]["children"][n][what].clone();
        assert_eq!((said(0, "phase"), said(0, "backs_off_until")), ("backing_off".into(), 3_000_000_000_u64.into()));
        assert_eq!((&said(0, "own_restarts")["used"], said(0, "heartbeat")), (&2.into(), serde_json::Value::Null));
        assert_eq!(
            (said(1, "heartbeat"), said(1, "own_restarts")),
            (3_000_000_000_u64.into(), serde_json::Value::Null)
        );
        assert_eq!(said(2, "own_restarts")["left"], 2);
    }
}

#[test]
fn crashes_are_listed_with_their_last_report() {
    let shop = shop();
    assert_eq!(masked(&shop.t.crashes().to_string()), include_str!("crashes.txt").trim_end());
}

#[test]
fn a_universes_vitals_are_a_short_block() {
    let shop = shop();
    assert_eq!(masked(&shop.t.vitals().to_string()), include_str!("vitals.txt").trim_end());
}

#[test]
#[cfg(feature = "json")]
fn a_tree_as_json_has_what_its_data_have() {
    let shop = shop();
    let mut json = shop.tree.snapshot(shop.t.patience()).expect("it answers").to_json();
    mask(&mut json);
    let expected: serde_json::Value = serde_json::from_str(include_str!("tree.json")).expect("it is JSON");
    assert_eq!(json, expected, "{json:#}");
}

#[cfg(feature = "json")]
fn mask(json: &mut serde_json::Value) {
    match json {
        serde_json::Value::Array(all) => all.iter_mut().for_each(mask),
        serde_json::Value::Object(all) => {
            if let Some(id) = all.get_mut("os_id").filter(|id| id.is_u64()) {
                *id = "N".into();
            }
            all.values_mut().for_each(mask);
        }
        serde_json::Value::String(text) => *text = masked(text),
        _ => {}
    }
}
