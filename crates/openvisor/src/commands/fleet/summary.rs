//! The summary of a fleet, once a second: redrawn in place on a terminal, a line elsewhere, or JSON.
#![allow(clippy::cast_precision_loss, reason = "rounded for display")]

use std::fmt::Write as _;
use std::io::{IsTerminal, stdout};
use std::time::Instant;

use device::transport::Address;

use super::member::{Member, Totals};
use super::usage::{Usage, UsageMeter};
use crate::output;
use crate::output::event::{Event, FleetProgress, Tenths};
use crate::output::timeline::{json_line, printable};

/// Most problems that are shown; further ones are only counted.
const MAX_PROBLEMS: usize = 50;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Redrawn in place.
    Live,
    Lines,
    Json,
}

/// Writes the summary.
pub(super) struct Summary {
    format: Format,
    start: Instant,
    /// When the summary was last shown, and its totals.
    last: (Instant, Totals),
    meter: UsageMeter,
    /// Lines on the terminal that the next summary replaces.
    drawn: usize,
    problems: usize,
}

/// Counts per second between two summaries.
struct Rates {
    publishes: f64,
    messages: f64,
    log_lines: f64,
}

impl Rates {
    fn between(before: &Totals, now: &Totals, seconds: f64) -> Self {
        let rate = |before: u64, now: u64| if seconds > 0.0 { (now - before) as f64 / seconds } else { 0.0 };
        Self {
            publishes: rate(before.publishes, now.publishes),
            messages: rate(before.messages, now.messages),
            log_lines: rate(before.log_lines, now.log_lines),
        }
    }
}

impl Summary {
    /// A summary on standard output.
    pub(super) fn new(json: bool) -> Self {
        let format = match (json, stdout().is_terminal()) {
            (true, _) => Format::Json,
            (false, true) => Format::Live,
            (false, false) => Format::Lines,
        };
        let now = Instant::now();
        Self {
            format,
            start: now,
            last: (now, Totals::default()),
            meter: UsageMeter::new(),
            drawn: 0,
            problems: 0,
        }
    }

    /// Shows that devices are being created, which takes some milliseconds each.
    pub(super) fn show_preparing(&mut self, devices: u32) {
        self.put_event(&Event::FleetPreparing { devices: u64::from(devices) });
    }

    /// Shows the number of devices and their cloud.
    pub(super) fn show_start(&mut self, devices: usize, cloud: &Address) {
        self.start = Instant::now();
        self.put_event(&Event::FleetStarted { devices: devices as u64, cloud: cloud.to_string() });
    }

    /// Shows the present totals.
    pub(super) fn show<'a>(&mut self, totals: &Totals, members: impl Iterator<Item = &'a Member>) {
        let now = Instant::now();
        let (shown, last) = std::mem::replace(&mut self.last, (now, *totals));
        let rates = Rates::between(&last, totals, (now - shown).as_secs_f64());
        let usage = self.meter.sample();
        let at = now - self.start;
        let problems = self.take_problems(members);
        let progress = progress(totals, &rates, usage);
        match self.format {
            Format::Live => self.draw(&problems, &panel(at.as_secs(), &progress)),
            Format::Lines => {
                let line = Event::FleetProgress(progress).text();
                put(&format!("{problems}{:>6} s  {line}\n", at.as_secs()));
            }
            Format::Json => put(&(problems + &json_line(Some(at), None, &Event::FleetProgress(progress)))),
        }
    }

    /// Shows that the fleet is being stopped.
    pub(super) fn show_stopping(&mut self) {
        self.drawn = 0;
        if self.format == Format::Live {
            put("stopping\n");
        }
    }

    /// Shows the final totals.
    pub(super) fn show_end<'a>(&mut self, totals: &Totals, members: impl Iterator<Item = &'a Member>) {
        put(&self.take_problems(members));
        self.put_event(&Event::FleetSummary {
            seconds: Tenths::of(self.start.elapsed().as_secs_f64()),
            ever_connected: totals.ever_connected,
            publishes: totals.publishes,
            messages: totals.messages,
            log_lines: totals.log_lines,
            faults: totals.faults,
            restarts: totals.restarts,
            lost_links: totals.losses,
        });
    }

    fn put_event(&self, event: &Event) {
        match self.format {
            Format::Json => put(&json_line(Some(self.start.elapsed()), None, event)),
            _ => put(&format!("{}\n", event.text())),
        }
    }

    /// The problems since the last call, a line each.
    fn take_problems<'a>(&mut self, members: impl Iterator<Item = &'a Member>) -> String {
        let mut text = String::new();
        for (device, problem) in members.filter_map(Member::take_problem) {
            self.problems += 1;
            if self.problems > MAX_PROBLEMS {
                continue;
            }
            match self.format {
                Format::Json => text += &json_line(Some(self.start.elapsed()), Some(device), &problem),
                _ => text = text + &printable(&problem.text()) + "\n",
            }
            if self.problems == MAX_PROBLEMS && self.format != Format::Json {
                text += "further problems are counted but not shown\n";
            }
        }
        text
    }

    /// Replaces the previous summary by `above`, which remains, and the new summary.
    fn draw(&mut self, above: &str, lines: &[String]) {
        let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
        let mut text = String::new();
        if self.drawn > 0 {
            let _ = write!(text, "\x1b[{}A\r\x1b[J", self.drawn);
        }
        text += above;
        for line in lines {
            text += &cut_to(line, width);
            text.push('\n');
        }
        self.drawn = lines.len();
        put(&text);
    }
}

/// Queues `text`, or drops it if it is not read in time: a reader that is slow or gone does not affect the run.
fn put(text: &str) {
    output::stdout().offer(text.as_bytes());
}

/// `line`, cut to `width` columns so that it takes one line of the terminal.
fn cut_to(line: &str, width: usize) -> String {
    line.chars().take(width.saturating_sub(1)).collect()
}

fn panel(at: u64, progress: &FleetProgress) -> Vec<String> {
    let FleetProgress { connected, connecting, without_link, waiting, ended, .. } = progress;
    let FleetProgress { faults, restarts, lost_links, .. } = progress;
    let mut lines = vec![
        String::new(),
        format!("  after    {at} s"),
        format!(
            "  devices  {connected} connected, {connecting} connecting, {without_link} offline, {waiting} to be started"
        ),
        format!(
            "  traffic  {:.0} publishes/s, {:.0} messages/s, {:.0} log lines/s",
            progress.publishes_per_second.value(),
            progress.messages_per_second.value(),
            progress.log_lines_per_second.value()
        ),
        format!("  problems {faults} faults, {restarts} restarts, {lost_links} lost links, {ended} ended"),
    ];
    lines.extend(progress.usage_text().map(|usage| format!("  process  {usage}")));
    lines
}

fn progress(totals: &Totals, rates: &Rates, usage: Option<Usage>) -> FleetProgress {
    FleetProgress {
        connected: totals.connected,
        connecting: totals.connecting,
        without_link: totals.offline,
        waiting: totals.waiting,
        ended: totals.ended,
        publishes_per_second: Tenths::of(rates.publishes),
        messages_per_second: Tenths::of(rates.messages),
        log_lines_per_second: Tenths::of(rates.log_lines),
        publishes: totals.publishes,
        messages: totals.messages,
        log_lines: totals.log_lines,
        faults: totals.faults,
        restarts: totals.restarts,
        lost_links: totals.losses,
        cpu_percent: usage.map(|usage| Tenths::of(usage.cores * 100.0)),
        resident_kib: usage.map(|usage| usage.resident_kib),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const USAGE: Option<Usage> = Some(Usage { cores: 0.245, resident_kib: 42_000 });

    fn totals() -> Totals {
        Totals { connected: 98, connecting: 2, publishes: 300, faults: 1, restarts: 1, ..Totals::default() }
    }

    fn rates() -> Rates {
        Rates::between(&Totals { publishes: 100, ..Totals::default() }, &totals(), 2.0)
    }

    #[test]
    fn text_and_json_have_the_same_figures() {
        let progress = Event::FleetProgress(progress(&totals(), &rates(), USAGE));
        assert_eq!(
            progress.text(),
            "98 connected, 2 connecting, 0 offline, 0 waiting; 100 publishes/s, 0 messages/s, \
             0 log lines/s; 1 faults, 1 restarts, 0 lost links; 24 % of a core, 41.0 MiB"
        );
        let object: serde_json::Value = serde_json::from_str(&json_line(None, None, &progress)).unwrap();
        assert_eq!((&object["connected"], &object["publishes_per_second"]), (&json!(98), &json!(100.0)));
        assert_eq!((&object["cpu_percent"], &object["faults"]), (&json!(24.5), &json!(1)));
    }

    #[test]
    fn a_drawn_line_takes_one_line_of_the_terminal() {
        for drawn in panel(12, &progress(&totals(), &rates(), USAGE)) {
            assert!(cut_to(&drawn, 40).chars().count() < 40);
        }
    }

    #[test]
    fn no_time_between_two_summaries_is_no_rate() {
        assert!(Rates::between(&Totals::default(), &totals(), 0.0).publishes.abs() < f64::EPSILON);
    }
}
