//! `openvisor logs stream`: the log lines of a device's application.
//!
//! The lines are polled from the store, so that this works whether or not a cloud is running on the data folder.

mod arguments;

use std::io;
use std::time::{Duration, Instant};

use ::cloud::DeviceId;
use ::cloud::clock::wall_millis;
use ::cloud::store::{LogCursor, LogLine, Store};
use anstyle::{AnsiColor, Style};
use serde_json::json;

use crate::host::signals::StopSignal;
use crate::operate::cloud_data::CloudData;
use crate::operate::log_gaps::{Gap, GapDetector};
use crate::output;
use crate::output::exit::Failure;
use crate::output::timeline::{json_text, printable};
use crate::output::timestamp;
pub(super) use arguments::LogsArguments;
use arguments::{LogsAction, StreamArguments};

/// Stored lines shown by default.
const DEFAULT_LAST: u32 = 100;
/// Most lines read from the store at once.
const PAGE: u32 = 256;
/// How often the device is checked for being revoked.
const DEVICE_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How often the store is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Runs the subcommand.
pub(super) async fn run(arguments: LogsArguments) -> Result<(), Failure> {
    let LogsAction::Stream(stream) = arguments.action;
    let since = since(stream.since.as_deref())?;
    let stop = StopSignal::listen()?;
    tokio::select! {
        () = stop.received() => Ok(()),
        result = follow(&stream, since) => {
            result?;
            // All lines are written, however slow the reader is, unless there is a signal.
            output::stdout().drained().await;
            Ok(())
        }
        // The reader is gone.
        () = output::stdout().failed() => Ok(()),
    }
}

fn since(text: Option<&str>) -> Result<Option<i64>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let time = timestamp::parse(text, wall_millis()).ok_or_else(|| {
        Failure::bad_input(format!("--since {}: not a time", printable(text)))
            .hint("use an age (90s, 10m, 2h, 7d), or a date as 2026-11-20T09:00:00Z")
    })?;
    Ok(Some(time))
}

/// Ends after the stored lines with `--no-follow`, and when the reader is gone.
async fn follow(stream: &StreamArguments, since: Option<i64>) -> Result<(), Failure> {
    let cloud = CloudData::open(&stream.cloud.data, stream.cloud.account.as_deref()).await?;
    let device = cloud.find_device(&stream.device).await?.id;
    let store = cloud.store();
    let last = stream.last.or(since.is_none().then_some(DEFAULT_LAST));
    let mut cursor = match last {
        Some(count) => store.log_cursor(device, count).await?,
        None => LogCursor::default(),
    };
    let mut printer = LinePrinter { json: stream.cloud.json, gaps: GapDetector::default() };
    let mut checked = Instant::now();
    loop {
        let lines = store.logs_after(device, cursor, since.unwrap_or(0), PAGE).await;
        let lines = lines?;
        for (next, line) in &lines {
            cursor = *next;
            if printer.print(line).await.is_err() {
                return Ok(());
            }
        }
        if lines.len() < PAGE as usize {
            if stream.no_follow {
                cloud.close().await;
                return Ok(());
            }
            if checked.elapsed() >= DEVICE_CHECK_INTERVAL {
                checked = Instant::now();
                check_device(store, device, &stream.device).await?;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// Fails if the device was revoked or removed, since no more lines will follow.
async fn check_device(store: &Store, device: DeviceId, id_or_name: &str) -> Result<(), Failure> {
    let device_name = printable(id_or_name);
    match store.device(device).await? {
        None => {
            Err(Failure::failed(format!("device {device_name} was removed: there are no more log lines")))
        }
        Some(known) if known.revoked.is_some() => {
            Err(Failure::failed(format!("device {device_name} was revoked: there are no more log lines"))
                .hint("show the stored lines with --no-follow"))
        }
        Some(_) => Ok(()),
    }
}

/// Prints lines, and what was lost between them.
struct LinePrinter {
    json: bool,
    gaps: GapDetector,
}

impl LinePrinter {
    /// Waits for room in the queue; the next lines are read from the store after that.
    async fn print(&mut self, line: &LogLine) -> io::Result<()> {
        let gap = self.gaps.next(line.boot, line.sequence);
        let lines = if self.json { json_lines(line, &gap) } else { text_lines(line, &gap) };
        let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        output::stdout().send(text.as_bytes()).await
    }
}

fn text_lines(line: &LogLine, gap: &Gap) -> Vec<String> {
    let (dim, mark) = (Style::new().dimmed(), AnsiColor::Yellow.on_default());
    let mut lines = Vec::new();
    if gap.restarted {
        lines.push(format!("{mark}-- device restarted --{mark:#}"));
    }
    if let Some(lost) = &gap.lost {
        let count = lost.end() - lost.start() + 1;
        let plural = if count == 1 { "line" } else { "lines" };
        lines.push(format!("{mark}-- {count} {plural} lost --{mark:#}"));
    }
    let text = String::from_utf8_lossy(line.text.trim_ascii_end());
    let (received, logged) = (timestamp::rfc3339(line.received), device_time(line.clock));
    lines.push(format!("{dim}{received}  {logged}{dim:#}  {}", printable(&text)));
    lines
}

/// The device's time of a line: microseconds since its start, as `mvGetMicroseconds` counts them.
fn device_time(clock: u64) -> String {
    let (seconds, micros) = (clock / 1_000_000, clock % 1_000_000);
    let seconds = format!("+{seconds}.{micros:06}");
    // Wide enough for eleven days.
    format!("{seconds:>14}")
}

fn json_lines(line: &LogLine, gap: &Gap) -> Vec<String> {
    let LogLine { boot, sequence, clock, .. } = *line;
    let mut lines = Vec::new();
    if gap.restarted {
        lines.push(json!({ "event": "started", "boot": boot }));
    }
    if let Some(lost) = &gap.lost {
        lines.push(json!({ "event": "lost", "boot": boot, "first": lost.start(), "last": lost.end() }));
    }
    lines.push(json!({
        "received": timestamp::rfc3339(line.received),
        "device": line.device.as_str(),
        "boot": boot,
        "sequence": sequence,
        "clock_us": clock,
        "text": String::from_utf8_lossy(&line.text),
    }));
    lines.iter().map(json_text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &[u8]) -> LogLine {
        let device = ::cloud::DeviceId::parse(&format!("UV{}", "0".repeat(32))).unwrap();
        LogLine { device, boot: 1, sequence: 4, clock: 5, received: 0, text: text.to_vec() }
    }

    /// Shows D70.
    #[test]
    fn lost_lines_are_reported_before_the_line_after_them() {
        let gap = Gap { restarted: true, lost: Some(1..=3) };
        let lines = text_lines(&line(b"hello\n"), &gap).join("\n");
        let plain = anstream::adapter::strip_str(&lines).to_string();
        let expected =
            "-- device restarted --\n-- 3 lines lost --\n1970-01-01T00:00:00.000Z       +0.000005  hello";
        assert_eq!(plain, expected);
        let lines = json_lines(&line(b"hello"), &gap);
        assert_eq!(lines[1], r#"{"event":"lost","boot":1,"first":1,"last":3}"#);
        assert!(lines[2].contains(r#""text":"hello""#) && lines[2].contains(r#""clock_us":5"#));
    }

    /// Shows D226.
    #[test]
    fn a_line_has_the_devices_time_and_the_clouds() {
        for (clock, text) in [
            (0, "     +0.000000"),
            (12_345_678, "    +12.345678"),
            (86_400_000_000, " +86400.000000"),
            (u64::MAX, "+18446744073709.551615"),
        ] {
            assert_eq!(device_time(clock), text);
        }
    }

    #[test]
    fn no_log_line_can_command_the_terminal() {
        let lines = text_lines(&line(b"\x1b[2J\xffx"), &Gap::default()).join("\n");
        assert!(lines.contains(r"\u{1b}[2J"), "{lines:?}");
    }
}
