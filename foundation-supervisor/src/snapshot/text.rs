//! A tree, drawn for people.

use std::{
    fmt::{self, Display},
    panic::Location,
};

use foundation_registry::Exit;
use foundation_sync::Nanos;

use super::{AbandonedLife, Below, ChildSnapshot, ExitNote, Role, Snapshot, SupervisorNote, WorkerNote};
use crate::{
    Budget, Phase,
    text::{SHORT, Span, render, snake},
};

/// How many bytes of a name are shown.
const NAME: usize = 64;

/// The columns before the last: name, role, phase, life, uptime.
const COLUMNS: usize = 5;

struct Row {
    columns: [String; COLUMNS],
    rest: Vec<String>,
}

impl Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = Vec::new();
        child(&mut rows, self.at, "", "", &self.root);
        let mut widths = [0; COLUMNS];
        for row in &rows {
            for (width, column) in widths.iter_mut().zip(&row.columns) {
                *width = column.chars().count().max(*width);
            }
        }
        for (n, row) in rows.iter().enumerate() {
            let mut line = String::new();
            for (column, width) in row.columns.iter().zip(widths) {
                line += &format!("{column:width$}  ");
            }
            line += &row.rest.join(", ");
            write!(f, "{}{}", if n > 0 { "\n" } else { "" }, line.trim_end())?;
        }
        Ok(())
    }
}

/// The rows of a child and of what is below it: `branch` leads to it, `trunk` stands before what is below.
fn child(rows: &mut Vec<Row>, at: Nanos, trunk: &str, branch: &str, child: &ChildSnapshot) {
    let life = match child.incarnation.generation {
        0 => "-".to_owned(),
        generation => format!("#{generation}"),
    };
    let (phase, up) = match (child.phase, child.uptime) {
        (Phase::BackingOff { until }, _) => {
            ("backs off".to_owned(), format!("{} left", Span(until.saturating_sub(at))))
        }
        (phase, Some(up)) => (snake(&phase), format!("up {}", Span(up))),
        (phase, None) => (snake(&phase), "-".to_owned()),
    };
    let label = format!("{branch}{}", render(&child.name, NAME));
    let mut row = Row { columns: [label, String::new(), phase, life, up], rest: Vec::new() };
    let own = child.restarts.map(|own| format!("itself {own}"));
    let last = child.last_exit.as_ref().map(|last| said(last, at));
    match &child.role {
        Role::Worker(worker) => {
            row.columns[1] = "worker".to_owned();
            row.rest = seen(worker);
            row.rest.extend(child.heartbeat.map(|span| format!("heartbeat within {}", Span(span))));
            row.rest.extend(own);
            row.rest.extend(last);
            rows.push(row);
        }
        Role::Supervisor(supervisor) => {
            row.columns[1] = snake(&supervisor.strategy);
            row.rest.push(supervisor.restarts.to_string());
            if let Below::NotAnswering(why) = &supervisor.below {
                row.rest.push(format!("does not answer: {why}"));
            }
            row.rest.extend(own);
            row.rest.extend(last);
            rows.push(row);
            below(rows, at, trunk, supervisor, child.children());
        }
    }
}

fn below(rows: &mut Vec<Row>, at: Nanos, trunk: &str, supervisor: &SupervisorNote, children: &[ChildSnapshot]) {
    let lines = children.len() + supervisor.abandoned.len() + usize::from(supervisor.more_abandoned > 0);
    let branches = (1..=lines).map(|line| if line < lines { ("├── ", "│   ") } else { ("└── ", "    ") });
    let mut branches = branches.map(|(branch, under)| (format!("{trunk}{branch}"), format!("{trunk}{under}")));
    for (one, (branch, under)) in children.iter().zip(&mut branches) {
        child(rows, at, &under, &branch, one);
    }
    for (life, (branch, _)) in supervisor.abandoned.iter().zip(&mut branches) {
        rows.push(abandoned(&branch, at, life));
    }
    if let Some((branch, _)) = branches.next() {
        let label = format!("{branch}{} more", supervisor.more_abandoned);
        rows.push(Row {
            columns: [label, "abandoned".to_owned(), String::new(), String::new(), String::new()],
            rest: Vec::new(),
        });
    }
}

fn abandoned(branch: &str, at: Nanos, life: &AbandonedLife) -> Row {
    let name = life.path.rsplit('/').next().unwrap_or(&life.path);
    let ago = format!("for {}", Span(at.saturating_sub(life.at)));
    let columns = [format!("{branch}{}", render(&name, NAME)), "abandoned".to_owned(), "runs on".to_owned()];
    let [label, role, phase] = columns;
    Row { columns: [label, role, phase, format!("#{}", life.incarnation.generation), ago], rest: seen(&life.worker) }
}

/// Where a worker is, as far as it can be seen.
fn seen(worker: &WorkerNote) -> Vec<String> {
    let mut seen = Vec::new();
    let last_seen = |place: &Location<'_>| format!("last seen at {place}");
    match &worker.thread {
        Some(thread) => {
            seen.extend(thread.os_id.map(|id| format!("thread {id}")));
            match thread.waits_at {
                Some(place) => seen.push(format!("waits at {place}")),
                None => {
                    seen.push("runs".to_owned());
                    seen.extend(worker.checkpoint.map(last_seen));
                }
            }
        }
        None => seen.extend(worker.checkpoint.map(last_seen)),
    }
    let queue =
        |queue: &crate::QueueNote| format!("queue {} of {}, {} at most", queue.len, queue.capacity, queue.high_water);
    seen.extend(worker.queues.iter().map(queue));
    if worker.more_queues > 0 {
        seen.push(format!("{} queues more", worker.more_queues));
    }
    seen
}

fn said(last: &ExitNote, at: Nanos) -> String {
    let ago = Span(at.saturating_sub(last.at));
    // A panic says itself where it was.
    let place = last.checkpoint.filter(|_| !matches!(&last.exit, Exit::Panicked(panic) if panic.location.is_some()));
    let place = place.map_or_else(String::new, |place| format!(" (last seen at {place})"));
    format!("#{} {ago} ago: {}{place}", last.generation, render(&last.exit, SHORT))
}

impl Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} restarts in {}", self.used, self.allowed, Span(self.period))?;
        match self.frees_in {
            Some(span) => write!(f, ", next freed in {}", Span(span)),
            None => Ok(()),
        }
    }
}
