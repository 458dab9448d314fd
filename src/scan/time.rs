//! Formats of times in files, ids and events.

pub use contract::now_ns;

/// A time (ns since 1970-01-01T00:00:00Z) in ISO 8601, UTC, with milliseconds.
pub fn iso(time_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time_ns)).map_or_else(|_| time_ns.to_string(), |t| format!("{t:.3}"))
}

/// A time (ns since 1970-01-01T00:00:00Z) in ISO 8601, UTC, to the nanosecond where there is one.
pub fn iso_exact(time_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time_ns)).map_or_else(|_| time_ns.to_string(), |t| t.to_string())
}

/// The day of a time (ns since 1970-01-01T00:00:00Z), UTC.
pub fn day(time_ns: i64) -> jiff::civil::Date {
    jiff::Timestamp::from_nanosecond(i128::from(time_ns))
        .map_or(jiff::civil::Date::MIN, |time| jiff::tz::Offset::UTC.to_datetime(time).date())
}

/// The time part of a scan's id (from ns since 1970-01-01T00:00:00Z): UTC to the second. It sorts by time.
pub fn compact(time_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time_ns)).map_or_else(|_| time_ns.to_string(), |t| t.strftime("%Y%m%dT%H%M%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        assert_eq!(iso(1_530_627_302_500_000_000), "2018-07-03T14:15:02.500Z");
        assert_eq!(compact(1_530_627_302_500_000_000), "20180703T141502Z");
    }
}
