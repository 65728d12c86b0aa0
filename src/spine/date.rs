//! Dates (RFC 9110 section 5.6.7): read in all three forms and in any case, as RFC 9111 section 4.2 asks caches to.

use std::array;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::spine::clock::Clock;

/// The last second that the format can write: 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;
/// 50 years of the calendar's mean length.
const FIFTY_YEARS: Duration = Duration::from_secs(1_577_847_600);
const DAY_SECONDS: i64 = 86_400;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A date, if it is one: GMT and nothing else, no other spelling, no number left short. Which day of the week it was says the
/// date itself, so a wrong name of a day does not make it none.
pub(crate) fn parse(text: &[u8]) -> Option<SystemTime> {
    // Of a year's two digits the century is told by the present, which nobody's clock moves far enough to matter.
    read(text, || Clock::system().wall())
}

/// The date in a field's first line.
pub(crate) fn of(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    parse(headers.get(name)?.as_bytes())
}

/// A date as a field value.
#[cfg_attr(not(feature = "cache"), allow(dead_code, reason = "only a cache writes dates"))]
pub(crate) fn format(at: SystemTime) -> HeaderValue {
    // The format ends with the year 9999, and the crate at a panic.
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).min(LAST_SECOND);
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

fn read(text: &[u8], now: impl FnOnce() -> SystemTime) -> Option<SystemTime> {
    let [first, second, third, fourth, fifth, sixth, seventh] = split(text.trim_ascii(), b' ');
    let weekday = first?;
    match (second?, third?, fourth?, fifth, sixth, seventh) {
        // Sunday, 06-Nov-94 08:49:37 GMT
        (date, time, zone, None, None, None)
            if is(zone, "GMT") && is_weekday(weekday.strip_suffix(b",")?, usize::MAX) =>
        {
            let [Some(day), Some(month), Some(year), None] = split(date, b'-') else { return None };
            recent(number::<2>(year)?, number::<2>(day)?, month_of(month)?, time_of(time)?, now())
        }
        // Sun Nov  6 08:49:37 1994
        (month, b"", day, Some(time), Some(year), None) if is_weekday(weekday, 3) => {
            moment(number::<4>(year)?, month_of(month)?, number::<1>(day)?, time_of(time)?)
        }
        (month, day, time, Some(year), None, None) if is_weekday(weekday, 3) => {
            moment(number::<4>(year)?, month_of(month)?, number::<2>(day)?, time_of(time)?)
        }
        // Sun, 06 Nov 1994 08:49:37 GMT
        (day, month, year, Some(time), Some(zone), None)
            if is(zone, "GMT") && is_weekday(weekday.strip_suffix(b",")?, 3) =>
        {
            moment(number::<4>(year)?, month_of(month)?, number::<2>(day)?, time_of(time)?)
        }
        _ => None,
    }
}

/// The first parts of a text, of which more are more than any form has.
fn split<const N: usize>(text: &[u8], at: u8) -> [Option<&[u8]>; N] {
    let mut parts = text.split(|&byte| byte == at);
    array::from_fn(|_| parts.next())
}

fn is(text: &[u8], word: &str) -> bool {
    text.eq_ignore_ascii_case(word.as_bytes())
}

/// Whether it is a day's name, of so many letters.
fn is_weekday(text: &[u8], letters: usize) -> bool {
    WEEKDAYS.iter().any(|day| is(text, day.get(..letters).unwrap_or(day)))
}

fn month_of(text: &[u8]) -> Option<i64> {
    MONTHS.iter().zip(1..).find(|(month, _)| is(text, month)).map(|(_, number)| number)
}

/// Just so many digits.
fn number<const N: usize>(text: &[u8]) -> Option<i64> {
    let digits = <&[u8; N]>::try_from(text).ok().filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    Some(digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

/// The second of the day. One minute in years has 61 of them.
fn time_of(text: &[u8]) -> Option<i64> {
    let [Some(hour), Some(minute), Some(second), None] = split(text, b':') else { return None };
    let (hour, minute, second) = (number::<2>(hour)?, number::<2>(minute)?, number::<2>(second)?);
    (hour < 24 && minute < 60 && second <= 60).then_some((hour * 60 + minute) * 60 + second)
}

/// Of a year that ends in these digits: the last that is not more than 50 years ahead.
fn recent(digits: i64, day: i64, month: i64, time: i64, now: SystemTime) -> Option<SystemTime> {
    let limit = now.checked_add(FIFTY_YEARS)?;
    let mut centuries = (0..100).rev().filter_map(|century| moment(century * 100 + digits, month, day, time));
    centuries.find(|at| *at <= limit)
}

/// The moment of a day of the calendar, and of a second in it.
fn moment(year: i64, month: i64, day: i64, time: i64) -> Option<SystemTime> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=days).contains(&day) {
        return None;
    }
    // Years that begin with March end with the day that is not always there.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719468 days lie between the first of March of the year 0 and the first of January 1970.
    let days = year * 365 + leaps + (month * 153 + 2) / 5 + day - 1 - 719_468;
    let seconds = days * DAY_SECONDS + time;
    let since = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { UNIX_EPOCH.checked_sub(since) } else { UNIX_EPOCH.checked_add(since) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Option<SystemTime> {
        parse(text.as_bytes())
    }

    /// RFC 9110 section 5.6.7: three forms, one moment. RFC 9111 section 4.2: match case-insensitively.
    #[test]
    fn three_forms_in_any_case() {
        let moment = Some(UNIX_EPOCH + Duration::from_secs(784_111_777));
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun Nov 06 08:49:37 1994",
            "sUN, 06 nov 1994 08:49:37 gMt",
            "SUNDAY, 06-NOV-94 08:49:37 gmt",
        ] {
            assert_eq!(at(text), moment, "{text}");
        }
    }

    /// RFC 9110 section 5.6.7: the name of the day says nothing that the date does not say.
    #[test]
    fn the_day_of_the_week_need_not_be_right() {
        let right = at("Sun, 06 Nov 1994 08:49:37 GMT");
        for text in ["Mon, 06 Nov 1994 08:49:37 GMT", "Tuesday, 06-Nov-94 08:49:37 GMT", "Sat Nov  6 08:49:37 1994"] {
            assert_eq!(at(text), right, "{text}");
        }
    }

    /// RFC 9110 section 5.6.7: `second` is up to 60, for a second that is put in.
    #[test]
    fn a_second_that_is_put_in() {
        assert_eq!(at("Sat, 31 Dec 2016 23:59:60 GMT"), at("Sun, 01 Jan 2017 00:00:00 GMT"));
        assert!(at("Sat, 31 Dec 2016 23:59:60 GMT").is_some());
    }

    /// RFC 9110 section 5.6.7: two digits that are more than 50 years ahead are of the past, others are not.
    #[test]
    fn two_digits_of_a_year() {
        let now = at("Thu, 26 Nov 2026 12:00:00 GMT").unwrap();
        let year_of = |text: &str, year: i64| {
            let read = read(format!("Sunday, {text} 08:49:37 GMT").as_bytes(), || now);
            let day = &text[..2];
            assert_eq!(read, at(&format!("Sun, {day} {} {year} 08:49:37 GMT", &text[3..6])), "{text}");
            assert!(read.is_some(), "{text}");
        };
        for (text, year) in [
            ("06-Nov-26", 2026),
            ("06-Nov-25", 2025),
            ("06-Nov-75", 2075),
            ("06-Nov-76", 2076),
            ("06-Dec-76", 1976),
            ("06-Nov-77", 1977),
            ("06-Nov-94", 1994),
            ("06-Nov-00", 2000),
            ("29-Feb-00", 2000),
            ("29-Feb-76", 2076),
        ] {
            year_of(text, year);
        }
        assert_eq!(read(b"Sunday, 29-Feb-94 08:49:37 GMT", || now), None);
    }

    /// RFC 9111 section 4.2: what is no date, and any zone but GMT, is in the past.
    #[test]
    fn what_is_none() {
        for text in [
            "",
            "0",
            "-1",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 AEST",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "Sun, 06-Nov-94 08:49:37 GMT",
            "Sunday, 06 Nov 1994 08:49:37 GMT",
            "Sun  06 Nov 1994 08:49:37 GMT",
            "Sun 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Nov 1994 08.49.37 GMT",
            "Sun, 06 Nov 1994  08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT and something more",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:00 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Sun, 29 Feb 1994 08:49:37 GMT",
            "Sun, 29 Feb 1900 08:49:37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nob 1994 08:49:37 GMT",
            "Son, 06 Nov 1994 08:49:37 GMT",
            ", 06 Nov 1994 08:49:37 GMT",
            "Sun Nov 6 08:49:37 1994",
            "Sun Nov  06 08:49:37 1994",
            "Sun Nov  6 08:49:37 1994 GMT",
            "Sun, Nov  6 08:49:37 1994",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
        assert_eq!(parse(b"\xff\xff"), None);
    }

    #[test]
    fn written_dates_are_read_again_and_none_is_too_late() {
        for seconds in [0, 784_111_777, LAST_SECOND] {
            let at = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(parse(format(at).as_bytes()), Some(at));
        }
        let last = UNIX_EPOCH + Duration::from_secs(LAST_SECOND);
        assert_eq!(format(last + Duration::from_secs(1)), format(last));
        assert_eq!(format(UNIX_EPOCH - Duration::from_secs(1)), format(UNIX_EPOCH));
        assert_eq!(at("Wed, 31 Dec 1969 23:59:59 GMT"), Some(UNIX_EPOCH - Duration::from_secs(1)));
    }

    /// The same moment in each of the forms.
    fn forms(text: &str) -> [String; 3] {
        let [weekday, day, month, year, time]: [&str; 5] =
            text.split(' ').take(5).collect::<Vec<_>>().try_into().unwrap();
        let short = weekday.trim_end_matches(',');
        let long = WEEKDAYS.iter().find(|name| name.starts_with(short)).unwrap();
        let day_of_two = day.strip_prefix('0').map_or_else(|| day.to_owned(), |day| format!(" {day}"));
        [
            text.to_owned(),
            format!("{short} {month} {day_of_two} {time} {year}"),
            format!("{long}, {day}-{month}-{} {time} GMT", &year[2..]),
        ]
    }

    proptest! {
        /// Another reader of dates says the same of all that are valid.
        #[test]
        fn others_read_the_same(seconds in 0..=LAST_SECOND, ahead in 0..1_577_000_000_u64, behind in 0..1_577_000_000_u64) {
            let moment = UNIX_EPOCH + Duration::from_secs(seconds);
            let [fixed, asctime, short] = forms(&httpdate::fmt_http_date(moment));
            for text in [&fixed, &asctime] {
                prop_assert_eq!(at(text), Some(moment), "{}", text);
                prop_assert_eq!(httpdate::parse_http_date(text).ok(), Some(moment), "{}", text);
            }
            // Seen from within 50 years, two digits are enough.
            for now in [moment.checked_sub(Duration::from_secs(ahead)), moment.checked_add(Duration::from_secs(behind))] {
                prop_assert_eq!(read(short.as_bytes(), || now.unwrap()), Some(moment), "{}", short);
            }
        }

        /// What another reader takes for a date is one, and what neither takes does no harm.
        #[test]
        fn what_others_refuse_is_refused_but_for_weekdays(
            day in 0..40_u8, month in 0..14_usize, year in 1970..2400_u16, hour in 0..26_u8, minute in 0..62_u8, second in 0..60_u8,
        ) {
            let month = MONTHS.get(month).unwrap_or(&"Nov ");
            let text = format!("{day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT");
            let theirs = WEEKDAYS.iter().find_map(|name| httpdate::parse_http_date(&format!("{}, {text}", &name[..3])).ok());
            prop_assert_eq!(at(&format!("Sun, {text}")), theirs, "{}", text);
        }

        #[test]
        fn anything_may_come(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            parse(&text);
        }
    }
}
