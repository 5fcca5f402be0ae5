//! The cloud's metrics, for Prometheus. Every label has a few values known in advance: no device, name or address is
//! one, so that neither their number nor their content depends on users.

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

/// Buckets of the histogram of the store's times, in seconds.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// All metrics of a cloud.
pub(crate) struct Metrics {
    registry: Registry,
    started: Instant,
    uptime: IntGauge,
    memory: IntGauge,
    files: IntGauge,
    processor: Counter,
    /// Refused connections and devices, by reason.
    pub(crate) refused: IntCounterVec,
    /// Connections of load balancers that were health checks.
    pub(crate) proxy_checks: IntCounter,
    /// Admitted devices.
    pub(crate) admitted: IntCounter,
    /// Ended sessions, by reason.
    pub(crate) ended: IntCounterVec,
    /// Bytes from devices, inside TLS.
    pub(crate) link_received: IntCounter,
    /// Bytes to devices, inside TLS.
    pub(crate) link_sent: IntCounter,
    /// Bytes queued for devices.
    pub(crate) link_backlog: IntGauge,
    /// Devices disconnected because they used too much memory for too long.
    pub(crate) overloaded: IntCounter,
    /// Open connections to brokers, including those being closed.
    pub(crate) brokers: IntGauge,
    /// Connections to brokers that were opened.
    pub(crate) brokers_opened: IntCounter,
    /// Connections to brokers that could not be opened, by cause.
    pub(crate) brokers_failed: IntCounterVec,
    /// Finished HTTP exchanges, by result.
    pub(crate) http: IntCounterVec,
    /// Configuration fetches.
    pub(crate) fetches: IntCounter,
    /// Items fetched, by result.
    pub(crate) fetched: IntCounterVec,
    /// Log lines, by result.
    pub(crate) log_lines: LogLines,
    /// Duration of operations of the store.
    pub(crate) store_seconds: StoreTimes,
    /// Failed operations of the store, by operation.
    pub(crate) store_failures: IntCounterVec,
    /// How often a limit refused or delayed something, by the name of the limit.
    limited: IntCounterVec,
    /// Panics of background tasks, by task.
    pub(crate) task_panics: IntCounterVec,
    /// Panics of device sessions.
    pub(crate) session_panics: IntCounter,
    relayed: Relayed,
    gauges: Gauges,
}

/// Log lines, by result.
pub(crate) struct LogLines {
    pub(crate) taken: IntCounter,
    pub(crate) duplicate: IntCounter,
    pub(crate) dropped: IntCounter,
    pub(crate) refused: IntCounter,
}

/// Duration of operations of the store.
pub(crate) struct StoreTimes {
    pub(crate) write_logs: Histogram,
    pub(crate) look_up: Histogram,
    pub(crate) admit: Histogram,
}

/// Gauges that are set when the metrics are read.
struct Gauges {
    devices: IntGauge,
    connections: IntGauge,
    handshakes: IntGauge,
    log_queue: IntGauge,
    log_queue_capacity: IntGauge,
    memory: IntGauge,
}

/// Current values of the gauges that are set when the metrics are read.
pub(crate) struct Levels {
    /// Devices connected.
    pub(crate) devices: usize,
    /// Connections at the gateway, devices or not.
    pub(crate) connections: usize,
    /// Connections in the TLS handshake.
    pub(crate) handshakes: usize,
    /// Log lines received and not yet stored.
    pub(crate) log_queue: usize,
    /// The most log lines there can be.
    pub(crate) log_queue_capacity: usize,
    /// Bytes in use for devices.
    pub(crate) memory: usize,
}

/// Creates metrics in a registry. Names and labels are literals, so what works in a test cannot fail at run time.
struct Builder<'a>(&'a Registry);

impl Builder<'_> {
    fn add<C: prometheus::core::Collector + Clone + 'static>(&self, metric: prometheus::Result<C>) -> C {
        let metric = metric.expect("a metric's name and labels are valid");
        self.0.register(Box::new(metric.clone())).expect("a metric is registered once");
        metric
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
        let build = Builder(&registry);
        set_build_info(&build);
        Self {
            started: Instant::now(),
            uptime: build.gauge("openvisor_uptime_seconds", "Time since the cloud started."),
            memory: build.gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
            files: build.gauge("process_open_fds", "Number of open file descriptors."),
            processor: build
                .add(Counter::new("process_cpu_seconds_total", "Processor time used, in seconds.")),
            refused: build.counters(
                "openvisor_connections_refused_total",
                "Connections and devices refused.",
                &["reason"],
            ),
            proxy_checks: build.counter(
                "openvisor_proxy_checks_total",
                "Connections of load balancers that were health checks.",
            ),
            admitted: build.counter("openvisor_sessions_started_total", "Device sessions started."),
            ended: build.counters("openvisor_sessions_ended_total", "Device sessions ended.", &["reason"]),
            link_received: build.counter("openvisor_link_received_bytes_total", "Bytes from devices."),
            link_sent: build.counter("openvisor_link_sent_bytes_total", "Bytes to devices."),
            link_backlog: build.gauge("openvisor_link_backlog_bytes", "Bytes queued for devices."),
            overloaded: build.counter(
                "openvisor_devices_overloaded_total",
                "Devices disconnected because they used too much memory for too long.",
            ),
            brokers: build.gauge(
                "openvisor_broker_connections",
                "Open connections to brokers, including those being closed.",
            ),
            brokers_opened: build.counter(
                "openvisor_broker_connections_opened_total",
                "Connections to brokers that were opened.",
            ),
            brokers_failed: build.counters(
                "openvisor_broker_connections_failed_total",
                "Connections to brokers that could not be opened.",
                &["cause"],
            ),
            http: build.counters("openvisor_http_requests_total", "HTTP requests finished.", &["result"]),
            fetches: build.counter("openvisor_config_fetches_total", "Configuration fetches."),
            fetched: build.counters(
                "openvisor_config_items_total",
                "Configuration items and secrets fetched.",
                &["result"],
            ),
            log_lines: LogLines::new(&build),
            store_seconds: StoreTimes::new(&build),
            store_failures: build.counters(
                "openvisor_store_failures_total",
                "Failed operations of the store.",
                &["operation"],
            ),
            limited: build.counters(
                "openvisor_limited_total",
                "Times a limit refused or delayed something, by the name of the limit.",
                &["limit"],
            ),
            task_panics: build.counters(
                "openvisor_task_panics_total",
                "Panics of background tasks of the cloud.",
                &["task"],
            ),
            session_panics: build.counter("openvisor_session_panics_total", "Panics of device sessions."),
            relayed: Relayed::new(&build),
            gauges: Gauges::new(&build),
            registry,
        }
    }

    /// Counts that a limit refused or delayed something.
    pub(crate) fn count_limit(&self, name: &str) {
        self.limited.with_label_values(&[name]).inc();
    }

    /// How often a limit was counted.
    #[cfg(test)]
    pub(crate) fn limited(&self, name: &str) -> u64 {
        self.limited.with_label_values(&[name]).get()
    }

    /// Counts a failed connect of an application, by its cause.
    pub(crate) fn count_connect_failed(&self, cause: &str) {
        self.relayed.count_connect_failed(cause);
    }

    /// Adds the counts of a relay.
    pub(crate) fn add(&self, counts: &Counts) {
        if *counts != Counts::default() {
            self.relayed.add(counts);
        }
    }

    /// All metrics in Prometheus' text format.
    pub(crate) fn text(&self, levels: &Levels) -> Vec<u8> {
        self.gauges.set(levels);
        self.uptime.set(self.started.elapsed().as_secs().cast_signed());
        if let Some(usage) = process::usage() {
            self.memory.set(usage.memory);
            self.files.set(usage.files);
            self.processor.reset();
            self.processor.inc_by(usage.processor.as_secs_f64());
        }
        let mut text = Vec::new();
        // Writing to memory cannot fail, and the metrics were validated when they were registered.
        TextEncoder::new().encode(&self.registry.gather(), &mut text).expect("metrics can be written");
        text
    }
}

fn set_build_info(build: &Builder<'_>) {
    let options = Opts::new("openvisor_build_info", "Version of Openvisor.");
    let info = build.add(IntGaugeVec::new(options, &["version"]));
    info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    let started = build.gauge("process_start_time_seconds", "Start time of the cloud, seconds since 1970.");
    started.set(wall_millis() / 1000);
}

impl LogLines {
    fn new(build: &Builder<'_>) -> Self {
        let lines =
            build.counters("openvisor_log_lines_total", "Log lines of applications, by result.", &["result"]);
        Self {
            taken: lines.with_label_values(&["taken"]),
            duplicate: lines.with_label_values(&["duplicate"]),
            dropped: lines.with_label_values(&["dropped"]),
            refused: lines.with_label_values(&["refused"]),
        }
    }
}

impl StoreTimes {
    fn new(build: &Builder<'_>) -> Self {
        let options = HistogramOpts::new(
            "openvisor_store_seconds",
            "Duration of operations of the store, by operation.",
        );
        let times = build.add(HistogramVec::new(options.buckets(BUCKETS.to_vec()), &["operation"]));
        Self {
            write_logs: times.with_label_values(&["write_logs"]),
            look_up: times.with_label_values(&["look_up"]),
            admit: times.with_label_values(&["admit"]),
        }
    }
}

impl Gauges {
    fn new(build: &Builder<'_>) -> Self {
        Self {
            devices: build.gauge("openvisor_devices_connected", "Devices connected."),
            connections: build.gauge("openvisor_connections", "Connections at the gateway, devices or not."),
            handshakes: build.gauge("openvisor_handshakes", "Connections in the TLS handshake."),
            log_queue: build.gauge("openvisor_log_queue_lines", "Log lines received and not yet stored."),
            log_queue_capacity: build.gauge(
                "openvisor_log_queue_capacity_lines",
                "Most log lines there can be between devices and store.",
            ),
            memory: build.gauge(
                "openvisor_memory_held_bytes",
                "Memory in use for messages and requests of devices, in bytes.",
            ),
        }
    }

    fn set(&self, levels: &Levels) {
        self.devices.set(levels.devices.cast_signed() as i64);
        self.connections.set(levels.connections.cast_signed() as i64);
        self.handshakes.set(levels.handshakes.cast_signed() as i64);
        self.log_queue.set(levels.log_queue.cast_signed() as i64);
        self.log_queue_capacity.set(levels.log_queue_capacity.cast_signed() as i64);
        self.memory.set(levels.memory.cast_signed() as i64);
    }
}

/// Adds a duration to a histogram of seconds.
pub(crate) fn observe(seconds: &Histogram, duration: Duration) {
    seconds.observe(duration.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(metrics: &Metrics) -> String {
        let levels = Levels {
            devices: 3,
            connections: 5,
            handshakes: 2,
            log_queue: 7,
            log_queue_capacity: 1024,
            memory: 9,
        };
        String::from_utf8(metrics.text(&levels)).expect("text")
    }

    fn has(text: &str, line: &str) {
        assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
    }

    #[test]
    fn counts_of_relays_are_added_up() {
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

    /// A metric that is not documented is not found, and one that is documented and gone misleads.
    #[test]
    fn the_metrics_and_those_of_the_documentation_are_the_same() {
        use std::collections::BTreeSet;
        let names = |text: &'static str, before: char| -> BTreeSet<&str> {
            let starts = text.match_indices("openvisor_").filter(|(at, _)| text[..*at].ends_with(before));
            let name = |(at, _): (usize, &str)| {
                let rest: &str = &text[at..];
                &rest[..rest
                    .find(|char: char| !char.is_ascii_alphanumeric() && char != '_')
                    .unwrap_or(rest.len())]
            };
            starts.map(name).collect()
        };
        let sources = [include_str!("metrics.rs"), include_str!("metrics/relayed.rs")];
        let sources =
            sources.map(|text| text.split_once("#[cfg(test)]\nmod tests").map_or(text, |(code, _)| code));
        let metrics: BTreeSet<_> = sources.iter().flat_map(|text| names(text, '"')).collect();
        assert!(metrics.len() > 30, "{metrics:?}");
        assert_eq!(names(include_str!("../../../docs/operating.md"), '`'), metrics);
    }

    #[test]
    fn every_metric_is_documented_for_operators() {
        let page = include_str!("../../../docs/operating.md");
        let text = text(&Metrics::new());
        let metrics: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        assert!(metrics.len() > 20, "{text}");
        let is_documented =
            |name: &str| [format!("`{name}`"), format!("`{name}{{")].iter().any(|shown| page.contains(shown));
        let missing: Vec<&str> = metrics.into_iter().filter(|name| !is_documented(name)).collect();
        assert!(missing.is_empty(), "docs/operating.md does not name {missing:?}");
    }

    #[test]
    fn levels_are_measured_when_they_are_read() {
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
