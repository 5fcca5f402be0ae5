//! How much is measured.

/// Bytes of a payload, and of a topic.
pub(crate) const PAYLOAD: usize = 10;
/// The topic of every publish: 20 bytes.
pub(crate) const TOPIC: &str = "bench/room/sensor/01";
/// Most publishes in flight; as many as the kernel allows on a channel.
pub(crate) const WINDOW: usize = 16;

/// The numbers of a run.
pub(crate) struct Scale {
    /// Rounds in which all paths are measured in turn, so that a change of the machine's load affects all of them.
    pub rounds: u32,
    /// Messages a round, one at a time.
    pub latency: u32,
    /// Messages a round of quality of service 1, [`WINDOW`] at a time.
    pub qos1: u32,
    /// Messages a round of quality of service 0.
    pub qos0: u32,
    /// Messages whose bytes are counted.
    pub counted: u32,
    /// Iterations of the processor's loops.
    pub loop_iterations: u32,
    /// Milliseconds of its own time that an application polls, with a trace and without.
    pub polling_milliseconds: u32,
    /// Seconds of a round of log lines.
    pub log_seconds: u64,
    /// Seconds for which idle devices are observed.
    pub idle_seconds: u64,
    /// Devices, and clients, that publish at once.
    pub crowd: u32,
    /// Messages of all of them a round.
    pub crowd_messages: u32,
    /// Devices that are connected and do nothing.
    pub fleet: u32,
    /// Idle devices in one process.
    pub idle_devices: usize,
}

/// A full run: a few minutes on two cores.
pub(crate) const FULL: Scale = Scale {
    rounds: 9,
    latency: 600,
    qos1: 12_000,
    qos0: 24_000,
    counted: 500,
    loop_iterations: 20_000_000,
    polling_milliseconds: 5_000,
    log_seconds: 3,
    idle_seconds: 10,
    crowd: 100,
    crowd_messages: 30_000,
    fleet: 10_000,
    idle_devices: 100,
};

/// A short run, to check that everything works; its figures are rough.
pub(crate) const QUICK: Scale = Scale {
    rounds: 1,
    latency: 300,
    qos1: 2000,
    qos0: 4000,
    counted: 100,
    loop_iterations: 2_000_000,
    polling_milliseconds: 1_000,
    log_seconds: 1,
    idle_seconds: 2,
    crowd: 20,
    crowd_messages: 4000,
    fleet: 300,
    idle_devices: 10,
};
