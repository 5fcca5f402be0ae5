//! Results of tests in the JUnit format, which CI systems show.

use std::fmt::Write;
use std::time::Duration;

use crate::output::exit::{Exit, Failure};

/// A test case that has ended.
pub(crate) struct TestCase {
    /// Its name.
    pub(crate) name: String,
    /// What groups it with others.
    pub(crate) class: String,
    /// The time it took, by the wall clock or of the device.
    pub(crate) time: Duration,
    /// Why it has failed, if it has.
    pub(crate) failure: Option<Failure>,
    /// More about the failure.
    pub(crate) details: String,
    /// What the application logged.
    pub(crate) log: String,
}

/// Cases that belong together, such as the steps of a script.
pub(crate) struct Suite {
    /// Its name.
    pub(crate) name: String,
    /// Those that were carried out.
    pub(crate) cases: Vec<TestCase>,
    /// Names of those after them that were not, because an earlier one had failed.
    pub(crate) skipped: Vec<String>,
}

/// The file's content: one suite of these cases.
pub(crate) fn document(suite: &str, cases: Vec<TestCase>) -> String {
    suites_document(&[Suite { name: suite.to_owned(), cases, skipped: Vec::new() }])
}

/// The file's content: these suites.
pub(crate) fn suites_document(suites: &[Suite]) -> String {
    let all = suites.iter().flat_map(|suite| &suite.cases);
    let skipped = suites.iter().map(|suite| suite.skipped.len()).sum();
    let counts = counts(&all.collect::<Vec<_>>(), skipped);
    let suites: String = suites.iter().map(suite_element).collect();
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n{suites}</testsuites>\n")
}

fn suite_element(suite: &Suite) -> String {
    let counts = counts(&suite.cases.iter().collect::<Vec<_>>(), suite.skipped.len());
    let cases: String = suite.cases.iter().map(element).collect();
    let name = escape(&suite.name);
    let skipped: String = suite.skipped.iter().map(|case| skipped_element(&name, case)).collect();
    format!("  <testsuite name=\"{name}\" {counts}>\n{cases}{skipped}  </testsuite>\n")
}

fn skipped_element(class: &str, name: &str) -> String {
    let name = escape(name);
    format!("    <testcase name=\"{name}\" classname=\"{class}\" time=\"0.000\"><skipped/></testcase>\n")
}

fn counts(cases: &[&TestCase], skipped: usize) -> String {
    let failed = cases.iter().filter_map(|case| case.failure.as_ref());
    let (errors, failures): (Vec<_>, Vec<_>) = failed.partition(|failure| is_error(failure));
    format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{skipped}\" time=\"{}\"",
        cases.len() + skipped,
        failures.len(),
        errors.len(),
        seconds(cases.iter().map(|case| case.time).sum()),
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
        let _ = writeln!(element, "      <{name} type=\"{kind}\" message=\"{message}\">{body}</{name}>");
    }
    let _ = writeln!(element, "      <system-out>{}</system-out>\n    </testcase>", escape(&case.log));
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
        let text = document("openvisor run", vec![case(Some(failure), &log), case(None, "")]);
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
        let text = document("openvisor run", vec![case(Some(Failure::environment("no port")), "")]);
        assert!(text.contains("failures=\"0\" errors=\"1\""), "{text}");
        assert!(text.contains("<error type=\"environment\" message=\"no port\">"), "{text}");
    }
}
