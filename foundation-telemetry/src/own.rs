//! The events that telemetry emits about itself.

use crate::events;

events! {
    /// The events about handlers and their queues.
    pub(crate) const EVENTS;

    /// A handler panicked and was detached.
    pub const HANDLER_FAILURE = ["telemetry", "handler", "failure"];
    measurements {}
    metadata { event_name: "text", handler_id: "text", reason: "text" }

    /// Queued handlers have lost events. At most one each second.
    pub const OVERFLOW = ["foundation", "telemetry", "overflow"];
    measurements { count: "events, since the last of these" }
    metadata { handler_id: "text, of the last of them" }
}
