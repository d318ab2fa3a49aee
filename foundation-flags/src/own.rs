//! The workspace's own flags, and the plan that turns them on: from the old, thread-private implementations to the new
//! ones. A universe that did not start from the old ones never meets them: everything new is on.

use std::time::Duration;

use crate::{Flag, MigrationPlan};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Guards judge, and a rollback may come by itself.
pub const ENABLE_MIGRATION_MONITORING: Flag = Flag::on("enable_migration_monitoring").owner("foundation");
/// Names are seen by everybody, not by the thread that registered them alone.
pub const USE_SHARED_REGISTRY: Flag = Flag::on("use_shared_registry").owner("foundation");
/// The context goes along with the work: to jobs, events, crash reports.
pub const USE_PROPAGATED_CONTEXT: Flag = Flag::on("use_propagated_context").owner("foundation");
/// Queued handlers run on the courier, not on whoever emits.
pub const USE_TELEMETRY_SERVICE: Flag = Flag::on("use_telemetry_service").owner("foundation");
/// Open spans are seen by everybody.
pub const USE_SPAN_MANAGER: Flag = Flag::on("use_span_manager").owner("foundation");
/// One thread emits an event that is to be emitted once, not each one of them.
pub const USE_EVENT_DEDUP: Flag = Flag::on("use_event_dedup").owner("foundation");
/// Nothing goes back to an old implementation but by a rollback.
pub const ENFORCE_NO_THREAD_LOCAL: Flag = Flag::on("enforce_no_thread_local").owner("foundation");

impl MigrationPlan {
    /// The workspace's own five stages, and how long each is observed: 1 monitoring for 4 hours, 2 registry and 3 context
    /// for a day each, 4 telemetry for 3 days, 5 enforcement for 2 days. After a rollback it cools down for an hour.
    pub fn foundation() -> Self {
        Self::new("foundation")
            .stage("monitoring", &[ENABLE_MIGRATION_MONITORING])
            .observe_for(4 * HOUR)
            .stage("registry", &[USE_SHARED_REGISTRY])
            .observe_for(DAY)
            .stage("context", &[USE_PROPAGATED_CONTEXT])
            .observe_for(DAY)
            .stage("telemetry", &[USE_TELEMETRY_SERVICE, USE_SPAN_MANAGER, USE_EVENT_DEDUP])
            .observe_for(3 * DAY)
            .stage("enforcement", &[ENFORCE_NO_THREAD_LOCAL])
            .observe_for(2 * DAY)
            .monitored_by(ENABLE_MIGRATION_MONITORING)
            .enforced_by(ENFORCE_NO_THREAD_LOCAL)
    }
}
