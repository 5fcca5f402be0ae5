//! Results of tests in the JUnit format, which CI systems show.

use std::time::Duration;

use crate::output::exit::{Exit, Failure};

/// A test case that has ended.
pub(crate) struct TestCase {
    /// Its name.
    pub(crate) name: String,
    /// What groups it with others.
    pub(crate) class: String,
    /// The wall-clock time it took.
    pub(crate) time: Duration,
    /// Why it has failed, if it has.
    pub(crate) failure: Option<Failure>,
    /// More about the failure.
    pub(crate) details: String,
    /// What the application logged.
    pub(crate) log: String,
}

/// The file's content: one suite of these cases.
pub(crate) fn document(suite: &str, cases: &[TestCase]) -> String {
    let failed = cases.iter().filter_map(|case| case.failure.as_ref());
    let (errors, failures): (Vec<_>, Vec<_>) = failed.partition(|failure| is_error(failure));
    let counts = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{}\"",
        cases.len(),
        failures.len(),
        errors.len(),
        seconds(cases.iter().map(|case| case.time).sum()),
    );
    let cases: String = cases.iter().map(element).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  \
         <testsuite name=\"{}\" {counts}>\n{cases}  </testsuite>\n</testsuites>\n",
        escape(suite)
    )
}

fn element(case: &TestCase) -> String {
    let mut element = format!(
        "    <testcase name=\"{}\" classname=\"{}\" time=\"{}\">\n",
        escape(&case.name),
        escape(&case.class),
        seconds(case.time)
    );
    if let Some(failure) = &case.failure {
        let name = if is_error(failure) { "error" } else { "failure" };
        let text = failure.to_string();
        let message = escape(text.lines().next().unwrap_or_default());
        let body = escape(&[text.as_str(), case.details.as_str()].join("\n")).into_owned();
        let kind = kind(failure.exit());
        element += &format!("      <{name} type=\"{kind}\" message=\"{message}\">{body}</{name}>\n");
    }
    element += &format!("      <system-out>{}</system-out>\n    </testcase>\n", escape(&case.log));
    element
}

/// Whether the test could not be carried out, in contrast to one that failed.
fn is_error(failure: &Failure) -> bool {
    matches!(failure.exit(), Exit::BadInput | Exit::Environment)
}

fn kind(exit: Exit) -> &'static str {
    match exit {
        Exit::Success => "success",
        Exit::Failed => "failed",
        Exit::BadInput => "invalid input",
        Exit::Environment => "environment",
        Exit::Diverged => "diverged",
        Exit::Crashed => "crash",
        Exit::Unmet => "condition not met",
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

/// `text` as XML has it, in an element or between quotation marks. What XML 1.0 cannot contain, such as most control
/// characters, is written as Rust and C write it: `\u{1b}`.
fn escape(text: &str) -> std::borrow::Cow<'_, str> {
    let plain = |character: char| {
        matches!(character, '\n' | '\t' | ' ') || !character.is_control() && !is_special(character)
    };
    if text.chars().all(plain) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            character if plain(character) => escaped.push(character),
            character => escaped.extend(character.escape_unicode()),
        }
    }
    escaped.into()
}

fn is_special(character: char) -> bool {
    matches!(character, '&' | '<' | '>' | '"' | '\u{FFFE}' | '\u{FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(failure: Option<Failure>, log: &str) -> TestCase {
        TestCase {
            name: "a \"b\" & <c>".into(),
            class: "openvisor.run".into(),
            time: Duration::from_millis(1250),
            failure,
            details: "backtrace:\n  #0 main".into(),
            log: log.into(),
        }
    }

    /// Shows D262.
    #[test]
    fn a_report_is_well_formed_whatever_the_application_logs() {
        let log: String =
            (0..0x300u32).chain([0xFFFE, 0xFFFF, 0x1_F600]).filter_map(char::from_u32).collect();
        let log = log + "]]> &amp; <system-out>";
        let failure = Failure::crashed("it \"crashed\" at <0>\u{1b}[31m").hint("do & this");
        let text = document("openvisor run", &[case(Some(failure), &log), case(None, "")]);
        let parsed = roxmltree::Document::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let suite = parsed.descendants().find(|node| node.has_tag_name("testsuite")).expect("a suite");
        assert_eq!(suite.attribute("tests"), Some("2"));
        assert_eq!((suite.attribute("failures"), suite.attribute("errors")), (Some("1"), Some("0")));
        assert_eq!(suite.attribute("time"), Some("2.500"));
        let first = suite.children().find(|node| node.has_tag_name("testcase")).expect("a case");
        assert_eq!(first.attribute("name"), Some("a \"b\" & <c>"));
        let child = |name: &str| first.children().find(|node| node.has_tag_name(name)).expect("a child");
        assert_eq!(child("failure").attribute("type"), Some("crash"));
        assert_eq!(child("failure").attribute("message"), Some("it \"crashed\" at <0>\\u{1b}[31m"));
        assert!(child("failure").text().expect("text").ends_with("do & this\nbacktrace:\n  #0 main"));
        let out = child("system-out").text().expect("text");
        assert!(out.contains("\\u{0}\\u{1}") && out.contains("abc") && out.contains('\u{1F600}'), "{out}");
        assert!(out.ends_with("]]> &amp; <system-out>"), "{out}");
    }

    #[test]
    fn a_test_that_could_not_be_carried_out_is_an_error_and_no_failure() {
        let text = document("openvisor run", &[case(Some(Failure::environment("no port")), "")]);
        assert!(text.contains("failures=\"0\" errors=\"1\""), "{text}");
        assert!(text.contains("<error type=\"environment\" message=\"no port\">"), "{text}");
    }
}
