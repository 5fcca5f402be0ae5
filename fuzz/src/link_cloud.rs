//! The cloud's end of the link: a device's bytes, in pieces, between the cloud's own doings.

use link::Violation;
use link::channel::ClosureReason;
use link::cloud::{ANSWER_FRAME, Event, Session};
use link::connection::ByeReason;

use crate::source::Source;

pub(crate) fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let mut cloud = Session::new(0);
    let mut now = 0;
    while !source.is_empty() {
        match source.u8() % 8 {
            0..=3 => {
                if receive(&mut cloud, now, source.run()).is_err() {
                    assert!(cloud.is_over(), "a violation ends the connection");
                }
            }
            4 => send(&mut cloud, &mut source),
            5 => {
                let channel = source.u8() % 17;
                if cloud.is_channel_open(channel) {
                    cloud.closed(channel, ClosureReason::ConnectionTerminated);
                }
            }
            6 => {
                now += u64::from(source.u16());
                if cloud.handle_timeout(now).is_err() {
                    cloud.bye(ByeReason::Keepalive, "");
                }
            }
            _ => transmit(&mut cloud),
        }
    }
}

fn receive(cloud: &mut Session, now: u64, mut input: &[u8]) -> Result<(), Violation> {
    while let Some(event) = cloud.receive(now, &mut input)? {
        match event {
            Event::Hello(_) => cloud.welcome(60, 16_384, 1, true),
            Event::Log(head) => {
                assert!(cloud.log_text().len() <= 1024);
                cloud.log_taken(head.sequence);
            }
            Event::Item(piece) => {
                assert!(piece.channel != 0 && piece.bytes.len() <= 4096, "{piece:?}");
                if piece.last {
                    let (channel, length) = (piece.channel, piece.bytes.len() as u32);
                    cloud.consumed(channel, length);
                }
            }
            Event::TimeQuery => cloud.time(7),
            _ => {}
        }
    }
    assert!(input.is_empty(), "all was taken");
    Ok(())
}

fn send(cloud: &mut Session, source: &mut Source<'_>) {
    let (channel, kind) = (source.u8() % 17, 3 + source.u8() % 12);
    if source.u8().is_multiple_of(2) {
        let body = source.bytes(9);
        let mut out = [0; ANSWER_FRAME];
        let _ = cloud.answer(channel, kind, body, &mut out);
        return;
    }
    let (head, content) = (u32::from(source.u8() % 64), u32::from(source.u16()));
    let room = cloud.room(channel);
    if cloud.begin(channel, kind, head, content).is_ok() {
        assert!(content <= room, "an item begins only when there is room for all of it");
        while let Some((_, length)) = cloud.fragment(channel, 1 + usize::from(source.u8()) * 16) {
            assert!(length <= 4096);
        }
    }
}

fn transmit(cloud: &mut Session) {
    let mut out = [0; 512];
    for _ in 0..100 {
        if cloud.transmit(&mut out) == 0 {
            return;
        }
    }
    panic!("control frames without end");
}
