//! The registry's protocols, on all three faces: one room for each.

mod agree;
mod ends;
mod entries;
mod heard;
mod heirs;
mod indexes;
mod lock;
mod names;
mod resolved;
mod room;

use foundation_context::Incarnation;
use foundation_registry::{Owners, Registry};
use foundation_telemetry::Telemetry;

const FIRST: Incarnation = Incarnation { id: 1, generation: 1 };
const SECOND: Incarnation = Incarnation { id: 1, generation: 2 };

fn who(id: u64) -> Incarnation {
    Incarnation { id, generation: 1 }
}

fn registry() -> (Owners, Registry<u32>) {
    let owners = Owners::default();
    let registry = Registry::new(&owners, &Telemetry::new());
    (owners, registry)
}
