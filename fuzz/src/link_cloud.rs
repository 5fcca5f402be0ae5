//! The cloud's end of the link: a device's bytes, in pieces, between the cloud's own doings.

use link::Error;
use link::channel::ClosureReason;
use link::cloud::{ANSWER_FRAME, CloudLink, Event, Input};
use sansio::{Duration, Instant, WallTime};

use crate::source::Source;

pub(crate) fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let mut cloud = CloudLink::new(Instant::ZERO);
    let mut now = Instant::ZERO;
    while !source.is_empty() {
        match source.u8() % 8 {
            0..=3 => {
                if receive(&mut cloud, now, source.run()).is_err() {
                    assert!(cloud.is_closing(), "a violation ends the connection");
                }
            }
            4 => send(&mut cloud, &mut source),
            5 => {
                let channel = source.u8() % 17;
                if cloud.is_channel_open(channel) {
                    cloud.close_channel(channel, ClosureReason::ConnectionTerminated);
                }
            }
            6 => {
                now += Duration::from_millis(source.u16().into());
                if cloud.handle(now, &mut Input::Timeout).is_err() {
                    assert!(cloud.is_closing(), "a timeout ends the connection");
                }
            }
            _ => transmit(&mut cloud, now),
        }
    }
}

fn receive(cloud: &mut CloudLink, now: Instant, bytes: &[u8]) -> Result<(), Error> {
    let mut input = Input::Received(bytes);
    while let Some(event) = cloud.handle(now, &mut input)? {
        match event {
            Event::Hello(_) => {
                cloud.send_welcome(Duration::from_secs(60), 16_384, WallTime::from_micros(1), true)
            }
            Event::Log(head) => {
                assert!(cloud.log_text().len() <= 1024);
                cloud.acknowledge_logs(head.sequence);
            }
            Event::Item(fragment) => {
                assert!(fragment.channel != 0 && fragment.bytes.len() <= 4096, "{fragment:?}");
                if fragment.last {
                    let (channel, length) = (fragment.channel, fragment.bytes.len() as u32);
                    cloud.consume(channel, length);
                }
            }
            Event::TimeQuery => cloud.send_time(WallTime::from_micros(7)),
            _ => {}
        }
    }
    assert!(matches!(input, Input::Received([])), "all was taken");
    Ok(())
}

fn send(cloud: &mut CloudLink, source: &mut Source<'_>) {
    let (channel, kind) = (source.u8() % 17, 3 + source.u8() % 12);
    if source.u8().is_multiple_of(2) {
        let body = source.bytes(9);
        let mut out = [0; ANSWER_FRAME];
        let _ = cloud.write_answer(channel, kind, body, &mut out);
        return;
    }
    let (head, content) = (u32::from(source.u8() % 64), u32::from(source.u16()));
    let room = cloud.free_ring_bytes(channel);
    if cloud.begin_item(channel, kind, head, content).is_ok() {
        assert!(content <= room, "an item begins only when there is room for all of it");
        while let Some((_, length)) = cloud.next_fragment(channel, 1 + usize::from(source.u8()) * 16) {
            assert!(length <= 4096);
        }
    }
}

fn transmit(cloud: &mut CloudLink, now: Instant) {
    let mut out = [0; 512];
    for _ in 0..100 {
        if cloud.transmit(now, &mut out) == 0 {
            return;
        }
    }
    panic!("control frames without end");
}
