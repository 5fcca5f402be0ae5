//! The cloud's end of the link: a device's bytes, in chunks, between actions of the cloud.

use link::channel::ClosureReason;
use link::cloud::{ANSWER_FRAME, CloudLink, Input};
use sansio::{Duration, Instant};

use crate::link_ends::{CloudEnd, drain_end, drive_any_timeout, drive_end};
use crate::source::Source;

pub(crate) fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let mut now = Instant::ZERO;
    let mut cloud = CloudEnd::connected(now);
    while !source.is_empty() {
        match source.u8() % 8 {
            0..=3 => {
                if drive_end(&mut cloud, now, Input::Received(source.run())).is_err() {
                    assert!(cloud.link.is_closing(), "a violation ends the connection");
                }
            }
            4 => send(&mut cloud.link, &mut source),
            5 => {
                let channel = source.u8() % 17;
                if cloud.link.is_channel_open(channel) {
                    cloud.link.close_channel(channel, ClosureReason::ConnectionTerminated);
                }
            }
            6 => {
                now += Duration::from_millis(source.u16().into());
                if drive_any_timeout(&mut cloud, now, &mut |_| ()).is_err() {
                    assert!(cloud.link.is_closing(), "a timeout ends the connection");
                }
            }
            _ => {
                cloud.is_blocked = !cloud.is_blocked;
                drain_end(&mut cloud, now);
            }
        }
    }
}

fn send(link: &mut CloudLink, source: &mut Source<'_>) {
    let (channel, kind) = (source.u8() % 17, 3 + source.u8() % 12);
    if source.u8().is_multiple_of(2) {
        let body = source.bytes(9);
        let mut out = [0; ANSWER_FRAME];
        let _ = link.write_answer(channel, kind, body, &mut out);
        return;
    }
    let (head, content) = (u32::from(source.u8() % 64), u32::from(source.u16()));
    let room = link.free_ring_bytes(channel);
    if link.begin_item(channel, kind, head, content).is_ok() {
        assert!(content <= room, "an item begins only when there is room for all of it");
        while let Some((_, length)) = link.next_fragment(channel, 1 + usize::from(source.u8()) * 16) {
            assert!(length <= 4096);
        }
    }
}
