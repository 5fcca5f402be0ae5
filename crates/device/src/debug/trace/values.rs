//! Values as text, written one after the other into memory that is kept: a trace has hundreds of thousands of them.

use std::fmt::Write as _;

use super::Fields;

/// Names and their values, in order.
#[derive(Default)]
pub(super) struct Values {
    text: String,
    /// The name of each value, and where it ends in `text`.
    ends: Vec<(&'static str, usize)>,
}

impl Values {
    /// Removes all, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Where the next value is written, at the end.
    pub(super) fn text(&mut self) -> &mut String {
        &mut self.text
    }

    /// What was written since the last value is that of `name`.
    pub(super) fn end(&mut self, name: &'static str) {
        self.ends.push((name, self.text.len()));
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Each with its name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let mut from = 0;
        self.ends.iter().map(move |(name, end)| (*name, &self.text[std::mem::replace(&mut from, *end)..*end]))
    }

    /// The same, each with memory of its own.
    pub(super) fn fields(&self) -> Fields {
        self.iter().map(|(name, value)| (name, value.to_owned())).collect()
    }
}

/// Appends a number in decimal.
pub(super) fn put_decimal(to: &mut String, value: u64) {
    put_digits::<10>(to, value, 1, b'0');
}

/// Appends a number in decimal, with at least `width` (at most 20) characters, of which the first may be `fill`.
pub(super) fn put_padded(to: &mut String, value: u64, width: usize, fill: u8) {
    put_digits::<10>(to, value, width, fill);
}

/// Appends a number in hexadecimal.
pub(super) fn put_hexadecimal(to: &mut String, value: u64) {
    to.push_str("0x");
    put_digits::<16>(to, value, 1, b'0');
}

/// Appends an address, with all its digits.
pub(super) fn put_address(to: &mut String, address: u32) {
    to.push_str("0x");
    put_digits::<16>(to, address.into(), 8, b'0');
}

/// What formatting with its many options takes several times as long for.
fn put_digits<const BASE: u64>(to: &mut String, mut value: u64, width: usize, fill: u8) {
    let mut digits = [fill; 20];
    let mut at = digits.len();
    while at > 0 {
        at -= 1;
        digits[at] = b"0123456789abcdef"[(value % BASE) as usize];
        value /= BASE;
        if value == 0 {
            break;
        }
    }
    let from = at.min(digits.len().saturating_sub(width));
    to.push_str(std::str::from_utf8(&digits[from..]).unwrap_or_default());
}

/// Appends a text as Rust writes it in a program, in quotation marks.
pub(super) fn put_quoted(to: &mut String, text: &str) {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if text.as_bytes().iter().all(is_plain) {
        to.extend(["\"", text, "\""]);
    } else {
        let _ = write!(to, "{text:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(put: impl Fn(&mut String)) -> String {
        let mut text = String::new();
        put(&mut text);
        text
    }

    #[test]
    fn numbers_and_texts_are_written_as_the_standard_library_does() {
        for value in [0, 1, 9, 10, 15, 16, 255, 999_999, 1 << 31, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(written(|to| put_decimal(to, value)), format!("{value}"));
            assert_eq!(written(|to| put_hexadecimal(to, value)), format!("{value:#x}"));
            assert_eq!(written(|to| put_padded(to, value, 6, b' ')), format!("{value:>6}"));
            assert_eq!(written(|to| put_padded(to, value, 9, b'0')), format!("{value:09}"));
            assert_eq!(written(|to| put_address(to, value as u32)), format!("{:#010x}", value as u32));
        }
        for text in ["", "plain ~'", "a\"b", "a\\b", "a\nb", "\u{7f}", "\u{e4}\u{200b}", "\u{301}"] {
            assert_eq!(written(|to| put_quoted(to, text)), format!("{text:?}"));
        }
    }

    #[test]
    fn values_are_those_written_since_the_last_one() {
        let mut values = Values::default();
        for _ in 0..2 {
            values.clear();
            assert!(values.is_empty());
            values.text().push_str("one");
            values.end("a");
            values.end("b");
            values.text().push_str("three");
            values.end("c");
            assert_eq!(values.iter().collect::<Vec<_>>(), [("a", "one"), ("b", ""), ("c", "three")]);
        }
    }
}
