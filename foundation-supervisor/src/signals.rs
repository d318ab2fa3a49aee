//! What the operating system's signals do to a universe.
//!
//! The first SIGINT or SIGTERM is the universe's, the second one nobody's: the handler itself, which runs whatever the
//! program's threads are doing, ends the process then. After the universe has ended the next one does.

use std::{fmt, io, sync::Arc};

use foundation_context::fields;
use foundation_registry::Cause;
use foundation_sync::{
    Mutex, SECONDS_5, Wake,
    atomic::{AtomicBool, Ordering},
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
    iterator::{Handle, Signals},
    low_level::signal_name,
};

use crate::{ChildSpec, Failure, RELOAD_FAILED, RELOADED, Restart, SIGNAL, Supervisor, System, Tree, panics::catch};

impl Tree {
    /// Stops this tree at the first SIGINT or SIGTERM; a second one ends the process at once, and so does one that comes
    /// when the universe has ended.
    ///
    /// Signals are the process's: one universe of it should do this, once.
    ///
    /// # Errors
    /// The signals can't be handled, or the universe is stopping.
    pub fn stop_on_signals(&self, system: &System) -> io::Result<()> {
        let target = Target::default();
        target.set(self);
        target.watch(system)
    }
}

impl System {
    /// Does this at each SIGHUP, the daemon's word for "read your files again". Without it SIGHUP ends the process, as it
    /// does by default.
    ///
    /// It is run by the universe's courier, so it should not take long; signals that come while one waits to be answered
    /// are one. A success is told as [`RELOADED`]; an error, or a panic, as [`RELOAD_FAILED`], and the universe goes on
    /// as it was. Signals are the process's: one universe of it should do this, once.
    ///
    /// After the universe's end a SIGHUP does nothing, and nobody counts it: there is nobody to read files again, and no
    /// reason to end a process that has once said that it takes SIGHUP for something else.
    ///
    /// # Errors
    /// The signal can't be handled, or the universe is stopping.
    pub fn on_reload(&self, reload: impl Fn(&Self) -> Result<(), Failure> + Send + Sync + 'static) -> io::Result<()> {
        Reload(Arc::new(reload)).on(self)
    }
}

impl Supervisor {
    /// What SIGHUP does, for [`run`](crate::run()): see [`System::on_reload`]. Nothing to a supervisor that is started
    /// otherwise. The last one stands.
    pub fn on_reload(&mut self, reload: impl Fn(&System) -> Result<(), Failure> + Send + Sync + 'static) -> &mut Self {
        self.reload = Some(Reload(Arc::new(reload)));
        self
    }
}

type Hook = dyn Fn(&System) -> Result<(), Failure> + Send + Sync;

/// What a reload does.
#[derive(Clone)]
pub(crate) struct Reload(Arc<Hook>);

impl Reload {
    pub(crate) fn on(self, system: &System) -> io::Result<()> {
        let asked = Arc::new(AtomicBool::new(false));
        watch(system, "reload", Signals::new([SIGHUP])?, move |system, signal| {
            say(system, signal);
            self.ask(system, &asked);
        })
    }

    /// Has the courier do it, unless that waits to be done already.
    fn ask(&self, system: &System, asked: &Arc<AtomicBool>) {
        // ordering: AcqRel, with the one below: what was written before the signal is seen by the reload that answers it.
        if !asked.swap(true, Ordering::AcqRel) {
            let (asked, reload, universe) = (Arc::clone(asked), self.clone(), system.clone());
            system.put_off(Box::new(move || {
                asked.swap(false, Ordering::AcqRel); // ordering: see above
                reload.run(&universe);
            }));
        }
    }

    #[expect(clippy::print_stderr, reason = "with nobody listening it is printed")]
    fn run(&self, system: &System) {
        let failed = match catch(|| (self.0)(system).map_err(|failure| failure.to_string())) {
            Ok(Ok(())) => return system.telemetry().emit(RELOADED, || (fields! {}, fields! {})),
            Ok(Err(failed)) => failed,
            Err(caught) => caught.panic.to_string(),
        };
        tracing::error!(target: "foundation", error = %failed, "a reload failed");
        let emitter = system.telemetry().emitter(RELOAD_FAILED);
        if !emitter.heard() && !tracing::enabled!(target: "foundation", tracing::Level::ERROR) {
            eprintln!("foundation: a reload failed: {failed}");
        }
        emitter.emit(|| (fields! {}, fields! { error: failed }));
    }
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reload")
    }
}

/// What signals stop: a tree, once it is up. A clone is another handle.
#[derive(Clone, Default)]
pub(crate) struct Target(Arc<Mutex<Aim>>);

#[derive(Default)]
struct Aim {
    tree: Option<Tree>,
    /// The first signal.
    signal: Option<i32>,
}

impl Target {
    pub(crate) fn set(&self, tree: &Tree) {
        let early = {
            let mut aim = self.0.lock();
            aim.tree = Some(tree.clone());
            aim.signal
        };
        if let Some(signal) = early {
            tree.tell_to_stop(Cause::Signal(signal));
        }
    }

    /// The first signal stops the tree.
    fn hit(&self, signal: i32) {
        let tree = {
            let mut aim = self.0.lock();
            if aim.signal.is_some() {
                return;
            }
            aim.signal = Some(signal);
            aim.tree.clone()
        };
        if let Some(tree) = tree {
            tree.tell_to_stop(Cause::Signal(signal));
        }
    }

    /// Waits for signals, on a thread of the universe's.
    pub(crate) fn watch(&self, system: &System) -> io::Result<()> {
        let (signals, last) = (Signals::new([SIGINT, SIGTERM])?, Last::default());
        // In this order: the handler looks before it notes.
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_default(signal, Arc::clone(&last.0))?;
            flag::register(signal, Arc::clone(&last.0))?;
        }
        let target = self.clone();
        watch(system, "signals", signals, move |system, signal| {
            let _whole = &last;
            target.hit(signal);
            say(system, signal);
        })
    }
}

/// Whether the next signal is the last. The standard library's, for signal-hook's handlers read it.
#[derive(Default)]
struct Last(Arc<std::sync::atomic::AtomicBool>);

impl Drop for Last {
    fn drop(&mut self) {
        // Nobody handles them any more, and the operating system does not know: the handler has to.
        self.0.store(true, std::sync::atomic::Ordering::Release); // ordering: nothing hangs on it
    }
}

/// Calls this for each signal, on a thread of the universe's, until that stops.
fn watch(
    system: &System,
    name: &str,
    signals: Signals,
    hit: impl Fn(&System, i32) + Send + Sync + 'static,
) -> io::Result<()> {
    let signals = Mutex::new(Some(signals));
    let spec = ChildSpec::worker(name, move |life| {
        let Some(mut signals) = signals.lock().take() else { return Ok(()) };
        let close = Arc::new(Close(signals.handle()));
        let Some(_watching) = life.stop().watch(close) else { return Ok(()) };
        signals.forever().for_each(|signal| hit(life.system(), signal));
        Ok(())
    });
    let spec = spec.restart(Restart::Temporary);
    system.start_service(spec, system.within(SECONDS_5)).map_err(io::Error::other)
}

/// Tells of it: whoever hears that is a user's code, and not this thread's.
fn say(system: &System, signal: i32) {
    let universe = system.clone();
    system.put_off(Box::new(move || {
        let name = signal_name(signal).unwrap_or("unknown");
        tracing::info!(target: "foundation", signal, name, "a signal");
        universe.telemetry().emit(SIGNAL, || (fields! {}, fields! { signal: i64::from(signal), name: name }));
    }));
}

/// Ends the wait for signals. Library code: it needs no courier, which may be held up.
struct Close(Handle);

impl Wake for Close {
    fn wake(&self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use foundation_registry::Exit;
    use foundation_sync::{Full, MINUTE, Queue};

    use super::*;
    use crate::{Foundation, Strategy};

    #[test]
    fn a_signal_that_came_before_the_tree_was_up_stops_it_and_is_the_cause() {
        let foundation = Foundation::builder().start();
        let body = |life: &crate::Life| {
            life.wait_until_told();
            Ok(())
        };
        let supervisor = Supervisor::new("t", Strategy::OneForOne).child(ChildSpec::worker("w", body));
        let target = Target::default();
        target.hit(SIGTERM);
        target.hit(SIGINT);
        let tree = supervisor.start(&foundation, foundation.within(MINUTE)).expect("it can be started");
        target.set(&tree);
        assert_eq!(tree.wait(foundation.within(MINUTE)), Ok(Exit::Shutdown(Cause::Signal(SIGTERM))));
        assert!(foundation.stop(MINUTE).is_clean());
    }

    #[test]
    fn signals_that_come_while_a_reload_waits_are_one_and_those_that_come_during_it_are_one_more() {
        let foundation = Foundation::builder().start();
        let until = || foundation.within(MINUTE);
        let (begun, gate) = (Queue::bounded(8, Full::Refuse), Queue::<()>::bounded(1, Full::Wait));
        let (begins, waits) = (begun.clone(), gate.clone());
        let reload = Reload(Arc::new(move |system: &System| {
            begins.try_send(()).map_err(|_| Failure::new("too many"))?;
            _ = waits.recv(system.within(MINUTE));
            Ok(())
        }));
        let asked = Arc::new(AtomicBool::new(false));
        let ask = |times: u32| (0..times).for_each(|_| reload.ask(&foundation, &asked));
        ask(1);
        begun.recv(until()).expect("it is done");
        ask(3);
        gate.try_send(()).expect("there is room");
        begun.recv(until()).expect("those are answered, too");
        gate.close();
        let done = Queue::bounded(1, Full::Refuse);
        let last = done.clone();
        foundation.put_off(Box::new(move || _ = last.try_send(())));
        done.recv(until()).expect("what was asked for before is done");
        assert_eq!(begun.len(), 0, "three that came while it was done are one");
        ask(1);
        begun.recv(until()).expect("the next one is another");
        assert!(foundation.stop(MINUTE).is_clean());
    }
}
