//! The events that telemetry emits, but for those of spans.

use crate::events;

events! {
    /// The events of handlers, their queues, and the bridge.
    pub(crate) const EVENTS;

    /// A handler panicked and was detached.
    pub const HANDLER_FAILURE = ["telemetry", "handler", "failure"];
    measurements {}
    metadata { event_name: "text", handler_id: "text", reason: "text" }

    /// Queued handlers have lost events. At most one each second.
    pub const OVERFLOW = ["foundation", "telemetry", "overflow"];
    measurements { count: "events, since the last of these" }
    metadata { handler_id: "text, of the last of them" }

    /// Code that knows only `tracing` said something, and the bridge brought it in.
    pub const TRACING_EVENT = ["tracing", "event"];
    measurements {}
    metadata {
        level: "error, warn, info, debug or trace", target: "text", message: "text" if "there is one",
        .. "the fields of the event"
    }
}
