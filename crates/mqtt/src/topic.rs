//! What MQTT accepts as text, topic name and topic filter (MQTT 5, 1.5.4 and 4.7).

use crate::limits::MAXIMUM_FIELD_LENGTH;

/// Whether `bytes` may be sent as a UTF-8 string: well-formed, no U+0000, at most 65 535 bytes
/// (MQTT-1.5.4-1, MQTT-1.5.4-2).
pub(crate) fn is_valid_text(bytes: &[u8]) -> bool {
    bytes.len() <= MAXIMUM_FIELD_LENGTH && !bytes.contains(&0) && core::str::from_utf8(bytes).is_ok()
}

/// Whether a message may be published to `topic`: text of 1 to 65 535 bytes without wildcards
/// (MQTT-3.3.2-2, MQTT-4.7.3-1 to MQTT-4.7.3-3).
pub fn is_valid_topic_name(topic: &[u8]) -> bool {
    !topic.is_empty() && is_valid_text(topic) && !has_wildcard(topic)
}

/// Whether `filter` may be subscribed to: text of 1 to 65 535 bytes, `#` alone in the last level, `+` alone in a level
/// (MQTT-4.7.1-1, MQTT-4.7.1-2).
pub fn is_valid_topic_filter(filter: &[u8]) -> bool {
    if filter.is_empty() || !is_valid_text(filter) {
        return false;
    }
    let mut levels = filter.split(|byte| *byte == b'/').peekable();
    while let Some(level) = levels.next() {
        let is_last = levels.peek().is_none();
        if !is_valid_level(level, is_last) {
            return false;
        }
    }
    true
}

fn is_valid_level(level: &[u8], is_last: bool) -> bool {
    match level {
        b"#" => is_last,
        b"+" => true,
        _ => !has_wildcard(level),
    }
}

/// Whether `topic` holds `#` or `+`.
pub(crate) fn has_wildcard(topic: &[u8]) -> bool {
    topic.iter().any(|byte| matches!(byte, b'#' | b'+'))
}

/// Whether `filter` asks for a shared subscription (MQTT 5, 4.8.2).
pub(crate) fn is_shared(filter: &[u8]) -> bool {
    filter.starts_with(b"$share/")
}

/// Whether a shared filter has a share name and a filter behind it (MQTT-4.8.2-1, MQTT-4.8.2-2). The filter as a whole
/// is known to be valid.
pub(crate) fn is_valid_share(filter: &[u8]) -> bool {
    let mut parts = filter.splitn(3, |byte| *byte == b'/').skip(1);
    let name = parts.next().unwrap_or_default();
    let rest = parts.next().unwrap_or_default();
    !name.is_empty() && !has_wildcard(name) && !rest.is_empty()
}
