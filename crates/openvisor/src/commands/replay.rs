//! `openvisor device --replay`: a recording run again.

use std::path::Path;
use std::time::Duration;

use ::device::events::DeviceEvent;
use ::device::image::Image;
use ::device::map::CYCLES_PER_MICRO;
use ::device::recording::{Ending, RecordingError, Replay, Turn};
use ::device::wiring::Attachment;
use link::connection::LogHead;
use link::header::Header;
use link::kind::to_cloud;
use tokio::time::Instant;

use crate::host::serial_lines::SerialLines;
use crate::output::event_output;
use crate::output::exit::Failure;
use crate::output::timeline::{Source, Timeline};

/// Runs the recording at `path` to its end. The times of the lines are the guest's.
pub(super) fn replay(
    path: &Path,
    image: &Image,
    targets: Vec<Attachment>,
    timeline: &Timeline,
    is_stopping: impl Fn() -> bool,
) -> Result<(), Failure> {
    let mut replay = Replay::open(path, image, targets, false).map_err(|error| unusable(path, &error))?;
    let (mut log, mut serial) = (Log::default(), SerialLines::default());
    loop {
        let turn = replay.turn();
        show(&mut replay, &mut log, &mut serial, timeline);
        if let Turn::Ended(ending) = turn {
            show_all(moment(replay.now()), &serial.rest(), timeline);
            return judge(path, ending, timeline);
        }
        if is_stopping() {
            timeline.say_at(moment(replay.now()), Source::Device, "replay stopped before its end");
            return Ok(());
        }
    }
}

fn show(replay: &mut Replay, log: &mut Log, serial: &mut SerialLines, timeline: &Timeline) {
    let at = moment(replay.now());
    for event in replay.take_events() {
        match event {
            DeviceEvent::Serial { port, bytes } => {
                show_all(at, &serial.take(port, &bytes, Instant::now()), timeline);
            }
            event => show_all(at, &[event], timeline),
        }
    }
    for line in log.lines(&replay.take_sent()) {
        timeline.say_at(at, Source::App, line);
    }
}

fn show_all(at: Duration, events: &[DeviceEvent], timeline: &Timeline) {
    for (source, text) in events.iter().map(event_output::of_device) {
        timeline.say_at(at, source, text);
    }
}

fn judge(path: &Path, ending: Ending, timeline: &Timeline) -> Result<(), Failure> {
    match ending {
        Ending::Exact { cycle, is_whole } => {
            let cut = if is_whole { "" } else { ", as far as it goes: it was cut off" };
            timeline.say_at(moment(cycle), Source::Device, format!("replayed exactly{cut}"));
            Ok(())
        }
        Ending::Diverged(divergence) => {
            Err(Failure::diverged(format!("the replay went another way than its recording: {divergence}"))
                .hint("another version of openvisor may behave otherwise; the same one never should"))
        }
        Ending::Unreadable(error) => Err(unusable(path, &error)),
    }
}

fn unusable(path: &Path, error: &RecordingError) -> Failure {
    let failure = Failure::bad_input(format!("{} {error}", path.display()));
    match error {
        RecordingError::OtherImage => failure.hint("name the image that ran when the recording was made"),
        RecordingError::Wiring(_) => failure.hint("wire the same to the device as then"),
        RecordingError::Version(_) => failure.hint("use the openvisor that made it"),
        _ => failure.hint("a recording is made with: openvisor device IMAGE ... --record FILE"),
    }
}

/// Guest time.
fn moment(cycle: u64) -> Duration {
    Duration::from_micros(cycle / CYCLES_PER_MICRO)
}

/// The application's log among the bytes for the cloud.
#[derive(Default)]
struct Log {
    /// The beginning of a frame.
    left: Vec<u8>,
}

impl Log {
    /// The lines that `bytes` complete.
    fn lines(&mut self, bytes: &[u8]) -> Vec<String> {
        self.left.extend(bytes);
        let mut lines = Vec::new();
        while let Ok(Some((header, start))) = Header::decode(&self.left) {
            let end = start + usize::from(header.length);
            let Some(body) = self.left.get(start..end) else { break };
            if header.channel == 0 && header.kind == to_cloud::LOG {
                lines.extend(text(body));
            }
            self.left.drain(..end);
        }
        lines
    }
}

fn text(body: &[u8]) -> Option<String> {
    let (_, text) = LogHead::decode(body).ok()?;
    Some(String::from_utf8_lossy(text).trim_end_matches('\n').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LOG of link.md's examples, and a PING: a line wherever the bytes are parted.
    #[test]
    fn log_lines_are_found_among_other_frames() {
        let bytes = b"\x10\x00\x20\x12\x01\xc0\x84\x3dhello\x20\x12\x02\xc0\x84\x3dagain";
        for cut in 0..bytes.len() {
            let mut log = Log::default();
            let lines = [log.lines(&bytes[..cut]), log.lines(&bytes[cut..])].concat();
            assert_eq!(lines, ["hello", "again"], "{cut}");
        }
    }
}
