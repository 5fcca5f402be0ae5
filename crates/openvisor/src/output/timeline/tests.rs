//! What a line looks like, and what it never contains.

use std::io::Write;
use std::sync::{Arc, Mutex};

use super::*;

/// Longer than any write here takes.
const SOON: Duration = Duration::from_secs(20);

/// A place to write that the test can look into.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn plain() -> (Self, Box<dyn Write + Send>) {
        let page = Self::default();
        let out = Box::new(anstream::StripStream::new(Box::new(page.clone()) as Box<dyn Write + Send>));
        (page, out)
    }
}

#[test]
fn a_line_has_time_source_and_text_in_columns() {
    let line = text_line(Duration::from_millis(12_345), Source::App, "hello", None);
    assert_eq!(anstream::adapter::strip_str(&line).to_string(), "   12.345  app     hello\n");
}

/// Shows D335.
#[test]
fn a_json_line_begins_with_what_every_line_has() {
    let event = Event::app_log(b"two\nlines \"quoted\"");
    let line = json_line(Some(Duration::from_millis(12_345)), None, &event);
    assert_eq!(
        line,
        "{\"v\":1,\"event\":\"app_log\",\"at_ms\":12345,\"source\":\"app\",\"text\":\"two\\nlines \\\"quoted\\\"\"}\n"
    );
}

#[test]
fn no_text_from_outside_can_command_the_terminal() {
    let line = text_line(Duration::ZERO, Source::App, "\x1b[2J\x07a\nb\u{202e}c\td", None);
    let plain = line.replace(&Style::new().dimmed().to_string(), "");
    assert!(plain.contains(r"\u{1b}[2J\u{7}a\nb\u{202e}c d"), "{plain:?}");
    assert_eq!(line.matches('\n').count(), 1);
}

/// Shows D205.
#[test]
fn json_lines_are_as_safe_and_keep_the_text() {
    let text = "\u{9b}2J\u{202e}\u{61c}\u{e0001}\u{7f}é";
    let line = json_line(None, None, &Event::app_log(text.as_bytes()));
    let escaped = r#""text":"\u009b2J\u202e\u061c\udb40\udc01\u007fé"}"#;
    assert!(line.ends_with(&format!("{escaped}\n")), "{line:?}");
    let read: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(read["text"], text);
}

/// Shows D207.
#[test]
fn a_terminal_is_shown_escaped_text_and_a_program_every_byte() {
    let text = b"one\n\x1b]0;title\x07two\xff";
    assert_eq!(stdout_line(false, text), b"one\n\x1b]0;title\x07two\xff\n");
    assert_eq!(
        String::from_utf8(stdout_line(true, text)).unwrap(),
        "one\n\\u{1b}]0;title\\u{7}two\u{fffd}\n"
    );
}

/// The demo's last line.
fn summary() -> Event {
    Event::DemoSummary {
        passed: true,
        readings: 3,
        first_reading_ms: Some(5),
        commands: 1,
        echo_answered_ms: None,
        log_lines: 2,
        line: "it worked".into(),
    }
}

#[test]
fn a_summary_is_one_line() {
    let (page, out) = Page::plain();
    let timeline = Timeline::new(Format::Text, out);
    timeline.add(&summary());
    timeline.add_end(&Event::LinkUp);
    assert!(timeline.output().flush(SOON));
    assert_eq!(page.text(), "\nit worked\n");
}

/// Shows D335: several devices are distinguished, the last line of a replay has its time.
#[test]
fn a_line_names_its_device_and_the_end_has_the_time_of_the_line_before() {
    let (page, out) = Page::plain();
    let timeline = Timeline::new(Format::Json, out);
    timeline.add_of("UV1", &Event::LinkUp);
    timeline.add_at(Duration::from_millis(77), &Event::LinkUp);
    timeline.add_end(&Event::DeviceFailed);
    assert!(timeline.output().flush(SOON));
    let lines: Vec<Value> = page.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["device"], &lines[1]["device"]), (&"UV1".into(), &Value::Null));
    assert_eq!((&lines[1]["at_ms"], &lines[2]["at_ms"]), (&77.into(), &77.into()));
}

#[test]
fn a_long_line_stays_in_its_column_on_a_terminal() {
    let wrap = |text: &str, room: usize| wrapped(text, Some(INDENT + room));
    let next = format!("\n{}", " ".repeat(INDENT));
    assert_eq!(wrap("exactly twenty signs", 20), "exactly twenty signs");
    assert_eq!(wrap("exactly twenty signs and more", 20), format!("exactly twenty signs{next}and more"));
    assert_eq!(wrap("part at the space before", 20), format!("part at the space{next}before"));
    assert_eq!(wrap(&"é".repeat(45), 20), ["é".repeat(20), "é".repeat(20), "é".repeat(5)].join(&next));
    assert_eq!(wrap(" one-space-and-a-very-long-word", 20), format!(" one-space-and-a-ver{next}y-long-word"));
    let long = "word ".repeat(40);
    assert_eq!(wrap(&long, 7), long, "no room to speak of");
    assert_eq!(wrapped(&long, None), long);
}

#[test]
fn a_silent_timeline_writes_nothing() {
    let (page, out) = Page::plain();
    let timeline = Timeline::new(Format::Silent, out);
    timeline.add(&Event::LinkUp);
    timeline.add(&summary());
    assert!(timeline.output().flush(SOON));
    assert_eq!(page.text(), "");
}

#[test]
fn a_payload_is_shown_as_text_or_by_its_size() {
    assert_eq!(payload_text(b"21.5"), "21.5");
    assert_eq!(payload_text(&[0xff, 0xfe]), "2 bytes, not text");
    let long = payload_text("é".repeat(200).as_bytes());
    assert!(long.ends_with("… (400 bytes)") && long.chars().count() < 140, "{long}");
}

#[test]
fn a_reader_that_went_away_is_noticed() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let timeline = Timeline::new(Format::Text, Box::new(Closed));
    assert!(!timeline.has_failed());
    timeline.add(&Event::LinkUp);
    assert!(timeline.output().flush(SOON), "there is nothing to wait for");
    assert!(timeline.has_failed());
}

/// Shows D170.
#[test]
fn dropped_lines_are_reported_in_the_format_of_the_timeline() {
    let at = Duration::from_millis(1500);
    let text = "3 lines were dropped: the output was not read in time";
    assert_eq!(drop_notice(at, Format::Text, 3), format!("    1.500  output  {text}\n"));
    let json = format!(
        "{{\"v\":1,\"event\":\"output_dropped\",\"at_ms\":1500,\"source\":\"output\",\"text\":\"{text}\",\"dropped\":3}}\n"
    );
    assert_eq!(drop_notice(at, Format::Json, 3), json);
}
