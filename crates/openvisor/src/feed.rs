//! What broker and device tell, as lines of the timeline.

use abi::channel::ChannelType;
use abi::power::WakeReason;
use cloud::events::{Disconnection, EventKind};
use device::debug::crash::Crash;
use device::events::{DeviceEvent, Picture};
use device::serial::port_name;
use relay::{ConnectFailure, HttpFailure, Notice, Security};

use crate::broker;
use crate::platform::Happening;
use crate::timeline::Source;
use crate::watched::Told;

/// A line: who, what.
pub type Line = (Source, String);

/// The line for an event at the broker. Messages have none: the demo's witness shows them as outsiders see them.
pub fn of_broker(event: &broker::Event) -> Option<Line> {
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

/// The line for something that happened in [`crate::platform`], where the device tells of its channels by itself.
pub fn of_platform(happening: &Happening) -> Option<Line> {
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
pub const DEVICE_ENDED: &str = "the virtual device has ended by itself, which is a bug in it";

/// What is said of events that came too fast.
pub fn missed(count: u64) -> String {
    format!("{count} events came faster than they could be shown")
}

/// The line for an event at the cloud.
pub fn of_cloud(kind: &EventKind) -> Line {
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
        Disconnection::Bye(reason) => format!("{reason:?}").to_lowercase(),
        Disconnection::Lost => "without a word".into(),
        Disconnection::TimedOut => "it did not take the last words in time".into(),
    }
}

fn of_notice(notice: &Notice) -> String {
    use Notice as N;
    match notice {
        N::ChannelOpened { channel, kind } => format!("channel {channel} opened, {kind}"),
        N::ChannelClosed { channel, by_device: true } => format!("channel {channel} closed by the device"),
        N::ChannelClosed { channel, by_device: false } => format!("channel {channel} closed by the cloud"),
        N::BrokerConnecting { channel, host, port, security } => {
            let host = text::masked_host(host);
            format!("channel {channel}: connecting to broker {host}:{port}{}", secured(*security))
        }
        N::BrokerConnected { channel } => format!("channel {channel}: broker accepts"),
        N::ConnectFailed { channel, cause, .. } => {
            format!("channel {channel}: connect to broker failed, {}", connect_failure(cause))
        }
        N::ConnectDelayed { channel, host, port, most } => {
            let host = text::masked_host(host);
            let seconds = f64::from(*most) / 1000.0;
            format!(
                "channel {channel}: connects to {host}:{port} keep failing; from now on up to {seconds} s pass between them"
            )
        }
        N::Deviation { channel, deviation } => {
            format!("channel {channel}: broker departs from MQTT, tolerated: {deviation}")
        }
        N::BrokerLost { channel, why } => format!("channel {channel}: broker lost, {why}"),
        N::Published { channel, topic, length, qos } => {
            format!("channel {channel}: to broker, {topic}, {length} bytes, QoS {qos}")
        }
        N::Subscribing { channel, filters } => format!("channel {channel}: subscribing to {filters}"),
        N::Delivered { channel, topic, length, qos } => {
            format!("channel {channel}: to device, {topic}, {length} bytes, QoS {qos}")
        }
        N::Lost { channel, topic, length } => {
            format!("channel {channel}: message on {topic} of {length} bytes is too large for the device")
        }
        N::Refused { channel, what, why } => format!("channel {channel}: {what} refused, {why}"),
        N::HttpRequested { channel, method, url } => {
            format!("channel {channel}: {method} {}", text::masked_url(url))
        }
        N::HttpAnswered { channel, status, length } => {
            format!("channel {channel}: HTTP status {status}, {length} bytes")
        }
        N::HttpHeadersIgnored { channel, names } => {
            format!("channel {channel}: malformed header lines left out: {}", names.join(", "))
        }
        N::HttpFailed { channel, cause: HttpFailure::Connection(cause) } => {
            format!("channel {channel}: HTTP request failed, {}", connect_failure(cause))
        }
        N::HttpFailed { channel, cause } => format!("channel {channel}: HTTP request failed, {cause}"),
        N::ConfigFetch { channel, keys } => format!("channel {channel}: {keys} settings fetched"),
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
fn connect_failure(cause: &ConnectFailure) -> String {
    match cause {
        ConnectFailure::NotAllowed => format!("{cause} (see --allow)"),
        ConnectFailure::TooMany => format!("{cause} (see --limit outbound_connections_per_account)"),
        _ => cause.to_string(),
    }
}

/// The crash that is told, if it is one.
pub fn crash_in(told: &Told) -> Option<&Crash> {
    match told {
        Told::Event(DeviceEvent::Crashed(crash)) => Some(crash),
        _ => None,
    }
}

/// The line for what a device's observer is told.
pub fn of_told(told: &Told) -> Line {
    match told {
        Told::Event(event) => of_device(event),
        Told::Missed(count) => (Source::Device, missed(*count)),
        Told::Ended => (Source::Device, DEVICE_ENDED.into()),
    }
}

/// The line for an event at the device.
pub fn of_device(event: &DeviceEvent) -> Line {
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
        E::RestartRequested { restart_in_ms } => {
            device(format!("application asked to start again; it does in {restart_in_ms} ms"))
        }
        E::TestLog { text } => (Source::App, String::from_utf8_lossy(text).into()),
        E::TestingComplete { status } => device(format!("factory test is over, status {status}")),
        E::UnknownRegister { address } => {
            device(format!("application uses register {address:#010x}, which is not modelled and reads zero"))
        }
        E::Called { call, arguments, status } => device(called(*call, *arguments, *status)),
        E::Faulted { fault, restart_in_ms } => {
            device(format!("application stopped: {fault}; it starts again in {restart_in_ms} ms"))
        }
        // Whoever can shows all of it: see `crash_in`.
        E::Crashed(crash) => device(crash.lines().swap_remove(0)),
        E::Debugger { attached: true } => device("a debugger is here; it stops the application".into()),
        E::Debugger { attached: false } => device("the debugger is gone; the application goes on".into()),
        E::CannotKeepUp => device(
            "this machine is too slow for the --time-scale; the application's time stands still now and then"
                .into(),
        ),
        E::ResetRequested { restart_in_ms } => {
            device(format!("application asked for a reset; it starts again in {restart_in_ms} ms"))
        }
    }
}

/// What the LEDs of a display are as four digits of seven segments, where that is readable.
fn displayed(picture: &Picture) -> String {
    let digits = picture.digits();
    if digits.contains('?') { "shows:".into() } else { format!("shows \"{digits}\", or:") }
}

/// The rows of a picture, which follow the line of its event.
pub fn picture(told: &Told) -> Vec<Line> {
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
        WakeReason::ColdBoot => "power on",
        WakeReason::ApplicationCrash => "again, after a crash",
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
                (Source::Device, "application starts: power on"),
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
            let notice = Notice::ConnectFailed { channel: 1, host: "h".into(), port: 1883, cause };
            of_cloud(&EventKind::Notice(notice)).1
        };
        let cases = [
            (ConnectFailure::NotAllowed, "the address is not allowed (see --allow)"),
            (ConnectFailure::Refused, "TCP connection refused; nothing listens on this port"),
            (
                ConnectFailure::CertificateName { names: vec!["a.example".into()] },
                "the server's certificate is for another name: a.example",
            ),
            (
                ConnectFailure::MqttRefused { version5: true, code: 0x87 },
                "the broker refused the connection: reason code 0x87 (Not authorized)",
            ),
        ];
        for (cause, text) in cases {
            assert_eq!(told(cause.clone()), format!("channel 1: connect to broker failed, {text}"));
            let notice = Notice::HttpFailed { channel: 1, cause: HttpFailure::Connection(cause) };
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
