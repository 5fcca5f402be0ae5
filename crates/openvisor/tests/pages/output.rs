//! Comparison of what a command printed with what its page shows.

use regex_lite::Regex;
use snapbox::{Assert, IntoData};

/// What differs between two runs, and what stands for it.
const VOLATILE: &[(&str, &str)] = &[
    // Timestamps, before the numbers in them.
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
    (r"UV[0-9a-f]{32}", "<device>"),
    (r"(127\.0\.0\.1|localhost):\d+", "<address>"),
    (r"port \d+", "port <port>"),
    (r"0x[0-9a-f]{8}", "<hex>"),
    (r"image [0-9a-f]{8}", "image <hash>"),
    // Seconds and their like: with a fraction, or with a unit.
    (r" *\b\d+\.\d+", " <number>"),
    (r"\b\d+ (ms|s|bytes|KiB|MiB)\b", "<number> $1"),
];

/// Compares by the wildcards of snapbox, `...` and `[..]`.
///
/// # Errors
/// The difference.
pub(crate) fn compare(expected: &str, actual: &str) -> Result<(), String> {
    let (expected, actual) = (stable(expected), stable(actual));
    let result = Assert::new().try_eq(None, actual.into_data(), expected.into_data());
    result.map_err(|error| error.to_string())
}

fn stable(text: &str) -> String {
    let replace = |text: String, (pattern, name): &(&str, &str)| {
        Regex::new(pattern).unwrap().replace_all(&text, *name).into_owned()
    };
    let text = VOLATILE.iter().fold(text.to_owned(), replace);
    text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

#[test]
fn times_and_ids_may_differ_and_words_may_not() {
    let shown = "    0.138  link    up\n...\nid UV2675a5831a5a25cb047473623a72f762 at 127.0.0.1:7883\n";
    let good = "   10.1  link    up\nmore\nid UV0000a5831a5a25cb047473623a72f762 at 127.0.0.1:39817\n";
    assert_eq!(compare(shown, good), Ok(()));
    assert!(compare(shown, &good.replace("up", "down")).is_err());
    assert!(compare("one\n", "one\ntwo\n").is_err());
}
