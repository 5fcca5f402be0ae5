//! `--replay` of `openvisor run` and `openvisor device`: runs a recording again.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::device::application::Application;
use ::device::events::DeviceEvent;
use ::device::memory_map::CYCLES_PER_MICRO;
use ::device::recording::{self, RecordingError, Replay, Turn};
use link::connection::LogHead;
use link::header::Header;
use link::kind::to_cloud;
use tokio::time::Instant;

use crate::host::debugging;
use crate::host::serial_lines::SerialLines;
use crate::host::signals::StopSignal;
use crate::host::verdict::{Ending, Verdict};
use crate::host::wiring::Wiring;
use crate::options::{DebuggingOptions, ShowOptions, VerdictOptions, WiringOptions};
use crate::output::OutputQueue;
use crate::output::event::Event;
use crate::output::exit::Failure;
use crate::output::timeline::{Timeline, stdout_line};

/// What is replayed, and what becomes of it.
pub(super) struct ReplayConfig<'a> {
    pub(super) recording: &'a Path,
    pub(super) application: Application,
    /// The image's file, for symbols.
    pub(super) image: &'a Path,
    pub(super) wiring: &'a WiringOptions,
    pub(super) debugging: &'a DebuggingOptions,
    pub(super) show: &'a ShowOptions,
    pub(super) conditions: &'a VerdictOptions,
    pub(super) is_factory_test: bool,
    pub(super) timeline: Timeline,
    /// Where the application's log lines go; without it they go to the timeline.
    pub(super) log: Option<&'static OutputQueue>,
    /// The conditions see the application's log lines as it makes them, and not as the cloud receives them.
    pub(super) reports_log: bool,
}

/// Replays on a thread of its own, which it keeps busy; a signal ends it between two steps.
pub(super) async fn run(config: ReplayConfig<'_>, verdict: &mut Verdict) -> Result<(), Failure> {
    let stop = StopSignal::listen()?;
    let is_stopping = Arc::new(AtomicBool::new(false));
    let set_stopping = is_stopping.clone();
    // A replay is faster than any reader, and must not drop lines: its thread waits for the reader, until there is a
    // signal.
    let timeline = config.timeline.lossless();
    let outputs: Vec<OutputQueue> = config.log.into_iter().chain([timeline.output()]).cloned().collect();
    let stopped = outputs.clone();
    let signals = stop.clone();
    tokio::spawn(async move {
        signals.received().await;
        // First the flag, then the queues: a thread that is woken from waiting must see that it is over.
        set_stopping.store(true, Ordering::Relaxed);
        stopped.iter().for_each(OutputQueue::stop_waiting);
    });
    let attachments = Wiring::read(config.wiring)?.into_attachments();
    let path = config.recording.to_owned();
    if config.debugging.gdb().is_some() {
        check_debuggable(&path)?;
    }
    let replay = Replay::open(&path, &config.application.image, attachments, false);
    let mut replay = replay.map_err(|error| recording_failure(&path, &error))?;
    let debugging = debugging::open(config.debugging, Some(config.image))?;
    debugging::announce(&debugging, &timeline);
    let is_debugged = debugging.gdb.is_some();
    if is_debugged {
        timeline.add_at(Duration::ZERO, &Event::ReplayWaits);
    }
    replay
        .debug(debugging)
        .map_err(|error| Failure::environment(format!("cannot start the debugger's server: {error}")))?;
    replay.report_pins(config.show.pins());
    replay.report_log(config.reports_log);
    let mut player = Player {
        replay,
        path,
        timeline,
        log: config.log,
        reports_log: config.reports_log,
        shows_led: config.show.shows(&DeviceEvent::Led { on: true }),
        frames: LogFrames::default(),
        serial: SerialLines::default(),
        end: config.conditions.device_seconds,
        // A debugger takes its time.
        deadline: config.conditions.timeout.filter(|_| !is_debugged).map(|limit| Instant::now() + limit),
        has_shown_end: false,
        verdict: Verdict::new(config.conditions, config.is_factory_test),
    };
    // It computes without a pause, which a thread of the runtime must not.
    let replayed = tokio::task::spawn_blocking(move || {
        let ending = player.run(&|| is_stopping.load(Ordering::Relaxed));
        (ending, player.verdict)
    });
    let (ending, observed) = replayed.await.map_err(|_| Failure::failed("the replay has panicked"))?;
    *verdict = observed;
    for output in &outputs {
        tokio::select! {
            () = output.drained() => {}
            () = stop.received() => {}
        }
    }
    verdict.result(ending?)
}

/// A debugger of the recorded session is in the recording with every stop; a second one would have no run to look at.
fn check_debuggable(path: &Path) -> Result<(), Failure> {
    match recording::contains_debugger(path) {
        Ok(false) => Ok(()),
        Ok(true) => Err(recording_failure(path, &RecordingError::Debugged)),
        Err(error) => Err(recording_failure(path, &error)),
    }
}

/// A replay, and what is shown of it.
struct Player {
    replay: Replay,
    path: PathBuf,
    timeline: Timeline,
    log: Option<&'static OutputQueue>,
    shows_led: bool,
    reports_log: bool,
    frames: LogFrames,
    serial: SerialLines,
    /// The device's time at which it ends at the latest.
    end: Option<Duration>,
    deadline: Option<Instant>,
    /// That the recording has ended while a debugger is attached was shown.
    has_shown_end: bool,
    verdict: Verdict,
}

impl Player {
    /// Runs the recording to its end. The lines have guest time.
    fn run(&mut self, is_stopping: &dyn Fn() -> bool) -> Result<Ending, Failure> {
        loop {
            let turn = self.replay.turn();
            self.show();
            if let Turn::Ended(ending) = turn {
                // A line that was never ended is shown, too.
                let rest = self.serial.drain();
                self.show_all(&rest);
                return result(&self.path, ending, &self.timeline);
            }
            // Someone who debugs a replay wants to look at what has decided its result, however long that takes.
            if self.replay.is_debugged() {
                self.show_debugger();
            } else if let Some(ending) = self.decided() {
                return Ok(ending);
            }
            if self.timeline.has_failed() || self.log.is_some_and(OutputQueue::has_failed) {
                return Ok(Ending::OutputClosed);
            }
            if is_stopping() {
                self.timeline.add_at(self.at(), &Event::ReplayStopped);
                return Ok(Ending::Interrupted);
            }
        }
    }

    /// How the conditions of the options end the replay, if they do.
    fn decided(&mut self) -> Option<Ending> {
        if self.end.is_some_and(|end| self.at() >= end) {
            self.show_all(&[DeviceEvent::EndReached]);
        }
        if self.verdict.is_decided() {
            return Some(Ending::Decided);
        }
        let is_over = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        is_over.then_some(Ending::TimedOut)
    }

    /// What a debugger's user has to know, and GDB does not show.
    fn show_debugger(&mut self) {
        if let Some(refusal) = self.replay.take_refusal() {
            self.timeline.add_at(self.at(), &Event::DebuggerRefused { detail: refusal.to_string() });
        }
        if !self.has_shown_end
            && let Some(ending) = self.replay.ended()
        {
            self.has_shown_end = true;
            let result = match ending {
                recording::Ending::Exact { .. } => "exact",
                recording::Ending::Diverged(_) => "diverged",
                recording::Ending::Unreadable(_) => "unreadable",
            };
            self.timeline.add_at(self.at(), &Event::ReplayEndReached { result });
        }
    }

    fn at(&self) -> Duration {
        guest_time(self.replay.now())
    }

    fn show(&mut self) {
        for event in self.replay.take_events() {
            match event {
                DeviceEvent::Serial { port, bytes } => {
                    let lines = self.serial.push(port, &bytes, Instant::now());
                    self.show_all(&lines);
                }
                event => self.show_all(&[event]),
            }
        }
        for line in self.frames.lines(&self.replay.take_sent()) {
            if !self.reports_log {
                self.verdict.observe_line(&String::from_utf8_lossy(&line));
            }
            self.show_line(&line);
        }
    }

    /// Shows a line of the application's.
    fn show_line(&self, line: &[u8]) {
        let event = Event::app_log(line);
        match self.log {
            Some(log) => {
                self.timeline.add_at_to_json(self.at(), &event);
                let line = stdout_line(std::io::stdout().is_terminal(), line);
                // The loop ends when this fails.
                let _ = log.send_blocking(&line);
            }
            None => self.timeline.add_at(self.at(), &event),
        }
    }

    fn show_all(&mut self, events: &[DeviceEvent]) {
        let at = self.at();
        for event in events {
            self.verdict.observe_event(event);
            match event {
                DeviceEvent::Led { .. } if !self.shows_led => {}
                DeviceEvent::Logged { .. } => {}
                DeviceEvent::TestLog { text } => self.show_line(text),
                event => self.timeline.add_at(at, &event.into()),
            }
        }
    }
}

fn result(path: &Path, ending: recording::Ending, timeline: &Timeline) -> Result<Ending, Failure> {
    match ending {
        recording::Ending::Exact { cycle, is_whole } => {
            timeline.add_at(guest_time(cycle), &Event::Replayed { whole: is_whole });
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
        RecordingError::Debugged => failure.hint("replay it without --gdb"),
        _ => failure.hint("record with --record FILE, of `openvisor run` or `openvisor device`"),
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
    fn lines(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.unread.extend(bytes);
        let mut lines = Vec::new();
        while let Ok(Some((header, start))) = Header::decode(&self.unread) {
            let end = start + usize::from(header.length);
            let Some(body) = self.unread.get(start..end) else { break };
            // Log messages belong to no channel.
            if header.channel == 0 && header.kind == to_cloud::LOG {
                lines.extend(log_text(body));
            }
            self.unread.drain(..end);
        }
        lines
    }
}

fn log_text(body: &[u8]) -> Option<Vec<u8>> {
    let (_, text) = LogHead::decode(body).ok()?;
    Some(text.strip_suffix(b"\n").unwrap_or(text).to_vec())
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
            assert_eq!(lines, [b"hello", b"again"], "{cut}");
        }
    }
}
