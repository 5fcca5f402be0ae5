//! `openvisor logs stream`: the log lines of applications, of one device or of all.
//!
//! The lines are polled from the store, so that this works whether or not a cloud is running on the data folder.

mod arguments;
mod source;
mod switches;

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use ::cloud::DeviceId;
use ::cloud::clock::wall_millis;
use ::cloud::log_gaps::{Gap, GapDetector};
use ::cloud::store::{LogCursor, LogLine, Store};
use anstyle::{AnsiColor, Style};

use crate::host::signals::StopSignal;
use crate::operate::cloud_data::CloudData;
use crate::output;
use crate::output::event::Event;
use crate::output::exit::Failure;
use crate::output::timeline::{json_line, printable};
use crate::output::timestamp;
pub(super) use arguments::LogsArguments;
use arguments::{LogsAction, StreamArguments};
use source::Source;
use switches::Switches;

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
    let cloud = CloudData::open(&stream.cloud.folder, stream.cloud.account.as_deref()).await?;
    let source = Source::find(&cloud, stream.device.as_deref()).await?;
    let store = cloud.store();
    let last = stream.last.or(since.is_none().then_some(DEFAULT_LAST));
    let mut cursor = match last {
        Some(count) => source.cursor(store, count).await?,
        None => LogCursor::default(),
    };
    let mut printer = LinePrinter::new(stream.cloud.json, &source);
    let mut switches = Switches::new(stream.cloud.json);
    let mut checked: Option<Instant> = None;
    loop {
        let lines = source.lines_after(store, cursor, since.unwrap_or(0)).await?;
        for (next, line) in &lines {
            cursor = *next;
            if printer.print(store, line).await?.is_err() {
                return Ok(());
            }
        }
        if lines.len() < PAGE as usize {
            if checked.is_none_or(|checked| checked.elapsed() >= DEVICE_CHECK_INTERVAL) {
                checked = Some(Instant::now());
                let devices = source.devices(store, !stream.no_follow).await?;
                if switches.report(&devices).await.is_err() {
                    return Ok(());
                }
            }
            if stream.no_follow {
                cloud.close().await;
                return Ok(());
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// Prints lines, and what was lost between them.
struct LinePrinter {
    json: bool,
    gaps: HashMap<DeviceId, GapDetector>,
    /// Name of each device, where lines of several are shown.
    names: Option<HashMap<DeviceId, String>>,
}

impl LinePrinter {
    fn new(json: bool, source: &Source) -> Self {
        Self { json, gaps: HashMap::new(), names: source.is_all().then(HashMap::new) }
    }

    /// Waits for room in the queue; the next lines are read from the store after that. The inner error: the reader is
    /// gone.
    async fn print(&mut self, store: &Store, line: &LogLine) -> Result<io::Result<()>, Failure> {
        let gap = self.gaps.entry(line.device).or_default().next(line.boot, line.sequence);
        let text: String = if self.json {
            json_lines(line, &gap).concat()
        } else {
            let name = self.name(store, line.device).await?;
            text_lines(line, &gap, &name).iter().flat_map(|line| [line.as_str(), "\n"]).collect()
        };
        Ok(output::stdout().send(text.as_bytes()).await)
    }

    /// What a line has before its text: the device, where there are several.
    async fn name(&mut self, store: &Store, device: DeviceId) -> Result<String, Failure> {
        let Some(names) = &mut self.names else { return Ok(String::new()) };
        if let Some(name) = names.get(&device) {
            return Ok(name.clone());
        }
        let name = store.device(device).await?.and_then(|device| device.name);
        let name = name.as_deref().map_or_else(|| device.to_string(), printable) + "  ";
        names.insert(device, name.clone());
        Ok(name)
    }
}

/// `name` is empty or ends with spaces.
fn text_lines(line: &LogLine, gap: &Gap, name: &str) -> Vec<String> {
    let (dim, mark) = (Style::new().dimmed(), AnsiColor::Yellow.on_default());
    let mut lines = Vec::new();
    if gap.restarted {
        lines.push(format!("{mark}{name}-- device restarted --{mark:#}"));
    }
    if let Some(lost) = &gap.lost {
        let count = lost.end() - lost.start() + 1;
        let plural = if count == 1 { "line" } else { "lines" };
        lines.push(format!("{mark}{name}-- {count} {plural} lost --{mark:#}"));
    }
    let text = String::from_utf8_lossy(line.text.trim_ascii_end());
    let (received, logged) = (timestamp::rfc3339(line.received), device_time(line.clock));
    lines.push(format!("{dim}{received}  {logged}{dim:#}  {name}{}", printable(&text)));
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
    let LogLine { device, boot, sequence, clock, .. } = *line;
    let device = device.as_str();
    let mut events = Vec::new();
    if gap.restarted {
        events.push(Event::DeviceRestarted { boot });
    }
    if let Some(lost) = &gap.lost {
        events.push(Event::LogLinesLost { boot, first: *lost.start(), last: *lost.end() });
    }
    events.push(Event::AppLog {
        sequence: Some(sequence),
        clock_us: Some(clock),
        boot: Some(boot),
        received: Some(timestamp::rfc3339(line.received)),
        line: String::from_utf8_lossy(&line.text).into_owned(),
    });
    events.iter().map(|event| json_line(None, Some(device), event)).collect()
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
        let lines = text_lines(&line(b"hello\n"), &gap, "").join("\n");
        let plain = anstream::adapter::strip_str(&lines).to_string();
        let expected =
            "-- device restarted --\n-- 3 lines lost --\n1970-01-01T00:00:00.000Z       +0.000005  hello";
        assert_eq!(plain, expected);
        let lines = json_lines(&line(b"hello"), &gap);
        assert_eq!(
            lines[1],
            format!(
                r#"{{"v":1,"event":"log_lines_lost","source":"app","device":"UV{}","text":"3 lines lost","boot":1,"first":1,"last":3}}"#,
                "0".repeat(32)
            ) + "\n"
        );
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
        let lines = text_lines(&line(b"\x1b[2J\xffx"), &Gap::default(), "").join("\n");
        assert!(lines.contains(r"\u{1b}[2J"), "{lines:?}");
    }
}
