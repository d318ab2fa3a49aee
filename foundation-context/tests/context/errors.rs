//! Errors that remember where they were born.

use std::{error::Error, fmt, num::ParseIntError, time::Duration};

use foundation_context::{
    Context, Contexts, Contextual, InContext, Incarnation, Retry, Secret, Severity, Value, breadcrumb, fields, with,
};
use foundation_sync::VirtualTime;

use crate::elsewhere;

fn parse() -> Result<u8, ParseIntError> {
    "x".parse()
}

fn born() -> Contextual {
    with(fields! { step: "parse" }, || parse().in_context()).expect_err("x is no number")
}

/// An error with a cause.
#[derive(Debug)]
struct Above(Contextual);

impl fmt::Display for Above {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the order was refused")
    }
}

impl Error for Above {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn an_error_remembers_the_context_it_was_born_in() {
    let error = with(fields! { other: 1 }, born);
    assert_eq!(error.to_string(), "invalid digit found in string (other: 1, step: parse)");
    assert_eq!(error.context().get("step").and_then(Value::as_str), Some("parse"));
    assert!(error.source().is_none(), "it stands for the error itself, which has no source");
    assert_eq!(Contextual::new("no").to_string(), "no");
    assert_eq!(size_of::<Contextual>(), size_of::<usize>());
}

#[test]
fn an_error_that_is_given_a_context_again_keeps_that_of_its_birth() {
    let first = Err::<(), _>(born());
    let again = with(fields! { outer: 1 }, || first.in_context()).expect_err("it is one");
    assert_eq!(again.to_string(), born().to_string());
    let boxed: Box<dyn Error + Send + Sync> = born().into();
    let again = with(fields! { outer: 1 }, || Contextual::from(boxed));
    assert_eq!(again.to_string(), born().to_string());
    assert!(again.downcast_ref::<ParseIntError>().is_some(), "it is wrapped once");
    let above = Err::<(), _>(Above(born()));
    let caused = with(fields! { outer: 1 }, || above.in_context()).expect_err("it is one");
    assert_eq!(caused.to_string(), "the order was refused (step: parse)");
    assert!(caused.source().is_some_and(|cause| cause.is::<Contextual>()));
}

#[test]
fn the_error_itself_can_be_had_back() {
    assert_eq!(Err(born().downcast::<ParseIntError>().expect("it is one")), parse());
    let kept = born().downcast::<fmt::Error>().expect_err("it is another one");
    assert_eq!(kept.to_string(), born().to_string(), "it comes back as it was");
    assert!(kept.into_inner().is::<ParseIntError>());
}

#[test]
fn hints_are_found_wherever_in_a_chain_they_were_given() {
    assert_eq!((born().retry(), born().severity()), (None, None));
    let limited = born().with_retry(Retry::After(Duration::from_secs(2))).with_severity(Severity::High);
    let above = Above(limited);
    let found = Contextual::find(&above).expect("it is its cause");
    assert_eq!((found.retry(), found.severity()), (Some(Retry::After(Duration::from_secs(2))), Some(Severity::High)));
    let wrapped = Contextual::new(above).with_severity(Severity::Critical);
    assert_eq!(wrapped.retry(), Some(Retry::After(Duration::from_secs(2))), "its cause says so");
    assert_eq!(wrapped.severity(), Some(Severity::Critical), "what it says itself comes first");
    assert!(Contextual::find(&fmt::Error).is_none() && Severity::Low < Severity::Critical);
    assert_eq!(born().with_retry(Retry::Transient).retry(), Some(Retry::Transient));
}

#[test]
fn all_that_is_known_of_an_error_is_shown_one_thing_a_line() {
    let time = VirtualTime::new();
    let who = Incarnation { id: 3, generation: 2 };
    let error = Contexts::new(&time.clock()).enter(|| {
        Context::of(who, fields! { correlation_id: "c-1", key: Secret::new("sesame") }).enter(|| {
            breadcrumb("came in", fields! {});
            assert!(time.advance(Duration::from_micros(3_200)).is_ok());
            breadcrumb("read it", fields! { bytes: 7 });
            Contextual::new(Above(born()).0).with_retry(Retry::Permanent).with_severity(Severity::Medium)
        })
    });
    assert_eq!(
        format!("{error:?}"),
        "invalid digit found in string
  fields: correlation_id: c-1, key: ***, step: parse
  correlation id: c-1
  who: 3#2
  3.2ms before: came in
  0.0ns before: read it (bytes: 7)
  retry: will fail again
  severity: medium"
    );
    let caused = format!("{:?}", Contextual::new(Above(Contextual::new("no such item"))));
    assert_eq!(caused, "the order was refused\n  caused by: no such item");
    let worn = elsewhere(|| {
        (0..40).for_each(|_| breadcrumb("step", fields! {}));
        format!("{:?}", Contextual::new("no"))
    });
    assert!(worn.ends_with("\n  8 breadcrumbs are older"), "{worn}");
}

#[test]
fn an_error_goes_through_question_marks_into_boxes_and_reports() {
    fn boxed() -> Result<(), Box<dyn Error + Send + Sync>> {
        with(fields! { step: "parse" }, || parse().in_context())?;
        Ok(())
    }
    fn text() -> Result<(), Contextual> {
        Err("no").in_context()?;
        Err(String::from("no")).in_context()
    }
    fn report() -> anyhow::Result<()> {
        use anyhow::Context as _;
        with(fields! { step: "parse" }, || parse().in_context()).context("while ordering")?;
        Ok(())
    }
    let error = boxed().expect_err("it is one");
    assert!(Contextual::find(&*error).is_some());
    assert_eq!(text().expect_err("it is one").to_string(), "no");
    let report = report().expect_err("it is one");
    assert_eq!(format!("{report:#}"), "while ordering: invalid digit found in string (step: parse)");
    let found = report.downcast_ref::<Contextual>().expect("it is in the chain");
    assert!(found.downcast_ref::<ParseIntError>().is_some());
    assert!(report.chain().any(|cause| cause.is::<Contextual>()));
    let above = with(fields! { outer: 1 }, || Contextual::new(report));
    assert_eq!(above.to_string(), "while ordering (step: parse)", "a report's cause counts as well");
}

#[cfg(feature = "anyhow")]
#[test]
fn an_error_that_went_through_a_report_keeps_the_context_that_it_was_born_in() {
    fn report() -> anyhow::Result<()> {
        with(fields! { step: "parse" }, || parse().in_context())?;
        Ok(())
    }
    let report = report();
    let error = with(fields! { outer: 1 }, || report.in_context()).expect_err("it is one");
    assert_eq!(error.to_string(), "invalid digit found in string (step: parse)");
    assert!(error.downcast_ref::<ParseIntError>().is_some());
    let other = with(fields! { outer: 1 }, || Err::<(), _>(anyhow::anyhow!("no")).in_context()).expect_err("it is one");
    assert_eq!(other.to_string(), "no (outer: 1)");
}
