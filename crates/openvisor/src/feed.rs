//! What broker and device tell, as lines of the timeline.

use abi::channel::ChannelType;
use abi::power::WakeReason;
use device::events::DeviceEvent;

use crate::broker;
use crate::timeline::Source;

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
        E::Serial { port, bytes } => device(format!("serial port {port}: {}", String::from_utf8_lossy(bytes))),
        E::UnknownRegister { address } => {
            device(format!("application uses register {address:#010x}, which is not modelled and reads zero"))
        }
        E::Called { call, arguments, status } => device(called(*call, *arguments, *status)),
        E::Faulted { fault, restart_in_ms } => {
            device(format!("application stopped: {fault}; it starts again in {restart_in_ms} ms"))
        }
        E::ResetRequested { restart_in_ms } => {
            device(format!("application asked for a reset; it starts again in {restart_in_ms} ms"))
        }
    }
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
            (DeviceEvent::Started { reason: WakeReason::ColdBoot }, (Source::Device, "application starts: power on")),
            (
                DeviceEvent::ChannelOpened { channel: ChannelType::Mqtt },
                (Source::Device, "application opens an MQTT channel"),
            ),
            (
                DeviceEvent::UnknownRegister { address: 0x4000_1234 },
                (Source::Device, "application uses register 0x40001234, which is not modelled and reads zero"),
            ),
        ];
        for (event, (source, text)) in cases {
            assert_eq!(of_device(&event), (source, text.to_owned()));
        }
    }

    #[test]
    fn the_brokers_messages_are_left_to_the_witness() {
        let gone = broker::Event::Disconnected { client: "c".into(), clean: false };
        assert_eq!(of_broker(&gone), Some((Source::Broker, "c is gone without a DISCONNECT".into())));
    }
}
