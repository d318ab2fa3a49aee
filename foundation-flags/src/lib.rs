//! Flags, stages and rollback: a live system moved from an old implementation to a new one, and back.
//!
//! What it promises:
//! - a flag is read without a lock and without an allocation, whatever is being changed, and as long as anybody holds a
//!   handle; where it is not declared it says what it says by default, and that is counted: [`Flags::strict`] refuses;
//! - a flag that is on for a percentage is on for the same ids everywhere, and raising the percentage turns no id off
//!   (`docs/bucketing.md`); actors, groups and nodes are named besides ([`Rule`]), and [`Flags::explain`] says what decided;
//! - flags *push*: a change sets the [`Switch`](foundation_sync::Switch) of the service that it governs, so no service
//!   asks a flag, and one that has lost its flags goes on in its last mode;
//! - a change of several flags is seen as a whole, or not at all, through [`Flags::view`];
//! - a stage of a [`MigrationPlan`] is the complete vector of the flags up to it, minus what is held;
//! - the next stage comes when the present one has been observed, and the program's own checks say that it is ready;
//!   figures are judged by [`Thresholds`], also against a [`Baseline`], and one that is bad enough rolls a stage back by
//!   itself; what is not measured is said, and not taken for good;
//! - [`Flags::emergency_rollback`] always works for a plan, and [`Flags::hold`] for any flag: the switches are set before
//!   they wait for any lock or disk;
//! - a [`Shadow`] runs an old and a new implementation side by side for a share of the calls: whoever calls gets what the
//!   old one gives, whatever the new one does; how they differ is counted, sampled and told;
//! - every decision is numbered, and says who made it and why; events and [subscribers](Flags::subscribe) hear of each once,
//!   in order, from the courier; what it said of flags of no plan can be [undone](Flags::undo);
//! - what is decided survives a restart in a file that people may edit ([`Flags::reload`], feature `file`); the
//!   [environment](Builder::environment) stands above the file, and what a [test](Flags::override_for_test) says above all.
//!
//! A flag is either a plan's, and on from a stage on, or of no plan, and has a rule: what is to run for a share of ids is
//! not put into a stage. Guards, thresholds and baselines are a plan's, since what they do is to roll a stage back.
//!
//! ```
//! use foundation_flags::{Flag, Flags, MigrationPlan};
//! use foundation_sync::{Clock, SECOND, Switch};
//!
//! const GREETING: Flag = Flag::off("new_greeting").owner("web").expires("2031-01-31");
//! const NEW_CHECKOUT: Flag = Flag::off("new_checkout");
//!
//! let (clock, checkout) = (Clock::system(), Switch::off());
//! let flags = Flags::builder()
//!     .flag(&GREETING)
//!     .bind(&NEW_CHECKOUT, &checkout) // what the service reads
//!     .plan(MigrationPlan::new("checkout").stage("switch", &[NEW_CHECKOUT]))
//!     .start()?;
//!
//! // A feature is ramped, and taken back.
//! flags.change("alice", "a quarter").percent(&GREETING, 25.0).actor(&GREETING, "me", true).apply(clock.within(SECOND))?;
//! assert!(flags.enabled_for(&GREETING, "me") && !flags.enabled(&GREETING));
//! flags.hold(&GREETING, "alice", "it is rude")?;
//! assert!(!flags.enabled_for(&GREETING, "me"));
//!
//! // A live system is moved, and moved back.
//! flags.advance_to(1, "alice", "the figures agree", clock.within(SECOND))?;
//! assert!(checkout.is_on());
//! flags.emergency_rollback("orders are lost");
//! assert!(!checkout.is_on());
//! assert_eq!(flags.history().len(), 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod baseline;
mod bucket;
mod builder;
mod change;
mod changing;
mod date;
mod decisions;
mod desk;
mod environment;
mod events;
mod flag;
mod flags;
mod gate;
mod guard;
mod inventory;
mod migration;
mod names;
mod notices;
mod overrides;
#[cfg(feature = "legacy")]
mod own;
mod plan;
mod ready;
#[cfg(feature = "file")]
mod reload;
mod report;
mod rules;
mod saying;
mod shadow;
mod stages;
mod state;
mod status;
mod store;
mod subscribers;
mod telling;
mod text;
mod view;
#[cfg(feature = "watch")]
mod watch;

pub use baseline::{Baseline, Summary};
pub use builder::{Builder, StartError};
pub use change::{Change, ChangeError, Said, What};
pub use changing::Changing;
pub use date::Date;
pub use events::{
    ALERT, BASELINE, EMERGENCY, EXPIRED, FILE_FAILED, FILE_REFUSED, FLAG_CHANGED, MIGRATION_COMPLETE, MIGRATION_FAILED,
    MIGRATION_START, ROLLED_BACK, RULE_CHANGED, STAGE_ENABLED, UNKNOWN_IN_FILE,
};
pub use flag::{Expiry, Flag};
pub use flags::Flags;
pub use gate::Gate;
pub use guard::{Attempt, Attempts, FailureGuard, Level, Reading, Threshold, Thresholds, Unit, Verdict};
pub use inventory::{Inventory, StaleFlags};
pub use names::{Strict, UnknownFlag, nearest};
pub use overrides::Override;
#[cfg(feature = "legacy")]
pub use own::{
    ENABLE_MIGRATION_MONITORING, ENFORCE_NO_THREAD_LOCAL, USE_EVENT_DEDUP, USE_PROPAGATED_CONTEXT, USE_SHARED_REGISTRY,
    USE_SPAN_MANAGER, USE_TELEMETRY_SERVICE,
};
pub use plan::MigrationPlan;
pub use report::{Alert, Report, Stay};
pub use rules::{Because, Explanation, MOST_TARGETS, Part, Percent, PercentError, Rule, Setting, SettingError, Target};
pub use shadow::{Finding, SHADOW_DIFFERENT, SHADOW_PANICKED, Shadow, ShadowReport, ShadowSample};
pub use status::{FlagStatus, Source, Status};
pub use store::FileError;
pub use subscribers::{MOST_SUBSCRIBERS, Subscription, TooManySubscribers};
pub use view::View;
#[cfg(feature = "watch")]
pub use watch::WatchError;

/// The events of this crate, by part.
pub const EVENTS: &[&[foundation_telemetry::EventName]] = &[events::ALL, shadow::ALL];
