//! The machine of the measurement, and its load before.

use std::fmt;
use std::fs;

use serde_json::{Value, json};

/// Read before the first measurement.
pub(crate) struct HostInfo {
    processor: String,
    cores: usize,
    /// Load average of the last minute.
    load: String,
}

impl HostInfo {
    /// Reads `/proc`; what is not there is left empty.
    pub(crate) fn read() -> Self {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            processor: model(&processors).to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            load: load.split(' ').next().unwrap_or_default().to_owned(),
        }
    }

    /// As JSON.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "processor": self.processor, "cores": self.cores, "load": self.load })
    }
}

impl fmt::Display for HostInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cores, {}, load {} before the run", self.cores, self.processor, self.load)
    }
}

fn model(processors: &str) -> &str {
    let line = processors.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(": ")).map_or("", |(_, name)| name)
}
