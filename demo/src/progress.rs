//! How far it is: a bar on a terminal, a plain line now and then elsewhere. It moves when something happens; nobody polls.

use std::{
    fmt,
    io::{self, IsTerminal},
    time::Duration,
};

use foundation_supervisor::{COURIER_LOST, CRASHED, GAVE_UP, LATE_EXIT, RESTARTED, System};
use foundation_sync::{
    Nanos,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use foundation_telemetry::{AttachError, Event, EventName};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use crate::events;

/// What supervisors tell.
const SUPERVISORS: [EventName; 5] = [RESTARTED, CRASHED, LATE_EXIT, GAVE_UP, COURIER_LOST];
/// Between two changes of the bar's text.
const MESSAGE_EVERY: Nanos = 100_000_000;
/// Between two plain lines.
const LINE_EVERY: Nanos = 2_000_000_000;

/// Shows how far the pipeline is. All counts are for the eye: what is proved is counted elsewhere.
pub struct Progress {
    bar: ProgressBar,
    plain: bool,
    found: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
    restarts: AtomicU64,
    events: AtomicU64,
    next_line: AtomicU64,
    system: System,
}

impl Progress {
    /// Listens to the universe's events.
    ///
    /// # Errors
    /// Somebody listens under these names already.
    pub fn attach(system: &System) -> Result<std::sync::Arc<Self>, AttachError> {
        let plain = !io::stderr().is_terminal();
        let bar = if plain { ProgressBar::hidden() } else { ProgressBar::new(0) };
        let style = "{bar:30} {pos}/{len} files, {msg}, {elapsed}";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        let progress = std::sync::Arc::new(Self {
            bar,
            plain,
            found: AtomicU64::new(0),
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            events: AtomicU64::new(0),
            next_line: AtomicU64::new(if plain { system.clock().now() + LINE_EVERY } else { 0 }),
            system: system.clone(),
        });
        let listens = std::sync::Arc::clone(&progress);
        let names: Vec<_> = events::ALL.iter().copied().chain(SUPERVISORS).collect();
        system.telemetry().attach("progress", names, move |event| listens.hear(event))?;
        Ok(progress)
    }

    /// How many events were heard.
    pub fn events(&self) -> u64 {
        self.events.load(Relaxed) // ordering: a count
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn hear(&self, event: &Event) {
        // ordering, all of them: counts by themselves.
        self.events.fetch_add(1, Relaxed);
        match event.name {
            name if name == events::FOUND => _ = self.found.fetch_add(1, Relaxed),
            name if name == events::COUNTED => {
                let bytes = event.measurements.get("bytes").and_then(|bytes| bytes.as_u64()).unwrap_or(0);
                self.files.fetch_add(1, Relaxed);
                self.bytes.fetch_add(bytes, Relaxed);
                self.show();
            }
            name if name == RESTARTED => _ = self.restarts.fetch_add(1, Relaxed),
            _ => {}
        }
    }

    fn show(&self) {
        // ordering, all of them: counts for the eye.
        let (found, files, bytes) = (self.found.load(Relaxed), self.files.load(Relaxed), self.bytes.load(Relaxed));
        if !self.plain {
            self.bar.set_length(found);
            self.bar.set_position(files);
        }
        let now = self.system.clock().now();
        let every = if self.plain { LINE_EVERY } else { MESSAGE_EVERY };
        let next = self.next_line.load(Relaxed);
        let due = now >= next && self.next_line.compare_exchange(next, now + every, Relaxed, Relaxed).is_ok();
        match (due, self.plain) {
            (false, _) => {}
            (true, false) => self.bar.set_message(self.line(bytes)),
            (true, true) => say(&format!("{files} of {found} files, {}", self.line(bytes))),
        }
    }

    fn line(&self, bytes: u64) -> String {
        let seconds = Duration::from_nanos(self.system.clock().now()).as_secs_f64().max(0.001);
        let rate = HumanBytes((bytes as f64 / seconds) as u64);
        let restarts = self.restarts.load(Relaxed); // ordering: a count
        format!("{} ({rate}/s), {restarts} restarts", HumanBytes(bytes))
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

#[expect(clippy::print_stderr, reason = "progress is for the person who waits")]
fn say(line: &str) {
    eprintln!("{line}");
}
