//! The context on every line of a log.

use std::{any::Any, error::Error, fmt};

use tracing::{Event, Subscriber, dispatcher, subscriber::NoSubscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Compact, Format, Full, Json, Writer},
        time::{SystemTime, Uptime},
    },
    registry::LookupSpan,
};

use crate::{Context, Secret, Value, carried};

/// What the fields are called in a log.
const GROUP: &str = "error_context";

/// Adds the fields of the current context to every record of a `tracing_subscriber::fmt` log, on whatever thread it is
/// written: as text, ` error_context{operation=validation step=parse}` at the end of the line; as JSON, a key
/// `error_context` with an object. A record without a context stays as it is, and so does one of a universe in legacy
/// mode, in which a context is not logged.
///
/// What was cut off the context is counted: `error_context{.., 3 cut}`, and in JSON a key `error_context_cut`. Colours have
/// to be asked for at the inner format: `format().with_ansi(true)`.
///
/// ```
/// use foundation_context::{WithContext, check_logging};
/// use tracing_subscriber::fmt::{Subscriber, format};
///
/// let text = Subscriber::builder().event_format(WithContext::new(format()));
/// # let text = text.with_writer(std::io::sink);
/// tracing::subscriber::with_default(text.finish(), || assert_eq!(check_logging(), Ok(())));
///
/// let json = Subscriber::builder().json().event_format(WithContext::json(format().json()));
/// # let json = json.with_writer(std::io::sink);
/// tracing::subscriber::with_default(json.finish(), || assert_eq!(check_logging(), Ok(())));
/// ```
#[derive(Clone, Debug)]
pub struct WithContext<F> {
    inner: F,
    json: bool,
}

impl<F> WithContext<F> {
    /// Around a format that writes text.
    pub fn new(inner: F) -> Self {
        Self { inner, json: false }
    }

    /// Around a format that writes one JSON object for each record.
    pub fn json(inner: F) -> Self {
        Self { inner, json: true }
    }
}

impl<F: Any> WithContext<F> {
    /// Whether the calling thread's subscriber writes its log with such a one. For formats that [`check_logging`] does not
    /// know.
    pub fn is_in_place() -> bool {
        dispatcher::get_default(|dispatch| dispatch.is::<Self>())
    }
}

impl<S, N, F> FormatEvent<S, N> for WithContext<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let context = carried();
        if context.said().is_empty() {
            return self.inner.format_event(ctx, writer, event);
        }
        let mut record = String::new();
        self.inner.format_event(ctx, Writer::new(&mut record), event)?;
        let line = record.trim_end_matches('\n');
        match line.strip_suffix('}').filter(|_| self.json) {
            Some(open) => {
                let comma = if open.ends_with('{') { "" } else { "," };
                write!(writer, "{open}{comma}{}}}", AsJson(&context))?;
            }
            None => write!(writer, "{line} {}", AsText(&context))?,
        }
        writer.write_str(&record[line.len()..])
    }
}

struct AsText<'a>(&'a Context);

impl fmt::Display for AsText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = self.0.said();
        write!(f, "{GROUP}{{")?;
        for (at, (name, value)) in said.0.iter().enumerate() {
            let space = if at > 0 { " " } else { "" };
            match value.as_str() {
                // One record stays one line, and one field one word, whatever a user sent.
                Some(text) if !is_a_word(text) => write!(f, "{space}{name}={text:?}")?,
                _ => write!(f, "{space}{name}={value}")?,
            }
        }
        match said.1 {
            0 => f.write_str("}"),
            cut => write!(f, ", {cut} cut}}"),
        }
    }
}

fn is_a_word(text: &str) -> bool {
    !text.is_empty()
        && !text.contains(|sign: char| sign.is_whitespace() || sign.is_control() || "\"'={},".contains(sign))
}

struct AsJson<'a>(&'a Context);

impl fmt::Display for AsJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = self.0.said();
        let fields = said.0.iter().map(|(name, value)| ((*name).to_owned(), json(value))).collect();
        write!(f, "\"{GROUP}\":{}", serde_json::Value::Object(fields))?;
        match said.1 {
            0 => Ok(()),
            cut => write!(f, ",\"{GROUP}_cut\":{cut}"),
        }
    }
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::I64(value) => (*value).into(),
        Value::U64(value) => (*value).into(),
        Value::F64(value) => (*value).into(),
        Value::Static(value) => (*value).into(),
        Value::Text(value) => (**value).into(),
        Value::Secret(_) => Secret::SHOWN.into(),
    }
}

/// Why the context is not on the calling thread's log, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoggingError {
    /// There is no subscriber.
    NoSubscriber,
    /// There is one, and it does not write with [`WithContext`], or around a format that is not known here.
    NotInPlace,
}

impl fmt::Display for LoggingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSubscriber => {
                "no context is logged: this thread has no subscriber; install one that writes with \
                 `tracing_subscriber::fmt().event_format(WithContext::new(format()))`, or give it to the universe's builder"
            }
            Self::NotInPlace => {
                "no context is logged: this thread's subscriber does not write with `WithContext`; give its format, \
                 `.event_format(WithContext::new(format()))`, or for JSON \
                 `.json().event_format(WithContext::json(format().json()))`; around a format of your own, ask \
                 `WithContext::<Format>::is_in_place()`"
            }
        })
    }
}

impl Error for LoggingError {}

/// Looks whether the calling thread's log has the context on its records. It asks the subscriber, and writes nothing.
///
/// It knows the formats of `tracing-subscriber` (full, compact, JSON), dated by its system time, its uptime, or
/// not at all. A layer that hides what it is made of, as `reload::Layer` does, is taken to have none.
///
/// # Errors
/// Why it has not, and what to do.
pub fn check_logging() -> Result<(), LoggingError> {
    fn any_of<T: 'static>() -> bool {
        WithContext::<Format<Full, T>>::is_in_place()
            || WithContext::<Format<Compact, T>>::is_in_place()
            || WithContext::<Format<Json, T>>::is_in_place()
    }
    if dispatcher::get_default(|dispatch| dispatch.is::<NoSubscriber>()) {
        return Err(LoggingError::NoSubscriber);
    }
    let in_place = any_of::<SystemTime>() || any_of::<Uptime>() || any_of::<()>();
    if in_place { Ok(()) } else { Err(LoggingError::NotInPlace) }
}
