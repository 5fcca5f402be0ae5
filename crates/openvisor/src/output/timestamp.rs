//! Moments: shown in UTC to the millisecond, read as people write them.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment, given in milliseconds since 1970, as RFC 3339 has it: `2026-11-20T10:54:59.123Z`.
pub(crate) fn exact(millis: i64) -> String {
    let moment = at(millis);
    let (date, time) = (moment.date(), moment.time());
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

/// The same to the second, easier on the eye: `2026-11-20 10:54:59Z`.
pub(crate) fn plain(millis: i64) -> String {
    let text = exact(millis);
    let seconds = text.rsplit_once('.').map_or(&*text, |(seconds, _)| seconds);
    seconds.replacen('T', " ", 1) + "Z"
}

/// The moment that `text` means, in milliseconds since 1970: one of RFC 3339, or so long before `now` (`90s`, `10m`, `2h`, `7d`).
pub(crate) fn read(text: &str, now: i64) -> Option<i64> {
    let ago = |millis: i64| now.saturating_sub(millis);
    duration(text).map(ago).or_else(|| {
        let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()
    })
}

/// A length of time in milliseconds: `90s`, `10m`, `2h`, `7d`.
pub(crate) fn duration(text: &str) -> Option<i64> {
    let units = [('s', 1000), ('m', 60_000), ('h', 3_600_000), ('d', 86_400_000)];
    let (unit, millis) = units.into_iter().find(|(unit, _)| text.ends_with(*unit))?;
    let count: u32 = text.strip_suffix(unit)?.parse().ok()?;
    i64::from(count).checked_mul(millis)
}

/// What cannot be, such as a year of six digits, is shown as the beginning of time.
fn at(millis: i64) -> OffsetDateTime {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000);
    moment.unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_shown_in_utc() {
        assert_eq!(exact(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(exact(1_709_210_096_789), "2024-02-29T12:34:56.789Z");
        assert_eq!(plain(1_709_210_096_789), "2024-02-29 12:34:56Z");
        assert_eq!(exact(i64::MAX), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_moment_may_be_named_or_be_so_long_ago() {
        let now = 1_709_210_096_789;
        assert_eq!(read("90s", now), Some(now - 90_000));
        assert_eq!(read("2h", now), Some(now - 7_200_000));
        assert_eq!(read("7d", now), Some(now - 604_800_000));
        assert_eq!(read("2024-02-29T12:34:56.789Z", 0), Some(now));
        assert_eq!(read("2024-02-29T14:34:56.789+02:00", 0), Some(now));
        for text in ["", "s", "10", "-5m", "yesterday", "2024-02-30T00:00:00Z", "1.5h", "é"] {
            assert_eq!(read(text, now), None, "{text}");
        }
    }
}
