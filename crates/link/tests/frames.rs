//! Bodies of frames: limits of their fields, and what is refused.

use link::bytes::{HeadBuffer, MAX_PREFIX, Strings, Writer, prefix, str_len};
use link::channel::{ChannelType, ClosureReason, Open};
use link::config::{ConfigFetch, ConfigHead, FetchResult, KeyLocation, KeyResult};
use link::connection::{Bye, ByeReason, Hello, LogHead, Welcome};
use link::http::{HttpRequest, HttpResult, ResponseHead};
use link::mqtt::*;
use link::violation::*;
use link::{MAX_ITEM, varint};
use sansio::{Duration, Instant, WallTime};

#[test]
fn varints_take_as_many_groups_as_they_need() {
    let cases: [(u64, &[u8]); 6] = [
        (0, &[0]),
        (127, &[0x7f]),
        (128, &[0x80, 1]),
        (16_383, &[0xff, 0x7f]),
        (u64::from(u32::MAX), &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        (u64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
    ];
    for (value, bytes) in cases {
        let mut out = [0; varint::MAX_64];
        assert_eq!(varint::encode(value, &mut out), bytes.len());
        assert_eq!(&out[..bytes.len()], bytes);
        assert_eq!(varint::len(value), bytes.len());
        assert_eq!(varint::decode(bytes, 64), Ok(Some((value, bytes.len()))));
        assert_eq!(varint::decode(&bytes[..bytes.len() - 1], 64), Ok(None));
    }
}

#[test]
fn varints_of_too_many_bits_or_groups_are_refused() {
    assert_eq!(varint::decode(&[0xff, 0xff, 0xff, 0xff, 0x10], 32), Err(VARINT_TOO_LONG));
    assert_eq!(varint::decode(&[0x80, 0x80, 0x80, 0x80, 0x80], 32), Err(VARINT_TOO_LONG));
    assert_eq!(varint::decode(&[0xff; 9], 64), Ok(None));
    assert_eq!(varint::decode(&[0xff; 10], 64), Err(VARINT_TOO_LONG));
    assert_eq!(
        varint::decode(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], 64),
        Err(VARINT_TOO_LONG)
    );
    assert_eq!(varint::decode(&[0x81, 0x00], 32), Err(VARINT_NOT_MINIMAL));
}

#[test]
fn the_longest_heads_fit_their_arrays() {
    let hello =
        Hello { version: u32::MAX, boot: u32::MAX, wake_reason: 255, clock: Instant::MAX, image: [0; 32] };
    assert_eq!(hello.encode(&mut [0; Hello::MAX]), Hello::MAX);
    let welcome = Welcome {
        version: u32::MAX,
        keepalive: Duration::from_secs(u32::MAX.into()),
        window: u32::MAX,
        wall: WallTime::from_micros(u64::MAX),
        logging: true,
    };
    assert_eq!(welcome.encode(&mut [0; Welcome::MAX]), Welcome::MAX);
    let log = LogHead { sequence: u32::MAX, clock: Instant::MAX };
    assert_eq!(log.encode(&mut [0; LogHead::MAX]), LogHead::MAX);
    let open = Open { channel_type: ChannelType::ConfigFetch, ring: u32::MAX };
    assert_eq!(open.encode(&mut [0; Open::MAX]), Open::MAX);
    let message = MessageHead { delivery: Some(u32::MAX), retain: true, topic: 65_535 };
    assert_eq!(message.encode(&mut [0; MessageHead::MAX]), MessageHead::MAX);
    let connect = ConnectHead { port: u16::MAX, keepalive: u32::MAX, ..ConnectHead::default() };
    assert_eq!(connect.encode(&mut [0; ConnectHead::MAX]), ConnectHead::MAX);
    let response = ResponseHead::new(HttpResult::Ok, u32::MAX, &[MAX_ITEM; 64]).unwrap();
    assert_eq!(response.encode(&mut [0; ResponseHead::MAX]), ResponseHead::MAX);
    let config = ConfigHead::new(FetchResult::Ok, &[(KeyResult::Ok, MAX_ITEM); 32]).unwrap();
    assert_eq!(config.encode(&mut [0; ConfigHead::MAX]), ConfigHead::MAX);
    assert_eq!(prefix(u32::MAX, &mut [0; MAX_PREFIX]), MAX_PREFIX);
}

#[test]
fn heads_for_too_much_are_not_made() {
    assert_eq!(ResponseHead::new(HttpResult::Ok, 200, &[1; 65]), None);
    assert_eq!(ResponseHead::new(HttpResult::Ok, 200, &[MAX_ITEM + 1]), None);
    assert_eq!(ConfigHead::new(FetchResult::Ok, &[(KeyResult::Ok, 1); 33]), None);
    assert_eq!(FilterCodes::completed(&[0; 9]), None);
    assert_eq!(FilterCodes::completed(&[]), None);
}

#[test]
fn a_bye_text_is_cut_to_128_bytes() {
    let mut out = [0; Bye::MAX];
    let length = Bye { reason: ByeReason::Done, text: &[b'x'; 200] }.encode(&mut out);
    assert_eq!(length, 129);
    assert_eq!(Bye::decode(&out[..length]).unwrap().text.len(), 128);
    assert_eq!(Bye::decode(&[b'\0'; 130]), Err(BODY_TOO_LONG));
    assert_eq!(Bye::decode(&[77]).unwrap().reason, ByeReason::Other(77));
}

#[test]
fn hello_and_welcome_are_open_to_what_later_versions_say() {
    let hello = Hello { version: 1, boot: 9, wake_reason: 0, clock: Instant::from_micros(5), image: [1; 32] };
    let mut out = [0; Hello::MAX];
    let length = hello.encode(&mut out);
    let longer = [&out[..length], b"more"].concat();
    assert_eq!(Hello::decode(&longer), Ok(hello));
    assert_eq!(Hello::decode(&out[..length - 1]), Err(BODY_TOO_SHORT));
    assert!(Welcome::decode(&[1, 30, 0x80, 0x80, 1, 0, 1, 99]).is_ok());
}

#[test]
fn numbers_of_the_public_header_are_carried_and_others_refused() {
    for code in 0..=255 {
        let known = |most| code <= most;
        assert_eq!(ChannelType::from_code(code).map(ChannelType::code).ok(), known(3).then_some(code));
        assert_eq!(ClosureReason::from_code(code).map(ClosureReason::code).ok(), known(7).then_some(code));
        assert_eq!(RequestState::from_code(code).map(RequestState::code).ok(), known(8).then_some(code));
        assert_eq!(LostReason::from_code(code).map(LostReason::code).ok(), known(0).then_some(code));
        assert_eq!(HttpResult::from_code(code).map(HttpResult::code).ok(), known(6).then_some(code));
        assert_eq!(FetchResult::from_code(code).map(FetchResult::code).ok(), known(1).then_some(code));
        assert_eq!(KeyResult::from_code(code).map(KeyResult::code).ok(), known(2).then_some(code));
        assert_eq!(KeyLocation::from_code(code).map(KeyLocation::code).ok(), known(3).then_some(code));
        assert_eq!(WillOptions::from_code(code).map(WillOptions::code).ok(), known(7).then_some(code));
        let subscribe = (code & 0xc0 == 0 && code & 3 != 2).then_some(code);
        assert_eq!(SubscribeOptions::from_code(code).map(SubscribeOptions::code).ok(), subscribe);
        assert_eq!(ByeReason::from_code(u32::from(code)).code(), u32::from(code));
    }
}

#[test]
fn a_publish_head_knows_the_items_length() {
    let head = PublishHead {
        slot: 3,
        qos1: true,
        retain: false,
        qos_out_of_range: false,
        topic: TopicHead::Name(200),
    };
    assert_eq!(head.encode(&mut [0; PublishHead::MAX]), 3);
    assert_eq!(head.item_len(1000), 3 + 200 + 1000);
    let numbered = PublishHead { topic: TopicHead::Number(7), ..head };
    assert_eq!(numbered.item_len(0), 2);
    assert_eq!(str_len(127), 128);
    assert_eq!(str_len(128), 130);
}

#[test]
fn publishes_with_bad_fields_are_refused() {
    assert_eq!(Publish::decode(&[]), Err(BODY_TOO_SHORT));
    assert_eq!(Publish::decode(&[0x40, 8]), Err(VALUE_OUT_OF_RANGE), "topic number");
    assert_eq!(Publish::decode(&[0x00, 3, b'a', b'b']), Err(BODY_TOO_SHORT));
    assert_eq!(Topic::decode(&[8, b'a']), Err(VALUE_OUT_OF_RANGE));
    assert_eq!(Published::decode(&[0x93]), Err(VALUE_OUT_OF_RANGE), "state");
    assert_eq!(Published::decode(&[0x03, 0]), Err(VALUE_OUT_OF_RANGE), "a reason of 0 is left out");
}

#[test]
fn publish_slots_are_taken_once_and_given_back_once() {
    let mut slots = PublishSlots::default();
    for slot in 0..16 {
        assert_eq!(slots.take(), Some(slot));
    }
    assert_eq!(slots.take(), None);
    assert_eq!(slots.release(5), Ok(()));
    assert_eq!(slots.release(5), Err(UNEXPECTED_ANSWER));
    assert_eq!(slots.take(), Some(5));
    assert_eq!(slots.occupy(5), Err(SLOT_IN_USE));
    assert_eq!(slots.occupy(16), Err(VALUE_OUT_OF_RANGE));
    assert_eq!(slots.iter().count(), 16);
}

#[test]
fn connects_with_bad_fields_are_refused() {
    assert_eq!(Connect::decode(&[0x40, 0, 0, 0, 0]), Err(VALUE_OUT_OF_RANGE), "flag");
    assert_eq!(Connect::decode(&[0, 0x80, 0x80, 4, 0, 0, 0]), Err(VALUE_OUT_OF_RANGE), "port 65536");
    assert_eq!(Connect::decode(&[0, 0, 0, 0, 0, 0]), Err(BYTES_LEFT_OVER));
    assert_eq!(Connect::decode(&[0x08, 0, 0, 0, 0, 8, 0, 0]), Err(VALUE_OUT_OF_RANGE), "will options");
    assert_eq!(Connect::decode(&[0x10, 0, 0, 0, 0, 2, 0]), Err(BODY_TOO_SHORT), "certificates");
}

#[test]
fn lists_have_one_to_their_most_elements() {
    assert_eq!(Subscribe::decode(&[]), Err(WRONG_COUNT));
    assert_eq!(Unsubscribe::decode(&[]), Err(WRONG_COUNT));
    assert_eq!(ConfigFetch::decode(&[]), Err(WRONG_COUNT));
    let filter = [1, 1, b'a'];
    assert_eq!(Subscribe::decode(&filter.repeat(8)).unwrap().iter().count(), 8);
    assert_eq!(Subscribe::decode(&filter.repeat(9)), Err(WRONG_COUNT));
    assert_eq!(Unsubscribe::decode(&filter[1..].repeat(8)).unwrap().iter().count(), 8);
    assert_eq!(Unsubscribe::decode(&filter[1..].repeat(9)), Err(WRONG_COUNT));
    assert_eq!(ConfigFetch::decode(&filter.repeat(32)).unwrap().iter().count(), 32);
    assert_eq!(ConfigFetch::decode(&filter.repeat(33)), Err(WRONG_COUNT));
    assert_eq!(Subscribe::decode(&[2, 1, b'a']), Err(VALUE_OUT_OF_RANGE), "QoS 2");
    assert_eq!(ResponseHead::decode(&[0, 0, 65]), Err(WRONG_COUNT));
    assert_eq!(ConfigHead::decode(&[0, 33]), Err(WRONG_COUNT));
    assert_eq!(FilterCodes::decode(&[0]), Err(WRONG_COUNT));
    assert_eq!(FilterCodes::decode(&[3, 0]), Err(BYTES_LEFT_OVER));
    assert_eq!(FilterCodes::decode(&[0; 10]), Err(WRONG_COUNT));
}

#[test]
fn lengths_in_heads_are_bounded() {
    assert_eq!(MessageHead::decode(&[0, 0x80, 0x80, 0x04]), Err(VALUE_OUT_OF_RANGE), "topic of 65536");
    assert_eq!(MessageHead::decode(&[4, 0]), Err(VALUE_OUT_OF_RANGE), "head bits");
    assert_eq!(ResponseHead::decode(&[0, 0, 1, 0x81, 0x80, 0x10]), Err(VALUE_OUT_OF_RANGE));
    assert_eq!(ConfigHead::decode(&[0, 1, 0, 0x81, 0x80, 0x10]), Err(VALUE_OUT_OF_RANGE));
    assert_eq!(HttpRequest::decode(&[0, 0, 0, 1]), Err(BODY_TOO_SHORT));
}

#[test]
fn heads_are_read_from_any_chunks_and_take_no_byte_of_what_follows() {
    let item = [1, 0x85, 1, 3, b't', b'/', b'x', b'!'];
    for cut in 0..=4 {
        let mut buffer = HeadBuffer::<{ MessageHead::MAX }>::new();
        let (mut start, mut end) = item.split_at(cut);
        let early = buffer.feed(&mut start, false, MessageHead::decode).unwrap();
        let head = early.or_else(|| buffer.feed(&mut end, true, MessageHead::decode).unwrap()).unwrap();
        assert_eq!(head, MessageHead { delivery: Some(133), retain: false, topic: 3 });
        assert_eq!([start, end].concat(), b"t/x!");
    }
    let mut buffer = HeadBuffer::<{ MessageHead::MAX }>::new();
    assert_eq!(buffer.feed(&mut &item[..3], true, MessageHead::decode), Err(BODY_TOO_SHORT));
    let mut buffer = HeadBuffer::<{ MessageHead::MAX }>::new();
    let endless = [1, 0x80, 0x80, 0x80, 0x80, 1, 0x80, 0x80, 0x80, 0x80];
    assert_eq!(buffer.feed(&mut &endless[..], false, MessageHead::decode), Err(VALUE_OUT_OF_RANGE));
}

#[test]
fn a_writer_says_when_its_room_was_too_small() {
    let mut room = [0; 3];
    let mut writer = Writer::new(&mut room);
    writer.str(b"abc");
    assert_eq!(writer.finish(), None);
    let mut writer = Writer::new(&mut room);
    writer.str(b"ab");
    assert_eq!(writer.finish(), Some(3));
}

#[test]
fn strings_come_back_in_order() {
    let mut reader = link::bytes::Reader::new(b"\x01a\x00\x02bc!");
    let strings = Strings::decode(&mut reader, 3).unwrap();
    assert_eq!(strings.len(), 3);
    assert_eq!(strings.iter().collect::<Vec<_>>(), [&b"a"[..], b"", b"bc"]);
    assert_eq!(reader.rest(), b"!");
}
