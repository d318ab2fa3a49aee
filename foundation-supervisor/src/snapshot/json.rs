//! A tree as JSON. Times and spans are in nanoseconds, places are `file:line:column`, and what is not known is `null`.

use std::panic::Location;

use foundation_context::Fields;
use serde_json::{Value, json};

use super::{AbandonedLife, Below, ChildSnapshot, ExitNote, Role, Snapshot, WorkerNote};
use crate::{
    Budget, Phase, QueueNote,
    text::{MAX_LEN, render, snake},
};

impl Snapshot {
    /// The tree as JSON: times and spans in nanoseconds, places as `file:line:column`, what is not known as `null`. An
    /// exit's text is of at most [`MAX_LEN`] bytes.
    ///
    /// ```
    /// use foundation_supervisor::Foundation;
    ///
    /// let foundation = Foundation::builder().start();
    /// let snapshot = foundation.snapshot(foundation.within(foundation_sync::SECOND))?;
    /// assert_eq!(snapshot.to_json()["root"]["children"][1]["name"], "trees");
    /// # Ok::<(), foundation_supervisor::ChildError>(())
    /// ```
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "at": self.at, "root": child(&self.root) })
    }
}

pub(crate) fn place(place: Option<&Location<'_>>) -> Value {
    place.map_or(Value::Null, |place| place.to_string().into())
}

/// Numbers and booleans as what they are, all else as it reads.
pub(crate) fn fields(fields: &Fields) -> Value {
    let value = |value: &foundation_context::Value| match value {
        foundation_context::Value::Bool(value) => (*value).into(),
        foundation_context::Value::I64(value) => (*value).into(),
        foundation_context::Value::U64(value) => (*value).into(),
        foundation_context::Value::F64(value) => (*value).into(),
        other => render(other, MAX_LEN).into(),
    };
    Value::Object(fields.iter().map(|(name, said)| ((*name).to_owned(), value(said))).collect())
}

pub(crate) fn budget(budget: &Budget) -> Value {
    let Budget { used, allowed, period, frees_in } = budget;
    json!({ "used": used, "allowed": allowed, "left": budget.left(), "period": period, "frees_in": frees_in })
}

fn child(child: &ChildSnapshot) -> Value {
    let mut json = json!({
        "name": *child.name,
        "path": *child.path,
        "id": child.incarnation.id,
        "generation": child.incarnation.generation,
        "phase": snake(&child.phase),
        "backs_off_until": match child.phase {
            Phase::BackingOff { until } => Some(until),
            _ => None,
        },
        "uptime": child.uptime,
        "own_restarts": child.restarts.as_ref().map(budget),
        "heartbeat": child.heartbeat,
        "last_exit": child.last_exit.as_ref().map(exit),
    });
    match &child.role {
        Role::Worker(note) => {
            json["kind"] = "worker".into();
            json["worker"] = worker(note);
        }
        Role::Supervisor(note) => {
            json["kind"] = "supervisor".into();
            json["strategy"] = snake(&note.strategy).into();
            json["restarts"] = budget(&note.restarts);
            json["abandoned"] = note.abandoned.iter().map(abandoned).collect();
            json["more_abandoned"] = note.more_abandoned.into();
            match &note.below {
                Below::Children(children) => json["children"] = children.iter().map(self::child).collect(),
                Below::NotAnswering(why) => json["does_not_answer"] = why.to_string().into(),
                Below::NotRunning => json["children"] = Value::Null,
            }
        }
    }
    json
}

fn exit(last: &ExitNote) -> Value {
    json!({
        "generation": last.generation,
        "kind": last.exit.kind(),
        "text": render(&last.exit, MAX_LEN),
        "at": last.at,
        "checkpoint": place(last.checkpoint),
    })
}

fn worker(note: &WorkerNote) -> Value {
    let queue =
        |queue: &QueueNote| json!({ "len": queue.len, "capacity": queue.capacity, "high_water": queue.high_water });
    let thread = note
        .thread
        .as_ref()
        .map(|thread| json!({ "name": *thread.name, "os_id": thread.os_id, "waits_at": place(thread.waits_at) }));
    json!({
        "thread": thread,
        "checkpoint": place(note.checkpoint),
        "checkpoints": note.checkpoints,
        "queues": note.queues.iter().map(queue).collect::<Vec<_>>(),
        "more_queues": note.more_queues,
    })
}

fn abandoned(life: &AbandonedLife) -> Value {
    json!({
        "path": *life.path,
        "id": life.incarnation.id,
        "generation": life.incarnation.generation,
        "at": life.at,
        "worker": worker(&life.worker),
    })
}
