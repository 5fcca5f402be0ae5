//! The device's end of the link: the cloud's bytes, in pieces, between the device's own doings.

use link::Error;
use link::channel::ChannelType;
use link::connection::Hello;
use link::device::{DeviceLink, Event, Input};
use sansio::{Duration, Instant};

use crate::source::Source;

const HELLO: Hello = Hello { version: 1, boot: 1, wake_reason: 0, clock: Instant::ZERO, image: [0; 32] };
const TYPES: [ChannelType; 4] =
    [ChannelType::OpaqueBytes, ChannelType::Mqtt, ChannelType::Http, ChannelType::ConfigFetch];

pub(crate) fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let mut device = DeviceLink::new();
    let mut now = Instant::ZERO;
    let _ = device.handle(now, &mut Input::Connected(&HELLO));
    while !source.is_empty() {
        match source.u8() % 8 {
            0..=2 => {
                if receive(&mut device, now, source.run()).is_err() {
                    assert!(device.is_closing(), "a violation ends the connection");
                }
            }
            3 => {
                let _ = device.open_channel(TYPES[usize::from(source.u8() % 4)], u32::from(source.u16()));
            }
            4 => {
                let channel = source.u8() % 17;
                if device.is_channel_open(channel) {
                    device.close_channel(channel);
                }
            }
            5 => send(&mut device, now, &mut source),
            6 => {
                now += Duration::from_micros(source.u32().into());
                if device.handle(now, &mut Input::Timeout).is_err() {
                    assert!(device.is_closing(), "a timeout ends the connection");
                }
            }
            _ => transmit(&mut device, now),
        }
    }
}

fn receive(device: &mut DeviceLink, now: Instant, bytes: &[u8]) -> Result<(), Error> {
    let mut input = Input::Received(bytes);
    while let Some(event) = device.handle(now, &mut input)? {
        if let Event::Item(fragment) = event {
            assert!(fragment.channel != 0 && fragment.bytes.len() <= 4096, "{fragment:?}");
            let (channel, length) = (fragment.channel, fragment.bytes.len() as u32);
            device.store(channel, length / 2)?;
            if fragment.last {
                device.return_credit(channel, length / 2, 1);
            }
        }
    }
    assert!(matches!(input, Input::Received([])), "all was taken");
    Ok(())
}

fn send(device: &mut DeviceLink, now: Instant, source: &mut Source<'_>) {
    let (channel, kind, left) = (source.u8() % 17, 3 + source.u8() % 10, u32::from(source.u16()));
    if let Some((length, more)) = device.next_fragment(channel, left, 4096) {
        let before = device.window(channel);
        if device.channel_frame(now, channel, kind, length, more).is_ok() {
            assert_eq!(device.window(channel) + u32::from(length), before, "a frame is paid for once");
        }
    }
}

fn transmit(device: &mut DeviceLink, now: Instant) {
    let mut out = [0; 160];
    for _ in 0..100 {
        if device.transmit(now, &mut out) == 0 {
            return;
        }
    }
    panic!("control frames without end");
}
