//! Where an event comes from, and its text.

use std::time::Duration;

use super::{CrashReport, Event, FleetProgress, Hex};
use crate::output::timeline::Source;

impl Event {
    /// Where it comes from.
    pub(crate) fn source(&self) -> Source {
        match self {
            Self::Stopping { source } | Self::EventsDropped { source, .. } => *source,
            Self::AppLog { .. } | Self::DeviceRestarted { .. } | Self::LogLinesLost { .. } => Source::App,
            Self::LinkConnecting | Self::LinkUp | Self::LinkDown { .. } => Source::Link,
            Self::CloudListening { .. }
            | Self::Destinations { .. }
            | Self::CloudHosts { .. }
            | Self::ProxyHeadersRequired { .. }
            | Self::LimitsLowered { .. }
            | Self::MetricsListening { .. }
            | Self::ApiListening { .. }
            | Self::LoggingSwitched { .. }
            | Self::DeviceConnected { .. }
            | Self::DeviceStarted { .. }
            | Self::DeviceDisconnected { .. }
            | Self::ChannelOpened { .. }
            | Self::ChannelClosed { .. }
            | Self::BrokerConnecting { .. }
            | Self::BrokerConnected { .. }
            | Self::BrokerConnectFailed { .. }
            | Self::BrokerConnectsDelayed { .. }
            | Self::BrokerDeviation { .. }
            | Self::BrokerLost { .. }
            | Self::MessageToBroker { .. }
            | Self::Subscribing { .. }
            | Self::MessageToDevice { .. }
            | Self::MessageDropped { .. }
            | Self::RequestRefused { .. }
            | Self::HttpRequested { .. }
            | Self::HttpAnswered { .. }
            | Self::HttpHeadersIgnored { .. }
            | Self::HttpFailed { .. }
            | Self::ConfigFetched { .. } => Source::Cloud,
            Self::BrokerListening { .. }
            | Self::ClientConnected { .. }
            | Self::ClientSubscribed { .. }
            | Self::ClientDisconnected { .. }
            | Self::ClientRefused { .. }
            | Self::BrokerMessage { .. } => Source::Broker,
            Self::MonitorHint { .. } | Self::CommandPublished { .. } | Self::DemoSummary { .. } => {
                Source::Demo
            }
            Self::FleetPreparing { .. }
            | Self::FleetStarted { .. }
            | Self::FleetProgress(_)
            | Self::FleetProblem { .. }
            | Self::FleetSummary { .. } => Source::Fleet,
            Self::ScriptAction { .. } | Self::StepEnded { .. } | Self::ScriptSummary { .. } => Source::Script,
            Self::OutputDropped { .. }
            | Self::RunEnded { .. }
            | Self::Error { .. }
            | Self::Test { .. }
            | Self::TestResult { .. }
            | Self::TestSummary { .. } => Source::Output,
            _ => Source::Device,
        }
    }

    /// Whether it is shown where events are not.
    pub(crate) fn is_error(&self) -> bool {
        matches!(self, Self::ApplicationCrashed { .. } | Self::CrashReport(_) | Self::OutputDropped { .. })
    }

    /// Its lines of text: one, except for a crash, the picture on a display, and a step that failed.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Self::CrashReport(report) => report_lines(report),
            Self::DisplayChanged { rows, .. } => {
                [self.first_line()].into_iter().chain(rows.matrix()).collect()
            }
            _ => vec![self.first_line()],
        }
    }

    /// All of its text.
    pub(crate) fn text(&self) -> String {
        self.lines().join("\n")
    }

    #[expect(clippy::too_many_lines, reason = "a table")]
    /// The first line of its text; of a crash the cause, which its other lines do not repeat.
    pub(crate) fn first_line(&self) -> String {
        match self {
            Self::CloudListening { address } => format!("listening on {address}"),
            Self::Destinations { allowed } if allowed.is_empty() => {
                "applications may reach public addresses only, and none of this machine's own".into()
            }
            Self::Destinations { allowed } => {
                format!("applications may reach public addresses and {}", allowed.join(", "))
            }
            Self::CloudHosts { hosts } => format!("reachable by devices as {}", hosts.join(", ")),
            Self::ProxyHeadersRequired { ranges } => {
                format!("PROXY headers are required from {}", ranges.join(", "))
            }
            Self::LimitsLowered { limits } => {
                let each = limits
                    .iter()
                    .map(|limit| format!("{} {} instead of {}", limit.name, limit.to, limit.from));
                let each = each.collect::<Vec<_>>().join(", ");
                format!("limits lowered, because the process may open too few files (ulimit -n): {each}")
            }
            Self::MetricsListening { address } => format!("health and metrics at http://{address}/metrics"),
            Self::ApiListening { url } => format!("management API at {url}"),
            Self::BrokerListening { address } => format!("listening on {address}, MQTT 3.1.1 and 5"),
            Self::MonitorHint { port } => {
                format!("to monitor it yourself: mosquitto_sub -p {port} -t 'demo/#' -v")
            }
            Self::DeviceId { id } => format!("id {id}"),
            Self::DeviceCloud { address } => format!("cloud at {address}"),
            Self::BundleSigned { signer_id, verified } => {
                let how = if *verified { "verified" } else { "not verified, because --signer is not given" };
                format!("bundle signed with key {signer_id}, {how}")
            }
            Self::GdbListening { address } => format!("GDB server listening on {address}"),
            Self::DebugInfoUnreadable { detail } => detail.clone(),
            Self::Stopping { .. } => "stopping".into(),
            Self::EventsDropped { count, .. } => {
                format!("{count} events dropped: they arrived faster than they could be shown")
            }
            Self::OutputDropped { dropped } => {
                let plural = if *dropped == 1 { "line was" } else { "lines were" };
                format!("{dropped} {plural} dropped: the output was not read in time")
            }
            Self::DeviceFailed => {
                "the virtual device stopped unexpectedly; this is a bug in openvisor".into()
            }
            Self::RunEnded { detail, .. } => match detail {
                None => "the run ended with success".into(),
                Some(detail) => format!("the run ended: {detail}"),
            },
            Self::Error { detail, .. } => format!("error: {detail}"),
            Self::AppLog { line, .. } => line.clone(),
            Self::LinkConnecting => "connecting to the cloud".into(),
            Self::LinkUp => "up".into(),
            Self::LinkDown { detail, .. } => format!("down: {detail}"),
            Self::ApplicationStarted { reason: "application_crash" } => {
                "application restarted after a crash".into()
            }
            Self::ApplicationStarted { reason } => format!("application starts: {}", start_text(reason)),
            Self::NetworkRequested => "application requests the network".into(),
            Self::NetworkReleased => "application releases the network".into(),
            Self::ChannelRequested { kind } => format!("application opens {}", channel_text(kind)),
            Self::ChannelReleased { kind } => format!("application closes {}", channel_text(kind)),
            Self::CallRefused { call, status, detail, is_explained: true, .. } => {
                format!("{call} refused, {}: {detail}", short_status(status))
            }
            Self::CallRefused { call, status, arguments, detail, .. } => {
                format!("{call}({arguments}) refused, {}: {detail}", short_status(status))
            }
            Self::SystemCall { call, arguments, status, .. } => {
                let [first, second, third, fourth] = arguments.map(|Hex(value)| value);
                format!("{call}({first:#x}, {second:#x}, {third:#x}, {fourth:#x}) returns {status}")
            }
            Self::LineNotEnabled { line } => format!(
                "interrupt line {line} has been pending for 1 s and is not enabled in the NVIC (NVIC_ISER{} bit {})",
                line / 32,
                line % 32
            ),
            Self::LedChanged { on } => format!("LED {}", on_off(*on)),
            Self::PinChanged { pin, high } => format!("pin {pin} is {}", if *high { "high" } else { "low" }),
            Self::SerialLine { port, line } => format!("serial port {port}: {line}"),
            Self::DisplayChanged { bus, address, digits, .. } => {
                let shown = match digits {
                    Some(digits) => format!("shows \"{digits}\", in dots:"),
                    None => "shows:".to_owned(),
                };
                format!("display {bus}:{address:#04x} {shown}")
            }
            Self::SystemLedSwitched { enabled } => {
                format!("application turns the system LED {}", on_off(*enabled))
            }
            Self::DeepSleep { wakes_in_ms } => format!("deep sleep for at most {wakes_in_ms} ms"),
            Self::RestartRequested { restart_in_ms } => restart_text("it called mvRestart", *restart_in_ms),
            Self::ResetRequested { restart_in_ms } => {
                restart_text("it requested a reset (AIRCR.SYSRESETREQ)", *restart_in_ms)
            }
            Self::TestingComplete { passed: true, .. } => "factory test passed (mvTestingComplete, 0)".into(),
            Self::TestingComplete { status, .. } => {
                format!("factory test failed (mvTestingComplete, {status})")
            }
            Self::UnknownRegister { address } => {
                format!("application accesses register {address}, which is not modelled and reads as zero")
            }
            Self::ApplicationCrashed { detail, restart_in_ms, .. } => {
                format!("application crashed: {detail}; restarting in {}", pause_text(*restart_in_ms))
            }
            Self::CrashReport(report) => format!("crash: {}", report.detail),
            Self::DebuggerAttached => "debugger attached; the application is stopped".into(),
            Self::DebuggerDetached => "debugger detached; the application continues".into(),
            Self::FellBehind { behind_ms, elapsed_ms, time_scale, pace, polled } => {
                lag_text([*behind_ms, *elapsed_ms], time_scale, pace, *polled)
            }
            Self::DeviceEndReached => "the time of --device-seconds is over".into(),
            Self::Replayed { whole: true } => "replayed exactly".into(),
            Self::Replayed { whole: false } => {
                "replayed exactly, up to where the recording is cut off".into()
            }
            Self::ReplayWaits => "the replay waits for a debugger".into(),
            Self::ReplayEndReached { result } => format!(
                "{}; the replay ends when the debugger detaches",
                match *result {
                    "exact" => "the recording ends here",
                    "diverged" => "the replay diverges here",
                    _ => "the recording cannot be read beyond this",
                }
            ),
            Self::DebuggerRefused { detail } => format!("refused to the debugger: {detail}"),
            Self::ReplayStopped => "replay stopped before the end of the recording".into(),
            Self::DeviceConnected { address } => format!("device connected from {address}"),
            // The first 32 bits distinguish images well enough.
            Self::DeviceStarted { image } => format!("device runs image {}", image.get(..8).unwrap_or(image)),
            Self::DeviceDisconnected { detail, .. } => format!("device disconnected: {detail}"),
            Self::ChannelOpened { channel, kind } => format!("channel {channel} opened, {}", kind_text(kind)),
            Self::ChannelClosed { channel, by } => format!("channel {channel} closed by the {by}"),
            Self::BrokerConnecting { channel, host, port, security } => {
                format!("channel {channel}: connecting to broker {host}:{port}{}", security_text(security))
            }
            Self::BrokerConnected { channel } => format!("channel {channel}: connected to broker"),
            Self::BrokerConnectFailed { channel, reason, detail, .. } => {
                let detail = with_option(reason, detail);
                format!("channel {channel}: connection to broker failed: {detail}")
            }
            Self::BrokerConnectsDelayed { channel, host, port, max_delay_ms } => {
                let seconds = Duration::from_millis(*max_delay_ms).as_secs_f64();
                format!(
                    "channel {channel}: connections to {host}:{port} keep failing; attempts are now up to {seconds} s apart"
                )
            }
            Self::BrokerDeviation { channel, detail, .. } => {
                format!("channel {channel}: broker violates MQTT, tolerated: {detail}")
            }
            Self::BrokerLost { channel, detail } => {
                format!("channel {channel}: connection to broker lost: {detail}")
            }
            Self::MessageToBroker { channel, topic, bytes, qos } => {
                format!("channel {channel}: to broker, {topic}, {bytes} bytes, QoS {qos}")
            }
            Self::Subscribing { channel, filters } => format!("channel {channel}: subscribing to {filters}"),
            Self::MessageToDevice { channel, topic, bytes, qos } => {
                format!("channel {channel}: to device, {topic}, {bytes} bytes, QoS {qos}")
            }
            Self::MessageDropped { channel, topic, bytes } => {
                format!(
                    "channel {channel}: message on {topic} of {bytes} bytes dropped: too large for the device"
                )
            }
            Self::RequestRefused { channel, request, detail } => {
                let request = if *request == "http" { "HTTP request" } else { request };
                format!("channel {channel}: {request} refused: {detail}")
            }
            Self::HttpRequested { channel, method, url, bytes, answered } => {
                let channel = channel.map(|channel| format!("channel {channel}: ")).unwrap_or_default();
                let bytes = bytes.map(|bytes| format!(", {bytes} bytes")).unwrap_or_default();
                let end = if *answered == Some(false) { ", which no [[http]] table answers" } else { "" };
                format!("{channel}{method} {url}{bytes}{end}")
            }
            Self::HttpAnswered { channel, status, bytes } => {
                format!("channel {channel}: HTTP status {status}, {bytes} bytes")
            }
            Self::HttpHeadersIgnored { channel, names } => {
                format!("channel {channel}: malformed headers ignored: {}", names.join(", "))
            }
            Self::HttpFailed { channel, reason, detail } => {
                format!("channel {channel}: HTTP request failed: {}", with_option(reason, detail))
            }
            Self::ConfigFetched { channel, keys, found, missing, unavailable, too_large } => {
                format!("channel {channel}: {}", fetch_text(*keys, *found, missing, unavailable, *too_large))
            }
            Self::ClientConnected { client, version } => format!("{client} connects, MQTT {version}"),
            Self::ClientSubscribed { client, filter } => format!("{client} subscribes to {filter}"),
            Self::ClientDisconnected { client, clean: true } => format!("{client} disconnects"),
            Self::ClientDisconnected { client, clean: false } => {
                format!("{client} is gone without a DISCONNECT")
            }
            Self::ClientRefused { detail } => format!("a connection is ended: {detail}"),
            Self::BrokerMessage { client: Some(client), topic, qos, payload, .. } => {
                let qos = qos.map(|qos| format!(", QoS {qos}")).unwrap_or_default();
                format!("{client} publishes {topic}{qos}: {payload}")
            }
            Self::BrokerMessage { topic, payload, .. } => format!("{topic}  {payload}"),
            Self::CommandPublished { topic, payload } => format!("publishes to {topic}: {payload}"),
            Self::DemoSummary { line, .. } => line.clone(),
            Self::FleetPreparing { devices } => format!("preparing {}", devices_text(*devices)),
            Self::FleetStarted { devices, cloud } => format!("{}, cloud {cloud}", devices_text(*devices)),
            Self::FleetProgress(progress) => progress_text(progress),
            Self::FleetProblem { name, problem: "crashed", detail } => {
                format!("{name} was stopped: {detail}")
            }
            Self::FleetProblem { name, detail, .. } => format!("{name} link down: {detail}"),
            Self::FleetSummary {
                seconds,
                ever_connected,
                publishes,
                messages,
                log_lines,
                faults,
                lost_links,
                ..
            } => {
                format!(
                    "{} connected; {publishes} publishes, {messages} messages, {log_lines} log lines, {faults} \
                     faults, {lost_links} lost links in {:.1} s",
                    devices_text(*ever_connected),
                    seconds.value()
                )
            }
            Self::ScriptAction { action } => action.clone(),
            Self::StepEnded { name, result, lines, .. } => {
                let first = format!("{name} {result}");
                std::iter::once(&first).chain(lines).map(String::as_str).collect::<Vec<_>>().join("\n")
            }
            Self::Test { name, .. } => format!("{name}: test"),
            Self::TestResult { lines, .. } => lines.clone(),
            Self::TestSummary { passed, failed, ignored, filtered_out, .. } => {
                format!("{passed} passed; {failed} failed; {ignored} ignored; {filtered_out} filtered out")
            }
            Self::ScriptSummary { passed, failed, skipped, .. } => {
                format!("{passed} passed, {failed} failed, {skipped} skipped")
            }
            Self::DeviceRestarted { .. } => "device restarted".into(),
            Self::LogLinesLost { first, last, .. } => {
                let count = u64::from(last.saturating_sub(*first)) + 1;
                format!("{count} {} lost", if count == 1 { "line" } else { "lines" })
            }
            Self::LoggingSwitched { logging } => format!("logging is {}", on_off(*logging)),
        }
    }
}

/// The report without its first line, which repeats what was reported just before.
fn report_lines(report: &CrashReport) -> Vec<String> {
    report.lines.iter().skip(1).cloned().collect()
}

/// A status without the prefix that all have.
fn short_status(status: &str) -> &str {
    status.trim_start_matches("MV_STATUS_")
}

fn on_off(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

/// What the words of `reason` mean where an application starts.
fn start_text(reason: &str) -> String {
    match reason {
        "cold_boot" => "cold boot".into(),
        "debugger_restart" => "reset by the debugger".into(),
        "deep_sleep_check_in" => "check-in after deep sleep".into(),
        other => other.replace('_', " "),
    }
}

/// A type of channels, with its article.
fn channel_text(kind: &str) -> &'static str {
    match kind {
        "mqtt" => "an MQTT channel",
        "http" => "an HTTP channel",
        "config" => "a configuration channel",
        _ => "an opaque-bytes channel",
    }
}

fn kind_text(kind: &str) -> &'static str {
    match kind {
        "mqtt" => "MQTT",
        "http" => "HTTP",
        "config" => "configuration",
        _ => "opaque",
    }
}

fn security_text(security: &str) -> &'static str {
    match security {
        "tls" => ", TLS",
        "tls_by_port" => ", TLS with public authorities because of the port (see --plain-port)",
        _ => "",
    }
}

/// The cause of a failed connection, with the option that changes it if there is one.
fn with_option(reason: &str, detail: &str) -> String {
    match reason {
        "not_allowed" => format!("{detail} (see --allow)"),
        "too_many" => format!("{detail} (see --limit outbound_connections_per_account)"),
        _ => detail.to_owned(),
    }
}

fn fetch_text(
    keys: usize,
    found: usize,
    missing: &[String],
    unavailable: &[String],
    is_too_large: bool,
) -> String {
    let mut text = if found == keys {
        format!("{keys} {} found", if keys == 1 { "setting" } else { "settings" })
    } else {
        format!("{found} of {keys} settings found")
    };
    if !missing.is_empty() {
        text = text + "; not set: " + &missing.join(", ");
    }
    if !unavailable.is_empty() {
        text = text + "; not readable from the store: " + &unavailable.join(", ");
    }
    if is_too_large {
        text += "; the values are too large for the application's receive buffer";
    }
    text
}

fn restart_text(why: &str, in_ms: u64) -> String {
    match in_ms {
        0 => format!("application restarts: {why}"),
        in_ms => format!("application restarts in {}: {why}", pause_text(in_ms)),
    }
}

/// A pause in whole seconds, else in milliseconds.
fn pause_text(ms: u64) -> String {
    if ms > 0 && ms.is_multiple_of(1000) { format!("{} s", ms / 1000) } else { format!("{ms} ms") }
}

fn lag_text([behind_ms, elapsed_ms]: [u64; 2], scale: &str, pace: &str, polled: Option<&str>) -> String {
    let seconds = |ms| Duration::from_millis(ms).as_secs_f64();
    let demanded = if scale == "1" { String::new() } else { format!(" instead of {scale} (--time-scale)") };
    let cause = match polled {
        Some(call) => format!("the application calls {call} in a loop"),
        None => "this machine is too slow for the application".to_owned(),
    };
    format!(
        "device time runs at {pace} of real time{demanded}: {cause}; after {:.1} s its timers are {:.1} s late; \
         mvGetMicroseconds, the time of day and the connection follow the wall clock",
        seconds(elapsed_ms),
        seconds(behind_ms)
    )
}

pub(super) fn devices_text(count: u64) -> String {
    if count == 1 { "1 device".into() } else { format!("{count} devices") }
}

fn progress_text(progress: &FleetProgress) -> String {
    let FleetProgress { connected, connecting, without_link, waiting, faults, restarts, lost_links, .. } =
        progress;
    format!(
        "{connected} connected, {connecting} connecting, {without_link} offline, {waiting} waiting; \
         {:.0} publishes/s, {:.0} messages/s, {:.0} log lines/s; {faults} faults, {restarts} restarts, \
         {lost_links} lost links{}",
        progress.publishes_per_second.value(),
        progress.messages_per_second.value(),
        progress.log_lines_per_second.value(),
        progress.usage_text().map(|usage| format!("; {usage}")).unwrap_or_default()
    )
}

impl FleetProgress {
    /// Processor time and memory of the process, if the system reports them.
    #[expect(clippy::cast_precision_loss, reason = "rounded for display")]
    pub(crate) fn usage_text(&self) -> Option<String> {
        let (percent, kib) = (self.cpu_percent?, self.resident_kib?);
        Some(format!("{:.0} % of a core, {:.1} MiB", percent.value(), kib as f64 / 1024.0))
    }
}
