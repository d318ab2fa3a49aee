//! A day of the calendar, which is how far an expiry goes.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// After so many years the calendar repeats, whichever it begins with.
const DAYS_OF_400_YEARS: u64 = 400 * 365 + 97;

/// From 1970-01-01 to 9999-12-31.
const DAYS_TO_LAST: u64 = 2_932_896;

/// A day of the calendar in UTC, from 0001-01-01 to 9999-12-31. A later day is the greater one.
///
/// ```
/// use foundation_flags::Date;
///
/// const LAST: Date = Date::parse("2027-01-31").expect("there is such a day");
/// assert_eq!(LAST.to_string(), "2027-01-31");
/// assert_eq!(Date::parse("2027-02-30"), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    const FIRST_OF_CLOCKS: Self = Self { year: 1970, month: 1, day: 1 };
    const LAST: Self = Self { year: 9999, month: 12, day: 31 };

    /// The day that is written as `2027-01-31`; `None` for any other form, and for a day that there is not.
    pub const fn parse(text: &str) -> Option<Self> {
        let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = *text.as_bytes() else { return None };
        let (Some(century), Some(year)) = (number(y0, y1), number(y2, y3)) else { return None };
        let (Some(month), Some(day)) = (number(m0, m1), number(d0, d1)) else { return None };
        let year = century as u16 * 100 + year as u16;
        if year == 0 || month == 0 || month > 12 || day == 0 || day > days_of(year, month) {
            return None;
        }
        Some(Self { year, month, day })
    }

    /// The day of this moment. A clock that stands before 1970 is taken to stand at 1970-01-01, one that stands after
    /// 9999-12-31 at that day.
    pub fn of(at: SystemTime) -> Self {
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut left = since.as_secs() / DAY.as_secs();
        if left >= DAYS_TO_LAST {
            return Self::LAST;
        }
        let mut date = Self::FIRST_OF_CLOCKS;
        date.year += (left / DAYS_OF_400_YEARS * 400) as u16;
        left %= DAYS_OF_400_YEARS;
        while left >= days_of_year(date.year) {
            left -= days_of_year(date.year);
            date.year += 1;
        }
        while left >= u64::from(days_of(date.year, date.month)) {
            left -= u64::from(days_of(date.year, date.month));
            date.month += 1;
        }
        date.day += left as u8;
        date
    }
}

const fn number(tens: u8, ones: u8) -> Option<u8> {
    if tens.is_ascii_digit() && ones.is_ascii_digit() { Some((tens - b'0') * 10 + ones - b'0') } else { None }
}

const fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_of_year(year: u16) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

const fn days_of(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:04}-{:02}-{:02}", self.year, self.month, self.day))
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_day_that_there_is_is_a_date() {
        for text in ["1970-01-01", "2027-01-31", "2028-02-29", "2000-02-29", "0001-01-01", "9999-12-31"] {
            assert_eq!(Date::parse(text).map(|date| date.to_string()).as_deref(), Some(text));
        }
        let none = ["", "2027", "2027-1-31", "2027-02-30", "2027-02-29", "1900-02-29", "2027-04-31", "2027-13-01"];
        let more = ["2027-00-01", "2027-01-00", "0000-01-01", "2027/01/31", " 2027-01-31", "2027-01-31T", "2o27-01-31"];
        for text in none.into_iter().chain(more) {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_of_the_calendar_is_the_one_that_humantime_takes_it_for() {
        let mut before = None;
        // Each until 2106, which is past a year that is not leap though it might look so; and then some of each year.
        let days = (0..50_000).chain((50_000..DAYS_TO_LAST).step_by(97)).chain([DAYS_TO_LAST]);
        for day in days {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(day * DAY.as_secs());
            let date = Date::of(at);
            assert!(before <= Some(date), "{date} is no earlier");
            let text = humantime::format_rfc3339_seconds(at).to_string();
            assert_eq!(date.to_string(), text[..10]);
            assert_eq!(Date::parse(&text[..10]), Some(date));
            assert_eq!(Date::of(at + DAY - Duration::from_nanos(1)), date, "to its end");
            before = Some(date);
        }
        let last = SystemTime::UNIX_EPOCH + Duration::from_secs(DAYS_TO_LAST * DAY.as_secs());
        assert_eq!(
            (Date::of(last), Date::of(last + DAY)),
            (Date::LAST, Date::LAST),
            "a clock past the end is at the end"
        );
        assert_eq!(Date::of(SystemTime::UNIX_EPOCH - DAY), Date::FIRST_OF_CLOCKS);
    }
}
