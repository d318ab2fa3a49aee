//! Bridges to `tracing`, both ways: [`Inward`] brings what code says that knows only `tracing`, [`Outward`] tells `tracing`
//! what happens here.
//!
//! What came in does not go out again, and what went out does not come in: [`Outward`] leaves out the events whose names
//! begin with `tracing`, and [`Inward`] all that has the target of the bridge.

use foundation_context::Fields;

mod inward;
mod ours;
mod outward;

pub use inward::{ConnectError, Inward};
pub use outward::Outward;

/// The target of all that the bridge tells `tracing`.
pub const BRIDGE_TARGET: &str = "foundation_telemetry::bridge";

/// The first word of the names of events that came in, and what the field [`VIA`] of a span says that did.
const CAME_IN: &str = "tracing";

/// Of a span that came in.
const VIA: &str = "via";

/// Whether the metadata is that of a span that came in.
fn came_in(metadata: &Fields) -> bool {
    metadata.get(VIA).is_some_and(|via| via.as_str() == Some(CAME_IN))
}
