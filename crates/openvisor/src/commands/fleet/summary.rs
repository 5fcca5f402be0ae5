//! The live summary: drawn anew each second on a terminal, a line each second elsewhere, or JSON.
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::fmt::Write as _;
use std::io::{IsTerminal, stdout};
use std::time::Instant;

use device::transport::Address;
use serde_json::{Value, json};

use super::member::{Member, Totals};
use super::process::{Meter, Usage};
use crate::output;
use crate::output::timeline::{json_text, printable};

/// Lines of trouble that are shown; more are only counted.
const MAX_TROUBLES: usize = 50;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Drawn over what was drawn before.
    Live,
    Lines,
    Json,
}

/// Where the summary goes, and what it was last.
pub(super) struct Summary {
    form: Form,
    began: Instant,
    shown: Instant,
    last: Totals,
    meter: Meter,
    /// Lines on the terminal that are to be drawn over.
    drawn: usize,
    troubles: usize,
}

/// Counts a second between two looks.
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
        let form = match (json, stdout().is_terminal()) {
            (true, _) => Form::Json,
            (false, true) => Form::Live,
            (false, false) => Form::Lines,
        };
        let now = Instant::now();
        Self {
            form,
            began: now,
            shown: now,
            last: Totals::default(),
            meter: Meter::new(),
            drawn: 0,
            troubles: 0,
        }
    }

    /// Says what is being made: identities and settings take some milliseconds each.
    pub(super) fn preparing(&mut self, devices: u32) {
        if self.form != Form::Json {
            put(&format!("preparing {}\n", devices_text(u64::from(devices))));
        }
    }

    /// Says what is about to run.
    pub(super) fn begin(&mut self, devices: usize, cloud: &Address) {
        self.began = Instant::now();
        match self.form {
            Form::Json => {
                put(&(json_text(&json!({ "devices": devices, "cloud": cloud.to_string() })) + "\n"));
            }
            _ => put(&format!("a fleet of {} with its cloud at {cloud}\n", devices_text(devices as u64))),
        }
    }

    /// Shows how it stands.
    pub(super) fn show<'a>(&mut self, totals: &Totals, members: impl Iterator<Item = &'a Member>) {
        let now = Instant::now();
        let rates = Rates::between(&self.last, totals, (now - self.shown).as_secs_f64());
        (self.last, self.shown) = (*totals, now);
        let usage = self.meter.look();
        let at = (now - self.began).as_secs();
        let troubles = self.troubles_of(members);
        match self.form {
            Form::Live => self.draw(&troubles, &panel(at, totals, &rates, usage)),
            Form::Lines => put(&(troubles + &line(at, totals, &rates, usage) + "\n")),
            Form::Json => put(&(troubles + &json_text(&object(at, totals, &rates, usage)) + "\n")),
        }
    }

    /// Says that the end has begun.
    pub(super) fn stopping(&mut self) {
        self.drawn = 0;
        if self.form == Form::Live {
            put("stopping\n");
        }
    }

    /// Sums up.
    pub(super) fn end<'a>(&mut self, totals: &Totals, members: impl Iterator<Item = &'a Member>) {
        put(&self.troubles_of(members));
        let seconds = self.began.elapsed().as_secs_f64();
        let Totals { ever_connected, publishes, messages, log_lines, faults, losses, .. } = totals;
        match self.form {
            Form::Json => put(&format!(
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

    /// What went wrong since last asked, a line each; a few of them.
    fn troubles_of<'a>(&mut self, members: impl Iterator<Item = &'a Member>) -> String {
        let mut text = String::new();
        for trouble in members.filter_map(Member::untold) {
            self.troubles += 1;
            if self.troubles > MAX_TROUBLES {
                continue;
            }
            let trouble = printable(&trouble);
            let _ = match self.form {
                Form::Json => writeln!(text, "{}", json!({ "trouble": trouble })),
                _ => writeln!(text, "{trouble}"),
            };
            if self.troubles == MAX_TROUBLES && self.form != Form::Json {
                text += "more of this is not shown, only counted\n";
            }
        }
        text
    }

    /// Draws over what was drawn before; `above` stays.
    fn draw(&mut self, above: &str, lines: &[String]) {
        let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
        let mut text = String::new();
        if self.drawn > 0 {
            let _ = write!(text, "\x1b[{}A\r\x1b[J", self.drawn);
        }
        text += above;
        for line in lines {
            text += &fitting(line, width);
            text.push('\n');
        }
        self.drawn = lines.len();
        put(&text);
    }
}

/// Nobody may be reading, now or any more; the run goes on to its end all the same. A summary that is not read in time is dropped.
fn put(text: &str) {
    output::stdout().offer(text.as_bytes());
}

/// `line`, cut to `width` columns so that it takes one line; styles stand at its start only.
fn fitting(line: &str, width: usize) -> String {
    line.chars().take(width.saturating_sub(1)).collect()
}

fn devices_text(count: u64) -> String {
    if count == 1 { "1 device".into() } else { format!("{count} devices") }
}

fn panel(at: u64, totals: &Totals, rates: &Rates, usage: Option<Usage>) -> Vec<String> {
    let Totals { connected, connecting, apart, waiting, ended, faults, restarts, losses, .. } = totals;
    let mut lines = vec![
        String::new(),
        format!("  after    {at} s"),
        format!(
            "  devices  {connected} connected, {connecting} connecting, {apart} without a link, {waiting} to be started"
        ),
        format!(
            "  traffic  {:.0} publishes/s, {:.0} messages/s, {:.0} log lines/s",
            rates.publishes, rates.messages, rates.log_lines
        ),
        format!("  trouble  {faults} faults, {restarts} restarts, {losses} lost links, {ended} ended"),
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
    let Totals { connected, connecting, apart, waiting, faults, restarts, losses, .. } = totals;
    let usage = usage.map(|usage| format!("; {}", usage_text(usage))).unwrap_or_default();
    format!(
        "{at:>6} s  {connected} connected, {connecting} connecting, {apart} without a link, {waiting} waiting; \
         {:.0} publishes/s, {:.0} messages/s, {:.0} log lines/s; {faults} faults, {restarts} restarts, \
         {losses} lost links{usage}",
        rates.publishes, rates.messages, rates.log_lines
    )
}

fn object(at: u64, totals: &Totals, rates: &Rates, usage: Option<Usage>) -> Value {
    let tenth = |rate: f64| (rate * 10.0).round() / 10.0;
    json!({
        "at_s": at,
        "connected": totals.connected, "connecting": totals.connecting, "without_link": totals.apart,
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
    fn a_line_says_how_it_stands() {
        assert_eq!(
            line(12, &totals(), &rates(), USAGE),
            "    12 s  98 connected, 2 connecting, 0 without a link, 0 waiting; 100 publishes/s, 0 messages/s, \
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
            assert!(fitting(&drawn, 40).chars().count() < 40);
        }
    }

    #[test]
    fn no_time_between_two_looks_is_no_rate() {
        assert!(Rates::between(&Totals::default(), &totals(), 0.0).publishes.abs() < f64::EPSILON);
    }
}
