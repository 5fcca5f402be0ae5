//! The log of the measuring application (`sdk/samples/bench`).
//!
//! Its lines begin with `bench`: `begin NAME`, then `us N N N` or `took N` (microseconds), then `end NAME`, for each
//! measurement; `done` after all of them, or `failed`.

use std::time::Instant;

use crate::Error;

/// When the begin and the end of a measurement were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Its `begin` was seen.
    pub begin: Instant,
    /// Its `end` was seen.
    pub end: Instant,
}

/// What was reported so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    begin: Option<Instant>,
    took: Option<u32>,
    /// Microseconds from publish to acknowledged, in order.
    pub latencies: Vec<u32>,
    /// When they were taken.
    pub latency_span: Option<Span>,
    /// Microseconds all messages of quality of service 1 took.
    pub qos1: Option<u32>,
    /// When they were sent.
    pub qos1_span: Option<Span>,
    /// Microseconds all messages of quality of service 0 took.
    pub qos0: Option<u32>,
    /// The application is done.
    pub is_done: bool,
    /// Its other lines, which explain a failure.
    remarks: Vec<String>,
}

impl Report {
    /// Takes the next line of the log.
    ///
    /// # Errors
    /// The application failed, or the line is invalid.
    pub(crate) fn take(&mut self, line: &str, seen: Instant) -> Result<(), Error> {
        let Some(words) = line.strip_prefix("bench ") else {
            self.remarks.push(line.to_owned());
            return Ok(());
        };
        let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
        match (verb, rest) {
            ("begin", _) => self.begin = Some(seen),
            ("us", numbers) => return self.take_latencies(numbers),
            ("took", number) => self.took = Some(number.parse()?),
            ("end", "latency") => self.latency_span = self.begin.map(|begin| Span { begin, end: seen }),
            ("end", "qos1") => {
                self.qos1 = self.took.take();
                self.qos1_span = self.begin.map(|begin| Span { begin, end: seen });
            }
            ("end", "qos0") => self.qos0 = self.took.take(),
            ("done", "") => self.is_done = true,
            _ => return Err(format!("the application: {words}; {}", self.remarks.join("; ")).into()),
        }
        Ok(())
    }

    fn take_latencies(&mut self, numbers: &str) -> Result<(), Error> {
        for number in numbers.split(' ') {
            self.latencies.push(number.parse()?);
        }
        Ok(())
    }

    /// The other lines of the application.
    pub(crate) fn remarks(&self) -> String {
        self.remarks.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(lines: &[&str]) -> Result<Report, String> {
        let mut report = Report::default();
        for line in lines {
            report.take(line, Instant::now()).map_err(|failure| failure.to_string())?;
        }
        Ok(report)
    }

    #[test]
    fn every_measurement_is_assigned() {
        let lines = [
            "network: CONNECTED",
            "bench begin latency",
            "bench us 310 295",
            "bench us 1200",
            "bench end latency",
            "bench begin qos1",
            "bench took 5000000",
            "bench end qos1",
            "bench begin qos0",
            "bench took 400",
            "bench end qos0",
            "bench done",
        ];
        let report = taken(&lines).expect("a good log");
        assert_eq!(report.latencies, [310, 295, 1200]);
        for span in [report.latency_span, report.qos1_span] {
            assert!(span.is_some_and(|span| span.begin <= span.end));
        }
        assert_eq!((report.qos1, report.qos0, report.is_done), (Some(5_000_000), Some(400), true));
        assert_eq!(report.remarks(), "network: CONNECTED");
    }

    #[test]
    fn a_failure_includes_the_other_lines() {
        let failure = taken(&["publish: no answer", "bench failed latency"]).expect_err("it failed");
        assert_eq!(failure, "the application: failed latency; publish: no answer");
    }

    #[test]
    fn a_damaged_number_is_no_figure() {
        assert!(taken(&["bench us 12 x"]).is_err());
        assert!(taken(&["bench took"]).is_err());
    }
}
