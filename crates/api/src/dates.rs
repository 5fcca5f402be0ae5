//! Dates as the API writes them.

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

const FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// `YYYY-MM-DDTHH:MM:SSZ` of a time in milliseconds since 1970; times beyond all dates are the earliest or latest.
pub(crate) fn date(millis: i64) -> String {
    let seconds = millis.div_euclid(1000).clamp(-62_135_596_800, 253_402_300_799);
    let moment = OffsetDateTime::from_unix_timestamp(seconds).expect("clamped to what it can express");
    moment.format(FORMAT).expect("every date has this form")
}

/// The same with milliseconds, for what many happen of in a second.
pub(crate) fn precise_date(millis: i64) -> String {
    let mut text = date(millis);
    text.truncate(text.len() - 1);
    format!("{text}.{:03}Z", millis.rem_euclid(1000))
}

/// A time in milliseconds since 1970, of a date in RFC 3339: any offset and fractions of a second are accepted.
pub(crate) fn parse_date(text: &str) -> Option<i64> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_seconds_and_is_in_utc() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_780_318_799_999, "2026-06-01T12:59:59Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (i64::MAX, "9999-12-31T23:59:59Z"),
            (i64::MIN, "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(date(millis), text);
        }
        assert_eq!(precise_date(1_780_318_799_007), "2026-06-01T12:59:59.007Z");
    }
}
