//! `openvisor logs stream`: what a device's application has logged, and what it logs now.
//!
//! The lines come from the store, which is asked again and again: this works beside any cloud on the data folder, or none.

mod arguments;

use std::io;
use std::time::{Duration, Instant};

use ::cloud::DeviceId;
use ::cloud::clock::wall_millis;
use ::cloud::store::{LogCursor, LogLine, Store};
use anstyle::{AnsiColor, Style};
use serde_json::json;

use crate::host::signals::Stop;
use crate::operate::log_gaps::{Between, Continuity};
use crate::operate::operator::Operator;
use crate::output;
use crate::output::exit::Failure;
use crate::output::timeline::{json_text, printable};
use crate::output::{error_text, timestamp};
pub(super) use arguments::LogsArguments;
use arguments::{LogsAction, StreamArguments};

/// Lines shown at first, unless told otherwise.
const LAST: u32 = 100;
/// Lines taken from the store at a time.
const PAGE: u32 = 256;
/// How often it is seen whether the device may still log.
const PRESENCE: Duration = Duration::from_secs(1);
/// How often the store is asked.
const PAUSE: Duration = Duration::from_millis(250);

/// Does what was asked for.
pub(super) async fn run(arguments: LogsArguments) -> Result<(), Failure> {
    let LogsAction::Stream(stream) = arguments.action;
    let since = since(stream.since.as_deref())?;
    let stop = Stop::listen()?;
    tokio::select! {
        () = stop.signalled() => Ok(()),
        ended = follow(&stream, since) => {
            ended?;
            // However slowly somebody reads, all of it is written, unless a signal comes.
            output::stdout().drained().await;
            Ok(())
        }
        // Nobody reads any more.
        () = output::stdout().failed() => Ok(()),
    }
}

fn since(text: Option<&str>) -> Result<Option<i64>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let read = timestamp::read(text, wall_millis()).ok_or_else(|| {
        Failure::bad_input(format!("--since {}: this is no time", printable(text)))
            .hint("say how long ago (90s, 10m, 2h, 7d), or when, as 2026-11-20T09:00:00Z")
    })?;
    Ok(Some(read))
}

/// Ends after the stored lines if nothing more is wanted, and when nobody reads any more.
async fn follow(stream: &StreamArguments, since: Option<i64>) -> Result<(), Failure> {
    let operator = Operator::open(&stream.cloud.data, stream.cloud.account.as_deref()).await?;
    let device = operator.device(&stream.device).await?.id;
    let store = operator.store();
    let last = stream.last.or(since.is_none().then_some(LAST));
    let mut place = match last {
        Some(count) => store.log_cursor(device, count).await.map_err(error_text::of_store)?,
        None => LogCursor::default(),
    };
    let mut shown = Shown { json: stream.cloud.json, continuity: Continuity::default() };
    let mut asked = Instant::now();
    loop {
        let lines = store.logs_after(device, place, since.unwrap_or(0), PAGE).await;
        let lines = lines.map_err(error_text::of_store)?;
        for (behind, line) in &lines {
            place = *behind;
            if shown.line(line).await.is_err() {
                return Ok(());
            }
        }
        if lines.len() < PAGE as usize {
            if stream.no_follow {
                operator.close().await;
                return Ok(());
            }
            if asked.elapsed() >= PRESENCE {
                asked = Instant::now();
                check_known(store, device, &stream.device).await?;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Nothing more comes from a device that is not let in any more: whoever waits for its lines is told.
async fn check_known(store: &Store, device: DeviceId, named: &str) -> Result<(), Failure> {
    let named = printable(named);
    match store.device(device).await.map_err(error_text::of_store)? {
        None => {
            Err(Failure::not_happened(format!("the device {named} was removed: there is no more to follow")))
        }
        Some(known) if known.revoked.is_some() => {
            Err(Failure::not_happened(format!("the device {named} was revoked: it logs nothing more"))
                .hint("its stored lines can still be seen with --no-follow"))
        }
        Some(_) => Ok(()),
    }
}

/// What has been shown, and how.
struct Shown {
    json: bool,
    continuity: Continuity,
}

impl Shown {
    /// Waits for the reader without holding anything up: the next lines are taken from the store when these are queued.
    async fn line(&mut self, line: &LogLine) -> io::Result<()> {
        let between = self.continuity.next(line.boot, line.sequence);
        let lines = if self.json { json_lines(line, &between) } else { text_lines(line, &between) };
        let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        output::stdout().send(text.as_bytes()).await
    }
}

fn text_lines(line: &LogLine, between: &Between) -> Vec<String> {
    let (dim, mark) = (Style::new().dimmed(), AnsiColor::Yellow.on_default());
    let mut lines = Vec::new();
    if between.restarted {
        lines.push(format!("{mark}-- the device has started anew --{mark:#}"));
    }
    if let Some(lost) = &between.lost {
        let count = lost.end() - lost.start() + 1;
        let plural = if count == 1 { "line" } else { "lines" };
        lines.push(format!("{mark}-- {count} {plural} lost --{mark:#}"));
    }
    let text = String::from_utf8_lossy(line.text.trim_ascii_end());
    let (received, logged) = (timestamp::exact(line.received), device_time(line.clock));
    lines.push(format!("{dim}{received}  {logged}{dim:#}  {}", printable(&text)));
    lines
}

/// The device's own time of a line: microseconds since its start, as `mvGetMicroseconds` counts them.
fn device_time(clock: u64) -> String {
    let (seconds, micros) = (clock / 1_000_000, clock % 1_000_000);
    let seconds = format!("+{seconds}.{micros:06}");
    // Columns stay in place for the first eleven days.
    format!("{seconds:>14}")
}

fn json_lines(line: &LogLine, between: &Between) -> Vec<String> {
    let LogLine { boot, sequence, clock, .. } = *line;
    let mut lines = Vec::new();
    if between.restarted {
        lines.push(json!({ "event": "started", "boot": boot }));
    }
    if let Some(lost) = &between.lost {
        lines.push(json!({ "event": "lost", "boot": boot, "first": lost.start(), "last": lost.end() }));
    }
    lines.push(json!({
        "received": timestamp::exact(line.received),
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
    fn what_was_lost_is_said_before_the_line_that_shows_it() {
        let between = Between { restarted: true, lost: Some(1..=3) };
        let lines = text_lines(&line(b"hello\n"), &between).join("\n");
        let plain = anstream::adapter::strip_str(&lines).to_string();
        let expected = "-- the device has started anew --\n-- 3 lines lost --\n1970-01-01T00:00:00.000Z       +0.000005  hello";
        assert_eq!(plain, expected);
        let lines = json_lines(&line(b"hello"), &between);
        assert_eq!(lines[1], r#"{"event":"lost","boot":1,"first":1,"last":3}"#);
        assert!(lines[2].contains(r#""text":"hello""#) && lines[2].contains(r#""clock_us":5"#));
    }

    /// Shows D226.
    #[test]
    fn the_devices_time_stands_beside_the_clouds() {
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
        let lines = text_lines(&line(b"\x1b[2J\xffx"), &Between::default()).join("\n");
        assert!(lines.contains(r"\u{1b}[2J"), "{lines:?}");
    }
}
