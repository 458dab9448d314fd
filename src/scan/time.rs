//! Times as this program writes them.

pub use contract::now_ns;

/// ISO 8601 in UTC with milliseconds.
pub fn iso(time_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time_ns)).map_or_else(|_| time_ns.to_string(), |t| format!("{t:.3}"))
}

/// The beginning of a scan's id: UTC to the second, sorting by time.
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
