//! What a checker says of the one schedule that is replayed.

use std::fmt;

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::Interest,
};

use super::face::is_shown;

/// How notes begin that tell nothing of what the threads do: loom's, then shuttle's.
const NOISE: &[&str] = &[
    "Object::",
    "branch",
    "=====",
    "ExecutionState::",
    "Acquire::",
    "URW ",
    "switch from",
    "released ",
    "removing ",
    "waiting to acquire ",
    "run finished",
];

/// Runs `work`, and prints what the checker notes meanwhile, in the schedule that is to be shown.
pub(super) fn of<R>(work: impl FnOnce() -> R) -> R {
    tracing::subscriber::with_default(Account, work)
}

/// Prints events, one a line; spans are nothing to it.
struct Account;

impl Subscriber for Account {
    /// Asked anew each time: it depends on the schedule.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, what: &Metadata<'_>) -> bool {
        what.is_event() && is_shown()
    }

    #[expect(clippy::print_stdout, reason = "what a scenario has to say is said to the person who runs the test")]
    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let message = line.message.trim();
        if !message.is_empty() && !NOISE.iter().any(|noise| message.starts_with(noise)) {
            println!("  {message}{}", line.fields);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            // Many lines long, and it says nothing of who holds it.
            "semaphore" => {}
            "message" => self.message = format!("{value:?}"),
            name => self.fields += &format!(" {name}={value:?}"),
        }
    }
}
