//! The result of a run: what happened in it, compared with what its options demand.

use std::time::Duration;

use device::events::DeviceEvent;
use regex_lite::Regex;

use crate::host::observed_device::Observation;
use crate::options::VerdictOptions;
use crate::output::event::Event;
use crate::output::exit::{Exit, Failure};

/// Most bytes of the log that a report contains: the last ones.
const MAX_LOG: usize = 1 << 20;

/// Most characters of a line that a failure quotes.
const MAX_QUOTED: usize = 200;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A signal.
    Interrupted,
    /// The time of `--seconds` is over.
    TimeOver,
    /// The time of `--timeout` is over.
    TimedOut,
    /// The reader of the output is gone.
    OutputClosed,
    /// What happened has decided the result.
    Decided,
    /// The recording is replayed.
    Replayed,
}

/// What has happened so far, and the conditions that decide the result.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Verdict {
    until: Option<Regex>,
    fail_on: Vec<Regex>,
    timeout: Option<Duration>,
    device_time: Option<Duration>,
    allow_crashes: bool,
    is_factory_test: bool,
    /// A line has matched `--until`.
    is_met: bool,
    /// What has matched `--fail-on`, and the line.
    forbidden: Option<(String, String)>,
    crashes: u64,
    first_crash: Option<String>,
    /// Registers and calls of the first crash.
    first_report: Vec<String>,
    test_status: Option<u32>,
    has_reached_end: bool,
    missed: u64,
    log: Option<LogTail>,
}

impl Verdict {
    /// Nothing has happened.
    pub(crate) fn new(options: &VerdictOptions, is_factory_test: bool) -> Self {
        Self {
            until: options.until.clone(),
            fail_on: options.fail_on.clone(),
            timeout: options.timeout,
            device_time: options.device_seconds,
            allow_crashes: options.allow_crashes,
            is_factory_test,
            is_met: false,
            forbidden: None,
            crashes: 0,
            first_crash: None,
            first_report: Vec::new(),
            test_status: None,
            has_reached_end: false,
            missed: 0,
            log: options.junit.as_ref().map(|_| LogTail::default()),
        }
    }

    /// Something was seen at the device.
    pub(crate) fn observe(&mut self, observation: &Observation) {
        match observation {
            Observation::Event(event) => self.observe_event(event),
            Observation::Missed(count) => self.note_missed(*count),
            Observation::Ended => {}
        }
    }

    /// An event of the device. What a serial port sends is a line already.
    pub(crate) fn observe_event(&mut self, event: &DeviceEvent) {
        match event {
            DeviceEvent::Faulted { fault, .. } => {
                self.crashes += 1;
                self.first_crash.get_or_insert_with(|| fault.to_string());
            }
            DeviceEvent::Crashed(crash) if self.crashes == 1 => self.first_report = crash.lines(),
            DeviceEvent::Serial { bytes, .. } => self.observe_line(&String::from_utf8_lossy(bytes)),
            DeviceEvent::TestLog { text } | DeviceEvent::Logged { text } => {
                self.observe_line(&String::from_utf8_lossy(text));
            }
            DeviceEvent::TestingComplete { status } => self.test_status = Some(*status),
            DeviceEvent::EndReached => self.has_reached_end = true,
            _ => {}
        }
    }

    /// A line of the application's.
    pub(crate) fn observe_line(&mut self, line: &str) {
        let line = line.trim_end_matches(['\n', '\r']);
        if let Some(log) = &mut self.log {
            log.add(line);
        }
        if self.forbidden.is_none()
            && let Some(found) = self.fail_on.iter().find(|pattern| pattern.is_match(line))
        {
            self.forbidden = Some((found.to_string(), quoted(line)));
        }
        self.is_met |= self.until.as_ref().is_some_and(|pattern| pattern.is_match(line));
    }

    /// Events were dropped, and maybe lines with them.
    pub(crate) fn note_missed(&mut self, count: u64) {
        self.missed += count;
    }

    /// Whether the run is over: nothing that happens later changes its result.
    pub(crate) fn is_decided(&self) -> bool {
        let crashed = self.until.is_some() && self.has_failed_by_crash();
        self.is_met
            || crashed
            || self.forbidden.is_some()
            || self.test_status.is_some()
            || self.has_reached_end
    }

    /// The result of a run that ended so.
    pub(crate) fn result(&self, ending: Ending) -> Result<(), Failure> {
        if self.has_failed_by_crash() {
            return Err(self.crash_failure());
        }
        if let Some((pattern, line)) = &self.forbidden {
            return Err(Failure::failed(format!("a line matches --fail-on {pattern}: {line}")));
        }
        match self.test_status {
            Some(status @ 1..) => {
                return Err(Failure::failed(format!("the factory test failed with status {status}")));
            }
            None if self.is_factory_test && ending != Ending::TimedOut => {
                return Err(Failure::failed(
                    "the factory test was stopped before it called mvTestingComplete",
                ));
            }
            _ => {}
        }
        let is_unmet = self.until.is_some() && !self.is_met && ending != Ending::OutputClosed;
        if ending == Ending::TimedOut || is_unmet {
            return Err(self.unmet(ending));
        }
        Ok(())
    }

    /// The end of a run with this result as an event.
    pub(crate) fn event(&self, result: &Result<(), Failure>) -> Event {
        let exit = result.as_ref().map_or_else(Failure::exit, |()| Exit::Success);
        Event::RunEnded {
            result: exit.label(),
            exit_code: exit as u8,
            crashes: self.crashes,
            detail: result.as_ref().err().map(|failure| failure.message().to_owned()),
        }
    }

    /// Registers and backtrace of the first crash.
    pub(crate) fn crash_report(&self) -> &[String] {
        &self.first_report
    }

    /// The last lines of the log, if they are kept for a report.
    pub(crate) fn log(&self) -> String {
        self.log.as_ref().map_or_else(String::new, LogTail::text)
    }

    fn has_failed_by_crash(&self) -> bool {
        self.crashes > 0 && !self.allow_crashes
    }

    fn crash_failure(&self) -> Failure {
        let first = self.first_crash.as_deref().unwrap_or("a fault");
        let text = match self.crashes {
            1 => format!("the application crashed: {first}"),
            count => format!("the application crashed {count} times, first: {first}"),
        };
        Failure::crashed(text).hint("--allow-crashes ends with success in spite of crashes")
    }

    fn unmet(&self, ending: Ending) -> Failure {
        let what = match (&self.until, self.device_time) {
            (Some(pattern), _) => format!("no line matched --until {pattern}"),
            (None, Some(time)) => {
                format!("the device's clock did not reach {} s (--device-seconds)", time.as_secs_f64())
            }
            (None, None) if self.is_factory_test => "the factory test did not end".to_owned(),
            (None, None) => "the run did not end".to_owned(),
        };
        let when = match (ending, self.timeout, self.device_time) {
            (Ending::TimedOut, Some(limit), _) => format!("within {} s (--timeout)", limit.as_secs_f64()),
            (Ending::Decided, _, Some(limit)) => {
                format!("within {} s of the device's clock (--device-seconds)", limit.as_secs_f64())
            }
            (Ending::Replayed, ..) => "in the recording".to_owned(),
            (Ending::Interrupted, ..) => "before the run was interrupted".to_owned(),
            _ => "before the run ended".to_owned(),
        };
        let failure = Failure::unmet(format!("{what} {when}"));
        match self.missed {
            0 => failure,
            missed => failure.hint(format!(
                "{missed} events arrived too fast and were dropped, and lines may have been among them"
            )),
        }
    }
}

/// A line, not too long.
fn quoted(line: &str) -> String {
    match line.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// The last lines of a log, within a limit.
#[derive(Default)]
pub(crate) struct LogTail {
    text: String,
    is_cut: bool,
}

impl LogTail {
    /// Adds a line.
    pub(crate) fn add(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
        if self.text.len() > 2 * MAX_LOG {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.text.len() > MAX_LOG {
            let from = self.text.ceil_char_boundary(self.text.len() - MAX_LOG);
            self.text.drain(..from);
            self.is_cut = true;
        }
    }

    /// What is kept, and a note if that is not all.
    pub(crate) fn text(&self) -> String {
        let from = self.text.ceil_char_boundary(self.text.len().saturating_sub(MAX_LOG));
        let cut = if self.is_cut || from > 0 { "(earlier lines are not in this report)\n" } else { "" };
        format!("{cut}{}", &self.text[from..])
    }
}

#[cfg(test)]
mod tests;
