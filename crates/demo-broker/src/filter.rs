//! Topic names and topic filters (MQTT 5 §4.7).

/// What the filter of a shared subscription begins with (MQTT 5, 4.8.2).
pub const SHARED: &str = "$share/";

/// Whether `filter` may be subscribed to (MQTT-4.7.1-1, MQTT-4.7.1-2, MQTT-4.7.3-1).
pub fn is_valid(filter: &str) -> bool {
    let last = filter.split('/').count() - 1;
    !filter.is_empty()
        && !filter.contains('\0')
        && filter.split('/').enumerate().all(|(index, level)| match level {
            "#" => index == last,
            "+" => true,
            _ => !level.contains(['#', '+']),
        })
}

/// Whether a message may be published to `topic` (MQTT-3.3.2-2).
pub fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['#', '+', '\0'])
}

/// Whether a message on `topic` goes to a subscription of `filter`, both valid.
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['#', '+']) {
        return false; // MQTT-4.7.2-1
    }
    let mut topic = topic.split('/');
    for level in filter.split('/') {
        match (level, topic.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (level, Some(name)) if level == name => {}
            _ => return false,
        }
    }
    topic.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_whole_levels() {
        for (filter, topic) in [
            ("a/b", "a/b"),
            ("a/+", "a/b"),
            ("a/+", "a/"),
            ("+/+", "/finance"),
            ("/+", "/finance"),
            ("#", "a/b/c"),
            ("a/#", "a/b/c"),
            ("a/#", "a"),
            ("+/b/#", "a/b"),
            ("$SYS/#", "$SYS/x"),
        ] {
            assert!(matches(filter, topic), "{filter} {topic}");
        }
        for (filter, topic) in [
            ("a/b", "a/b/c"),
            ("a/b/c", "a/b"),
            ("+", "a/b"),
            ("+", "/finance"),
            ("a/+", "a"),
            ("a/#", "ab"),
            ("a", "A"),
            ("#", "$SYS/x"),
            ("+/x", "$SYS/x"),
        ] {
            assert!(!matches(filter, topic), "{filter} {topic}");
        }
    }

    #[test]
    fn wildcards_stand_alone_in_a_level_and_the_deep_one_at_the_end() {
        for filter in ["#", "+", "a/#", "a/+/b", "/", "a//b", "$SYS/#"] {
            assert!(is_valid(filter), "{filter}");
        }
        for filter in ["", "a#", "a/#/b", "a+/b", "#/a", "a\0"] {
            assert!(!is_valid(filter), "{filter}");
        }
        assert!(is_topic("a/b") && !is_topic("a/+") && !is_topic("#") && !is_topic(""));
    }
}
