//! The events of cloud, device and broker as lines of the timeline.

use std::time::Duration;

use abi::Call;
use abi::power::WakeReason;
use cloud::events::{Disconnection, EventKind};
use device::clock::TimeScale;
use device::debug::refused_call::{RefusedCall, channel_name};
use device::events::{DeviceEvent, Picture};
use device::serial::port_name;
use link::connection::ByeReason;
use relay::{ConnectError, HttpError, Notice, Security};

use crate::output::timeline::Source;
use demo_broker as broker;

/// A line of the timeline.
pub(crate) type Line = (Source, String);

/// The line for an event of the demo's broker. Messages have none: the demo shows them as its monitor receives them.
pub(crate) fn broker_line(event: &broker::Event) -> Option<Line> {
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

/// The device's thread ended although it was not stopped.
pub(crate) const DEVICE_ENDED: &str = "the virtual device stopped unexpectedly; this is a bug in openvisor";

/// The text for events that were dropped because they arrived too fast.
pub(crate) fn missed_text(count: u64) -> String {
    format!("{count} events dropped: they arrived faster than they could be shown")
}

/// The line for an event of the cloud.
pub(crate) fn cloud_line(kind: &EventKind) -> Line {
    let text = match kind {
        EventKind::Log { text, .. } => {
            return (Source::App, String::from_utf8_lossy(text.trim_ascii_end()).into());
        }
        EventKind::Connected { address } => format!("device connected from {address}"),
        EventKind::Started { image, .. } => format!("device runs image {}", short_digest(image)),
        EventKind::Disconnected { reason } => format!("device disconnected: {}", disconnection(reason)),
        EventKind::Notice(notice) => notice_text(notice),
    };
    (Source::Cloud, text)
}

/// The first 32 bits of a digest.
fn short_digest(digest: &[u8; 32]) -> String {
    format!("{:08x}", u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]))
}

fn disconnection(reason: &Disconnection) -> String {
    match reason {
        Disconnection::Bye(reason) => bye(*reason).into(),
        Disconnection::Lost => "connection lost".into(),
        Disconnection::TimedOut => "timed out while closing the connection".into(),
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

fn notice_text(notice: &Notice) -> String {
    use Notice as N;
    match notice {
        N::ChannelOpened { channel, kind } => format!("channel {channel} opened, {kind}"),
        N::ChannelClosed { channel, by_device: true } => format!("channel {channel} closed by the device"),
        N::ChannelClosed { channel, by_device: false } => format!("channel {channel} closed by the cloud"),
        N::BrokerConnecting { channel, host, port, security } => {
            let host = text::redacted_host(host);
            format!("channel {channel}: connecting to broker {host}:{port}{}", security_text(*security))
        }
        N::BrokerConnected { channel } => format!("channel {channel}: connected to broker"),
        N::ConnectFailed { channel, error, .. } => {
            format!("channel {channel}: connection to broker failed: {}", connect_error_text(error))
        }
        N::ConnectDelayed { channel, host, port, max_delay } => {
            let host = text::redacted_host(host);
            let seconds = std::time::Duration::from(*max_delay).as_secs_f64();
            format!(
                "channel {channel}: connections to {host}:{port} keep failing; attempts are now up to {seconds} s apart"
            )
        }
        N::Deviation { channel, deviation } => {
            format!("channel {channel}: broker violates MQTT, tolerated: {deviation}")
        }
        N::BrokerLost { channel, reason } => {
            format!("channel {channel}: connection to broker lost: {reason}")
        }
        N::Published { channel, topic, length, qos } => {
            format!("channel {channel}: to broker, {topic}, {length} bytes, QoS {qos}")
        }
        N::Subscribing { channel, filters } => format!("channel {channel}: subscribing to {filters}"),
        N::Delivered { channel, topic, length, qos } => {
            format!("channel {channel}: to device, {topic}, {length} bytes, QoS {qos}")
        }
        N::MessageLost { channel, topic, length } => {
            format!(
                "channel {channel}: message on {topic} of {length} bytes dropped: too large for the device"
            )
        }
        N::RequestRefused { channel, request, reason } => {
            format!("channel {channel}: {request} refused: {reason}")
        }
        N::HttpRequested { channel, method, url } => {
            format!("channel {channel}: {method} {}", text::redacted_url(url))
        }
        N::HttpAnswered { channel, status, length } => {
            format!("channel {channel}: HTTP status {status}, {length} bytes")
        }
        N::HttpHeadersIgnored { channel, names } => {
            format!("channel {channel}: malformed headers ignored: {}", names.join(", "))
        }
        N::HttpFailed { channel, error: HttpError::Connection(error) } => {
            format!("channel {channel}: HTTP request failed: {}", connect_error_text(error))
        }
        N::HttpFailed { channel, error } => format!("channel {channel}: HTTP request failed: {error}"),
        N::ConfigFetch { channel, keys, missing, unavailable, is_too_large } => {
            format!("channel {channel}: {}", fetch_text(*keys, missing, unavailable, *is_too_large))
        }
    }
}

fn security_text(security: Security) -> &'static str {
    match security {
        Security::Plain => "",
        Security::Tls => ", TLS",
        Security::TlsByPort => ", TLS with public authorities because of the port (see --plain-port)",
    }
}

/// The cause of a failed connection, with the option that changes it if there is one.
fn connect_error_text(error: &ConnectError) -> String {
    match error {
        ConnectError::NotAllowed => format!("{error} (see --allow)"),
        ConnectError::TooMany => format!("{error} (see --limit outbound_connections_per_account)"),
        _ => error.to_string(),
    }
}

/// The result of a configuration fetch. It names keys only: values may be secrets.
fn fetch_text(keys: usize, missing: &[String], unavailable: &[String], is_too_large: bool) -> String {
    let found = keys.saturating_sub(missing.len() + unavailable.len());
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

/// The line for an event of the device.
pub(crate) fn device_line(event: &DeviceEvent) -> Line {
    use DeviceEvent as E;
    let link = |text: &str| (Source::Link, text.to_owned());
    let device = |text: String| (Source::Device, text);
    match event {
        E::LinkConnecting => link("connecting to the cloud"),
        E::LinkUp => link("up"),
        E::LinkDown { cause } => link(&format!("down: {cause}")),
        E::Started { reason: WakeReason::ApplicationCrash } => {
            device("application restarted after a crash".into())
        }
        E::Started { reason } => device(format!("application starts: {}", wake_reason(*reason))),
        E::NetworkRequested => device("application requests the network".into()),
        E::NetworkReleased => device("application releases the network".into()),
        E::ChannelOpened { channel } => device(format!("application opens {}", channel_name(*channel))),
        E::ChannelClosed { channel } => device(format!("application closes {}", channel_name(*channel))),
        E::Led { on } => device(format!("LED {}", if *on { "on" } else { "off" })),
        E::Pin { pin, level } => device(format!("pin {pin} is {}", if *level { "high" } else { "low" })),
        E::CallRefused(refusal) => device(refusal_text(refusal)),
        E::LineNotEnabled { line } => device(format!(
            "interrupt line {line} has been pending for 1 s and is not enabled in the NVIC (NVIC_ISER{} bit {})",
            line / 32,
            line % 32
        )),
        E::Serial { port, bytes } => {
            device(format!("serial port {}: {}", port_name(*port), String::from_utf8_lossy(bytes)))
        }
        E::Display { bus, address, picture } => {
            device(format!("display {bus}:{address:#04x} {}", digits_text(picture)))
        }
        E::SystemLed { enabled } => {
            device(format!("application turns the system LED {}", if *enabled { "on" } else { "off" }))
        }
        E::SleepsDeeply { wakes_in_ms } => device(format!("deep sleep for at most {wakes_in_ms} ms")),
        E::RestartRequested { restart_in_ms } => device(restart_text("it called mvRestart", *restart_in_ms)),
        E::TestLog { text } | E::Logged { text } => (Source::App, String::from_utf8_lossy(text).into()),
        E::TestingComplete { status: 0 } => device("factory test passed (mvTestingComplete, 0)".into()),
        E::TestingComplete { status } => device(format!("factory test failed (mvTestingComplete, {status})")),
        E::UnknownRegister { address } => device(format!(
            "application accesses register {address:#010x}, which is not modelled and reads as zero"
        )),
        E::Called { call, arguments, status } => device(call_text(*call, *arguments, *status)),
        E::Faulted { fault, restart_in_ms } => {
            device(format!("application crashed: {fault}; restarting in {}", pause_text(*restart_in_ms)))
        }
        // The first line only; `host::debugging::report_crash` reports all of it.
        E::Crashed(crash) => device(crash.lines().swap_remove(0)),
        E::Debugger { attached: true } => device("debugger attached; the application is stopped".into()),
        E::Debugger { attached: false } => device("debugger detached; the application continues".into()),
        E::FellBehind { behind_ms, elapsed_ms, scale, polled } => {
            let (behind, elapsed) = (Duration::from_millis(*behind_ms), Duration::from_millis(*elapsed_ms));
            device(lag_text(behind, elapsed, *scale, *polled))
        }
        E::EndReached => device("the time of --device-seconds is over".into()),
        E::ResetRequested { restart_in_ms } => {
            device(restart_text("it requested a reset (AIRCR.SYSRESETREQ)", *restart_in_ms))
        }
    }
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

/// A refused system call. The device reports only the first refusal of its kind.
fn refusal_text(refusal: &RefusedCall) -> String {
    let (call, status) = (refusal.call.name(), refusal.status.name().trim_start_matches("MV_STATUS_"));
    match &refusal.reason {
        Some(reason) => format!("{call} refused, {status}: {reason}"),
        None => format!("{call}({}) refused, {status}: {}", refusal.arguments, refusal.meaning()),
    }
}

fn lag_text(behind: Duration, elapsed: Duration, scale: TimeScale, polled: Option<Call>) -> String {
    let pace = scale.factor() - behind.as_secs_f64() / elapsed.as_secs_f64().max(0.001);
    let demanded =
        if scale == TimeScale::ONE { String::new() } else { format!(" instead of {scale} (--time-scale)") };
    let cause = match polled {
        Some(call) => format!("the application calls {} in a loop", call.name()),
        None => "this machine is too slow for the application".to_owned(),
    };
    format!(
        "device time runs at {pace:.2} of real time{demanded}: {cause}; after {:.1} s its timers are {:.1} s late; \
         mvGetMicroseconds, the time of day and the connection follow the wall clock",
        elapsed.as_secs_f64(),
        behind.as_secs_f64()
    )
}

/// The content of a display as four digits of seven segments, if it is readable as such.
fn digits_text(picture: &Picture) -> String {
    let digits = picture.digits();
    if digits.contains('?') { "shows:".into() } else { format!("shows \"{digits}\", in dots:") }
}

fn call_text(call: Call, arguments: [u32; 4], status: abi::Status) -> String {
    let [first, second, third, fourth] = arguments;
    let call = call.name();
    format!("{call}({first:#x}, {second:#x}, {third:#x}, {fourth:#x}) returns {}", status.name())
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
    use abi::channel::ChannelType;

    use super::*;

    /// Shows D342.
    #[test]
    fn a_device_whose_time_is_slow_has_its_pace_and_the_cause() {
        let line = |scale: &str, polled| {
            let scale = scale.parse().expect("a scale");
            device_line(&DeviceEvent::FellBehind { behind_ms: 9790, elapsed_ms: 11_000, scale, polled }).1
        };
        let polling = line("1", Some(Call::GetMicroseconds));
        let start = "device time runs at 0.11 of real time: the application calls mvGetMicroseconds in a loop; \
                     after 11.0 s its timers are 9.8 s late";
        assert!(polling.starts_with(start), "{polling}");
        let scaled = line("10", None);
        let start =
            "device time runs at 9.11 of real time instead of 10 (--time-scale): this machine is too slow";
        assert!(scaled.starts_with(start), "{scaled}");
    }

    #[test]
    fn lines_have_a_source_and_a_text() {
        let cases = [
            (DeviceEvent::LinkUp, (Source::Link, "up")),
            (DeviceEvent::LinkDown { cause: "refused".into() }, (Source::Link, "down: refused")),
            (DeviceEvent::Led { on: true }, (Source::Device, "LED on")),
            (
                DeviceEvent::SystemLed { enabled: false },
                (Source::Device, "application turns the system LED off"),
            ),
            (DeviceEvent::SleepsDeeply { wakes_in_ms: 5 }, (Source::Device, "deep sleep for at most 5 ms")),
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
                    "application accesses register 0x40001234, which is not modelled and reads as zero",
                ),
            ),
        ];
        for (event, (source, text)) in cases {
            assert_eq!(device_line(&event), (source, text.to_owned()));
        }
    }

    /// Shows D221.
    #[test]
    fn a_fetch_names_the_settings_that_are_missing() {
        let text = |keys, missing: &[&str], failed: &[&str], is_too_large| {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let (missing, failed) = (owned(missing), owned(failed));
            cloud_line(&EventKind::Notice(Notice::ConfigFetch {
                channel: 1,
                keys,
                missing,
                unavailable: failed,
                is_too_large,
            }))
            .1
        };
        assert_eq!(text(5, &[], &[], false), "channel 1: 5 settings found");
        assert_eq!(
            text(5, &["broker-ca (device config)", "password (device secret)"], &[], false),
            "channel 1: 3 of 5 settings found; not set: broker-ca (device config), password (device secret)"
        );
        assert_eq!(
            text(1, &[], &["host"], false),
            "channel 1: 0 of 1 settings found; not readable from the store: host"
        );
        assert!(text(1, &[], &[], true).ends_with("too large for the application's receive buffer"));
    }

    /// Shows D221, D222: the terms of the header and of link.md, not of the code.
    #[test]
    fn restarts_disconnections_and_refusals_use_the_headers_terms() {
        let restart = |restart_in_ms| device_line(&DeviceEvent::RestartRequested { restart_in_ms }).1;
        assert_eq!(restart(0), "application restarts: it called mvRestart");
        assert_eq!(restart(700), "application restarts in 700 ms: it called mvRestart");
        let reason = Disconnection::Bye(ByeReason::ShuttingDown);
        let ended = cloud_line(&EventKind::Disconnected { reason }).1;
        assert_eq!(ended, "device disconnected: the cloud is shutting down");
        let refused = |reason: Option<&str>| {
            device_line(&DeviceEvent::CallRefused(Box::new(RefusedCall {
                call: abi::Call::CloseChannel,
                status: abi::Status::InvalidHandle,
                arguments: "handle=&0x20000000 -> 0x1".into(),
                reason: reason.map(str::to_owned),
            })))
        };
        assert_eq!(
            refused(None).1,
            "mvCloseChannel(handle=&0x20000000 -> 0x1) refused, INVALIDHANDLE: \
             the handle is 0, was closed, or is of another kind"
        );
        assert_eq!(refused(Some("why")).1, "mvCloseChannel refused, INVALIDHANDLE: why");
    }

    /// Shows D206.
    #[test]
    fn credentials_of_an_address_are_not_shown() {
        let line = |url: &str| {
            let notice = Notice::HttpRequested { channel: 1, method: "GET", url: url.into() };
            cloud_line(&EventKind::Notice(notice)).1
        };
        assert_eq!(line("https://a.example/b?token=hush"), "channel 1: GET https://a.example/b?…");
        assert_eq!(line("https://a.example/b"), "channel 1: GET https://a.example/b");
        assert_eq!(line("https://bob:hush@a.example/b"), "channel 1: GET https://…@a.example/b");
        let broker = |host: &str| {
            let (host, security) = (host.into(), Security::Plain);
            let notice = Notice::BrokerConnecting { channel: 1, host, port: 1883, security };
            cloud_line(&EventKind::Notice(notice)).1
        };
        assert_eq!(broker("bob:hush@a.example"), "channel 1: connecting to broker …@a.example:1883");
    }

    /// Shows D190: one cause, and `--allow` where it is about that and only there.
    #[test]
    fn a_failed_connection_has_its_cause() {
        let line = |cause| {
            let notice = Notice::ConnectFailed { channel: 1, host: "h".into(), port: 1883, error: cause };
            cloud_line(&EventKind::Notice(notice)).1
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
            assert_eq!(line(cause.clone()), format!("channel 1: connection to broker failed: {text}"));
            let notice = Notice::HttpFailed { channel: 1, error: HttpError::Connection(cause) };
            let failed = cloud_line(&EventKind::Notice(notice)).1;
            assert_eq!(failed, format!("channel 1: HTTP request failed: {text}"));
        }
    }

    #[test]
    fn a_client_that_disappears_is_reported() {
        let gone = broker::Event::Disconnected { client: "c".into(), clean: false };
        assert_eq!(broker_line(&gone), Some((Source::Broker, "c is gone without a DISCONNECT".into())));
    }
}
