//! A whole program: one tree, signals, an exit code.

use std::{io, process::ExitCode, sync::Arc};

use foundation_registry::{Cause, Exit};
use foundation_sync::{Deadline, MINUTE, Mutex, SECONDS_5, Wake};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::{Handle, Signals},
    low_level::emulate_default_handler,
};

use crate::{AutoShutdown, ChildSpec, Foundation, Restart, Strategy, Supervisor, System, Tree};

/// Runs a tree named `main` until all its workers have ended, or a signal stops it.
///
/// The exit code is 0 if the workers ended as they should, 128 and the signal's number if one stopped it, else 1, with a
/// line on stderr that says why: it crashed too often, or a thread was left behind.
pub fn run(describe: impl FnOnce(&mut Supervisor)) -> ExitCode {
    let foundation = Foundation::builder().start();
    let mut supervisor = Supervisor::new("main", Strategy::OneForOne).auto_shutdown(AutoShutdown::AllSignificant);
    describe(&mut supervisor);
    if supervisor.children.is_empty() {
        return fail(&"there is nothing to run: add a worker");
    }
    // Before the first worker runs: a signal that comes while the tree is being started stops it when it is up.
    let target = match Target::default().watch(&foundation) {
        Ok(target) => target,
        Err(error) => return fail(&format_args!("signals can't be handled: {error}")),
    };
    let tree = match supervisor.start(&foundation, foundation.within(MINUTE)) {
        Ok(tree) => tree,
        Err(error) => return fail(&error),
    };
    target.set(&tree);
    let exit = tree.wait(Deadline::never());
    let report = foundation.stop(SECONDS_5);
    if !report.is_clean() {
        return fail(&report);
    }
    match exit {
        Ok(exit) => code(&exit),
        Err(error) => fail(&error),
    }
}

fn code(exit: &Exit) -> ExitCode {
    match exit {
        Exit::Normal | Exit::ShutdownWith(_) | Exit::Shutdown(Cause::AutoShutdown | Cause::Requested) => {
            ExitCode::SUCCESS
        }
        Exit::Shutdown(Cause::Signal(number)) => ExitCode::from(128_u8.saturating_add(*number as u8)),
        exit => fail(exit),
    }
}

#[expect(clippy::print_stderr, reason = "the program's last word")]
fn fail(why: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("foundation: {why}");
    ExitCode::FAILURE
}

impl Tree {
    /// Stops this tree at the first SIGINT or SIGTERM; a second one ends the process at once.
    ///
    /// Signals are the process's: one universe of it should do this.
    ///
    /// # Errors
    /// The signals can't be handled, or the universe is stopping.
    pub fn stop_on_signals(&self, system: &System) -> io::Result<()> {
        let target = Target::default();
        target.set(self);
        target.watch(system).map(drop)
    }
}

/// What signals stop: a tree, once it is up. A clone is another handle.
#[derive(Clone, Default)]
struct Target(Arc<Mutex<Aim>>);

#[derive(Default)]
struct Aim {
    tree: Option<Tree>,
    /// The first signal.
    signal: Option<i32>,
}

impl Target {
    fn set(&self, tree: &Tree) {
        let early = {
            let mut aim = self.0.lock();
            aim.tree = Some(tree.clone());
            aim.signal
        };
        if let Some(signal) = early {
            tree.tell_to_stop(Cause::Signal(signal));
        }
    }

    /// The first signal stops the tree; `false`: it was not the first.
    fn hit(&self, signal: i32) -> bool {
        let tree = {
            let mut aim = self.0.lock();
            if aim.signal.is_some() {
                return false;
            }
            aim.signal = Some(signal);
            aim.tree.clone()
        };
        if let Some(tree) = tree {
            tree.tell_to_stop(Cause::Signal(signal));
        }
        true
    }

    /// Waits for signals, on a thread of the universe's.
    fn watch(self, system: &System) -> io::Result<Self> {
        let (signals, target) = (Mutex::new(Some(Signals::new([SIGINT, SIGTERM])?)), self.clone());
        let spec = ChildSpec::worker("signals", move |life| {
            let Some(mut signals) = signals.lock().take() else { return Ok(()) };
            let close = Arc::new(Close(signals.handle()));
            let Some(_watching) = life.stop().watch(close) else { return Ok(()) };
            for signal in signals.forever() {
                if !target.hit(signal) {
                    emulate_default_handler(signal)?;
                }
            }
            Ok(())
        });
        let spec = spec.restart(Restart::Temporary);
        system.start_service(spec, system.within(SECONDS_5)).map_err(io::Error::other)?;
        Ok(self)
    }
}

/// Ends the wait for signals.
struct Close(Handle);

impl Wake for Close {
    fn wake(&self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use foundation_sync::{Full, Queue};

    use super::*;

    #[test]
    fn a_signal_that_came_before_the_tree_was_up_stops_it_and_a_second_one_is_not_the_first() {
        let foundation = Foundation::builder().start();
        let body = |life: &crate::Life| {
            let nothing = Queue::<()>::bounded(1, Full::Wait);
            while life.next(&nothing)?.is_some() {}
            Ok(())
        };
        let supervisor = Supervisor::new("t", Strategy::OneForOne).child(ChildSpec::worker("w", body));
        let target = Target::default();
        assert!(target.hit(SIGTERM));
        let tree = supervisor.start(&foundation, foundation.within(MINUTE)).expect("it can be started");
        target.set(&tree);
        assert_eq!(tree.wait(foundation.within(MINUTE)), Ok(Exit::Shutdown(Cause::Signal(SIGTERM))));
        assert!(!target.hit(SIGINT));
        assert!(foundation.stop(MINUTE).is_clean());
    }
}
