//! What the cloud counts, for Prometheus. Every label has a handful of values known here: no device, name or address is one.

use std::time::{Duration, Instant};

use prometheus::{
    Counter, Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};
use relay::Counts;

use crate::clock::wall_millis;

mod process;
mod relayed;

pub(crate) use process::open_files;
use relayed::Relayed;

/// Bounds of the histogram of the store's times, in seconds.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Everything that is counted.
pub(crate) struct Metrics {
    registry: Registry,
    started: Instant,
    uptime: IntGauge,
    memory: IntGauge,
    files: IntGauge,
    processor: Counter,
    /// Connections turned away, by reason.
    pub(crate) refused: IntCounterVec,
    /// Handshakes that have ended in a session.
    pub(crate) admitted: IntCounter,
    /// Sessions that have ended, by reason.
    pub(crate) ended: IntCounterVec,
    /// Bytes from devices, inside TLS.
    pub(crate) link_received: IntCounter,
    /// Bytes to devices, inside TLS.
    pub(crate) link_sent: IntCounter,
    /// Bytes that wait for devices to take them.
    pub(crate) link_backlog: IntGauge,
    /// Devices disconnected because they held too much memory for long.
    pub(crate) overloaded: IntCounter,
    /// Connections to brokers that are open, those that are being closed included.
    pub(crate) brokers: IntGauge,
    /// Connections to brokers that were made.
    pub(crate) brokers_opened: IntCounter,
    /// Connections to brokers that were not, by cause.
    pub(crate) brokers_failed: IntCounterVec,
    /// HTTP exchanges that are over, by result.
    pub(crate) http: IntCounterVec,
    /// Configuration fetches.
    pub(crate) fetches: IntCounter,
    /// Items asked for in them, by result.
    pub(crate) fetched: IntCounterVec,
    /// Log lines, by what became of them.
    pub(crate) log_lines: LogLines,
    /// Time the store takes, by operation.
    pub(crate) store_seconds: StoreTimes,
    /// What the store could not do, by operation.
    pub(crate) store_failures: IntCounterVec,
    /// How often a limit refused something or held it back, by the limit's name.
    limited: IntCounterVec,
    /// Panics of background tasks, by task.
    pub(crate) task_panics: IntCounterVec,
    /// Panics of device sessions.
    pub(crate) session_panics: IntCounter,
    relayed: Relayed,
    levels: Levels,
}

/// What became of log lines.
pub(crate) struct LogLines {
    pub(crate) taken: IntCounter,
    pub(crate) duplicate: IntCounter,
    pub(crate) dropped: IntCounter,
    pub(crate) refused: IntCounter,
}

/// Times of the store's operations.
pub(crate) struct StoreTimes {
    pub(crate) write_logs: Histogram,
    pub(crate) look_up: Histogram,
    pub(crate) admit: Histogram,
}

/// What is measured when it is asked for.
struct Levels {
    devices: IntGauge,
    connections: IntGauge,
    handshakes: IntGauge,
    log_queue: IntGauge,
    log_queue_room: IntGauge,
    memory: IntGauge,
}

/// What is so at the moment.
pub(crate) struct Now {
    /// Devices connected.
    pub(crate) devices: usize,
    /// Connections at the gateway, devices or not.
    pub(crate) connections: usize,
    /// Of these, in the TLS handshake.
    pub(crate) handshakes: usize,
    /// Log lines between devices and store.
    pub(crate) log_queue: usize,
    /// How many there may be.
    pub(crate) log_queue_room: usize,
    /// Bytes held for devices.
    pub(crate) memory: usize,
}

/// Makes metrics in a registry. Names and labels are literals, so it cannot fail at run time if it does not in a test.
struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn add<C: prometheus::core::Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let made = made.expect("a metric's name and labels are in order");
        self.0.register(Box::new(made.clone())).expect("a metric is registered once");
        made
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::new(name, help))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::new(name, help))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(Opts::new(name, help), labels))
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let make = Maker(&registry);
        note_build(&make);
        Self {
            started: Instant::now(),
            uptime: make.gauge("openvisor_uptime_seconds", "Time since the cloud started."),
            memory: make.gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
            files: make.gauge("process_open_fds", "Number of open file descriptors."),
            processor: make
                .add(Counter::new("process_cpu_seconds_total", "Processor time used, in seconds.")),
            refused: make.counters(
                "openvisor_connections_refused_total",
                "Connections and devices turned away.",
                &["reason"],
            ),
            admitted: make.counter("openvisor_sessions_started_total", "Device sessions begun."),
            ended: make.counters("openvisor_sessions_ended_total", "Device sessions ended.", &["reason"]),
            link_received: make.counter("openvisor_link_received_bytes_total", "Bytes from devices."),
            link_sent: make.counter("openvisor_link_sent_bytes_total", "Bytes to devices."),
            link_backlog: make
                .gauge("openvisor_link_backlog_bytes", "Bytes that wait for devices to take them."),
            overloaded: make.counter(
                "openvisor_devices_overloaded_total",
                "Devices disconnected because they held too much memory for long.",
            ),
            brokers: make.gauge(
                "openvisor_broker_connections",
                "Connections to brokers that are open, those being closed included.",
            ),
            brokers_opened: make.counter(
                "openvisor_broker_connections_opened_total",
                "Connections to brokers that were made.",
            ),
            brokers_failed: make.counters(
                "openvisor_broker_connections_failed_total",
                "Connections to brokers that could not be made.",
                &["cause"],
            ),
            http: make.counters("openvisor_http_requests_total", "HTTP requests that are over.", &["result"]),
            fetches: make.counter("openvisor_config_fetches_total", "Configuration fetches."),
            fetched: make.counters(
                "openvisor_config_items_total",
                "Configuration items and secrets asked for.",
                &["result"],
            ),
            log_lines: LogLines::new(&make),
            store_seconds: StoreTimes::new(&make),
            store_failures: make.counters(
                "openvisor_store_failures_total",
                "Operations the store could not do.",
                &["operation"],
            ),
            limited: make.counters(
                "openvisor_limited_total",
                "Times a limit refused something or held it back, by the limit's name.",
                &["limit"],
            ),
            task_panics: make.counters(
                "openvisor_task_panics_total",
                "Panics of background tasks of the cloud.",
                &["task"],
            ),
            session_panics: make.counter("openvisor_session_panics_total", "Panics of device sessions."),
            relayed: Relayed::new(&make),
            levels: Levels::new(&make),
            registry,
        }
    }

    /// Notes that a limit did something.
    pub(crate) fn note_limit(&self, name: &str) {
        self.limited.with_label_values(&[name]).inc();
    }

    /// Counts a connect of an application that did not succeed, by its cause.
    pub(crate) fn note_connect_failed(&self, cause: &str) {
        self.relayed.note_connect_failed(cause);
    }

    /// Adds what a relay has done.
    pub(crate) fn add(&self, counts: &Counts) {
        if *counts != Counts::default() {
            self.relayed.add(counts);
        }
    }

    /// All of it in Prometheus' text format.
    pub(crate) fn text(&self, now: &Now) -> Vec<u8> {
        self.levels.set(now);
        self.uptime.set(self.started.elapsed().as_secs().cast_signed());
        if let Some(usage) = process::usage() {
            self.memory.set(usage.memory);
            self.files.set(usage.files);
            self.processor.reset();
            self.processor.inc_by(usage.processor.as_secs_f64());
        }
        let mut text = Vec::new();
        // Into memory, of what was checked when it was registered.
        TextEncoder::new().encode(&self.registry.gather(), &mut text).expect("metrics can be written");
        text
    }
}

fn note_build(make: &Maker<'_>) {
    let build = Opts::new("openvisor_build_info", "Which Openvisor this is.");
    let build = make.add(IntGaugeVec::new(build, &["version"]));
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    let started = make.gauge("process_start_time_seconds", "Start time of the cloud, seconds since 1970.");
    started.set(wall_millis() / 1000);
}

impl LogLines {
    fn new(make: &Maker<'_>) -> Self {
        let lines =
            make.counters("openvisor_log_lines_total", "Log lines of applications, by result.", &["result"]);
        Self {
            taken: lines.with_label_values(&["taken"]),
            duplicate: lines.with_label_values(&["duplicate"]),
            dropped: lines.with_label_values(&["dropped"]),
            refused: lines.with_label_values(&["refused"]),
        }
    }
}

impl StoreTimes {
    fn new(make: &Maker<'_>) -> Self {
        let options = HistogramOpts::new("openvisor_store_seconds", "Time the store takes, by operation.");
        let times = make.add(HistogramVec::new(options.buckets(SECONDS.to_vec()), &["operation"]));
        Self {
            write_logs: times.with_label_values(&["write_logs"]),
            look_up: times.with_label_values(&["look_up"]),
            admit: times.with_label_values(&["admit"]),
        }
    }
}

impl Levels {
    fn new(make: &Maker<'_>) -> Self {
        Self {
            devices: make.gauge("openvisor_devices_connected", "Devices connected."),
            connections: make.gauge("openvisor_connections", "Connections at the gateway, devices or not."),
            handshakes: make.gauge("openvisor_handshakes", "Of the connections, those in the TLS handshake."),
            log_queue: make.gauge("openvisor_log_queue_lines", "Log lines between devices and store."),
            log_queue_room: make.gauge("openvisor_log_queue_capacity_lines", "How many there may be."),
            memory: make
                .gauge("openvisor_memory_held_bytes", "Messages and requests held for devices, in bytes."),
        }
    }

    fn set(&self, now: &Now) {
        self.devices.set(now.devices.cast_signed() as i64);
        self.connections.set(now.connections.cast_signed() as i64);
        self.handshakes.set(now.handshakes.cast_signed() as i64);
        self.log_queue.set(now.log_queue.cast_signed() as i64);
        self.log_queue_room.set(now.log_queue_room.cast_signed() as i64);
        self.memory.set(now.memory.cast_signed() as i64);
    }
}

/// Seconds as a histogram takes them.
pub(crate) fn observe(times: &Histogram, took: Duration) {
    times.observe(took.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(metrics: &Metrics) -> String {
        let now =
            Now { devices: 3, connections: 5, handshakes: 2, log_queue: 7, log_queue_room: 1024, memory: 9 };
        String::from_utf8(metrics.text(&now)).expect("text")
    }

    fn has(text: &str, line: &str) {
        assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
    }

    #[test]
    fn what_a_relay_has_done_is_added_up() {
        let metrics = Metrics::new();
        let counts = Counts {
            opened: [0, 1, 0, 2],
            closed: [0, 1, 0, 0],
            publishes: [[4, 0, 0, 0, 0], [0, 5, 0, 0, 0]],
            delivered: [6, 7],
            lost: 8,
            connected: 2,
            delayed: 1,
            deviations: std::array::from_fn(|place| u32::from(place == 3)),
            flooded: 1,
            slowed: 1,
        };
        metrics.add(&counts);
        metrics.add(&counts);
        let text = text(&metrics);
        has(&text, r#"openvisor_channels{type="mqtt"} 4"#);
        has(&text, r#"openvisor_channels{type="http"} 0"#);
        has(&text, r#"openvisor_channels_opened_total{type="http"} 2"#);
        has(&text, r#"openvisor_mqtt_publishes_total{qos="0",result="completed"} 8"#);
        has(&text, r#"openvisor_mqtt_publishes_total{qos="1",result="refused"} 10"#);
        has(&text, r#"openvisor_mqtt_messages_delivered_total{qos="1"} 14"#);
        has(&text, r#"openvisor_mqtt_connects_total{result="accepted"} 4"#);
        has(&text, r#"openvisor_mqtt_deviations_total{kind="qos2_message"} 2"#);
        has(&text, "openvisor_mqtt_connects_delayed_total 2");
        has(&text, "openvisor_mqtt_messages_lost_total 16");
    }

    #[test]
    fn what_is_so_now_is_measured_when_it_is_asked_for() {
        let metrics = Metrics::new();
        observe(&metrics.store_seconds.write_logs, Duration::from_millis(3));
        let text = text(&metrics);
        has(&text, "openvisor_devices_connected 3");
        has(&text, "openvisor_handshakes 2");
        has(&text, "openvisor_log_queue_lines 7");
        has(&text, r#"openvisor_store_seconds_bucket{operation="write_logs",le="0.005"} 1"#);
        has(&text, &format!(r#"openvisor_build_info{{version="{}"}} 1"#, env!("CARGO_PKG_VERSION")));
        let memory = text.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
        assert!(memory.expect("there").parse::<u64>().expect("a number") > 1_000_000, "{memory:?}");
    }
}
