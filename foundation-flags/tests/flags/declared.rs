//! What is declared of a flag besides its default: its owner, and the day from which on it is to be gone.

use foundation_context::{Value, fields};
use foundation_flags::{Date, EXPIRED, Flag, Flags, Inventory, MigrationPlan, StartError};
use foundation_sync::{Errand, Errands, Full, Queue, VirtualTime};
use foundation_testkit::TestUniverse;

const OLD: Flag = Flag::on("old").owner("payments").expires("1999-12-31");
const DUE: Flag = Flag::off("due").expires("2000-01-01");
const LATER: Flag = Flag::off("later").owner("search").expires("2000-01-02");
const FOR_EVER: Flag = Flag::off("for_ever");
const NO_DAY: Flag = Flag::off("no_day").owner("payments").expires("2027-02-30");

/// On 1 January 2000: that is when virtual time begins.
fn today() -> VirtualTime {
    VirtualTime::new().patience(foundation_testkit::patience())
}

#[test]
fn a_status_lists_flags_that_have_expired_by_the_clocks_day() {
    let time = today();
    let builder = Flags::builder().clock(&time.clock()).flag(&OLD).flag(&LATER).flag(&FOR_EVER);
    let flags =
        builder.plan(MigrationPlan::new("p").stage("one", &[DUE])).start().expect("an expired flag is no error");
    assert_eq!(flags.status().expired, [OLD, DUE]);
    assert!(flags.status().to_string().ends_with("; expired: old, due"), "{}", flags.status());
    assert!(flags.enabled(&OLD), "it works as before");
    time.advance(std::time::Duration::from_secs(24 * 60 * 60)).expect("nobody waits");
    assert_eq!(flags.status().expired, [OLD, LATER, DUE]);
}

#[test]
fn flags_that_have_expired_are_told_of_at_the_start_by_the_courier() {
    let (t, time) = (TestUniverse::new(), today());
    let later = Queue::<Errand>::bounded(10, Full::Refuse);
    let takes = later.clone();
    let errands = Errands::new(move |errand| takes.try_send(errand).map_err(|refused| refused.into_inner()));
    let capture = t.capture_telemetry(EXPIRED);
    let builder = Flags::builder().clock(&time.clock()).telemetry(t.telemetry()).errands(&errands);
    let flags =
        builder.flag(&OLD).flag(&LATER).flag(&DUE).flag(&FOR_EVER).start().expect("an expired flag is no error");
    assert!(capture.take().is_empty(), "not by whoever starts flags");
    later.drain().into_iter().for_each(|errand| errand());
    let told: Vec<_> = capture.take().iter().map(|event| event.metadata.clone()).collect();
    let of_old = fields! { flag: "old", expires: "1999-12-31", owner: "payments" };
    assert_eq!(told, [of_old, fields! { flag: "due", expires: "2000-01-01" }]);
    flags.emergency_rollback("test");
    later.drain().into_iter().for_each(|errand| errand());
    assert!(capture.take().is_empty(), "once for each start");
    // Without a courier, or one that has no room, it is the thread that starts them; where nothing has expired nothing is
    // told.
    let here = || Flags::builder().clock(&time.clock()).telemetry(t.telemetry());
    _ = here().flag(&OLD).start().expect("it fits");
    _ = here().errands(&Errands::new(Err)).flag(&DUE).start().expect("it fits");
    _ = here().flag(&LATER).start().expect("it fits");
    let told: Vec<_> = capture
        .take()
        .iter()
        .map(|event| event.metadata.get("flag").and_then(Value::as_str).map(str::to_owned))
        .collect();
    assert_eq!(told, [Some("old".to_owned()), Some("due".to_owned())]);
}

#[test]
fn what_is_no_date_is_refused_when_flags_are_started() {
    let refused = Flags::builder().flag(&FOR_EVER).flag(&NO_DAY).start().map(drop).expect_err("there is no such day");
    assert_eq!(refused, StartError::NoDate(Box::new(NO_DAY)));
    let expected = "the flag `no_day` expires on `2027-02-30`, which is no date: write a day as 2027-01-31";
    assert_eq!(refused.to_string(), expected);
    let planned = Flags::builder().plan(MigrationPlan::new("p").stage("one", &[NO_DAY])).start().map(drop);
    assert_eq!(planned, Err(StartError::NoDate(Box::new(NO_DAY))));
}

#[test]
fn two_declarations_of_one_flag_that_are_not_alike_are_refused_and_told_apart() {
    let table = [
        (Flag::on("old").owner("payments").expires("1999-12-31"), None),
        (Flag::on("old").owner("search").expires("1999-12-31"), Some("with different owners: at ")),
        (OLD.expires("2000-01-01"), Some("with different expiry dates: at ")),
        (OLD.salt("older"), Some("with different salts: at ")),
        (Flag::off("old"), Some("with different defaults and owners and expiry dates: at ")),
    ];
    for (other, expected) in table {
        let started = Flags::builder().flag(&OLD).flag(&other).start().map(drop);
        let said = started.map_err(|error| error.to_string());
        match expected {
            None => assert_eq!(said, Ok(())),
            Some(expected) => assert!(said.as_ref().is_err_and(|said| said.contains(expected)), "{said:?}"),
        }
    }
}

#[test]
fn an_inventory_is_a_table_by_name_and_knows_what_is_to_be_gone() {
    let today = Date::parse("2000-01-01").expect("there is such a day");
    let inventory = Inventory::new([OLD, LATER, NO_DAY, FOR_EVER, DUE], today);
    let line = |flag: &Flag| format!("{}:{}", flag.declared_at().file(), flag.declared_at().line());
    let expected = [
        "name      default  owner     expires             declared at".to_owned(),
        format!("due       off      -         2000-01-01 EXPIRED  {}", line(&DUE)),
        format!("for_ever  off      -         -                   {}", line(&FOR_EVER)),
        format!("later     off      search    2000-01-02          {}", line(&LATER)),
        format!("no_day    off      payments  2027-02-30 NO DATE  {}", line(&NO_DAY)),
        format!("old       on       payments  1999-12-31 EXPIRED  {}", line(&OLD)),
    ];
    assert_eq!(inventory.to_string(), expected.join("\n"));
    assert_eq!((inventory.flags().len(), inventory.expired()), (5, vec![DUE, OLD]));
    let stale = inventory.check().expect_err("three of them");
    let expected = [
        "`due` expired on 2000-01-01: remove it, or give it another day",
        "`no_day` expires on `2027-02-30` (payments), which is no date: write a day as 2027-01-31",
        "`old` expired on 1999-12-31 (payments): remove it, or give it another day",
    ];
    assert_eq!((stale.flags.clone(), stale.to_string()), (vec![DUE, NO_DAY, OLD], expected.join("\n")));
    assert_eq!(Inventory::new([LATER, FOR_EVER], today).check(), Ok(()));
    let none = Inventory::new([], today);
    assert_eq!((none.to_string().lines().count(), none.expired().len()), (1, 0));
}
