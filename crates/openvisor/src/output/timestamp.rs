//! Points in time: printed in UTC, and parsed from RFC 3339 or from an age such as `2h`.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since 1970 in RFC 3339: `2026-11-20T10:54:59.123Z`.
pub(crate) fn rfc3339(millis: i64) -> String {
    let at = date_time(millis);
    let (date, time) = (at.date(), at.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.millisecond()
    )
}

/// The same in seconds, for tables: `2026-11-20 10:54:59Z`.
pub(crate) fn short(millis: i64) -> String {
    let text = rfc3339(millis);
    let seconds = text.rsplit_once('.').map_or(&*text, |(seconds, _)| seconds);
    seconds.replacen('T', " ", 1) + "Z"
}

/// Parses a time in RFC 3339, or an age relative to `now` (`90s`, `10m`, `2h`, `7d`), into milliseconds since 1970.
pub(crate) fn parse(text: &str, now: i64) -> Option<i64> {
    let ago = |millis: i64| now.saturating_sub(millis);
    parse_duration(text).map(ago).or_else(|| {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
    })
}

/// Parses a duration (`90s`, `10m`, `2h`, `7d`) into milliseconds.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let units = [('s', 1000), ('m', 60_000), ('h', 3_600_000), ('d', 86_400_000)];
    let (unit, millis) = units.into_iter().find(|(unit, _)| text.ends_with(*unit))?;
    let count: u32 = text.strip_suffix(unit)?.parse().ok()?;
    i64::from(count).checked_mul(millis)
}

/// A value out of range, such as a year of six digits, becomes the epoch.
fn date_time(millis: i64) -> OffsetDateTime {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000);
    at.unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_in_utc() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(1_709_210_096_789), "2024-02-29T12:34:56.789Z");
        assert_eq!(short(1_709_210_096_789), "2024-02-29 12:34:56Z");
        assert_eq!(rfc3339(i64::MAX), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_time_is_a_date_or_an_age() {
        let now = 1_709_210_096_789;
        assert_eq!(parse("90s", now), Some(now - 90_000));
        assert_eq!(parse("2h", now), Some(now - 7_200_000));
        assert_eq!(parse("7d", now), Some(now - 604_800_000));
        assert_eq!(parse("2024-02-29T12:34:56.789Z", 0), Some(now));
        assert_eq!(parse("2024-02-29T14:34:56.789+02:00", 0), Some(now));
        for text in ["", "s", "10", "-5m", "yesterday", "2024-02-30T00:00:00Z", "1.5h", "é"] {
            assert_eq!(parse(text, now), None, "{text}");
        }
    }
}
