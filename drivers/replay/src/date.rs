//! The date of a recording, in the ways that recorders write it.

use crate::envi::{Header, Warning};

/// Keys whose text has date and time, in the order of trust. ENVI's own is `acquisition time`.
const WHOLE: [&str; 5] = ["acquisition time", "acquisition start time", "timestamp", "datetime", "acquisition datetime"];
/// Keys whose text has a date, and may lack the time.
const DATES: [&str; 3] = ["acquisition date", "capture date", "date"];
/// Keys whose text has the time for such a date.
const TIMES: [&str; 5] = ["start time", "acquisition time", "acquisition start time", "gps start time", "time"];

const NS_PER_S: i64 = 1_000_000_000;

/// The date of a header's image, ns since 1970-01-01T00:00:00Z. A time without a zone is taken as UTC. A date without a time is midnight.
///
/// Lumo writes `acquisition date = DATE(yyyy-mm-dd): 2019-01-29` and `start time = UTC TIME: 14:45:52`.
pub(crate) fn date_ns(header: &Header, doubt: &mut impl FnMut(Warning)) -> Option<i64> {
    let mut doubtful = None;
    for key in WHOLE.into_iter().chain(DATES) {
        let Some(text) = header.get(key).map(bare).filter(|text| !text.is_empty()) else { continue };
        let time = || {
            let apart = || TIMES.into_iter().filter_map(|key| header.get(key)).find_map(|text| time(bare(text)));
            time(text).or_else(|| DATES.contains(&key).then(apart).flatten())
        };
        let found = since_1970(text).or_else(|| {
            let days = day(text)?;
            let Time { of_day_ns, zone_ns } = time().unwrap_or_default();
            Some(days * 86_400 * NS_PER_S + of_day_ns - zone_ns)
        });
        match found {
            Some(ns) if ns > 0 => return Some(ns),
            // A key of that name may hold a time alone.
            _ if DATES.contains(&key) || time().is_none() => {
                doubtful.get_or_insert((key, text));
            }
            _ => {}
        }
    }
    if let Some((key, text)) = doubtful {
        doubt(Warning::NoDate { key, value: text.chars().take(40).collect() });
    }
    None
}

/// A value without the braces and quotes around it.
fn bare(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | '"' | '\''))
}

/// Seconds, or thousandths, millionths or milliards of them, since 1970.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn since_1970(text: &str) -> Option<i64> {
    if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') || text.len() == 8 || text.len() == 14 {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    // From 1973 until 5138. Smaller numbers are years and days.
    let ns_per_unit = [(1e8..1e11, 1e9), (1e11..1e14, 1e6), (1e14..1e17, 1e3), (1e17..4e18, 1.0)];
    let (_, factor) = ns_per_unit.into_iter().find(|(range, _)| range.contains(&number))?;
    if factor == 1.0 {
        return text.parse().ok();
    }
    (number * factor < 7e18).then_some((number * factor).round() as i64)
}

/// Digits at the start of a text: their number, how many they are, and what follows.
fn digits(text: &str) -> Option<(i64, usize, &str)> {
    let count = text.bytes().take_while(u8::is_ascii_digit).count();
    (1..=14).contains(&count).then(|| text[..count].parse().ok().map(|number| (number, count, &text[count..]))).flatten()
}

/// Every place of a text where a number begins.
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    let starts = |(at, _): &(usize, char)| {
        text.as_bytes()[*at].is_ascii_digit() && !at.checked_sub(1).is_some_and(|before| text.as_bytes()[before].is_ascii_digit())
    };
    // A date stands at the start, and never behind so much text.
    text.char_indices().take(200).filter(starts).map(|(at, _)| &text[at..])
}

/// The day in a text, in days since 1970-01-01.
fn day(text: &str) -> Option<i64> {
    let lower = text.to_ascii_lowercase();
    // `DATE(dd-mm-yyyy): 29-01-2019` states the order.
    let stated =
        lower.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(order, _)| order).filter(|order| order.contains('y'));
    numbers(&lower).find_map(|rest| by_digits(rest, stated)).or_else(|| by_month_name(&lower))
}

fn by_digits(text: &str, stated: Option<&str>) -> Option<i64> {
    let (first, length, rest) = digits(text)?;
    if matches!(length, 8 | 14) {
        let ymd = if length == 14 { first / 1_000_000 } else { first };
        return days(ymd / 10_000, ymd / 100 % 100, ymd % 100);
    }
    let between = rest.chars().next().filter(|c| matches!(c, '-' | '/' | '.'))?;
    let (second, _, rest) = digits(&rest[1..])?;
    let (third, last, _) = digits(rest.strip_prefix(between)?)?;
    if let Some(order) = stated {
        let place = |unit: char| order.find(unit);
        let (year, month, day) = (place('y')?, place('m')?, place('d')?);
        let value = |place: usize| match [year, month, day].iter().filter(|other| **other < place).count() {
            0 => first,
            1 => second,
            _ => third,
        };
        return days(value(year), value(month), value(day));
    }
    match (length, last, between) {
        (4, ..) => days(first, second, third),
        (_, 4, '.') => days(third, second, first),
        // Which of day and month comes first shows only beyond twelve.
        (_, 4, _) if first > 12 || first == second => days(third, second, first),
        (_, 4, _) if second > 12 => days(third, first, second),
        _ => None,
    }
}

/// `Tue Jul  3 14:15:02 2018`, `03 July 2018`.
fn by_month_name(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != ':').filter(|word| !word.is_empty()).take(20).collect();
    let month_of = |word: &str| MONTHS.iter().position(|month| word.len() >= 3 && word.starts_with(month)).map(|index| index + 1);
    let at = words.iter().position(|word| month_of(word).is_some())?;
    let month = i64::try_from(month_of(words[at])?).ok()?;
    let whole = |word: &&&str| word.bytes().all(|byte| byte.is_ascii_digit());
    let year = words.iter().find(|word| word.len() == 4 && whole(word))?.parse().ok()?;
    let beside = [at.checked_add(1), at.checked_sub(1)].into_iter().flatten().filter_map(|place| words.get(place));
    let day = beside.filter(|word| word.len() <= 2 && whole(word)).find_map(|word| word.parse().ok())?;
    days(year, month, day)
}

/// Days from 1970-01-01 to a later date of the Gregorian calendar. The algorithm is `days_from_civil` of Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms".
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    };
    if !(1970..2200).contains(&year) || !(1..=12).contains(&month) || !(1..=last).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

/// A time of the day, and how far its zone is ahead of UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Time {
    of_day_ns: i64,
    zone_ns: i64,
}

/// The time in a text: `14:15:02.5+02:00`, `2:15:02 PM`, or `T141502Z`.
fn time(text: &str) -> Option<Time> {
    let upper = text.to_ascii_uppercase();
    numbers(&upper).find_map(by_colons).or_else(|| {
        let (_, rest) = upper.split_once('T').filter(|(before, _)| before.ends_with(|c: char| c.is_ascii_digit()))?;
        let (number, _, rest) = digits(rest).filter(|(_, length, _)| *length == 6)?;
        clock(number / 10_000, number / 100 % 100, number % 100, rest)
    })
}

fn by_colons(text: &str) -> Option<Time> {
    let (hour, _, rest) = digits(text).filter(|(_, length, _)| *length <= 2)?;
    let (minute, _, rest) = digits(rest.strip_prefix(':')?).filter(|(_, length, _)| *length == 2)?;
    match rest.strip_prefix(':').and_then(digits) {
        Some((second, _, rest)) => clock(hour, minute, second, rest),
        None => clock(hour, minute, 0, rest),
    }
}

/// A time from its parts and the rest of its text: a fraction of a second, half of the day, zone.
fn clock(hour: i64, minute: i64, second: i64, rest: &str) -> Option<Time> {
    let (fraction_ns, rest) = match rest.strip_prefix(['.', ',']) {
        Some(rest) => {
            let count = rest.bytes().take_while(u8::is_ascii_digit).count();
            let nine = format!("{:0<9}", &rest[..count.min(9)]);
            (nine.parse().ok()?, &rest[count..])
        }
        None => (0, rest),
    };
    let rest = rest.trim_start();
    let (hour, rest) = match (rest.strip_prefix("PM"), rest.strip_prefix("AM")) {
        (Some(rest), _) => (hour % 12 + 12, rest.trim_start()),
        (_, Some(rest)) => (hour % 12, rest.trim_start()),
        _ => (hour, rest),
    };
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..61).contains(&second) {
        return None;
    }
    let of_day_ns = (hour * 3600 + minute * 60 + second) * NS_PER_S + fraction_ns;
    Some(Time { of_day_ns, zone_ns: zone_s(rest) * NS_PER_S })
}

/// How far a zone is ahead of UTC, s: `Z`, `+02:00`, `-0330`, `+02`, or nothing.
fn zone_s(text: &str) -> i64 {
    let text = text.strip_prefix("UTC").or_else(|| text.strip_prefix("GMT")).unwrap_or(text);
    let (sign, rest) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(rest), _) => (1, rest),
        (_, Some(rest)) => (-1, rest),
        _ => return 0,
    };
    let seconds = match digits(rest) {
        Some((hours, 2, rest)) => hours * 3600 + rest.strip_prefix(':').and_then(digits).map_or(0, |(minutes, ..)| minutes * 60),
        Some((both, 4, _)) => both / 100 * 3600 + both % 100 * 60,
        _ => 0,
    };
    if seconds <= 15 * 3600 { sign * seconds } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envi::{DataType, Interleave};

    /// The date of a header with these keys, s since 1970, and whether a date was doubtful.
    fn dated(keys: &[(&str, &str)]) -> (Option<f64>, bool) {
        let mut header = Header::new(1, 1, 1, DataType::U16, Interleave::Bil);
        header.other = keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut doubts = 0;
        let ns = date_ns(&header, &mut |_| doubts += 1);
        #[expect(clippy::cast_precision_loss, reason = "a test of milliseconds")]
        let s = ns.map(|ns| (ns / 1_000_000) as f64 / 1e3);
        (s, doubts > 0)
    }

    #[test]
    fn a_recording_is_dated_in_the_ways_of_recorders() {
        // date -u -d '2018-07-03 14:15:02' +%s
        let then = 1_530_627_302.0;
        for text in [
            "2018-07-03T14:15:02Z",
            "2018-07-03T14:15:02",
            "{2018-07-03T14:15:02.000Z}",
            "2018-07-03T16:15:02+02:00",
            "2018-07-03T10:45:02-0330",
            "2018-07-03 14:15:02 UTC",
            "2018/07/03 2:15:02 PM",
            "20180703T141502Z",
            "03.07.2018 14:15:02",
            "Tue Jul  3 14:15:02 2018",
            "1530627302",
            "1530627302000",
            "1530627302000000000",
        ] {
            for key in ["acquisition time", "timestamp"] {
                assert_eq!(dated(&[(key, text)]), (Some(then), false), "{text}");
            }
        }
        assert_eq!(dated(&[("acquisition time", "2018-07-03T14:15:02.250Z")]).0, Some(then + 0.25));
    }

    #[test]
    fn date_and_time_may_stand_apart() {
        let date = |text, time| dated(&[("acquisition date", text), ("start time", time)]);
        // date -u -d '2019-01-29 14:45:52' +%s
        for text in ["DATE(yyyy-mm-dd): 2019-01-29", "DATE(dd-mm-yyyy): 29-01-2019", "2019-01-29", "29 January 2019", "20190129"] {
            assert_eq!(date(text, "UTC TIME: 14:45:52"), (Some(1_548_773_152.0), false), "{text}");
        }
        assert_eq!(date("DATE(yyyy-mm-dd): 2019-01-29", "later").0, Some(1_548_720_000.0), "midnight");
        assert_eq!(dated(&[("acquisition date", "2019-01-29"), ("acquisition time", "14:45:52")]), (Some(1_548_773_152.0), false));
    }

    #[test]
    fn what_is_no_date_is_told() {
        for text in ["soon", "2019-02-30", "1904-01-01", "03/07/2018", "2019-13-01", "99999999999999999999999999", "\u{fc}4-\u{fc}"] {
            assert_eq!(dated(&[("acquisition date", text)]), (None, true), "{text}");
        }
        assert_eq!(dated(&[]), (None, false));
        assert_eq!(dated(&[("acquisition date", "")]), (None, false));
        assert_eq!(days(2000, 2, 29), Some(11_016));
    }
}
