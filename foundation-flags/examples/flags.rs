//! All flags of the workspace, as a table: what `cargo xtask flags` prints. With `--check` it fails if one has expired.

use std::process::ExitCode;

use foundation_flags::{Date, Inventory, MigrationPlan};
use foundation_sync::Clock;

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]
fn main() -> ExitCode {
    let plan = MigrationPlan::foundation();
    let flags = plan.stages().flat_map(|(_, flags)| flags).copied();
    let inventory = Inventory::new(flags, Date::of(Clock::system().date()));
    println!("{inventory}");
    match inventory.check() {
        Err(stale) if std::env::args().any(|argument| argument == "--check") => {
            eprintln!("{stale}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
