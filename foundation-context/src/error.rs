//! An error that remembers the context it was born in.

use std::{error::Error, fmt, iter::successors};

use crate::{Context, Retry, Severity, current, trail::Moment};

type AnyError = Box<dyn Error + Send + Sync + 'static>;

/// How far a chain of causes is followed.
const MOST_CAUSES: usize = 64;

/// An error and the context it was born in. It stands for the error itself: its [`source`](Error::source) is the error's,
/// and [`downcast_ref`](Self::downcast_ref) finds the error. One pointer big.
///
/// An error that is given a context again, itself or as the cause of another one, keeps that of its birth.
///
/// `Display` reads as the error does, with the fields in brackets. `Debug` is what `main` prints of an error it returns:
/// all that is known, one thing a line.
///
/// ```
/// use std::time::Duration;
///
/// use foundation_context::{Contextual, InContext, Retry, Severity, fields, with};
///
/// let parsed = with(fields! { step: "parse" }, || "twelve".parse::<u32>().in_context());
/// let error = parsed.unwrap_err().with_retry(Retry::Permanent).with_severity(Severity::Low);
/// assert_eq!(error.to_string(), "invalid digit found in string (step: parse)");
/// assert!(error.downcast_ref::<std::num::ParseIntError>().is_some());
///
/// // Further up it is a cause among others, and still found.
/// let above: Box<dyn std::error::Error + Send + Sync> = error.into();
/// assert_eq!(Contextual::find(&*above).and_then(Contextual::retry), Some(Retry::Permanent));
/// ```
#[must_use = "it is an error"]
pub struct Contextual(Box<Inner>);

struct Inner {
    error: AnyError,
    context: Context,
    born: Moment,
    retry: Option<Retry>,
    severity: Option<Severity>,
}

impl Contextual {
    /// The error in the current context, or in that of its birth if it has one: it is one of these already, or was caused
    /// by one.
    ///
    /// A report of `anyhow` hides what it was made of once it has become another error; with the feature `anyhow` it is
    /// looked into before.
    pub fn new(error: impl Into<AnyError> + 'static) -> Self {
        #[cfg(feature = "anyhow")]
        let error = match out_of_a_report(error) {
            Ok(same) => return same,
            Err(error) => error,
        };
        let error = match error.into().downcast::<Self>() {
            Ok(same) => return *same,
            Err(error) => error,
        };
        let (context, born) = Self::find(&*error)
            .map_or_else(|| (current(), Moment::now()), |cause| (cause.0.context.clone(), cause.0.born.clone()));
        Self(Box::new(Inner { error, context, born, retry: None, severity: None }))
    }

    /// The first of these in an error's chain: the error itself, its source, and so on.
    pub fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        chain(error).find_map(<dyn Error>::downcast_ref)
    }

    /// Says whether what failed may be tried again.
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = Some(retry);
        self
    }

    /// Says how bad it is.
    pub fn with_severity(mut self, severity: Severity) -> Self {
        self.0.severity = Some(severity);
        self
    }

    /// The context the error was born in.
    pub fn context(&self) -> &Context {
        &self.0.context
    }

    /// Whether what failed may be tried again, as it says itself or its nearest cause that says so; `None` if none does.
    pub fn retry(&self) -> Option<Retry> {
        self.hint(|inner| inner.retry)
    }

    /// How bad it is, as it says itself or its nearest cause that says so; `None` if none does.
    pub fn severity(&self) -> Option<Severity> {
        self.hint(|inner| inner.severity)
    }

    fn hint<T>(&self, of: impl Fn(&Inner) -> Option<T>) -> Option<T> {
        chain(self).filter_map(<dyn Error>::downcast_ref::<Self>).find_map(|cause| of(&cause.0))
    }

    /// The error alone, if it is one of these.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.0.error.downcast_ref()
    }

    /// The error alone, if it is one of these.
    ///
    /// # Errors
    /// It is another one, and comes back as it was.
    pub fn downcast<E: Error + 'static>(self) -> Result<E, Self> {
        let Self(mut inner) = self;
        match inner.error.downcast() {
            Ok(error) => Ok(*error),
            Err(error) => {
                inner.error = error;
                Err(Self(inner))
            }
        }
    }

    /// The error alone.
    pub fn into_inner(self) -> Box<dyn Error + Send + Sync + 'static> {
        self.0.error
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |error| <dyn Error>::source(*error)).take(MOST_CAUSES)
}

/// As the error does, with the fields in brackets.
impl fmt::Display for Contextual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.error.fmt(f)?;
        self.0.context.said().in_brackets(f)
    }
}

/// All that is known, one thing a line.
impl fmt::Debug for Contextual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { error, context, born, .. } = &*self.0;
        write!(f, "{error}")?;
        let said = context.to_string();
        if !said.is_empty() {
            write!(f, "\n  fields: {said}")?;
        }
        if let Some(id) = context.correlation() {
            write!(f, "\n  correlation id: {id}")?;
        }
        if let Some(who) = context.incarnation() {
            write!(f, "\n  who: {who}")?;
        }
        if let Some(link) = context.span() {
            write!(f, "\n  span: {} of trace {}", link.span, link.trace)?;
        }
        for breadcrumb in context.breadcrumbs() {
            match breadcrumb.age_at(born) {
                Some(age) => write!(f, "\n  {age:.1?} before: {breadcrumb}")?,
                None => write!(f, "\n  before, by another clock: {breadcrumb}")?,
            }
        }
        if context.older_breadcrumbs() > 0 {
            write!(f, "\n  {} breadcrumbs are older", context.older_breadcrumbs())?;
        }
        if let Some(retry) = self.retry() {
            write!(f, "\n  retry: {retry}")?;
        }
        if let Some(severity) = self.severity() {
            write!(f, "\n  severity: {severity}")?;
        }
        chain(self).skip(1).try_for_each(|cause| write!(f, "\n  caused by: {cause}"))
    }
}

impl Error for Contextual {
    /// The error's own source: this one stands for the error itself.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.error.source()
    }
}

/// As [`Contextual::new`].
impl From<AnyError> for Contextual {
    fn from(error: AnyError) -> Self {
        Self::new(error)
    }
}

/// Gives an error the context of the place where it was born.
pub trait InContext<T> {
    /// Wraps the error together with the current context, or with the one it was born in if it has one already.
    ///
    /// # Errors
    /// The error, in its context.
    fn in_context(self) -> Result<T, Contextual>;
}

impl<T, E: Into<AnyError> + 'static> InContext<T> for Result<T, E> {
    fn in_context(self) -> Result<T, Contextual> {
        self.map_err(Contextual::new)
    }
}

/// What a report was made of, if that is one of these and nothing was said about it since.
#[cfg(feature = "anyhow")]
fn out_of_a_report<E: 'static>(error: E) -> Result<Contextual, E> {
    use std::any::Any;

    let is_it = |report: &anyhow::Error| report.chain().next().is_some_and(|first| first.is::<Contextual>());
    let mut error = Some(error);
    let report = (&mut error as &mut dyn Any).downcast_mut::<Option<anyhow::Error>>();
    let report = report.and_then(|report| report.take_if(|report| is_it(report)));
    match report {
        Some(report) => Ok(report.downcast().expect("it is one of these")),
        None => Err(error.expect("only such a report was taken out")),
    }
}
