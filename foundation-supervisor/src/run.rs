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
    let tree = match supervisor.start(&foundation, foundation.within(MINUTE)) {
        Ok(tree) => tree,
        Err(error) => return fail(&error),
    };
    if let Err(error) = tree.stop_on_signals(&foundation) {
        return fail(&format_args!("signals can't be handled: {error}"));
    }
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
        Exit::Normal | Exit::Shutdown(Cause::AutoShutdown | Cause::Requested) => ExitCode::SUCCESS,
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
        let signals = Mutex::new(Some(Signals::new([SIGINT, SIGTERM])?));
        let tree = self.clone();
        let spec = ChildSpec::worker("signals", move |life| {
            let Some(mut signals) = signals.lock().take() else { return Ok(()) };
            let close = Arc::new(Close(signals.handle()));
            let Some(_watching) = life.stop().watch(close) else { return Ok(()) };
            let mut told = false;
            for signal in signals.forever() {
                if told {
                    emulate_default_handler(signal)?;
                }
                tree.tell_to_stop(Cause::Signal(signal));
                told = true;
            }
            Ok(())
        });
        system.start_service(spec.restart(Restart::Temporary), system.within(SECONDS_5)).map_err(io::Error::other)
    }
}

/// Ends the wait for signals.
struct Close(Handle);

impl Wake for Close {
    fn wake(&self) {
        self.0.close();
    }
}
