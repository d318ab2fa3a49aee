//! What is told of crashes and restarts.

use std::{
    fmt::{self, Display},
    panic::Location,
    sync::Arc,
};

use foundation_context::{Breadcrumb, Context, Fields, Incarnation, SpanLink, fields};
use foundation_registry::Exit;
use foundation_sync::{Clock, Nanos};
use foundation_telemetry::{OpenSpan, events};

use crate::{
    Budget,
    text::{MAX_LEN, Moment, SHORT, Span, render},
};

events! {
    /// The events of supervisors. All of them are emitted by the courier.
    pub(crate) const EVENTS;

    /// A worker crashed, or was abandoned.
    pub const CRASHED = ["foundation", "supervisor", "crash"];
    measurements { at: "ns of the universe's clock", restarts_used: "restarts", restarts_allowed: "restarts" }
    metadata {
        worker: "text", incarnation: "incarnation", kind: "text", exit: "text, cut to a length",
        breadcrumbs: "text, cut to a length" if "it left any",
        context_cut: "fields that its context had no room for" if "there were any",
        checkpoint: "file:line:column" if "it passed one",
        waits_at: "file:line:column" if "it was abandoned while it waited",
        span_id: "number" if "it was in a span", trace_id: "32 hexadecimal digits" if "it was in a span",
        .. "the fields of the context in which it died"
    }

    /// A worker is being restarted.
    pub const RESTARTED = ["foundation", "supervisor", "restart"];
    measurements { used: "restarts, of the intensity", allowed: "restarts, of the intensity" }
    metadata { worker: "text" }

    /// A worker that had been abandoned has ended after all.
    pub const LATE_EXIT = ["foundation", "supervisor", "late_exit"];
    measurements {}
    metadata { worker: "text", incarnation: "incarnation", exit: "text, cut to a length" }

    /// A supervisor gave up: too many restarts, or a sibling that was abandoned.
    pub const GAVE_UP = ["foundation", "supervisor", "gave_up"];
    measurements {}
    metadata { tree: "text", exit: "text, cut to a length" }

    /// A supervisor met a defect of this library, and stops its children: please report it.
    pub const DEFECT = ["foundation", "supervisor", "defect"];
    measurements {}
    metadata { tree: "text", panic: "text" }

    /// A signal came that this universe handles.
    pub const SIGNAL = ["foundation", "supervisor", "signal"];
    measurements {}
    metadata { signal: "its number", name: "text" }

    /// What [`System::on_reload`](crate::System::on_reload) says was done.
    pub const RELOADED = ["foundation", "supervisor", "reload"];
    measurements {}
    metadata {}

    /// A reload failed, and nothing is known of how far it came.
    pub const RELOAD_FAILED = ["foundation", "supervisor", "reload_failed"];
    measurements {}
    metadata { error: "text" }
}

/// How many spans that a life left open a report names.
pub(crate) const MOST_SPANS: usize = 16;
/// How many breadcrumbs, the last ones, stand in a report's text.
const MOST_SHOWN: usize = 8;

/// What is known of a crash.
///
/// As text it is one line: who, how and where, what was left of the restarts, in which context, what was left open, and
/// what it had done before.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CrashReport {
    /// The worker: its path in the tree.
    pub worker: Arc<str>,
    /// Which of its lives.
    pub incarnation: Incarnation,
    /// When, by the universe's clock.
    pub at: Nanos,
    /// How it ended.
    pub exit: Exit,
    /// The context of the place where the panic began, or of the birth of the [error](foundation_context::Contextual) that
    /// the body gave up with; for other ends the one in which the body began.
    pub context: Fields,
    /// How many fields that context had no room for, or only for a part of.
    pub context_cut: u64,
    /// What the work that failed had done so far: the last of it, the oldest first.
    pub breadcrumbs: Vec<BreadcrumbNote>,
    /// How many more it had left before those.
    pub older_breadcrumbs: u64,
    /// The span that was the current one where the panic began.
    pub span: Option<SpanLink>,
    /// The spans that it left open, which its end has closed as aborted: the oldest 16. A span that was
    /// [entered](foundation_telemetry::Telemetry::enter_span) is closed by the panic itself, and is not among them.
    pub spans: Vec<OpenSpan>,
    /// How many more it left open.
    pub more_spans: usize,
    /// Where it was last seen: see [`Life::checkpoint`](crate::Life::checkpoint).
    pub checkpoint: Option<&'static Location<'static>>,
    /// Where the thread of a worker that was abandoned waits, if it does.
    pub waits_at: Option<&'static Location<'static>>,
    /// The restarts of its supervisor, before this end brought about one more.
    pub restarts: Budget,
}

/// Something that was done before a crash.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BreadcrumbNote {
    /// What was done.
    pub what: Arc<str>,
    /// What was said about it.
    pub fields: Fields,
    /// How long before the crash; `None` where it was left by another universe's clock.
    pub age: Option<Nanos>,
    text: Arc<str>,
}

impl BreadcrumbNote {
    pub(crate) fn new(breadcrumb: &Breadcrumb, clock: &Clock, at: Nanos) -> Self {
        Self {
            what: breadcrumb.what().into(),
            fields: breadcrumb.fields().clone(),
            age: breadcrumb.age(clock, at).map(|age| Nanos::try_from(age.as_nanos()).unwrap_or(Nanos::MAX)),
            text: render(breadcrumb, SHORT).into(),
        }
    }
}

/// `read the order (items: 3) 5ms before`.
impl Display for BreadcrumbNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        self.age.map_or(Ok(()), |age| write!(f, " {} before", Span(age)))
    }
}

/// The last few, and how many there were before.
struct Did<'a>(&'a CrashReport);

impl Display for Did<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = &self.0.breadcrumbs;
        let hidden = all.len().saturating_sub(MOST_SHOWN);
        for (n, breadcrumb) in all[hidden..].iter().enumerate() {
            write!(f, "{}{breadcrumb}", if n == 0 { "" } else { "; " })?;
        }
        match self.0.older_breadcrumbs + hidden as u64 {
            0 => Ok(()),
            more => write!(f, "; {more} more before"),
        }
    }
}

impl CrashReport {
    /// What is known when nothing but the end is.
    pub(crate) fn new(worker: Arc<str>, incarnation: Incarnation, at: Nanos, exit: Exit) -> Self {
        Self {
            worker,
            incarnation,
            at,
            exit,
            context: Fields::new(),
            context_cut: 0,
            breadcrumbs: Vec::new(),
            older_breadcrumbs: 0,
            span: None,
            spans: Vec::new(),
            more_spans: 0,
            checkpoint: None,
            waits_at: None,
            restarts: Budget::default(),
        }
    }

    /// It happened in this context, as this clock's universe knows it.
    pub(crate) fn within(&mut self, context: &Context, clock: &Clock) {
        (self.context, self.context_cut, self.span) = (context.fields(), context.cut(), context.span());
        let note = |breadcrumb| BreadcrumbNote::new(breadcrumb, clock, self.at);
        self.breadcrumbs = context.breadcrumbs().map(note).collect();
        self.older_breadcrumbs = context.older_breadcrumbs();
    }

    /// The report on one line, of which at most so many bytes are rendered; what is cut is said.
    ///
    /// ```
    /// use foundation_supervisor::{CrashReport, System};
    ///
    /// fn last_crashes(system: &System) -> Vec<String> {
    ///     system.crashes().groups.iter().map(|group| group.last.text(200)).collect()
    /// }
    /// ```
    pub fn text(&self, max_len: usize) -> String {
        render(self, max_len)
    }

    /// The report as JSON: times and spans in nanoseconds, places as `file:line:column`, texts of at most
    /// [`MAX_LEN`] bytes.
    #[cfg(feature = "json")]
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        use crate::snapshot::json::{budget, fields, place};

        let breadcrumb = |note: &BreadcrumbNote| serde_json::json!({ "what": *note.what, "fields": fields(&note.fields), "age": note.age });
        let open = |span: &OpenSpan| serde_json::json!({ "name": span.name, "age": span.age });
        serde_json::json!({
            "worker": *self.worker,
            "incarnation": self.incarnation.to_string(),
            "at": self.at,
            "kind": self.exit.kind(),
            "text": render(&self.exit, MAX_LEN),
            "context": fields(&self.context),
            "context_cut": self.context_cut,
            "breadcrumbs": self.breadcrumbs.iter().map(breadcrumb).collect::<Vec<_>>(),
            "older_breadcrumbs": self.older_breadcrumbs,
            "span": self.span.map(|link| serde_json::json!({ "span": link.span, "trace": link.trace.to_string() })),
            "spans": self.spans.iter().map(open).collect::<Vec<_>>(),
            "more_spans": self.more_spans,
            "checkpoint": place(self.checkpoint),
            "waits_at": place(self.waits_at),
            "restarts": budget(&self.restarts),
        })
    }

    /// As text, with how long ago it was.
    pub(crate) fn as_of(&self, now: Option<Nanos>) -> AsOf<'_> {
        AsOf(self, now)
    }

    pub(crate) fn event(&self) -> (Fields, Fields) {
        let Budget { used, allowed, .. } = self.restarts;
        let about = fields! {
            worker: Arc::clone(&self.worker),
            incarnation: self.incarnation,
            kind: self.exit.kind(),
            exit: render(&self.exit, MAX_LEN),
        };
        let place = |place: Option<&Location<'_>>| place.map(|place| place.to_string().into());
        let did = (!self.breadcrumbs.is_empty()).then(|| render(&Did(self), MAX_LEN).into());
        let known = [
            ("breadcrumbs", did),
            ("context_cut", (self.context_cut > 0).then(|| self.context_cut.into())),
            ("checkpoint", place(self.checkpoint)),
            ("waits_at", place(self.waits_at)),
            ("span_id", self.span.map(|link| link.span.into())),
            ("trace_id", self.span.map(|link| link.trace.into())),
        ];
        let known = known.into_iter().filter_map(|(name, value)| Some((name, value?)));
        // What is said last stands: the report's own.
        let all = self.context.iter().chain(about.iter()).cloned().chain(known);
        (fields! { at: self.at, restarts_used: used, restarts_allowed: allowed }, all.collect())
    }
}

impl Display for CrashReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_of(None).fmt(f)
    }
}

/// A report, and how late it is where that is known.
pub(crate) struct AsOf<'a>(&'a CrashReport, Option<Nanos>);

impl Display for AsOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(report, now) = self;
        let CrashReport { worker, incarnation, at, exit, context, restarts, .. } = report;
        write!(f, "{worker} ({incarnation}) {}", render(exit, MAX_LEN))?;
        if !context.is_empty() {
            write!(f, " ({})", render(context, MAX_LEN))?;
        }
        if report.context_cut > 0 {
            write!(f, " ({} cut)", report.context_cut)?;
        }
        write!(f, ", {}{}", if now.is_none() { "at " } else { "" }, Moment(*at, *now))?;
        if let Some(place) = report.checkpoint {
            write!(f, ", last seen at {place}")?;
        }
        if let Some(place) = report.waits_at {
            write!(f, ", waits at {place}")?;
        }
        write!(f, ", {} of {} restarts used", restarts.used, restarts.allowed)?;
        if let Some(link) = report.span {
            write!(f, ", in span {} of trace {}", link.span, link.trace)?;
        }
        for (n, span) in report.spans.iter().enumerate() {
            write!(f, "{} `{}` ({})", if n == 0 { ", left open:" } else { "," }, span.name, Span(span.age))?;
        }
        if report.more_spans > 0 {
            write!(f, " and {} more", report.more_spans)?;
        }
        match report.breadcrumbs.is_empty() {
            true => Ok(()),
            false => write!(f, ", did before: {}", Did(report)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_line_and_bounded_however_much_a_user_had_to_say() {
        let exit = Exit::Failed(format!("first line\n{}", "é".repeat(1_000_000)).into());
        let mut report = CrashReport::new("t/w".into(), Incarnation { id: 7, generation: 2 }, 1_500_000_000, exit);
        report.context = fields! { request: "r".repeat(10_000) };
        let text = report.to_string();
        assert!(text.starts_with("t/w (7#2) failed: first line éé") && !text.contains('\n'), "{}", &text[..60]);
        assert!(text.contains(" bytes more) (request") && text.len() < 3 * MAX_LEN, "what is cut is said");
        assert_eq!(report.text(31), format!("t/w (7#2) failed: first line é… ({} bytes more)", text.len() - 31));
        let (_, metadata) = report.event();
        let exit = metadata.get("exit").map(ToString::to_string).expect("it is said");
        assert!(exit.len() < MAX_LEN + 30, "{} bytes", exit.len());
    }

    #[test]
    fn a_report_says_who_how_where_and_what_is_left() {
        let mut report = CrashReport::new(
            "t/w".into(),
            Incarnation { id: 7, generation: 2 },
            1_500_000_000,
            Exit::Failed("no".into()),
        );
        report.context = fields! { shard: 3 };
        report.restarts = Budget { used: 1, allowed: 3, ..Budget::default() };
        assert_eq!(report.to_string(), "t/w (7#2) failed: no (shard: 3), at 1.5s, 1 of 3 restarts used");
        report.checkpoint = Some(Location::caller());
        let place = report.checkpoint.map(ToString::to_string);
        let (measurements, metadata) = report.event();
        assert_eq!(metadata.get("checkpoint").map(ToString::to_string), place);
        assert!(
            measurements
                .contains(&fields! { at: 1_500_000_000_u64, restarts_used: 1_usize, restarts_allowed: 3_usize })
        );
    }
}
