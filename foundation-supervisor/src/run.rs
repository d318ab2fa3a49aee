//! A whole program: one tree, signals, an exit code.

use std::process::ExitCode;

use foundation_registry::{Cause, Exit};
use foundation_sync::{Deadline, MINUTE, SECONDS_5};

use crate::{AutoShutdown, Foundation, Strategy, Supervisor, signals::Target};

/// Runs a tree named `main` until all its workers have ended, or a signal stops it.
///
/// The exit code is 0 if the workers ended as they should, 128 and the signal's number if one stopped it, else 1, with a
/// line on stderr that says why: it crashed too often, or these threads were left behind.
///
/// SIGINT and SIGTERM stop it in order; a second one of them ends the process at once, also where the tree is stuck. SIGHUP
/// does what [`Supervisor::on_reload`] says, without which it ends the process, as it does by default.
pub fn run(describe: impl FnOnce(&mut Supervisor)) -> ExitCode {
    let foundation = Foundation::builder().start();
    let mut supervisor = Supervisor::new("main", Strategy::OneForOne).auto_shutdown(AutoShutdown::AllSignificant);
    describe(&mut supervisor);
    if supervisor.children.is_empty() {
        return fail(&"there is nothing to run: add a worker");
    }
    // Before the first worker runs: a signal that comes while the tree is being started stops it when it is up.
    let target = Target::default();
    let reload = supervisor.reload.take().map(|reload| reload.on(&foundation));
    if let Err(error) = target.watch(&foundation).and(reload.unwrap_or(Ok(()))) {
        return fail(&format_args!("signals can't be handled: {error}"));
    }
    let tree = match supervisor.start(&foundation, foundation.within(MINUTE)) {
        Ok(tree) => tree,
        Err(error) => {
            // What its children had to say before is with the courier.
            let report = foundation.stop(SECONDS_5);
            if !report.is_clean() {
                fail(&report);
            }
            return fail(&error);
        }
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
