//! The summary of a fleet, once a second: redrawn in place on a terminal, a line elsewhere, or JSON.
#![allow(clippy::cast_precision_loss, reason = "rounded for display")]

use std::fmt::Write as _;
use std::io::{IsTerminal, stdout};
use std::time::Instant;

use device::transport::Address;
use serde_json::{Value, json};

use super::member::{Member, Totals};
use super::usage::{Usage, UsageMeter};
use crate::output;
use crate::output::timeline::{json_text, printable};

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
        if self.format != Format::Json {
            put(&format!("preparing {}\n", devices_text(u64::from(devices))));
        }
    }

    /// Shows the number of devices and their cloud.
    pub(super) fn show_start(&mut self, devices: usize, cloud: &Address) {
        self.start = Instant::now();
        match self.format {
            Format::Json => {
                put(&(json_text(&json!({ "devices": devices, "cloud": cloud.to_string() })) + "\n"));
            }
            _ => put(&format!("{}, cloud {cloud}\n", devices_text(devices as u64))),
        }
    }

    /// Shows the present totals.
    pub(super) fn show<'a>(&mut self, totals: &Totals, members: impl Iterator<Item = &'a Member>) {
        let now = Instant::now();
        let (shown, last) = std::mem::replace(&mut self.last, (now, *totals));
        let rates = Rates::between(&last, totals, (now - shown).as_secs_f64());
        let usage = self.meter.sample();
        let at = (now - self.start).as_secs();
        let problems = self.take_problems(members);
        match self.format {
            Format::Live => self.draw(&problems, &panel(at, totals, &rates, usage)),
            Format::Lines => put(&(problems + &line(at, totals, &rates, usage) + "\n")),
            Format::Json => put(&(problems + &json_text(&object(at, totals, &rates, usage)) + "\n")),
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
        let seconds = self.start.elapsed().as_secs_f64();
        let Totals { ever_connected, publishes, messages, log_lines, faults, losses, .. } = totals;
        match self.format {
            Format::Json => put(&format!(
                "{}\n",
                json!({ "summary": {
                    "seconds": (seconds * 10.0).round() / 10.0,
                    "ever_connected": ever_connected, "publishes": publishes, "messages": messages,
                    "log_lines": log_lines, "faults": faults, "restarts": totals.restarts, "lost_links": losses,
                } })
            )),
            _ => put(&format!(
                "{} connected; {publishes} publishes, {messages} messages, {log_lines} log lines, {faults} faults, \
                 {losses} lost links in {seconds:.1} s\n",
                devices_text(*ever_connected)
            )),
        }
    }

    /// The problems since the last call, a line each.
    fn take_problems<'a>(&mut self, members: impl Iterator<Item = &'a Member>) -> String {
        let mut text = String::new();
        for problem in members.filter_map(Member::take_problem) {
            self.problems += 1;
            if self.problems > MAX_PROBLEMS {
                continue;
            }
            let problem = printable(&problem);
            let _ = match self.format {
                Format::Json => writeln!(text, "{}", json!({ "trouble": problem })),
                _ => writeln!(text, "{problem}"),
            };
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

fn devices_text(count: u64) -> String {
    if count == 1 { "1 device".into() } else { format!("{count} devices") }
}

fn panel(at: u64, totals: &Totals, rates: &Rates, usage: Option<Usage>) -> Vec<String> {
    let Totals { connected, connecting, offline, waiting, ended, faults, restarts, losses, .. } = totals;
    let mut lines = vec![
        String::new(),
        format!("  after    {at} s"),
        format!(
            "  devices  {connected} connected, {connecting} connecting, {offline} offline, {waiting} to be started"
        ),
        format!(
            "  traffic  {:.0} publishes/s, {:.0} messages/s, {:.0} log lines/s",
            rates.publishes, rates.messages, rates.log_lines
        ),
        format!("  problems {faults} faults, {restarts} restarts, {losses} lost links, {ended} ended"),
    ];
    if let Some(usage) = usage {
        lines.push(format!("  process  {}", usage_text(usage)));
    }
    lines
}

fn usage_text(Usage { cores, resident_kib }: Usage) -> String {
    format!("{:.0} % of a core, {:.1} MiB", cores * 100.0, resident_kib as f64 / 1024.0)
}

fn line(at: u64, totals: &Totals, rates: &Rates, usage: Option<Usage>) -> String {
    let Totals { connected, connecting, offline, waiting, faults, restarts, losses, .. } = totals;
    let usage = usage.map(|usage| format!("; {}", usage_text(usage))).unwrap_or_default();
    format!(
        "{at:>6} s  {connected} connected, {connecting} connecting, {offline} offline, {waiting} waiting; \
         {:.0} publishes/s, {:.0} messages/s, {:.0} log lines/s; {faults} faults, {restarts} restarts, \
         {losses} lost links{usage}",
        rates.publishes, rates.messages, rates.log_lines
    )
}

fn object(at: u64, totals: &Totals, rates: &Rates, usage: Option<Usage>) -> Value {
    let tenth = |rate: f64| (rate * 10.0).round() / 10.0;
    json!({
        "at_s": at,
        "connected": totals.connected, "connecting": totals.connecting, "without_link": totals.offline,
        "waiting": totals.waiting, "ended": totals.ended,
        "publishes_per_second": tenth(rates.publishes), "messages_per_second": tenth(rates.messages),
        "log_lines_per_second": tenth(rates.log_lines),
        "publishes": totals.publishes, "messages": totals.messages, "log_lines": totals.log_lines,
        "faults": totals.faults, "restarts": totals.restarts, "lost_links": totals.losses,
        "cpu_percent": usage.map(|usage| tenth(usage.cores * 100.0)),
        "resident_kib": usage.map(|usage| usage.resident_kib),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: Option<Usage> = Some(Usage { cores: 0.245, resident_kib: 42_000 });

    fn totals() -> Totals {
        Totals { connected: 98, connecting: 2, publishes: 300, faults: 1, restarts: 1, ..Totals::default() }
    }

    fn rates() -> Rates {
        Rates::between(&Totals { publishes: 100, ..Totals::default() }, &totals(), 2.0)
    }

    #[test]
    fn a_line_has_all_figures() {
        assert_eq!(
            line(12, &totals(), &rates(), USAGE),
            "    12 s  98 connected, 2 connecting, 0 offline, 0 waiting; 100 publishes/s, 0 messages/s, \
             0 log lines/s; 1 faults, 1 restarts, 0 lost links; 24 % of a core, 41.0 MiB"
        );
    }

    #[test]
    fn an_object_has_the_same_figures() {
        let object = object(12, &totals(), &rates(), USAGE);
        assert_eq!((&object["connected"], &object["publishes_per_second"]), (&json!(98), &json!(100.0)));
        assert_eq!((&object["cpu_percent"], &object["faults"]), (&json!(24.5), &json!(1)));
    }

    #[test]
    fn a_drawn_line_takes_one_line_of_the_terminal() {
        for drawn in panel(12, &totals(), &rates(), USAGE) {
            assert!(cut_to(&drawn, 40).chars().count() < 40);
        }
    }

    #[test]
    fn no_time_between_two_summaries_is_no_rate() {
        assert!(Rates::between(&Totals::default(), &totals(), 0.0).publishes.abs() < f64::EPSILON);
    }
}
