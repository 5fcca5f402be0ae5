//! What broker and device tell, as lines of the timeline.

use std::time::Duration;

use abi::channel::ChannelType;
use abi::power::WakeReason;
use cloud::events::{Disconnection, EventKind};
use device::clock::TimeScale;
use device::debug::crash::Crash;
use device::debug::refusal::Refusal;
use device::events::{DeviceEvent, Picture};
use device::serial::port_name;
use link::connection::ByeReason;
use relay::{ConnectError, HttpError, Notice, Security};

use crate::host::local_cloud::Happening;
use crate::host::observed_device::Told;
use crate::output::timeline::Source;
use demo_broker as broker;

/// A line: who, what.
pub(crate) type Line = (Source, String);

/// The line for an event at the broker. Messages have none: the demo's witness shows them as outsiders see them.
pub(crate) fn of_broker(event: &broker::Event) -> Option<Line> {
    use broker::Event as E;
    let text = match event {
        E::Connected { client, version } => format!("{client} connects, MQTT {version}"),
        E::Subscribed { client, filter } => format!("{client} subscribes to {filter}"),
        E::Published { .. } => return None,
        E::Disconnected { client, clean: true } => format!("{client} disconnects"),
        E::Disconnected { client, clean: false } => format!("{client} is gone without a DISCONNECT"),
        E::Refused { why } => format!("a connection is ended: {why}"),
    };
    Some((Source::Broker, text))
}

/// The line for something that happened in [`crate::host::local_cloud`], where the device tells of its channels by itself.
pub(crate) fn of_platform(happening: &Happening) -> Option<Line> {
    match happening {
        Happening::Device(told) => Some(of_told(told)),
        Happening::Cloud(EventKind::Notice(
            Notice::ChannelOpened { .. } | Notice::ChannelClosed { by_device: true, .. },
        )) => None,
        Happening::Cloud(kind) => Some(of_cloud(kind)),
        Happening::CloudMissed(count) => Some((Source::Cloud, missed(*count))),
    }
}

/// What is said of a device that ended without having been told to.
pub(crate) const DEVICE_ENDED: &str = "the virtual device has ended by itself, which is a bug in it";

/// What is said of events that came too fast.
pub(crate) fn missed(count: u64) -> String {
    format!("{count} events came faster than they could be shown")
}

/// The line for an event at the cloud.
pub(crate) fn of_cloud(kind: &EventKind) -> Line {
    let text = match kind {
        EventKind::Log { text, .. } => {
            return (Source::App, String::from_utf8_lossy(text.trim_ascii_end()).into());
        }
        EventKind::Connected { address } => format!("device connected from {address}"),
        EventKind::Started { image, .. } => format!("device runs image {}", start_of(image)),
        EventKind::Disconnected { reason } => format!("device disconnected: {}", disconnection(reason)),
        EventKind::Notice(notice) => of_notice(notice),
    };
    (Source::Cloud, text)
}

/// As much of a digest as people compare.
fn start_of(digest: &[u8; 32]) -> String {
    format!("{:08x}", u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]))
}

fn disconnection(reason: &Disconnection) -> String {
    match reason {
        Disconnection::Bye(reason) => bye(*reason).into(),
        Disconnection::Lost => "the connection was lost".into(),
        Disconnection::TimedOut => "it did not acknowledge the end in time".into(),
    }
}

/// The reasons of `BYE`, as docs/spec/link.md names them.
fn bye(reason: ByeReason) -> &'static str {
    match reason {
        ByeReason::Done => "done",
        ByeReason::Version => "protocol version not supported",
        ByeReason::Violation => "protocol violation",
        ByeReason::Replaced => "replaced by a newer connection of this device",
        ByeReason::ShuttingDown => "the cloud is shutting down",
        ByeReason::Revoked => "the device is revoked",
        ByeReason::Keepalive => "keepalive timed out",
        ByeReason::Overloaded => "overloaded",
        ByeReason::Internal => "internal error",
        ByeReason::Other(_) => "a reason of a later protocol version",
    }
}

fn of_notice(notice: &Notice) -> String {
    use Notice as N;
    match notice {
        N::ChannelOpened { channel, kind } => format!("channel {channel} opened, {kind}"),
        N::ChannelClosed { channel, by_device: true } => format!("channel {channel} closed by the device"),
        N::ChannelClosed { channel, by_device: false } => format!("channel {channel} closed by the cloud"),
        N::BrokerConnecting { channel, host, port, security } => {
            let host = text::redacted_host(host);
            format!("channel {channel}: connecting to broker {host}:{port}{}", secured(*security))
        }
        N::BrokerConnected { channel } => format!("channel {channel}: broker accepts"),
        N::ConnectFailed { channel, error, .. } => {
            format!("channel {channel}: connect to broker failed, {}", connect_failure(error))
        }
        N::ConnectDelayed { channel, host, port, max_delay } => {
            let host = text::redacted_host(host);
            let seconds = std::time::Duration::from(*max_delay).as_secs_f64();
            format!(
                "channel {channel}: connects to {host}:{port} keep failing; from now on up to {seconds} s pass between them"
            )
        }
        N::Deviation { channel, deviation } => {
            format!("channel {channel}: broker departs from MQTT, tolerated: {deviation}")
        }
        N::BrokerLost { channel, reason } => format!("channel {channel}: broker lost, {reason}"),
        N::Published { channel, topic, length, qos } => {
            format!("channel {channel}: to broker, {topic}, {length} bytes, QoS {qos}")
        }
        N::Subscribing { channel, filters } => format!("channel {channel}: subscribing to {filters}"),
        N::Delivered { channel, topic, length, qos } => {
            format!("channel {channel}: to device, {topic}, {length} bytes, QoS {qos}")
        }
        N::MessageLost { channel, topic, length } => {
            format!("channel {channel}: message on {topic} of {length} bytes is too large for the device")
        }
        N::RequestRefused { channel, request, reason } => {
            format!("channel {channel}: {request} refused, {reason}")
        }
        N::HttpRequested { channel, method, url } => {
            format!("channel {channel}: {method} {}", text::redacted_url(url))
        }
        N::HttpAnswered { channel, status, length } => {
            format!("channel {channel}: HTTP status {status}, {length} bytes")
        }
        N::HttpHeadersIgnored { channel, names } => {
            format!("channel {channel}: malformed header lines left out: {}", names.join(", "))
        }
        N::HttpFailed { channel, error: HttpError::Connection(error) } => {
            format!("channel {channel}: HTTP request failed, {}", connect_failure(error))
        }
        N::HttpFailed { channel, error } => format!("channel {channel}: HTTP request failed, {error}"),
        N::ConfigFetch { channel, keys, missing, unavailable, is_too_large } => {
            format!("channel {channel}: {}", fetched(*keys, missing, unavailable, *is_too_large))
        }
    }
}

fn secured(security: Security) -> &'static str {
    match security {
        Security::Plain => "",
        Security::Tls => ", TLS",
        Security::TlsByPort => ", TLS with public authorities, because of the port (see --plain-port)",
    }
}

/// The cause of a failed connect; with the option that lifts it where there is one.
fn connect_failure(cause: &ConnectError) -> String {
    match cause {
        ConnectError::NotAllowed => format!("{cause} (see --allow)"),
        ConnectError::TooMany => format!("{cause} (see --limit outbound_connections_per_account)"),
        _ => cause.to_string(),
    }
}

/// What became of a fetch of configuration. Names of keys are no secret, values may be.
fn fetched(keys: usize, missing: &[String], failed: &[String], is_too_large: bool) -> String {
    let found = keys.saturating_sub(missing.len() + failed.len());
    let mut text = if found == keys {
        format!("{keys} {} found", if keys == 1 { "setting" } else { "settings" })
    } else {
        format!("{found} of {keys} settings found")
    };
    if !missing.is_empty() {
        text = text + "; not set: " + &missing.join(", ");
    }
    if !failed.is_empty() {
        text = text + "; the store could not be asked about: " + &failed.join(", ");
    }
    if is_too_large {
        text += "; their values are too large for the application's receive buffer";
    }
    text
}

/// The crash that is told, if it is one.
pub(crate) fn crash_in(told: &Told) -> Option<&Crash> {
    match told {
        Told::Event(DeviceEvent::Crashed(crash)) => Some(crash),
        _ => None,
    }
}

/// The line for what a device's observer is told.
pub(crate) fn of_told(told: &Told) -> Line {
    match told {
        Told::Event(event) => of_device(event),
        Told::Missed(count) => (Source::Device, missed(*count)),
        Told::Ended => (Source::Device, DEVICE_ENDED.into()),
    }
}

/// The line for an event at the device.
pub(crate) fn of_device(event: &DeviceEvent) -> Line {
    use DeviceEvent as E;
    let link = |text: &str| (Source::Link, text.to_owned());
    let device = |text: String| (Source::Device, text);
    match event {
        E::LinkConnecting => link("connecting to the cloud"),
        E::LinkUp => link("up"),
        E::LinkDown { cause } => link(&format!("down: {cause}")),
        E::Started { reason } => device(format!("application starts: {}", wake_reason(*reason))),
        E::NetworkRequested => device("application requests the network".into()),
        E::NetworkReleased => device("application releases the network".into()),
        E::ChannelOpened { channel } => device(format!("application opens {}", channel_type(*channel))),
        E::ChannelClosed { channel } => device(format!("application closes {}", channel_type(*channel))),
        E::Led { on } => device(format!("LED {}", if *on { "on" } else { "off" })),
        E::Pin { pin, level } => device(format!("pin {pin} is {}", if *level { "high" } else { "low" })),
        E::CallRefused(refusal) => device(refused(refusal)),
        E::Serial { port, bytes } => {
            device(format!("serial port {}: {}", port_name(*port), String::from_utf8_lossy(bytes)))
        }
        E::Display { bus, address, picture } => {
            device(format!("display {bus}:{address:#04x} {}", displayed(picture)))
        }
        E::SystemLed { enabled } => {
            device(format!("application turns the system LED {}", if *enabled { "on" } else { "off" }))
        }
        E::SleepsDeeply { wakes_in_ms } => device(format!("deep sleep, for {wakes_in_ms} ms at most")),
        E::RestartRequested { restart_in_ms } => device(restarts("it called mvRestart", *restart_in_ms)),
        E::TestLog { text } => (Source::App, String::from_utf8_lossy(text).into()),
        E::TestingComplete { status: 0 } => device("factory test has passed (mvTestingComplete, 0)".into()),
        E::TestingComplete { status } => {
            device(format!("factory test has failed (mvTestingComplete, {status})"))
        }
        E::UnknownRegister { address } => {
            device(format!("application uses register {address:#010x}, which is not modelled and reads zero"))
        }
        E::Called { call, arguments, status } => device(called(*call, *arguments, *status)),
        E::Faulted { fault, restart_in_ms } => {
            device(format!("application stopped: {fault}; it restarts in {restart_in_ms} ms"))
        }
        // Whoever can shows all of it: see `crash_in`.
        E::Crashed(crash) => device(crash.lines().swap_remove(0)),
        E::Debugger { attached: true } => device("a debugger is here; it stops the application".into()),
        E::Debugger { attached: false } => device("the debugger is gone; the application goes on".into()),
        E::FellBehind { behind_ms, elapsed_ms, scale } => {
            device(fell_behind(Duration::from_millis(*behind_ms), Duration::from_millis(*elapsed_ms), *scale))
        }
        E::ResetRequested { restart_in_ms } => {
            device(restarts("it requested a reset (AIRCR.SYSRESETREQ)", *restart_in_ms))
        }
    }
}

fn restarts(why: &str, in_ms: u64) -> String {
    match in_ms {
        0 => format!("application restarts: {why}"),
        in_ms => format!("application restarts in {in_ms} ms: {why}"),
    }
}

/// The first refusal of its kind; others like it are not told.
fn refused(refusal: &Refusal) -> String {
    let (call, status) = (refusal.call.name(), refusal.status.name().trim_start_matches("MV_STATUS_"));
    match &refusal.blamed {
        Some(blamed) => format!("{call} refused, {status}: {blamed}"),
        None => format!("{call}({}) refused, {status}", refusal.arguments),
    }
}

fn fell_behind(behind: Duration, elapsed: Duration, scale: TimeScale) -> String {
    let what = if scale == TimeScale::ONE { String::new() } else { format!(" at --time-scale {scale}") };
    format!(
        "this machine is too slow for the application{what}: after {:.1} s its timers are {:.1} s late; \
         mvGetMicroseconds, the time of day and the connection go on by the wall clock",
        elapsed.as_secs_f64(),
        behind.as_secs_f64()
    )
}

/// What the LEDs of a display are as four digits of seven segments, where that is readable.
fn displayed(picture: &Picture) -> String {
    let digits = picture.digits();
    if digits.contains('?') { "shows:".into() } else { format!("shows \"{digits}\", or:") }
}

/// The rows of a picture, which follow the line of its event.
pub(crate) fn picture(told: &Told) -> Vec<Line> {
    let Told::Event(DeviceEvent::Display { picture, .. }) = told else { return Vec::new() };
    picture.matrix().into_iter().map(|row| (Source::Device, row)).collect()
}

fn called(call: abi::Call, arguments: [u32; 4], status: abi::Status) -> String {
    let [first, second, third, fourth] = arguments;
    let call = call.name();
    format!("{call}({first:#x}, {second:#x}, {third:#x}, {fourth:#x}) is {}", status.name())
}

fn channel_type(channel: ChannelType) -> &'static str {
    match channel {
        ChannelType::OpaqueBytes => "a channel of opaque bytes",
        ChannelType::Http => "an HTTP channel",
        ChannelType::ConfigFetch => "a configuration channel",
        ChannelType::Mqtt => "an MQTT channel",
    }
}

fn wake_reason(reason: WakeReason) -> &'static str {
    match reason {
        WakeReason::ColdBoot => "cold boot",
        WakeReason::ApplicationCrash => "after a crash",
        WakeReason::DebuggerRestart => "reset by the debugger",
        WakeReason::DeepSleepCheckIn => "check-in after deep sleep",
        other => other.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_who_and_what() {
        let cases = [
            (DeviceEvent::LinkUp, (Source::Link, "up")),
            (DeviceEvent::LinkDown { cause: "refused".into() }, (Source::Link, "down: refused")),
            (DeviceEvent::Led { on: true }, (Source::Device, "LED on")),
            (
                DeviceEvent::SystemLed { enabled: false },
                (Source::Device, "application turns the system LED off"),
            ),
            (DeviceEvent::SleepsDeeply { wakes_in_ms: 5 }, (Source::Device, "deep sleep, for 5 ms at most")),
            (
                DeviceEvent::Started { reason: WakeReason::ColdBoot },
                (Source::Device, "application starts: cold boot"),
            ),
            (
                DeviceEvent::ChannelOpened { channel: ChannelType::Mqtt },
                (Source::Device, "application opens an MQTT channel"),
            ),
            (
                DeviceEvent::UnknownRegister { address: 0x4000_1234 },
                (
                    Source::Device,
                    "application uses register 0x40001234, which is not modelled and reads zero",
                ),
            ),
        ];
        for (event, (source, text)) in cases {
            assert_eq!(of_device(&event), (source, text.to_owned()));
        }
    }

    /// Shows D221.
    #[test]
    fn a_fetch_names_the_settings_that_are_missing() {
        let said = |keys, missing: &[&str], failed: &[&str], is_too_large| {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let (missing, failed) = (owned(missing), owned(failed));
            of_cloud(&EventKind::Notice(Notice::ConfigFetch {
                channel: 1,
                keys,
                missing,
                unavailable: failed,
                is_too_large,
            }))
            .1
        };
        assert_eq!(said(5, &[], &[], false), "channel 1: 5 settings found");
        assert_eq!(
            said(5, &["broker-ca", "password (secret)", "user (account)"], &[], false),
            "channel 1: 2 of 5 settings found; not set: broker-ca, password (secret), user (account)"
        );
        assert_eq!(
            said(1, &[], &["host"], false),
            "channel 1: 0 of 1 settings found; the store could not be asked about: host"
        );
        assert!(said(1, &[], &[], true).ends_with("too large for the application's receive buffer"));
    }

    /// Shows D221, D222: what the header and link.md call it, not what the code does.
    #[test]
    fn restarts_ends_and_refusals_are_in_the_terms_of_the_header() {
        let restarts = |restart_in_ms| of_device(&DeviceEvent::RestartRequested { restart_in_ms }).1;
        assert_eq!(restarts(0), "application restarts: it called mvRestart");
        assert_eq!(restarts(700), "application restarts in 700 ms: it called mvRestart");
        let reason = Disconnection::Bye(ByeReason::ShuttingDown);
        let ended = of_cloud(&EventKind::Disconnected { reason }).1;
        assert_eq!(ended, "device disconnected: the cloud is shutting down");
        let refused = |blamed: Option<&str>| {
            of_device(&DeviceEvent::CallRefused(Box::new(Refusal {
                call: abi::Call::CloseChannel,
                status: abi::Status::InvalidHandle,
                arguments: "handle=&0x20000000 -> 0x1".into(),
                blamed: blamed.map(str::to_owned),
            })))
        };
        assert_eq!(refused(None).1, "mvCloseChannel(handle=&0x20000000 -> 0x1) refused, INVALIDHANDLE");
        assert_eq!(refused(Some("why")).1, "mvCloseChannel refused, INVALIDHANDLE: why");
    }

    /// Shows D206.
    #[test]
    fn credentials_of_an_address_are_not_shown() {
        let asked = |url: &str| {
            let notice = Notice::HttpRequested { channel: 1, method: "GET", url: url.into() };
            of_cloud(&EventKind::Notice(notice)).1
        };
        assert_eq!(asked("https://a.example/b?token=hush"), "channel 1: GET https://a.example/b?…");
        assert_eq!(asked("https://a.example/b"), "channel 1: GET https://a.example/b");
        assert_eq!(asked("https://bob:hush@a.example/b"), "channel 1: GET https://…@a.example/b");
        let broker = |host: &str| {
            let (host, security) = (host.into(), Security::Plain);
            let notice = Notice::BrokerConnecting { channel: 1, host, port: 1883, security };
            of_cloud(&EventKind::Notice(notice)).1
        };
        assert_eq!(broker("bob:hush@a.example"), "channel 1: connecting to broker …@a.example:1883");
    }

    /// Shows D190: one cause, and `--allow` where it is about that and only there.
    #[test]
    fn a_failed_connect_is_told_with_its_cause() {
        let told = |cause| {
            let notice = Notice::ConnectFailed { channel: 1, host: "h".into(), port: 1883, error: cause };
            of_cloud(&EventKind::Notice(notice)).1
        };
        let cases = [
            (ConnectError::NotAllowed, "the address is not allowed (see --allow)"),
            (ConnectError::Refused, "TCP connection refused; nothing listens on this port"),
            (
                ConnectError::CertificateName { names: vec!["a.example".into()] },
                "the server's certificate is for another name: a.example",
            ),
            (
                ConnectError::MqttRefused { version5: true, code: 0x87 },
                "the broker refused the connection: reason code 0x87 (Not authorized)",
            ),
        ];
        for (cause, text) in cases {
            assert_eq!(told(cause.clone()), format!("channel 1: connect to broker failed, {text}"));
            let notice = Notice::HttpFailed { channel: 1, error: HttpError::Connection(cause) };
            let failed = of_cloud(&EventKind::Notice(notice)).1;
            assert_eq!(failed, format!("channel 1: HTTP request failed, {text}"));
        }
    }

    #[test]
    fn the_brokers_messages_are_left_to_the_witness() {
        let gone = broker::Event::Disconnected { client: "c".into(), clean: false };
        assert_eq!(of_broker(&gone), Some((Source::Broker, "c is gone without a DISCONNECT".into())));
    }
}
