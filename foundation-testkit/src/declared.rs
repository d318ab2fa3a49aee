//! The workspace's own events say what they declare.

use std::sync::Arc;

use foundation_sync::Mutex;
use foundation_telemetry::{Event, Selector, Telemetry};

/// The id of the handler that looks at them.
pub(crate) const ID: &str = "what events declare";

/// How many different complaints are kept.
const KEPT: usize = 20;

/// Looks at each event of the workspace's in a universe, as long as it is there.
pub(crate) struct Declared {
    telemetry: Telemetry,
    complaints: Arc<Mutex<Vec<String>>>,
}

impl Declared {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        let complaints = Arc::new(Mutex::new(Vec::new()));
        let finds = Arc::clone(&complaints);
        let own = [Selector::under(&["foundation"]), Selector::under(&["telemetry"])];
        telemetry.attach(ID, own, move |event| look(event, &finds)).expect("the id is this handler's own");
        Self { telemetry: telemetry.clone(), complaints }
    }

    /// Ends it: what was found.
    pub(crate) fn complaints(self) -> Vec<String> {
        std::mem::take(&mut *self.complaints.lock())
    }
}

impl Drop for Declared {
    fn drop(&mut self) {
        // A test may have detached everything.
        _ = self.telemetry.detach(ID);
    }
}

fn look(event: &Event, finds: &Mutex<Vec<String>>) {
    let misfits = match event.name.spec() {
        Some(spec) => spec.misfits(event),
        None => vec!["it is not declared: use `foundation_telemetry::events!`".to_owned()],
    };
    for misfit in misfits {
        let complaint = format!("the event {}: {misfit}", event.name);
        let mut finds = finds.lock();
        if finds.len() < KEPT && !finds.contains(&complaint) {
            finds.push(complaint);
        }
    }
}
