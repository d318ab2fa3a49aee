//! What is reported of a migration, by date.

use std::time::Duration;

use foundation_flags::{Date, Thresholds};
use foundation_sync::{Deadline, MINUTE};

use crate::thresholds::Site;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn day(text: &str) -> Date {
    Date::parse(text).expect("there is such a day")
}

/// On 1 January a baseline and stage 1; on the 2nd stage 2, and back for a window.
fn site() -> Site {
    let thresholds = Thresholds::runbook().window(DAY / 4);
    let site = Site::start(|builder| builder.thresholds(thresholds));
    let decide = |work: &dyn Fn()| {
        site.time.advance(MINUTE).expect("nothing is due");
        work();
        site.time.advance(MINUTE).expect("nothing is due");
    };
    decide(&|| _ = site.flags.start_baseline("alice", "before", Deadline::never()).expect("none is under way"));
    site.time.advance(DAY / 4).expect("a window");
    decide(&|| _ = site.flags.finish_baseline("alice", "well", Deadline::never()).expect("it is over"));
    decide(&|| site.advance_to(1));
    site.time.advance(DAY / 4).expect("a window");
    site.world.set(Thresholds::MEMORY, 600e6);
    (0..3).for_each(|_| site.time.advance(DAY / 4).expect("a window"));
    site.world.set(Thresholds::MEMORY, 1e6);
    decide(&|| site.advance_to(2));
    decide(&|| _ = site.flags.rollback_to(1, "bob", "orders are lost").expect("it is lower"));
    site.time.advance(DAY / 4).expect("a window");
    site
}

#[test]
fn a_report_has_the_stages_the_decisions_the_alerts_and_the_baseline_of_its_days() {
    let site = site();
    let report = site.flags.report(day("2000-01-02"), day("2000-01-02"));
    let text = report.to_string();
    let expected = "\
migration p, 2000-01-02 to 2000-01-02: stage 1 of 2
  stage 1 watching: 2000-01-01T06:05:00Z to 2000-01-02T06:07:00.000000001Z
  stage 2 switching: 2000-01-02T06:07:00.000000001Z to 2000-01-02T06:09:00.000000002Z
  stage 1 watching: 2000-01-02T06:09:00.000000002Z to now
decisions: 2
  2000-01-02T06:07:00.000000001Z 4: advanced from stage 1 to 2 by alice (next); new on
  2000-01-02T06:09:00.000000002Z 5: rolled back from stage 2 to 1 by bob (orders are lost); new off
alerts: 0
figures now
";
    assert!(text.starts_with(expected), "{text}");
    assert!(
        text.contains("\nbaseline of 2000-01-01T00:01:00Z to 2000-01-01T06:03:00Z\n  error context overhead: "),
        "{text}"
    );
    let all = site.flags.report(day("2000-01-01"), day("2000-01-31"));
    assert_eq!((all.decisions.len(), all.stays.len(), all.stays[0].since), (5, 4, None));
    let first = site.flags.report(day("2000-01-01"), day("2000-01-01"));
    let alerts: Vec<_> = first.alerts.iter().map(|alert| alert.verdict.to_string()).collect();
    assert_eq!((alerts.as_slice(), first.alerts[0].stage), (&["memory 600 MB, more than 501 MB".to_owned()][..], 1));
    let nothing = site.flags.report(day("2000-01-02"), day("2000-01-01"));
    assert!(nothing.decisions.is_empty() && nothing.stays.is_empty() && nothing.alerts.is_empty());
}

#[test]
fn where_no_stage_was_left_yet_the_first_stay_is_since_the_start() {
    let site = Site::start(|builder| builder);
    let report = site.flags.report(day("2000-01-01"), day("2000-01-02"));
    assert_eq!((report.stays.len(), report.stays[0].since), (1, Some(site.flags.status().since)));
}

#[cfg(feature = "json")]
#[test]
fn what_a_decision_said_is_in_the_json_also_where_it_turned_nothing() {
    const FREE: foundation_flags::Flag = foundation_flags::Flag::off("free");
    let site = Site::start(|builder| builder.flag(&FREE));
    let change = || site.flags.change("alice", "a quarter").percent(&FREE, 25.0);
    change().apply(Deadline::never()).expect("it is free");
    change().actor(&FREE, "user-1", true).apply(Deadline::never()).expect("it is free");
    let json = site.flags.report(day("2000-01-01"), day("2000-01-02")).to_json();
    let said = |decision: usize| json["decisions"][decision]["said"].clone();
    let everybody = serde_json::json!({ "flag": "free", "part": "everybody", "before": null, "after": "25 %" });
    assert_eq!(said(0), serde_json::json!([everybody]));
    assert_eq!(said(1)[1]["part"], "the actor `user-1`");
    assert_eq!((&said(1)[1]["before"], &said(1)[1]["after"]), (&serde_json::Value::Null, &"on".into()));
}

#[cfg(feature = "json")]
#[test]
fn a_report_as_json_has_what_the_text_has() {
    let site = site();
    let report = site.flags.report(day("2000-01-01"), day("2000-01-02"));
    let json = report.to_json();
    assert_eq!((&json["plan"], &json["stage"], &json["from"]), (&"p".into(), &1.into(), &"2000-01-01".into()));
    assert_eq!(json["decisions"].as_array().map(Vec::len), Some(report.decisions.len()));
    assert_eq!(json["decisions"][4]["what"], "rolled back from stage 2 to 1");
    assert_eq!(json["decisions"][4]["turned"]["new"], false);
    assert_eq!(json["stays"][1]["name"], "watching");
    assert_eq!(json["alerts"][0]["verdict"]["value"], 600e6);
    assert_eq!(json["alerts"][0]["verdict"]["unit"], "bytes");
    assert_eq!(json["baseline"]["figures"]["threads"]["mean"], 10.0);
    assert_eq!(json["baseline"]["figures"]["memory"]["unit"], "bytes");
    assert_eq!(json["figures"].as_array().map(Vec::len), Some(9));
}
