//! An example of each event, with the literal line it is written as (`examples.jsonl`).

use std::time::Duration;

use device::events::Picture;

use super::{Call, CrashReport, Event, FleetProgress, Hex, LoweredLimit, StatusRegister, Tenths};
use crate::output::timeline::{Source, json_line};

/// The lines of all examples, one for each event, in the order of [`all`].
pub(super) fn lines() -> Vec<String> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/output/event/examples.jsonl");
    std::fs::read_to_string(file).expect("a file").lines().map(str::to_owned).collect()
}

/// An id in examples.
const ID: &str = "UV0123456789abcdef0123456789abcdef";

/// The line of an example, with the common fields that such events have.
pub(super) fn line(event: &Event) -> String {
    use Event as E;
    let at = match event {
        E::Error { .. }
        | E::ScriptSummary { .. }
        | E::Test { .. }
        | E::TestResult { .. }
        | E::TestSummary { .. }
        | E::DeviceRestarted { .. }
        | E::LogLinesLost { .. }
        | E::LoggingSwitched { .. } => None,
        _ => Some(Duration::from_millis(1234)),
    };
    let device = match event {
        E::DeviceConnected { .. }
        | E::DeviceStarted { .. }
        | E::DeviceDisconnected { .. }
        | E::FleetProblem { .. }
        | E::DeviceRestarted { .. }
        | E::LogLinesLost { .. }
        | E::LoggingSwitched { .. } => Some(ID),
        _ => None,
    };
    json_line(at, device, event)
}

/// One of each.
pub(super) fn all() -> Vec<Event> {
    [program(), device(), cloud(), broker(), commands()].concat()
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn program() -> Vec<Event> {
    use Event as E;
    let limit = LoweredLimit { name: "connections", from: 10_000, to: 700 };
    vec![
        E::CloudListening { address: text("127.0.0.1:7883") },
        E::Destinations { allowed: vec![text("loopback"), text("192.0.2.0/24")] },
        E::CloudHosts { hosts: vec![text("localhost"), text("cloud.example")] },
        E::ProxyHeadersRequired { ranges: vec![text("192.0.2.2"), text("10.0.0.0/8")] },
        E::LimitsLowered { limits: vec![limit] },
        E::MetricsListening { address: text("127.0.0.1:9100") },
        E::ApiListening { url: text("http://127.0.0.1:7885/v1") },
        E::BrokerListening { address: text("127.0.0.1:40001") },
        E::MonitorHint { port: 40001 },
        E::DeviceId { id: text(ID) },
        E::DeviceCloud { address: text("cloud.example:7883") },
        E::BundleSigned { signer_id: text("0123456789abcdef"), verified: true },
        E::GdbListening { address: text("127.0.0.1:8001") },
        E::DebugInfoUnreadable { detail: text("app.dwo: no such file") },
        E::Stopping { source: Source::Device },
        E::EventsDropped { count: 3, source: Source::Cloud },
        E::OutputDropped { dropped: 1 },
        E::DeviceFailed,
        E::RunEnded {
            result: "unmet",
            exit_code: 6,
            crashes: 0,
            detail: Some(text("no line matched --until ready within 5 s (--timeout)")),
        },
        E::Error {
            result: "environment",
            exit_code: 3,
            detail: text("cannot listen on 127.0.0.1:7883: address in use"),
            hint: Some(text("choose another port, or port 0 for any free one")),
        },
        E::AppLog {
            sequence: Some(7),
            clock_us: Some(1_200_000),
            boot: None,
            received: None,
            line: text("temperature 21.5"),
        },
    ]
}

fn device() -> Vec<Event> {
    use Event as E;
    let mut rows = [0; 16];
    (rows[0], rows[2], rows[6], rows[8]) = (0x06, 0x5B, 0x4F, 0x66);
    vec![
        E::LinkConnecting,
        E::LinkUp,
        E::LinkDown { reason: "shutting_down", detail: text("the cloud is shutting down") },
        E::ApplicationStarted { reason: "cold_boot" },
        E::NetworkRequested,
        E::NetworkReleased,
        E::ChannelRequested { kind: "mqtt" },
        E::ChannelReleased { kind: "http" },
        E::CallRefused {
            call: "mvCloseChannel",
            status: text("MV_STATUS_INVALIDHANDLE"),
            status_code: 4,
            arguments: text("handle=&0x20000000 -> 0x1"),
            detail: text("the handle is 0, was closed, or is of another kind"),
            is_explained: false,
        },
        E::SystemCall {
            call: "mvNoOp",
            arguments: [Hex(0), Hex(1), Hex(0x2000_0000), Hex(3)],
            status: text("MV_STATUS_OKAY"),
            status_code: 0,
        },
        E::LineNotEnabled { line: 37 },
        E::LedChanged { on: true },
        E::PinChanged { pin: text("PB11"), high: false },
        E::SerialLine { port: text("2"), line: text("ready") },
        E::DisplayChanged { bus: 1, address: 0x70, digits: Some(text("1234")), rows: Picture { rows } },
        E::SystemLedSwitched { enabled: false },
        E::DeepSleep { wakes_in_ms: 5000 },
        E::RestartRequested { restart_in_ms: 0 },
        E::ResetRequested { restart_in_ms: 700 },
        E::TestingComplete { passed: false, status: 3 },
        E::UnknownRegister { address: Hex(0x4000_1234) },
        E::ApplicationCrashed {
            detail: text("stack overflow (pc 0x08000124)"),
            pc: Hex(0x0800_0124),
            restart_in_ms: 2000,
        },
        E::CrashReport(Box::new(crash())),
        E::DebuggerAttached,
        E::DebuggerDetached,
        E::FellBehind {
            behind_ms: 1500,
            elapsed_ms: 6000,
            time_scale: text("1"),
            pace: text("0.75"),
            polled: Some("mvGetMicroseconds"),
        },
        E::DeviceEndReached,
        E::Replayed { whole: true },
        E::ReplayWaits,
        E::ReplayEndReached { result: "exact" },
        E::DebuggerRefused { detail: text("a write to memory would leave the recording") },
        E::ReplayStopped,
    ]
}

fn crash() -> CrashReport {
    let mut registers = [Hex(0); 16];
    (registers[13], registers[14], registers[15]) = (Hex(0x2007_ff00), Hex(0x0800_0101), Hex(0x0800_0124));
    CrashReport {
        detail: text("bus error: read or write at 0x60000000, where there is no memory (pc 0x08000124)"),
        cfsr: StatusRegister { value: Hex(0x8200), bits: vec!["PRECISERR", "BFARVALID"] },
        hfsr: StatusRegister { value: Hex(0x4000_0000), bits: vec!["FORCED"] },
        mmfar: None,
        bfar: Some(Hex(0x6000_0000)),
        registers,
        xpsr: Hex(0x0100_0003),
        msp: Hex(0x2007_ff00),
        psp: Hex(0),
        backtrace: vec![Call {
            address: Hex(0x0800_0124),
            function: Some(text("read_word")),
            file: Some(text("main.c")),
            line: Some(12),
            certain: true,
        }],
        lines: vec![text("crash: …"), text("backtrace:"), text("  #0  0x08000124 read_word at main.c:12")],
    }
}

fn cloud() -> Vec<Event> {
    use Event as E;
    let (host, port) = (text("broker.example"), 8883);
    vec![
        E::DeviceConnected { address: text("192.0.2.9:50000") },
        E::DeviceStarted { image: "0123abcd".repeat(8) },
        E::DeviceDisconnected { reason: "revoked", detail: "the device is revoked" },
        E::ChannelOpened { channel: 2, kind: "mqtt" },
        E::ChannelClosed { channel: 2, by: "device" },
        E::BrokerConnecting { channel: 2, host: host.clone(), port, security: "tls" },
        E::BrokerConnected { channel: 2 },
        E::BrokerConnectFailed {
            channel: 2,
            host: host.clone(),
            port,
            reason: "mqtt_refused",
            code: Some(5),
            detail: text("the broker refused the connection: return code 0x05 (not authorized)"),
        },
        E::BrokerConnectsDelayed { channel: 2, host, port, max_delay_ms: 60_000 },
        E::BrokerDeviation {
            channel: 2,
            kind: "trailing_bytes",
            detail: text("bytes behind the last field of a packet"),
        },
        E::BrokerLost { channel: 2, detail: text("the broker closed the connection") },
        E::MessageToBroker { channel: 2, topic: text("demo/readings"), bytes: 4, qos: 1 },
        E::Subscribing { channel: 2, filters: text("demo/commands") },
        E::MessageToDevice { channel: 2, topic: text("demo/commands"), bytes: 6, qos: 0 },
        E::MessageDropped { channel: 2, topic: text("demo/commands"), bytes: 9000 },
        E::RequestRefused {
            channel: 2,
            request: "publish",
            detail: text("topic \"a/+\": a topic to publish to has no wildcards"),
        },
        E::HttpRequested {
            channel: Some(3),
            method: "GET",
            url: text("https://a.example/b?…"),
            bytes: None,
            answered: None,
        },
        E::HttpAnswered { channel: 3, status: 200, bytes: 512 },
        E::HttpHeadersIgnored { channel: 3, names: vec![text("x-broken")] },
        E::HttpFailed {
            channel: 3,
            reason: "response_timed_out",
            detail: text("the response did not arrive in time"),
        },
        E::ConfigFetched {
            channel: 1,
            keys: 3,
            found: 2,
            missing: vec![text("broker-ca")],
            unavailable: vec![],
            too_large: false,
        },
    ]
}

fn broker() -> Vec<Event> {
    use Event as E;
    vec![
        E::ClientConnected { client: text("sample"), version: "5" },
        E::ClientSubscribed { client: text("sample"), filter: text("demo/commands") },
        E::ClientDisconnected { client: text("sample"), clean: true },
        E::ClientRefused { detail: text("more than 64 clients") },
        E::BrokerMessage {
            client: Some(text("sample")),
            topic: text("demo/readings"),
            qos: Some(1),
            retain: Some(false),
            bytes: 4,
            payload: text("21.5"),
        },
        E::CommandPublished { topic: text("demo/commands"), payload: text("led on") },
        E::DemoSummary {
            passed: true,
            readings: 9,
            first_reading_ms: Some(1650),
            commands: 3,
            echo_answered_ms: Some(2100),
            log_lines: 14,
            line: text("Messages went both ways: 9 out, first at 1.65 s; 3 in, answer at 2.10 s."),
        },
    ]
}

fn commands() -> Vec<Event> {
    use Event as E;
    vec![
        E::FleetPreparing { devices: 20 },
        E::FleetStarted { devices: 20, cloud: text("127.0.0.1:7883") },
        E::FleetProgress(FleetProgress {
            connected: 18,
            connecting: 2,
            without_link: 0,
            waiting: 0,
            ended: 0,
            publishes_per_second: Tenths::of(36.0),
            messages_per_second: Tenths::of(0.5),
            log_lines_per_second: Tenths::of(40.0),
            publishes: 300,
            messages: 4,
            log_lines: 410,
            faults: 0,
            restarts: 0,
            lost_links: 0,
            cpu_percent: Some(Tenths::of(24.5)),
            resident_kib: Some(42_000),
        }),
        E::FleetProblem {
            name: text("device-0007"),
            problem: "link_down",
            detail: text("cloud at 127.0.0.1:7883: connection refused"),
        },
        E::FleetSummary {
            seconds: Tenths::of(10.0),
            ever_connected: 20,
            publishes: 400,
            messages: 4,
            log_lines: 510,
            faults: 0,
            restarts: 0,
            lost_links: 0,
        },
        E::ScriptAction { action: text("the link is cut") },
        E::StepEnded {
            script: text("app.toml"),
            step: 2,
            name: text("reconnects"),
            result: "failed",
            began_us: 900_000,
            ended_us: 1_234_000,
            lines: vec![text("expected the link to come up within 10 s, until 11.234000 s")],
        },
        E::ScriptSummary {
            scripts: 1,
            passed: 1,
            failed: 1,
            skipped: 3,
            lines_executed: Some(80),
            lines: Some(100),
        },
        E::Test { name: text("queue::is_fair"), ignored: false, should_panic: true },
        E::TestResult {
            image: text("queue-0123.elf"),
            name: text("queue::is_fair"),
            result: "failed",
            time_us: 210_000,
            failure: Some(text("it has failed")),
            lines: text("two in a row"),
        },
        E::TestSummary { image: text("queue-0123.elf"), passed: 3, failed: 1, ignored: 0, filtered_out: 2 },
        E::DeviceRestarted { boot: 305_419_896 },
        E::LogLinesLost { boot: 305_419_896, first: 5, last: 8 },
        E::LoggingSwitched { logging: false },
    ]
}
