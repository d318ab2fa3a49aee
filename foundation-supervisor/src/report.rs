//! What is told of crashes and restarts.

use std::sync::Arc;

use foundation_context::{Fields, Incarnation, fields};
use foundation_registry::Exit;
use foundation_telemetry::{EventName, event_name};

use crate::Failure;

/// A worker crashed, or was abandoned. Metadata: `worker`, `incarnation`, `kind`, `exit`, and the context it died in.
/// From the courier.
pub const CRASHED: EventName = event_name!("foundation", "supervisor", "crash");
/// A worker is being restarted. Measurements: `used` and `allowed`, of the intensity. Metadata: `worker`. From the
/// courier.
pub const RESTARTED: EventName = event_name!("foundation", "supervisor", "restart");
/// A worker that had been abandoned has ended after all. Metadata: `worker`, `incarnation`, `exit`. From the courier.
pub const LATE_EXIT: EventName = event_name!("foundation", "supervisor", "late_exit");

/// A supervisor gave up: too many restarts, or a sibling that was abandoned. Metadata: `tree`, `exit`. From the courier.
pub const GAVE_UP: EventName = event_name!("foundation", "supervisor", "gave_up");

/// A supervisor met a defect of this library, and stops its children: please report it. Metadata: `tree`, `panic`. From the
/// courier.
pub const DEFECT: EventName = event_name!("foundation", "supervisor", "defect");
/// A signal came that this universe handles. Metadata: `signal`, its number, and `name`. From the courier.
pub const SIGNAL: EventName = event_name!("foundation", "supervisor", "signal");
/// What [`System::on_reload`](crate::System::on_reload) says was done. From the courier.
pub const RELOADED: EventName = event_name!("foundation", "supervisor", "reload");
/// It failed, and nothing is known of how far it came. Metadata: `error`. From the courier.
pub const RELOAD_FAILED: EventName = event_name!("foundation", "supervisor", "reload_failed");

/// What is known of a crash.
#[derive(Debug)]
pub struct CrashReport {
    /// The worker: its path in the tree.
    pub worker: Arc<str>,
    /// Which of its lives.
    pub incarnation: Incarnation,
    /// How it ended.
    pub exit: Exit,
    /// The context of the place where the panic began; for other ends the one in which the body began.
    pub context: Fields,
    /// The error itself, if it returned one. Dropped by the courier.
    pub failure: Option<Failure>,
}

impl CrashReport {
    pub(crate) fn event(&self) -> (Fields, Fields) {
        let about = fields! {
            worker: Arc::clone(&self.worker),
            incarnation: self.incarnation,
            kind: self.exit.kind(),
            exit: self.exit.to_string(),
        };
        (fields! {}, about.iter().chain(self.context.iter()).cloned().collect())
    }
}
