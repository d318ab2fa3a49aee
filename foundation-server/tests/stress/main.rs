//! Many callers of servers that die again and again: each message is accounted for, once.
//!
//! A million of them, or as many as `FOUNDATION_MESSAGES` says.
#![cfg(not(any(loom, shuttle)))]

mod caller;
mod mortal;

use std::{sync::Arc, time::Duration};

use foundation_server::{DeadLetters, LetterCounts, Pending, Retry, SEND_FAILED, Status, WhenFull};
use foundation_supervisor::{Backoff, ChildSpec, Strategy, Supervisor, System};
use foundation_sync::{
    Mutex,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use foundation_testkit::{TestUniverse, deep, join, spawn};

use crate::{
    caller::{Caller, Heard, Told, World},
    mortal::{Done, mortal},
};

const CALLERS: u64 = 8;

/// How many letters there is room for: others are crowded out.
const LETTERS: usize = 16;

/// How many messages each caller sends in each of the three stories.
fn messages() -> u64 {
    let all = match std::env::var("FOUNDATION_MESSAGES") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("FOUNDATION_MESSAGES is `{text}`: expected a number")),
        Err(_) if deep() => 100_000_000,
        Err(_) => 1_000_000,
    };
    u64::div_ceil(all, 3 * CALLERS)
}

/// What is known at one moment, by the service and by those who sent.
#[derive(Debug)]
struct Sums {
    servers: [Status; 2],
    done: [u64; 2],
    letters: LetterCounts,
    sunk: u64,
    failed: u64,
    told: [Told; 2],
    heard: Heard,
}

impl Sums {
    /// The first that is wrong, if nothing is under way any more.
    fn wrong(&self) -> Option<&'static str> {
        let Self { servers, done, letters, sunk, failed, told, heard } = self;
        for ((status, told), done) in servers.iter().zip(told).zip(done) {
            // A letter is a message that became one and was not delivered after all.
            let dead = status.buried - status.redelivered;
            let handled = status.handled - status.again;
            let wrong = [
                (told.sent == handled + dead + status.refused + status.returned, "sent"),
                (status.waiting == 0, "waiting"),
                (status.refused == told.refused, "refused"),
                (status.returned == told.returned, "returned"),
                (status.handled == *done, "handled"),
                (status.broken >= told.broken + status.again, "broken"),
                (status.buried >= told.buried, "buried"),
            ];
            if let Some((_, what)) = wrong.into_iter().find(|(right, _)| !right) {
                return Some(what);
            }
        }
        let sum = |of: fn(&Status) -> u64| servers.iter().map(of).sum::<u64>();
        let LetterCounts { added, delivered, taken, purged, overflowed, waiting, .. } = *letters;
        let wrong = [
            (added == delivered + taken + purged + overflowed + waiting, "letters"),
            (added == sum(|status| status.buried), "letters added"),
            (delivered == sum(|status| status.redelivered), "letters delivered"),
            (delivered >= heard.retried, "letters delivered by hand"),
            ((taken, purged) == (heard.taken, heard.purged), "letters taken and purged"),
            (added == sunk + letters.for_sink + letters.unsunk + letters.sink_panics, "letters for the sink"),
            (letters.for_sink == 0, "letters that wait for the sink"),
            (*failed == heard.logged, "failures that were logged"),
        ];
        wrong.into_iter().find(|(right, _)| !right).map(|(_, what)| what)
    }
}

/// All that was sent is accounted for.
#[track_caller]
fn check(story: &str, pending: Pending, full: WhenFull) {
    let t = TestUniverse::new();
    let letters = DeadLetters::of(&t);
    letters.set_capacity(LETTERS).expect("nothing was said");
    letters.set_retry(Some(Retry::new(Backoff::constant(Duration::from_millis(1)), 3)));
    let (sunk, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (sinks, fails) = (Arc::clone(&sunk), Arc::clone(&failed));
    letters.set_sink(move |_| _ = sinks.fetch_add(1, Relaxed));
    let fails = move |_: &foundation_telemetry::Event| _ = fails.fetch_add(1, Relaxed);
    t.telemetry().attach("fails", [SEND_FAILED], fails).expect("nobody else has the id");
    let done = [(); 2].map(|()| Arc::new(Done::new(messages() * CALLERS)));
    let [(first, one), (second, other)] = [mortal("one", &done[0]), mortal("other", &done[1])];
    let child = |spec: foundation_server::ServerSpec<_>| -> ChildSpec {
        spec.mailbox(16, full).pending(pending).quarantine_after(2).into()
    };
    // Of each period's restarts none is left when the next one comes: what is counted against the intensity is bounded.
    let tree = Supervisor::new("t", Strategy::OneForOne).intensity(1_000, Duration::from_nanos(1));
    let tree = t.start(tree.child(child(first)).child(child(second)));
    let world = World { system: System::clone(&t), letters: letters.clone(), servers: [one, other], done };
    let all = Arc::new(Mutex::new((<[Told; 2]>::default(), Heard::default())));
    let callers = (0..CALLERS).map(|seed| {
        let (world, all, story) = (world.clone(), Arc::clone(&all), story.to_owned());
        spawn(move || {
            let mut caller = Caller::new(&world, seed);
            let messages = messages();
            for at in 0..messages {
                caller.send(at * CALLERS + seed);
                if deep() && seed == 0 && (at + 1) % (messages / 10).max(1) == 0 {
                    tell(&story, at + 1, messages);
                }
            }
            let (told, heard) = &mut *all.lock();
            told.iter_mut().zip(caller.told).for_each(|(all, told)| *all += told);
            *heard += caller.heard;
        })
    });
    callers.collect::<Vec<_>>().into_iter().for_each(join);
    tree.stop(t.patience()).expect("it stops");
    let (told, heard) = *all.lock();
    let sums = t.wait_for(|| {
        let sums = Sums {
            servers: world.servers.each_ref().map(|server| server.status()),
            done: world.done.each_ref().map(|done| done.messages()),
            letters: letters.counts(),
            sunk: sunk.load(Relaxed),
            failed: failed.load(Relaxed),
            told,
            heard,
        };
        match sums.wrong() {
            None => Ok(sums),
            Some(what) => Err(format!("{what}: {sums:#?}")),
        }
    });
    assert_eq!(world.done.each_ref().map(|done| done.two_fates()), [0, 0], "a message had two fates");
    let Sums { servers: [one, other], letters, heard, .. } = &sums;
    for status in [one, other] {
        assert!(t.restarts() > 0 && status.again > 0 && status.returned > 0, "it never died: {sums:#?}");
    }
    assert!(letters.delivered > 0 && letters.taken > 0, "no letter's life: {sums:#?}");
    assert!(letters.overflowed > 0 || full == WhenFull::Wait, "room for each letter: {sums:#?}");
    assert!(heard.all > 0 && heard.nobody > 0, "no broadcast to all: {sums:#?}");
    if deep() {
        summary(story, &sums, t.restarts(), t.lost());
    }
    t.telemetry().detach("fails").expect("it was attached");
}

#[expect(clippy::print_stdout, reason = "how far it is, to the person who runs it for long")]
fn tell(story: &str, sent: u64, of: u64) {
    println!("{story}: {sent} of {of} messages of the first of {CALLERS} callers");
}

#[expect(clippy::print_stdout, reason = "what it was, to the person who has run it for long")]
fn summary(story: &str, sums: &Sums, restarts: u64, lost: u64) {
    let sum = |of: fn(&Status) -> u64| sums.servers.iter().map(of).sum::<u64>();
    println!(
        "{story}: {} sent = {} handled + {} dead letters + {} refused + {} returned; {restarts} restarts, {lost} jobs had no \
         room with the courier\n{sums:?}",
        sums.told.iter().map(|told| told.sent).sum::<u64>(),
        sum(|status| status.handled - status.again),
        sum(|status| status.buried - status.redelivered),
        sum(|status| status.refused),
        sum(|status| status.returned),
    );
}

#[test]
fn messages_that_wait_over_restarts_are_all_accounted_for() {
    check("they wait", Pending::Wait, WhenFull::Wait);
}

#[test]
fn messages_that_do_not_wait_over_restarts_are_all_accounted_for() {
    check("they do not wait", Pending::DeadLetter, WhenFull::Wait);
}

#[test]
fn messages_that_a_full_mailbox_refuses_are_all_accounted_for() {
    check("full mailboxes refuse", Pending::Wait, WhenFull::Refuse);
}
