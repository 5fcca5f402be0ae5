//! The device's end of the link: the cloud's bytes, in pieces, between the device's own doings.

use link::Violation;
use link::channel::ChannelType;
use link::connection::Hello;
use link::device::{Event, Session};

use crate::source::Source;

const HELLO: Hello = Hello { version: 1, boot: 1, wake_reason: 0, clock: 0, image: [0; 32] };
const TYPES: [ChannelType; 4] =
    [ChannelType::OpaqueBytes, ChannelType::Mqtt, ChannelType::Http, ChannelType::ConfigFetch];

pub(crate) fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let mut device = Session::new();
    let mut now = 0;
    device.connected(now, &HELLO);
    while !source.is_empty() {
        match source.u8() % 8 {
            0..=2 => {
                if receive(&mut device, now, source.run()).is_err() {
                    assert!(device.is_over(), "a violation ends the connection");
                }
            }
            3 => {
                let _ = device.open(TYPES[usize::from(source.u8() % 4)], u32::from(source.u16()));
            }
            4 => {
                let channel = source.u8() % 17;
                if device.is_channel_open(channel) {
                    device.close(channel);
                }
            }
            5 => send(&mut device, now, &mut source),
            6 => {
                now += u64::from(source.u32());
                let _ = device.handle_timeout(now);
            }
            _ => transmit(&mut device, now),
        }
    }
}

fn receive(device: &mut Session, now: u64, mut input: &[u8]) -> Result<(), Violation> {
    while let Some(event) = device.receive(now, &mut input)? {
        if let Event::Item(piece) = event {
            assert!(piece.channel != 0 && piece.bytes.len() <= 4096, "{piece:?}");
            let (channel, length) = (piece.channel, piece.bytes.len() as u32);
            device.stored(channel, length / 2)?;
            if piece.last {
                device.credit(channel, length / 2, 1);
            }
        }
    }
    assert!(input.is_empty(), "all was taken");
    Ok(())
}

fn send(device: &mut Session, now: u64, source: &mut Source<'_>) {
    let (channel, kind, left) = (source.u8() % 17, 3 + source.u8() % 10, u32::from(source.u16()));
    if let Some((length, more)) = device.fragment(channel, left, 4096) {
        let before = device.window(channel);
        if device.channel_frame(now, channel, kind, length, more).is_ok() {
            assert_eq!(device.window(channel) + u32::from(length), before, "a frame is paid for once");
        }
    }
}

fn transmit(device: &mut Session, now: u64) {
    let mut out = [0; 160];
    for _ in 0..100 {
        if device.transmit(now, &mut out) == 0 {
            return;
        }
    }
    panic!("control frames without end");
}
