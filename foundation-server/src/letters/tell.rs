//! What is told of letters: the sink, and events. By the courier, one errand at a time.

use std::{collections::VecDeque, mem, sync::Arc};

use foundation_context::fields;
use foundation_supervisor::System;
use foundation_sync::{Mutex, Nanos, Once, SendError, planted, reached};
use foundation_telemetry::{Emitter, Telemetry, events};

use super::{
    Letters,
    letter::{DeadLetter, LetterCounts},
    shelf::Kind,
};

events! {
    /// The events of dead letters.
    pub(crate) const EVENTS;

    /// Messages became dead letters. At most one each second.
    pub const DEAD_LETTER_ADDED = ["foundation", "dead_letter", "added"];
    measurements { count: "letters, since the last of these" }
    metadata {
        number: "number, as the rest of the last of them" if "it is still known", recipient: "text" if "it is still known",
        message: "text" if "it is still known", reason: "text" if "it is still known",
        attempts: "attempts" if "it is still known"
    }

    /// Dead letters were delivered after all. At most one each second.
    pub const DEAD_LETTER_DELIVERED = ["foundation", "dead_letter", "delivered"];
    measurements { count: "letters, since the last of these" }
    metadata {
        number: "number, as the rest of the last of them" if "it is still known", recipient: "text" if "it is still known",
        message: "text" if "it is still known", reason: "text" if "it is still known",
        attempts: "attempts" if "it is still known"
    }

    /// Dead letters made room for younger ones, and are gone. At most one each second.
    pub const DEAD_LETTER_OVERFLOWED = ["foundation", "dead_letter", "overflowed"];
    measurements { count: "letters, since the last of these" }
    metadata {
        number: "number, as the rest of the last of them" if "it is still known", recipient: "text" if "it is still known",
        message: "text" if "it is still known", reason: "text" if "it is still known",
        attempts: "attempts" if "it is still known"
    }

    /// Dead letters were purged. At most one each second.
    pub const DEAD_LETTER_PURGED = ["foundation", "dead_letter", "purged"];
    measurements { count: "letters, since the last of these" }
    metadata {
        number: "number, as the rest of the last of them" if "it is still known", recipient: "text" if "it is still known",
        message: "text" if "it is still known", reason: "text" if "it is still known",
        attempts: "attempts" if "it is still known"
    }
}

/// How long after an event of a kind the next one comes, in nanoseconds.
const WINDOW: Nanos = 1_000_000_000;

/// When a courier that has no room is asked again, in nanoseconds.
const NO_ROOM: Nanos = 100_000_000;

/// How many letters wait for the sink at most.
const MOST_FOR_SINK: usize = 10_000;

/// How many letters the sink gets at a time: the courier has other things to do, too.
const AT_A_TIME: usize = 64;

type Sink = Arc<dyn Fn(&DeadLetter) + Send + Sync>;

/// Where what is to be told lies.
#[derive(Default)]
pub(super) struct Desk {
    tray: Mutex<Tray>,
    emitters: Once<[Emitter; 4]>,
}

#[derive(Default)]
struct Tray {
    sink: Option<Sink>,
    for_sink: VecDeque<DeadLetter>,
    /// The sink has a letter.
    with_sink: bool,
    unsunk: u64,
    panics: u64,
    telling: Telling,
    /// How many of each kind were told, and when the window of the last event ends.
    told: [(u64, Nanos); 4],
    /// When something is to be told whose window has not ended.
    due: Option<Nanos>,
}

/// Whether an errand is under way that tells what there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Telling {
    #[default]
    No,
    Asked,
    /// The courier did not take it: whoever asked sees to it.
    Refused,
}

impl Tray {
    /// Nobody will tell the sink any more.
    fn give_up(&mut self) {
        self.unsunk += mem::take(&mut self.for_sink).len() as u64;
    }
}

impl Desk {
    pub(super) fn set_sink(&self, sink: Sink) -> Option<Sink> {
        self.tray.lock().sink.replace(sink)
    }

    /// For the sink, if there is one.
    pub(super) fn sink(&self, letter: DeadLetter) {
        let mut tray = self.tray.lock();
        if tray.sink.is_none() {
            return;
        }
        if tray.for_sink.len() >= MOST_FOR_SINK {
            tray.unsunk += 1;
            return;
        }
        tray.for_sink.push_back(letter);
    }

    pub(super) fn count(&self, counts: LetterCounts) -> LetterCounts {
        let tray = self.tray.lock();
        let for_sink = tray.for_sink.len() as u64 + u64::from(tray.with_sink);
        LetterCounts { for_sink, unsunk: tray.unsunk, sink_panics: tray.panics, ..counts }
    }

    /// Whether something lies here for the sink and nobody is under way who tells it.
    pub(super) fn has_left(&self) -> bool {
        let tray = self.tray.lock();
        tray.telling == Telling::No && !tray.for_sink.is_empty()
    }

    pub(super) fn due(&self) -> Option<Nanos> {
        self.tray.lock().due
    }

    /// Whether something is to be told now; once for each that is due.
    pub(super) fn take_due(&self, now: Nanos) -> bool {
        self.tray.lock().due.take_if(|due| *due <= now).is_some()
    }

    fn emitters(&self, telemetry: &Telemetry) -> &[Emitter; 4] {
        let names = [DEAD_LETTER_ADDED, DEAD_LETTER_DELIVERED, DEAD_LETTER_OVERFLOWED, DEAD_LETTER_PURGED];
        self.emitters.get_or(|| names.map(|name| telemetry.emitter(name)))
    }
}

impl Letters {
    /// Has what there is told.
    pub(super) fn tell(self: &Arc<Self>, system: &System) {
        let emitters = self.desk.emitters(system.telemetry());
        let counts = self.shelf.lock().counts();
        {
            let mut tray = self.desk.tray.lock();
            let mut news = !tray.for_sink.is_empty();
            for (kind, emitter) in Kind::ALL.into_iter().zip(emitters) {
                let told = &mut tray.told[kind as usize].0;
                match emitter.heard() {
                    true => news |= *told < kind.of(&counts),
                    // Who comes to listen later hears of what comes later.
                    // Another one may have looked later.
                    false => *told = kind.of(&counts).max(*told),
                }
            }
            if !news {
                return;
            }
            if tray.telling != Telling::No {
                reached!("letters: somebody is telling");
                return;
            }
            tray.telling = Telling::Asked;
        }
        let errand = Errand { letters: Arc::clone(self), system: system.clone(), begun: false };
        let sent = system.try_put_off(Box::new(move || {
            let mut errand = errand;
            errand.run();
        }));
        if let Err(refused) = sent {
            self.tell_later(system, refused);
        }
    }

    /// Has told what the courier had no room for; if it has ended, that is missed.
    pub(super) fn tell_left(self: &Arc<Self>, system: &System) {
        if self.desk.has_left() {
            self.tell(system);
        }
    }

    /// The courier has no room, and gets it again after a while; or it has ended.
    fn tell_later(self: &Arc<Self>, system: &System, refused: SendError<foundation_sync::Errand>) {
        self.desk.tray.lock().telling = Telling::Refused;
        let has_ended = matches!(refused, SendError::Closed(_));
        drop(refused);
        {
            let mut tray = self.desk.tray.lock();
            tray.telling = Telling::No;
            if has_ended {
                tray.give_up();
                return;
            }
            tray.due = Some(system.clock().now().saturating_add(NO_ROOM));
        }
        self.call_postman(system);
    }
}

/// One round of telling.
struct Errand {
    letters: Arc<Letters>,
    system: System,
    begun: bool,
}

impl Errand {
    fn run(&mut self) {
        self.begun = true;
        for _ in 0..AT_A_TIME {
            let Some((sink, letter)) = self.next_for_sink() else { break };
            sink(&letter);
            self.letters.desk.tray.lock().with_sink = false;
        }
        let emitters = self.letters.desk.emitters(self.system.telemetry()).clone();
        for (kind, emitter) in Kind::ALL.into_iter().zip(emitters) {
            self.emit(kind, &emitter);
        }
    }

    fn next_for_sink(&self) -> Option<(Sink, DeadLetter)> {
        let mut tray = self.letters.desk.tray.lock();
        let letter = tray.for_sink.pop_front()?;
        let sink = Arc::clone(tray.sink.as_ref()?);
        tray.with_sink = true;
        Some((sink, letter))
    }

    fn emit(&self, kind: Kind, emitter: &Emitter) {
        let now = self.system.clock().now();
        let (total, last) = {
            let mut shelf = self.letters.shelf.lock();
            (kind.of(&shelf.counts()), shelf.last[kind as usize].take())
        };
        let count = {
            let mut tray = self.letters.desk.tray.lock();
            let (told, ends) = tray.told[kind as usize];
            if total <= told {
                return;
            }
            if now < ends {
                None
            } else {
                tray.told[kind as usize] = (total, now.saturating_add(WINDOW));
                Some(total - told)
            }
        };
        let Some(count) = count else {
            // It is told with the next event, whose last it may be.
            let mut shelf = self.letters.shelf.lock();
            if shelf.last[kind as usize].is_none() {
                shelf.last[kind as usize] = last;
            }
            return;
        };
        emitter.emit(|| {
            let of_last = last.map(|last| {
                let DeadLetter { number, recipient, message, reason, attempts, .. } = last;
                fields! { number: number, recipient: recipient, message: message, reason: reason.to_string(), attempts: attempts }
            });
            (fields! { count: count }, of_last.unwrap_or_default())
        });
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        if !self.begun {
            let mut tray = self.letters.desk.tray.lock();
            // Else the courier has ended with it.
            if tray.telling != Telling::Refused {
                tray.telling = Telling::No;
                tray.give_up();
            }
            return;
        }
        let now = self.system.clock().now();
        let heard = self.letters.desk.emitters(self.system.telemetry()).each_ref().map(Emitter::heard);
        let early = planted!("letters: the last look is not the end").then(|| self.letters.shelf.lock().counts());
        let (more, later) = {
            // Both at once: race "last look".
            let shelf = self.letters.shelf.lock();
            let mut tray = self.letters.desk.tray.lock();
            let counts = early.unwrap_or_else(|| shelf.counts());
            tray.telling = Telling::No;
            // The sink has it still: it has panicked.
            tray.panics += u64::from(mem::take(&mut tray.with_sink));
            let untold = Kind::ALL
                .into_iter()
                .filter(|kind| heard[*kind as usize] && kind.of(&counts) > tray.told[*kind as usize].0);
            let due = untold.map(|kind| tray.told[kind as usize].1).min();
            let more = !tray.for_sink.is_empty() || due.is_some_and(|at| at <= now);
            tray.due = due.filter(|at| *at > now);
            (more, tray.due.is_some())
        };
        if more {
            self.letters.tell(&self.system);
        } else if later {
            self.letters.call_postman(&self.system);
        }
    }
}
