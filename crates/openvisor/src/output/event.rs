//! The events of every timeline: one enum, from which both the text and the JSON of a line are made, and of which
//! docs/json.md and docs/json-schema/ are generated.
//!
//! Names and fields are an interface (D335): within version 1 they are only added, never renamed or removed.

use device::events::Picture;
use serde::{Serialize, Serializer};

use crate::output::timeline::Source;

mod from_cloud;
mod from_device;
mod text;
mod values;

pub(crate) use values::{Call, CrashReport, FleetProgress, Hex, LoweredLimit, StatusRegister, Tenths};

/// Version of the names and fields, in every line as `v`.
pub(crate) const VERSION: u8 = 1;

/// Something that happened. The comments are the documentation of the interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// The cloud accepts devices.
    CloudListening {
        /// Address and port.
        address: String,
    },
    /// Where applications may connect.
    Destinations {
        /// Ranges besides the public addresses.
        allowed: Vec<String>,
    },
    /// The names under which devices reach the cloud: those of its certificate.
    CloudHosts {
        /// Host names and addresses.
        hosts: Vec<String>,
    },
    /// Connections of load balancers must begin with a PROXY header.
    ProxyHeadersRequired {
        /// Addresses and ranges of the load balancers.
        ranges: Vec<String>,
    },
    /// Limits are lower than configured, because the process may open too few files.
    LimitsLowered {
        /// Each of them.
        limits: Vec<LoweredLimit>,
    },
    /// Health and metrics can be read.
    MetricsListening {
        /// Address and port.
        address: String,
    },
    /// The management API is served.
    ApiListening {
        /// URL of its routes.
        url: String,
    },
    /// The demo's broker accepts clients.
    BrokerListening {
        /// Address and port.
        address: String,
    },
    /// How to see the demo's messages with another program.
    MonitorHint {
        /// Port of the broker on this machine.
        port: u16,
    },
    /// The id of the device.
    DeviceId {
        /// The id.
        id: String,
    },
    /// The cloud that the device connects to.
    DeviceCloud {
        /// Host and port.
        address: String,
    },
    /// The application is in a signed bundle.
    BundleSigned {
        /// The key's id, 16 hexadecimal digits.
        signer_id: String,
        /// Whether the signature was verified (`--signer`).
        verified: bool,
    },
    /// A debugger can connect.
    GdbListening {
        /// Address and port.
        address: String,
    },
    /// Debug information that cannot be read, which backtraces will lack.
    DebugInfoUnreadable {
        /// What, and why.
        detail: String,
    },
    /// The program ends: it closes its connections in order.
    Stopping {
        /// What stops.
        #[serde(skip)]
        source: Source,
    },
    /// Events were dropped, because they arrived faster than they could be shown.
    EventsDropped {
        /// How many.
        count: u64,
        /// Whose.
        #[serde(skip)]
        source: Source,
    },
    /// Lines were dropped, because the output was not read in time.
    OutputDropped {
        /// How many.
        dropped: u64,
    },
    /// The device's thread has ended although it was not stopped.
    DeviceFailed,
    /// The run is over. Its exit code follows from this line.
    RunEnded {
        /// `success`, `failed`, `bad_input`, `environment`, `diverged`, `crashed` or `unmet`.
        result: &'static str,
        /// The exit code of the program.
        exit_code: u8,
        /// Crashes of the application.
        crashes: u64,
        /// Why it is no success; null if it is one.
        detail: Option<String>,
    },
    /// The command has failed; on standard error, the last line of the program.
    Error {
        /// As in `run_ended`.
        result: &'static str,
        /// The exit code of the program.
        exit_code: u8,
        /// What happened.
        detail: String,
        /// What to do about it, if that is known.
        hint: Option<String>,
    },

    /// The application logged a line, which is `text`.
    AppLog {
        /// Number of the line since the device's start, from 1, where it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        sequence: Option<u32>,
        /// The device's time: microseconds since its start, as `mvGetMicroseconds` counts them, where it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        clock_us: Option<u64>,
        /// Random number of this start of the device (`logs stream`).
        #[serde(skip_serializing_if = "Option::is_none")]
        boot: Option<u32>,
        /// When the cloud received it, in RFC 3339 (`logs stream`).
        #[serde(skip_serializing_if = "Option::is_none")]
        received: Option<String>,
        /// The line.
        #[serde(skip)]
        line: String,
    },

    /// The device connects to the cloud.
    LinkConnecting,
    /// The device is connected to the cloud.
    LinkUp,
    /// The connection to the cloud has ended, or could not be made.
    LinkDown {
        /// `no_carrier`, `unreachable`, `requested` (by the device), or the reason of the cloud as in
        /// `device_disconnected`.
        reason: &'static str,
        /// The cause in words.
        detail: String,
    },

    /// The application starts.
    ApplicationStarted {
        /// Why: `cold_boot`, `application_crash`, `debugger_restart`, `deep_sleep_check_in` and other wake reasons.
        reason: &'static str,
    },
    /// The application requests the network.
    NetworkRequested,
    /// The application releases the network.
    NetworkReleased,
    /// The application asks for a channel. `channel_opened` follows when the cloud has opened it.
    ChannelRequested {
        /// `mqtt`, `http`, `config` or `opaque`.
        kind: &'static str,
    },
    /// The application closes a channel.
    ChannelReleased {
        /// As in `channel_requested`.
        kind: &'static str,
    },
    /// A system call was refused: the first with this call and status.
    CallRefused {
        /// The call.
        call: &'static str,
        /// The status by its name in the header.
        status: String,
        /// Its number.
        status_code: u32,
        /// Names and values of the arguments, of credentials and contents only lengths.
        arguments: String,
        /// Which argument is to blame and what it has to be; what the status means, where that is not known.
        detail: String,
        /// An argument is to blame.
        #[serde(skip)]
        is_explained: bool,
    },
    /// The application made a system call.
    SystemCall {
        /// The call.
        call: &'static str,
        /// R0 to R3.
        arguments: [Hex; 4],
        /// The status by its name in the header.
        status: String,
        /// Its number.
        status_code: u32,
    },
    /// An interrupt line that a notification has made pending is not enabled for a second.
    LineNotEnabled {
        /// The interrupt line.
        line: u32,
    },
    /// The user LED (PA5) changed.
    LedChanged {
        /// It is lit.
        on: bool,
    },
    /// A general-purpose output changed.
    PinChanged {
        /// The pin, such as `PB11`.
        pin: String,
        /// Whether it is high.
        high: bool,
    },
    /// A serial port sent a line.
    SerialLine {
        /// The port's number, or `lp1`.
        port: String,
        /// The line.
        line: String,
    },
    /// What a display shows changed.
    DisplayChanged {
        /// The I2C bus.
        bus: u8,
        /// The display's address.
        address: u8,
        /// What it shows as four digits of seven segments, if it can be read as such.
        digits: Option<String>,
        /// The lit dots of the 8 by 8 matrix, two rows a line.
        #[serde(serialize_with = "matrix")]
        #[cfg_attr(test, schemars(with = "Vec<String>"))]
        rows: Picture,
    },
    /// The application switched the system LED on or off.
    SystemLedSwitched {
        /// It may show the connection's state.
        enabled: bool,
    },
    /// The device enters deep sleep.
    DeepSleep {
        /// When it wakes at the latest, in milliseconds.
        wakes_in_ms: u64,
    },
    /// The application has called `mvRestart`.
    RestartRequested {
        /// The pause until then, in milliseconds.
        restart_in_ms: u64,
    },
    /// The application has requested a reset of the processor.
    ResetRequested {
        /// The pause until then, in milliseconds.
        restart_in_ms: u64,
    },
    /// A factory test has called `mvTestingComplete`.
    TestingComplete {
        /// Whether it passed: the status is 0.
        passed: bool,
        /// Its status.
        status: u32,
    },
    /// The application accesses a register that is not modelled and reads as zero; the first access to it.
    UnknownRegister {
        /// Its address.
        address: Hex,
    },
    /// The application was stopped by a fault. `crash_report` follows.
    ApplicationCrashed {
        /// What happened, in one line.
        detail: String,
        /// The instruction.
        pc: Hex,
        /// The pause until the application restarts, in milliseconds.
        restart_in_ms: u64,
    },
    /// Registers and backtrace of the crash reported just before.
    CrashReport(Box<CrashReport>),
    /// A debugger has attached: the application is stopped.
    DebuggerAttached,
    /// The debugger has detached: the application continues.
    DebuggerDetached,
    /// The device's time is slower than it should be.
    FellBehind {
        /// How late the device's timers are, in milliseconds.
        behind_ms: u64,
        /// Within which time, in milliseconds.
        elapsed_ms: u64,
        /// The value of `--time-scale`.
        time_scale: String,
        /// Device time divided by real time, with two decimals.
        pace: String,
        /// The call that the application makes in a loop; null if this machine is too slow.
        polled: Option<&'static str>,
    },
    /// The time of `--device-seconds` is over.
    DeviceEndReached,
    /// The recording was replayed, and the device did the same again.
    Replayed {
        /// False: the recording is cut off, and was replayed up to there.
        whole: bool,
    },
    /// The replay waits for a debugger (`--gdb`).
    ReplayWaits,
    /// The replay is at the end of its recording while a debugger is attached, and ends when it detaches.
    ReplayEndReached {
        /// `exact`, `diverged` or `unreadable`.
        result: &'static str,
    },
    /// What the debugger requested was refused, because it would leave the recording.
    DebuggerRefused {
        /// What, and why.
        detail: String,
    },
    /// The replay was stopped before the end of the recording.
    ReplayStopped,

    /// The cloud has admitted a device.
    DeviceConnected {
        /// The device's address and port.
        address: String,
    },
    /// A device has reported its application.
    DeviceStarted {
        /// SHA-256 of the application, 64 hexadecimal digits; all zero if there is none.
        image: String,
    },
    /// The connection of a device has ended.
    DeviceDisconnected {
        /// `done`, `version`, `violation`, `replaced`, `shutting_down`, `revoked`, `keepalive`, `overloaded`,
        /// `internal`, `other`, `lost` or `timed_out`.
        reason: &'static str,
        /// The reason in words.
        detail: &'static str,
    },
    /// A channel is open.
    ChannelOpened {
        /// Its number on the link.
        channel: u8,
        /// `mqtt`, `http`, `config` or `opaque`.
        kind: &'static str,
    },
    /// A channel has ended.
    ChannelClosed {
        /// Its number on the link.
        channel: u8,
        /// `device` or `cloud`.
        by: &'static str,
    },
    /// The cloud connects to a broker.
    BrokerConnecting {
        /// The channel.
        channel: u8,
        /// The broker's name, without credentials.
        host: String,
        /// Its port.
        port: u16,
        /// `plain`, `tls`, or `tls_by_port`: TLS with the public authorities because of the port.
        security: &'static str,
    },
    /// The broker has accepted the connection.
    BrokerConnected {
        /// The channel.
        channel: u8,
    },
    /// A connection to a broker could not be made.
    BrokerConnectFailed {
        /// The channel.
        channel: u8,
        /// The broker's name, without credentials; empty if the request was invalid before it was known.
        host: String,
        /// Its port.
        port: u16,
        /// The cause: a word of the list *Causes of failed connections*.
        reason: &'static str,
        /// The broker's code, where it refused the connection.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<u8>,
        /// The cause in words.
        detail: String,
    },
    /// Connections to a broker keep failing, and the next attempts are delayed.
    BrokerConnectsDelayed {
        /// The channel.
        channel: u8,
        /// The broker's name, without credentials.
        host: String,
        /// Its port.
        port: u16,
        /// The longest delay from now on, in milliseconds.
        max_delay_ms: u64,
    },
    /// A broker violates MQTT without harm; reported once for each kind and connection.
    BrokerDeviation {
        /// The channel.
        channel: u8,
        /// The rule: a word of the list *Deviations of brokers*.
        kind: &'static str,
        /// The rule in words.
        detail: String,
    },
    /// The connection to a broker has ended.
    BrokerLost {
        /// The channel.
        channel: u8,
        /// What is known of the cause.
        detail: String,
    },
    /// A message was sent to the broker.
    MessageToBroker {
        /// The channel.
        channel: u8,
        /// Its topic.
        topic: String,
        /// Length of its payload.
        bytes: usize,
        /// 0 or 1.
        qos: u8,
    },
    /// The application subscribes.
    Subscribing {
        /// The channel.
        channel: u8,
        /// The topic filters, separated by a comma and a space.
        filters: String,
    },
    /// A message was sent to the device.
    MessageToDevice {
        /// The channel.
        channel: u8,
        /// Its topic.
        topic: String,
        /// Length of its payload.
        bytes: usize,
        /// 0 or 1.
        qos: u8,
    },
    /// A message was dropped, because it is too large for the device.
    MessageDropped {
        /// The channel.
        channel: u8,
        /// Its topic.
        topic: String,
        /// Length of its payload, as far as known.
        bytes: usize,
    },
    /// A request of the application was refused.
    RequestRefused {
        /// The channel.
        channel: u8,
        /// `publish`, `subscribe`, `unsubscribe` or `http`.
        request: &'static str,
        /// Why.
        detail: String,
    },
    /// The cloud sends an HTTP request.
    HttpRequested {
        /// The channel; not in `openvisor test`.
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<u8>,
        /// The method.
        method: &'static str,
        /// The URL without user, query and fragment.
        url: String,
        /// Length of the body (`openvisor test`).
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<usize>,
        /// Whether a table `[[http]]` of the script answers it (`openvisor test`).
        #[serde(skip_serializing_if = "Option::is_none")]
        answered: Option<bool>,
    },
    /// The server has answered.
    HttpAnswered {
        /// The channel.
        channel: u8,
        /// The HTTP status.
        status: u16,
        /// Length of the body.
        bytes: usize,
    },
    /// Malformed headers of an answer were left out.
    HttpHeadersIgnored {
        /// The channel.
        channel: u8,
        /// Their names.
        names: Vec<String>,
    },
    /// An HTTP request has no answer, or one that the application cannot receive.
    HttpFailed {
        /// The channel.
        channel: u8,
        /// `invalid_url`, `response_timed_out`, `broken`, `not_http`, `too_large`, or a word of the list *Causes of
        /// failed connections*.
        reason: &'static str,
        /// The cause in words.
        detail: String,
    },
    /// The application has fetched configuration. Values are never shown.
    ConfigFetched {
        /// The channel.
        channel: u8,
        /// How many keys it asked for.
        keys: usize,
        /// How many of them were found.
        found: usize,
        /// The keys that do not exist.
        missing: Vec<String>,
        /// The keys that could not be read from the store.
        unavailable: Vec<String>,
        /// The values do not fit the application's receive buffer: it gets none.
        too_large: bool,
    },

    /// A client has connected to the broker of `demo` or `test`.
    ClientConnected {
        /// Its client id.
        client: String,
        /// Version of MQTT: `3.1.1` or `5`.
        version: &'static str,
    },
    /// A client has subscribed.
    ClientSubscribed {
        /// Its client id.
        client: String,
        /// The topic filter.
        filter: String,
    },
    /// A client has disconnected.
    ClientDisconnected {
        /// Its client id.
        client: String,
        /// Whether it sent DISCONNECT.
        clean: bool,
    },
    /// The broker ended a connection because of what was sent on it.
    ClientRefused {
        /// Why.
        detail: String,
    },
    /// A message at the broker of `demo` or `test`.
    BrokerMessage {
        /// Who published it (`openvisor test`).
        #[serde(skip_serializing_if = "Option::is_none")]
        client: Option<String>,
        /// Its topic.
        topic: String,
        /// Its QoS (`openvisor test`).
        #[serde(skip_serializing_if = "Option::is_none")]
        qos: Option<u8>,
        /// Whether it is retained (`openvisor test`).
        #[serde(skip_serializing_if = "Option::is_none")]
        retain: Option<bool>,
        /// Length of its payload.
        bytes: usize,
        /// The payload as it is shown: as text, cut where it is long; in `demo` its size if it is not text.
        payload: String,
    },
    /// The demo publishes a command for the application.
    CommandPublished {
        /// The topic.
        topic: String,
        /// The command.
        payload: String,
    },
    /// The last line of `openvisor demo`.
    DemoSummary {
        /// Whether messages went both ways.
        passed: bool,
        /// Messages of the application at the broker.
        readings: u64,
        /// When the first of them was seen, in milliseconds; null if none was.
        first_reading_ms: Option<u64>,
        /// Commands sent to the application.
        commands: u64,
        /// When the application answered the command `echo`; null if it did not.
        echo_answered_ms: Option<u64>,
        /// Lines that the application logged.
        log_lines: u64,
        /// The line.
        #[serde(skip)]
        line: String,
    },

    /// `openvisor fleet` creates the devices.
    FleetPreparing {
        /// How many.
        devices: u64,
    },
    /// `openvisor fleet` starts the devices.
    FleetStarted {
        /// How many.
        devices: u64,
        /// Host and port of their cloud.
        cloud: String,
    },
    /// The state of a fleet, once a second.
    FleetProgress(FleetProgress),
    /// A problem of a device of a fleet; the first 50 are shown.
    FleetProblem {
        /// The device's name.
        name: String,
        /// `link_down` or `crashed`.
        problem: &'static str,
        /// The cause in words.
        detail: String,
    },
    /// The last line of `openvisor fleet`.
    FleetSummary {
        /// How long it ran.
        seconds: Tenths,
        /// Devices that were connected at least once.
        ever_connected: u64,
        /// Accepted publishes.
        publishes: u64,
        /// Messages received.
        messages: u64,
        /// Log lines.
        log_lines: u64,
        /// Crashes of applications.
        faults: u64,
        /// Restarts of applications.
        restarts: u64,
        /// Connections to the cloud lost.
        lost_links: u64,
    },

    /// A test script does something.
    ScriptAction {
        /// What, in words.
        action: String,
    },
    /// A step of a test script has ended.
    StepEnded {
        /// The script's file.
        script: String,
        /// Its number in the script, from 1.
        step: usize,
        /// Its name.
        name: String,
        /// `passed`, `failed` or `skipped`.
        result: &'static str,
        /// Device time at its beginning, in microseconds.
        began_us: u64,
        /// Device time at its end, in microseconds.
        ended_us: u64,
        /// Why it failed: what was expected, and what was seen instead.
        #[serde(skip)]
        lines: Vec<String>,
    },
    /// The last line of `openvisor test`.
    ScriptSummary {
        /// How many scripts.
        scripts: usize,
        /// Steps that passed.
        passed: usize,
        /// Steps that failed.
        failed: usize,
        /// Steps that were skipped, because one before them failed.
        skipped: usize,
        /// Source lines executed; null without `--coverage`.
        lines_executed: Option<usize>,
        /// Source lines; null without `--coverage`.
        lines: Option<usize>,
    },

    /// `run --list`: a test of an image of tests.
    Test {
        /// Its name.
        name: String,
        /// Whether it is marked to be ignored.
        ignored: bool,
        /// Whether it is expected to panic.
        should_panic: bool,
    },
    /// A test of an image has ended. `text` has what it logged.
    TestResult {
        /// The image's file name.
        image: String,
        /// The test's name.
        name: String,
        /// `passed`, `failed` or `ignored`.
        result: &'static str,
        /// The wall-clock time it took, in microseconds.
        time_us: u64,
        /// Why it failed; null if it did not.
        failure: Option<String>,
        /// What it logged.
        #[serde(skip)]
        lines: String,
    },
    /// The last line of an image of tests.
    TestSummary {
        /// The image's file name.
        image: String,
        /// Tests that passed.
        passed: usize,
        /// Tests that failed.
        failed: usize,
        /// Tests that were ignored.
        ignored: usize,
        /// Tests that the options do not select.
        filtered_out: usize,
    },

    /// `logs stream`: the device has restarted.
    DeviceRestarted {
        /// Random number of its new start.
        boot: u32,
    },
    /// `logs stream`: lines of the device are missing.
    LogLinesLost {
        /// Random number of the device's start.
        boot: u32,
        /// Number of the first missing line.
        first: u32,
        /// Number of the last missing line.
        last: u32,
    },
    /// `logs stream`: logging of the device is off, or was switched.
    LoggingSwitched {
        /// Whether it is on.
        logging: bool,
    },
}

/// The matrix as lines of characters.
fn matrix<S: Serializer>(picture: &Picture, serializer: S) -> Result<S::Ok, S::Error> {
    picture.matrix().serialize(serializer)
}

impl Event {
    /// A log line of an application of which nothing else is known.
    pub(crate) fn app_log(text: &[u8]) -> Self {
        let line = String::from_utf8_lossy(text).into_owned();
        Self::AppLog { sequence: None, clock_us: None, boot: None, received: None, line }
    }
}

#[cfg(test)]
mod documentation;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod tests;
