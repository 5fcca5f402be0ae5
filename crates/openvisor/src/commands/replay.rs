//! `openvisor device --replay`: runs a recording again.

use std::path::Path;
use std::time::Duration;

use ::device::events::DeviceEvent;
use ::device::image::Image;
use ::device::memory_map::CYCLES_PER_MICRO;
use ::device::recording::{self, RecordingError, Replay, Turn};
use ::device::wiring::Attachment;
use link::connection::LogHead;
use link::header::Header;
use link::kind::to_cloud;
use tokio::time::Instant;

use crate::host::serial_lines::SerialLines;
use crate::host::verdict::{Ending, Verdict};
use crate::output::event_output;
use crate::output::exit::Failure;
use crate::output::timeline::{Source, Timeline};

/// Runs the recording in the file `path` to its end. The lines have guest time.
pub(super) fn run(
    path: &Path,
    image: &Image,
    attachments: Vec<Attachment>,
    timeline: &Timeline,
    is_stopping: impl Fn() -> bool,
    verdict: &mut Verdict,
) -> Result<Ending, Failure> {
    let mut replay =
        Replay::open(path, image, attachments, false).map_err(|error| recording_failure(path, &error))?;
    let (mut log, mut serial) = (LogFrames::default(), SerialLines::default());
    loop {
        let turn = replay.turn();
        show(&mut replay, &mut log, &mut serial, timeline, verdict);
        if let Turn::Ended(ending) = turn {
            show_all(guest_time(replay.now()), &serial.drain(), timeline, verdict);
            return result(path, ending, timeline);
        }
        if is_stopping() {
            timeline.add_at(
                guest_time(replay.now()),
                Source::Device,
                "replay stopped before the end of the recording",
            );
            return Ok(Ending::Interrupted);
        }
        if verdict.is_decided() {
            return Ok(Ending::Decided);
        }
    }
}

fn show(
    replay: &mut Replay,
    log: &mut LogFrames,
    serial: &mut SerialLines,
    timeline: &Timeline,
    verdict: &mut Verdict,
) {
    let at = guest_time(replay.now());
    for event in replay.take_events() {
        match event {
            DeviceEvent::Serial { port, bytes } => {
                show_all(at, &serial.push(port, &bytes, Instant::now()), timeline, verdict);
            }
            event => show_all(at, &[event], timeline, verdict),
        }
    }
    for line in log.lines(&replay.take_sent()) {
        verdict.observe_line(&line);
        timeline.add_at(at, Source::App, line);
    }
}

fn show_all(at: Duration, events: &[DeviceEvent], timeline: &Timeline, verdict: &mut Verdict) {
    for event in events {
        verdict.observe_event(event);
        let (source, text) = event_output::device_line(event);
        timeline.add_at(at, source, text);
    }
}

fn result(path: &Path, ending: recording::Ending, timeline: &Timeline) -> Result<Ending, Failure> {
    match ending {
        recording::Ending::Exact { cycle, is_whole } => {
            let cut = if is_whole { "" } else { ", up to where the recording is cut off" };
            timeline.add_at(guest_time(cycle), Source::Device, format!("replayed exactly{cut}"));
            Ok(Ending::Replayed)
        }
        recording::Ending::Diverged(divergence) => {
            Err(Failure::diverged(format!("the replay diverged from its recording: {divergence}"))
                .hint("different versions of openvisor can behave differently; the same version should not"))
        }
        recording::Ending::Unreadable(error) => Err(recording_failure(path, &error)),
    }
}

fn recording_failure(path: &Path, error: &RecordingError) -> Failure {
    let failure = Failure::bad_input(format!("{} {error}", path.display()));
    match error {
        RecordingError::OtherImage => failure.hint("use the image that ran when it was recorded"),
        RecordingError::Wiring(_) => failure.hint("attach the same to the device as when it was recorded"),
        RecordingError::Version(_) => failure.hint("use the version of openvisor that recorded it"),
        _ => failure.hint("record with: openvisor device IMAGE ... --record FILE"),
    }
}

fn guest_time(cycle: u64) -> Duration {
    Duration::from_micros(cycle / CYCLES_PER_MICRO)
}

/// Finds the application's log lines in the bytes sent to the cloud.
#[derive(Default)]
struct LogFrames {
    /// A partial frame.
    unread: Vec<u8>,
}

impl LogFrames {
    /// Adds `bytes`, and returns the lines that are complete.
    fn lines(&mut self, bytes: &[u8]) -> Vec<String> {
        self.unread.extend(bytes);
        let mut lines = Vec::new();
        while let Ok(Some((header, start))) = Header::decode(&self.unread) {
            let end = start + usize::from(header.length);
            let Some(body) = self.unread.get(start..end) else { break };
            if header.channel == 0 && header.kind == to_cloud::LOG {
                lines.extend(log_text(body));
            }
            self.unread.drain(..end);
        }
        lines
    }
}

fn log_text(body: &[u8]) -> Option<String> {
    let (_, text) = LogHead::decode(body).ok()?;
    Some(String::from_utf8_lossy(text).trim_end_matches('\n').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LOG as in link.md's examples, and a PING: found wherever the bytes are split.
    #[test]
    fn log_lines_are_found_among_other_frames() {
        let bytes = b"\x10\x00\x20\x12\x01\xc0\x84\x3dhello\x20\x12\x02\xc0\x84\x3dagain";
        for cut in 0..bytes.len() {
            let mut log = LogFrames::default();
            let lines = [log.lines(&bytes[..cut]), log.lines(&bytes[cut..])].concat();
            assert_eq!(lines, ["hello", "again"], "{cut}");
        }
    }
}
