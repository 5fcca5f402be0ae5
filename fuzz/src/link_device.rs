//! The device's end of the link: the cloud's bytes, in chunks, between actions of the device.

use link::channel::ChannelType;
use link::device::{DeviceLink, Input};
use sansio::{Duration, Instant};

use crate::link_ends::{DeviceEnd, drain_end, drive_any_timeout, drive_end};
use crate::source::Source;

const TYPES: [ChannelType; 4] =
    [ChannelType::OpaqueBytes, ChannelType::Mqtt, ChannelType::Http, ChannelType::ConfigFetch];

pub(crate) fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let mut now = Instant::ZERO;
    let mut device = DeviceEnd::connected(now);
    while !source.is_empty() {
        match source.u8() % 8 {
            0..=2 => {
                if drive_end(&mut device, now, Input::Received(source.run())).is_err() {
                    assert!(device.link.is_closing(), "a violation ends the connection");
                }
            }
            3 => {
                let channel_type = TYPES[usize::from(source.u8() % 4)];
                let _ = device.link.open_channel(channel_type, u32::from(source.u16()));
            }
            4 => {
                let channel = source.u8() % 17;
                if device.link.is_channel_open(channel) {
                    device.link.close_channel(channel);
                }
            }
            5 => send(&mut device.link, now, &mut source),
            6 => {
                now += Duration::from_micros(source.u32().into());
                if drive_any_timeout(&mut device, now, &mut |_| ()).is_err() {
                    assert!(device.link.is_closing(), "a timeout ends the connection");
                }
            }
            _ => {
                device.is_blocked = !device.is_blocked;
                drain_end(&mut device, now);
            }
        }
    }
}

fn send(link: &mut DeviceLink, now: Instant, source: &mut Source<'_>) {
    let (channel, kind, left) = (source.u8() % 17, 3 + source.u8() % 10, u32::from(source.u16()));
    if let Some((length, more)) = link.next_fragment(channel, left, 4096) {
        let before = link.window(channel);
        if link.channel_frame(now, channel, kind, length, more).is_ok() {
            assert_eq!(link.window(channel) + u32::from(length), before, "a frame is charged once");
        }
    }
}
