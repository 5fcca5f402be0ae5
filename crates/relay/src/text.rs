//! Text of applications that the cloud writes to servers: what must not be in it, so that no device can speak another
//! protocol than MQTT or HTTP through the cloud (D185).

/// Whether there is a control character in the text: C0 (CR, LF and NUL among them), DEL or C1. Bytes that are not
/// UTF-8 are judged as Latin-1, in which C1 is 0x80 to 0x9F.
pub(crate) fn has_control_characters(text: &[u8]) -> bool {
    match core::str::from_utf8(text) {
        Ok(text) => text.chars().any(char::is_control),
        Err(_) => text.iter().any(|&byte| char::from(byte).is_control()),
    }
}

#[cfg(test)]
mod tests {
    use super::has_control_characters;

    /// Shows D185.
    #[test]
    fn every_control_character_is_found_and_nothing_else() {
        for text in ["a\r\nQUIT", "\0", "\t", "\u{1b}[2J", "\u{7f}", "\u{85}", "caf\u{e9}\u{9b}"] {
            assert!(has_control_characters(text.as_bytes()), "{text:?}");
        }
        assert!(has_control_characters(b"\xff\x9b"), "no UTF-8: as Latin-1");
        for text in ["", "broker.example", "device 1", "Gerät-7/\u{1F600}", "\u{a0}"] {
            assert!(!has_control_characters(text.as_bytes()), "{text:?}");
        }
        assert!(!has_control_characters(b"caf\xe9"));
    }
}
