//! Mistakes in a script: where they are, and what was probably meant.

use toml::de::Error;

/// How much alike two names have to be for one to be suggested for the other, from 0 to 1.
const ALIKE: f64 = 0.6;

/// Where a key belongs that was found elsewhere.
const PLACES: &[(&[&str], &str)] = &[
    (&["cut-link", "restore-link", "stop-broker", "start-broker", "power-off", "power-on"], "do"),
    (&["input"], "do"),
    (&["log", "event", "subscribe", "pin", "serial", "display", "crash", "start"], "expect"),
    (&["topic", "qos", "retain"], "publish = { ... } of do or expect"),
    (&["image", "allow-crashes", "fail-on", "seed", "time-limit"], "[application]"),
    (&["host", "port", "username", "password", "refuse", "stopped", "tls"], "[broker]"),
    (&["url", "status", "headers", "body", "fail"], "[[http]] or http = { ... }"),
    (&["i2c", "spi"], "[wiring]"),
    (&["at", "after", "wait", "do", "expect", "expect-all", "expect-not", "within", "repeat"], "[[step]]"),
    (&["broker-host", "broker-port"], "[config]"),
];

/// What is wrong, with the number of its line.
pub(super) fn text_of(error: &Error, script: &str) -> String {
    let line = error.span().map(|span| format!("line {}: ", line_at(script, span.start)));
    let message = error.message().replace('\n', "; ");
    let suggestion = suggestion(&message).map(|meant| format!("; {meant}")).unwrap_or_default();
    format!("{}{message}{suggestion}", line.unwrap_or_default())
}

/// The number of the line at a byte of the script.
pub(super) fn line_at(script: &str, at: usize) -> usize {
    1 + script.get(..at).unwrap_or(script).matches('\n').count()
}

fn suggestion(message: &str) -> Option<String> {
    if message.starts_with("invalid type: map, expected a sequence") {
        return Some("a step begins with [[step]], an answer of the web server with [[http]]".into());
    }
    let rest = message.strip_prefix("unknown field ").or_else(|| message.strip_prefix("unknown variant "))?;
    let mut names = rest.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    let likeness = |name: &&str| strsim::normalized_damerau_levenshtein(unknown, name);
    let nearest = names.max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    if let Some(nearest) = nearest.filter(|name| likeness(name) >= ALIKE) {
        return Some(format!("did you mean `{nearest}`?"));
    }
    let (_, place) = PLACES.iter().find(|(keys, _)| keys.contains(&unknown))?;
    Some(format!("`{unknown}` belongs to {place}"))
}
