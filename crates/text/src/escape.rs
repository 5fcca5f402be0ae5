//! Which characters are written as escapes, and how.

use std::borrow::Cow;
use std::fmt::Write as _;

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Whether `c` could control a terminal, or reorder, hide or imitate the text around it: controls (Cc), format
/// characters such as bidirectional marks and zero-width joiners (Cf), line and paragraph separators (Zl, Zp),
/// characters that Unicode wants invisible (`Default_Ignorable_Code_Point`, which adds variation selectors and
/// fillers), and those without an assigned meaning (Co, Cn).
fn is_unsafe(c: char) -> bool {
    use GeneralCategory as G;
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    let is_unsafe_category = matches!(
        category,
        G::Control
            | G::Format
            | G::LineSeparator
            | G::ParagraphSeparator
            | G::PrivateUse
            | G::Surrogate
            | G::Unassigned
    );
    is_unsafe_category || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Whether `text` is printable ASCII, as most is; in pieces whose bytes the processor looks at together.
fn is_plain(text: &str) -> bool {
    let is_plain = |piece: &[u8]| piece.iter().fold(true, |all, byte| all & matches!(byte, b' '..=b'~'));
    text.as_bytes().chunks(64).all(is_plain)
}

/// `text` on one line, safe for a terminal: every unsafe character becomes `\n`, `\r` or `\u{…}` with its code point in
/// hexadecimal; a tab becomes a space. Escaping twice is the same as escaping once.
pub fn escape(text: &str) -> Cow<'_, str> {
    if is_plain(text) || !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\t' => safe.push(' '),
            c if is_unsafe(c) => safe.extend(c.escape_default()),
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// `json`, a serialized document, with every unsafe character as `\uXXXX` (a surrogate pair beyond U+FFFF). It parses
/// to the same value: such characters occur only in strings, except JSON's own white space, which is left as it is.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    let needs_escape = |c: char| is_unsafe(c) && !matches!(c, '\t' | '\n' | '\r');
    if is_plain(json) || !json.chars().any(needs_escape) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 8);
    for c in json.chars() {
        if needs_escape(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// `text` as a JSON string, with its quotation marks.
pub fn json_string(text: &str) -> String {
    if is_plain(text) && !text.contains(['"', '\\']) {
        return format!("\"{text}\"");
    }
    escape_json(&serde_json::Value::from(text).to_string()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Controls of both kinds, bidirectional marks, invisible and unassigned characters.
    const UNSAFE: &str = "\u{0}\u{7}\u{8}\u{b}\u{1b}\u{7f}\u{80}\u{85}\u{9b}\u{9d}\u{9f}\u{ad}\u{34f}\u{61c}\u{115f}\u{17b4}\u{180e}\
        \u{200b}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\u{2064}\u{2065}\u{2066}\u{2069}\u{206f}\u{3164}\u{e000}\
        \u{fe0f}\u{feff}\u{ffa0}\u{fff0}\u{fff9}\u{fffb}\u{ffff}\u{110bd}\u{1d173}\u{e0001}\u{e007f}\u{e0100}\u{f0000}\u{10ffff}";

    /// Shows D205.
    #[test]
    fn characters_that_control_reorder_or_hide_are_escaped() {
        for c in UNSAFE.chars() {
            let text = format!("a{c}b");
            assert_eq!(escape(&text), format!("a\\u{{{:x}}}b", c as u32));
            assert!(escape_json(&json_string(&text)).is_ascii(), "{c:?}");
        }
        assert_eq!(escape("a\r\nb\tc"), "a\\r\\nb c");
    }

    /// Shows D205.
    #[test]
    fn ordinary_text_is_unchanged() {
        for text in [
            "",
            "plain ~",
            "grün — 25 °C",
            "日本語",
            "кириллица",
            "שלום",
            "مرحبا",
            "e\u{301}",
            "naïve\u{a0}€",
            "🚀",
            "C:\\x",
        ] {
            assert_eq!(escape(text), text);
            assert_eq!(json_string(text), serde_json::Value::from(text).to_string());
        }
    }

    /// Shows D205.
    #[test]
    fn escaped_json_parses_to_the_same_value() {
        let all: String = ('\0'..=char::MAX).step_by(7).chain(UNSAFE.chars()).collect();
        let document = serde_json::json!({ &all: [all, 1] });
        for text in [document.to_string(), format!("{document:#}")] {
            let escaped = escape_json(&text);
            assert_eq!(escaped.chars().find(|c| is_unsafe(*c) && *c != '\n'), None);
            let parsed: serde_json::Value = serde_json::from_str(&escaped).expect("JSON");
            assert_eq!(parsed, document);
        }
    }

    #[test]
    fn escaping_twice_is_the_same_as_once() {
        let once = escape(UNSAFE).into_owned();
        assert_eq!(escape(&once), once);
        let once = json_string(UNSAFE);
        assert_eq!(escape_json(&once), once);
    }
}
