//! Servers, calls, tasks, supervised send and dead letters on OS threads.

mod desk;
mod envelope;
mod error;
mod letters;
mod rings;
mod serve;
mod server;
mod server_ref;
mod spec;
mod status;
mod tasks;
mod timers;
mod turn;

pub use error::{CallError, CastError};
pub use letters::Reason;
pub use server::{Handle, Server};
pub use server_ref::ServerRef;
pub use spec::{Pending, ServerSpec, WhenFull, server};
pub use status::{Doing, Status};
pub use tasks::{Map, Task, TaskError, Tasks};
pub use timers::{MOST_TIMERS, TimerKey};
pub use turn::Turn;
