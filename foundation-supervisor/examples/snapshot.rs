//! A small shop whose clerk panics at the third order: the tree, the vitals and the crashes, as an operator sees them; then
//! the tree as JSON.
//!
//! `cargo run -p foundation-supervisor --features json --example snapshot`

use std::{
    error::Error,
    io::{self, Write},
};

use foundation_context::{fields, with};
use foundation_supervisor::{ChildSpec, Foundation, Life, Strategy, Supervisor, System, Tree};
use foundation_sync::{Full, MINUTE, Queue, SECONDS_5};

fn main() -> Result<(), Box<dyn Error>> {
    let foundation = Foundation::builder().start();
    let (orders, doors) = (Queue::bounded(8, Full::Wait), Queue::bounded(8, Full::Wait));
    let tree = open(&foundation, &orders, &doors)?;
    for order in 1..=5 {
        orders.send(order, foundation.within(SECONDS_5))?;
    }
    // All but the third are delivered, by the clerk's second life where the first one had not packed them yet.
    for _ in 0..4 {
        doors.recv(foundation.within(SECONDS_5))?;
    }
    let reported = || (foundation.crashes().total == 1).then_some(());
    foundation.activity().wait_for(&foundation.within(SECONDS_5), reported).ok_or("no crash was reported")?;
    let snapshot = foundation.snapshot(foundation.within(SECONDS_5))?;
    let mut out = io::stdout();
    writeln!(out, "{snapshot}\n\n{}\n\n{}\n", foundation.vitals(), foundation.crashes())?;
    writeln!(out, "{:#}", tree.snapshot(foundation.within(SECONDS_5))?.to_json())?;
    let report = foundation.stop(SECONDS_5);
    if report.is_clean() { Ok(()) } else { Err(report.to_string().into()) }
}

/// A shop with a clerk, who packs, and two riders under a supervisor of their own, who deliver.
fn open(system: &System, orders: &Queue<u32>, doors: &Queue<u32>) -> Result<Tree, Box<dyn Error>> {
    let (taken, packed, doors) = (orders.clone(), Queue::bounded(8, Full::Wait), doors.clone());
    let parcels = packed.clone();
    let clerk = ChildSpec::worker("clerk", move |life| {
        life.watch_queue(&taken);
        while let Some(order) = life.next(&taken)? {
            life.checkpoint();
            with(fields! { order: order }, || assert_ne!(order, 3, "this order can't be packed"));
            life.send(&packed, order)?;
        }
        Ok(())
    });
    let rider = move |life: &Life| {
        while let Some(parcel) = life.next(&parcels)? {
            life.send(&doors, parcel)?;
        }
        Ok(())
    };
    let riders = Supervisor::new("riders", Strategy::OneForAll)
        .child(ChildSpec::worker("anna", rider.clone()))
        .child(ChildSpec::worker("bert", rider));
    let shop = Supervisor::new("shop", Strategy::RestForOne)
        .intensity(3, MINUTE)
        .child(ChildSpec::supervisor(riders))
        .child(clerk);
    Ok(shop.start(system, system.within(SECONDS_5))?)
}
