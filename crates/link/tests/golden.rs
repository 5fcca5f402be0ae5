//! The page's own bytes: every row of "Golden frames" in docs/spec/link.md is what this crate writes, and reads back.

use link::Header;
use link::bytes::{MAX_PREFIX, prefix};
use link::channel::*;
use link::config::*;
use link::connection::*;
use link::http::*;
use link::kind::{to_cloud, to_device};
use link::mqtt::*;
use sansio::{Duration, Instant, WallTime};

const PAGE: &str = include_str!("../../../docs/spec/link.md");

/// The bytes of a row: the first column names it, the second has them in hexadecimal.
fn golden(name: &str) -> Vec<u8> {
    let row = rows().find(|(row, _)| *row == name);
    let (_, hex) = row.unwrap_or_else(|| panic!("no row {name}"));
    hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    let appendix = PAGE.split("## Appendix: Golden frames").nth(1).expect("the appendix");
    appendix.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split('`');
        Some((cells.next()?, cells.nth(1)?))
    })
}

/// The body of a row that is one frame of this kind and channel.
fn body(name: &str, kind: u8, channel: u8) -> Vec<u8> {
    let bytes = golden(name);
    let (header, taken) = Header::decode(&bytes).unwrap().unwrap();
    let length = (bytes.len() - taken) as u16;
    assert_eq!(header, Header { kind, channel, length, more: false }, "{name}");
    bytes[taken..].to_vec()
}

fn frame(kind: u8, channel: u8, body: &[u8]) -> Vec<u8> {
    let header = Header { kind, channel, length: body.len() as u16, more: false };
    [header.to_bytes().as_slice(), body].concat()
}

/// A frame as an encoder into an array writes it.
fn encoded<const N: usize>(kind: u8, channel: u8, encode: impl Fn(&mut [u8; N]) -> usize) -> Vec<u8> {
    let mut out = [0; N];
    let length = encode(&mut out);
    frame(kind, channel, &out[..length])
}

/// A head and what follows it.
fn item<const N: usize>(
    kind: u8,
    channel: u8,
    encode: impl Fn(&mut [u8; N]) -> usize,
    rest: &[u8],
) -> Vec<u8> {
    let mut out = [0; N];
    let length = encode(&mut out);
    frame(kind, channel, &[&out[..length], rest].concat())
}

fn text(bytes: &[u8]) -> Vec<u8> {
    let mut out = [0; MAX_PREFIX];
    let length = prefix(bytes.len() as u32, &mut out);
    [&out[..length], bytes].concat()
}

const WALL: WallTime = WallTime::from_micros(1_700_000_000_000_000);

fn hello() -> Hello {
    let image = core::array::from_fn(|index| index as u8);
    Hello { version: 1, boot: 0x0403_0201, wake_reason: 8, clock: Instant::from_micros(300), image }
}

const WELCOME: Welcome =
    Welcome { version: 1, keepalive: Duration::from_secs(60), window: 16_384, wall: WALL, logging: true };
const LOG: LogHead = LogHead { sequence: 1, clock: Instant::from_secs(1) };
const DONE: Bye<'_> = Bye { reason: ByeReason::Done, text: b"" };
const BROKEN: Bye<'_> = Bye { reason: ByeReason::Violation, text: b"unknown kind" };
const OPEN: Open = Open { channel_type: ChannelType::Mqtt, ring: 1536 };
const CREDIT: RingCredit = RingCredit { bytes: 512, items: 2 };
const BY_NAME: PublishHead =
    PublishHead { slot: 2, qos1: true, retain: false, qos_out_of_range: false, topic: TopicHead::Name(3) };
const BY_NUMBER: PublishHead =
    PublishHead { slot: 15, qos1: false, retain: true, qos_out_of_range: false, topic: TopicHead::Number(3) };
const BAD_QOS: PublishHead =
    PublishHead { slot: 0, qos1: false, retain: false, qos_out_of_range: true, topic: TopicHead::Name(1) };
const PLAIN: ConnectHead = ConnectHead {
    version5: false,
    clean_start: true,
    credentials: false,
    will: false,
    tls: false,
    out_of_range: false,
    port: 1883,
    keepalive: 60,
};
const FULL: ConnectHead = ConnectHead {
    version5: true,
    clean_start: false,
    credentials: true,
    will: true,
    tls: true,
    out_of_range: false,
    port: 8883,
    keepalive: 300,
};
const WILL: WillOptions = WillOptions { qos1: true, retain: true, qos_out_of_range: false };
const QOS_1: SubscribeOptions =
    SubscribeOptions { qos: 1, no_local: false, retain_as_published: false, retain_handling: 0 };
const NO_LOCAL: SubscribeOptions =
    SubscribeOptions { qos: 0, no_local: true, retain_as_published: true, retain_handling: 2 };
const MESSAGE: MessageHead = MessageHead { delivery: None, retain: false, topic: 3 };
const DELIVERY: MessageHead = MessageHead { delivery: Some(300), retain: true, topic: 3 };
const LOST: LostHead = LostHead { reason: LostReason::ReceiveBufferTooSmall, message_len: 9000 };
const PUBLISHED: Published = Published { slot: 2, state: RequestState::Completed, reason: 0 };
const NO_SUBSCRIBERS: Published = Published { slot: 15, state: RequestState::Completed, reason: 16 };
const UNPUBLISHED: Published = Published { slot: 0, state: RequestState::NotConnected, reason: 0 };
const CONNECTED: Outcome = Outcome { state: RequestState::Completed, reason: 0 };
const UNRESOLVED: Outcome = Outcome { state: RequestState::NameNotResolved, reason: 0 };
const DISCONNECTED: Outcome = Outcome { state: RequestState::Completed, reason: 0x8e };
const ACKNOWLEDGE: Acknowledge = Acknowledge { delivery: 300 };

fn subscribed() -> FilterCodes {
    FilterCodes::completed(&[1, 0x80]).unwrap()
}

fn response() -> ResponseHead {
    ResponseHead::new(HttpResult::Ok, 200, &[4, 5]).unwrap()
}

fn no_response() -> ResponseHead {
    ResponseHead::new(HttpResult::RequestFailed, 0, &[]).unwrap()
}

fn values() -> ConfigHead {
    ConfigHead::new(FetchResult::Ok, &[(KeyResult::Ok, 2), (KeyResult::NotFound, 0)]).unwrap()
}

/// Every row of the page, in its order, as this crate writes it.
fn written() -> Vec<(&'static str, Vec<u8>)> {
    let mut rows = connection_rows();
    rows.extend(device_rows());
    rows.extend(cloud_rows());
    rows
}

fn connection_rows() -> Vec<(&'static str, Vec<u8>)> {
    let number = |value| {
        let mut out = [0; link::varint::MAX_64];
        let length = link::varint::encode(value, &mut out);
        out[..length].to_vec()
    };
    vec![
        ("HELLO", encoded(to_cloud::HELLO, 0, |out| hello().encode(out))),
        ("PING", frame(to_cloud::PING, 0, &number(5))),
        ("LOG", item(to_cloud::LOG, 0, |out| LOG.encode(out), b"hello")),
        ("TIME_QUERY", frame(to_cloud::TIME_QUERY, 0, &[])),
        ("BYE of the device", encoded(to_cloud::BYE, 0, |out| DONE.encode(out))),
        ("WELCOME", encoded(to_device::WELCOME, 0, |out| WELCOME.encode(out))),
        ("PONG", frame(to_device::PONG, 0, &number(5))),
        ("LOG_TAKEN", frame(to_device::LOG_TAKEN, 0, &number(300))),
        ("TIME", frame(to_device::TIME, 0, &number(WALL.as_micros()))),
        ("BYE of the cloud", encoded(to_device::BYE, 0, |out| BROKEN.encode(out))),
        ("LOGGING", frame(to_device::LOGGING, 0, &[0])),
    ]
}

fn device_rows() -> Vec<(&'static str, Vec<u8>)> {
    let plain = [text(b"broker"), text(b"dev")].concat();
    let full = [
        [text(b"h"), text(b"c"), text(b"user"), text(b"pass")].concat(),
        [vec![WILL.code()], text(b"w"), text(b"gone")].concat(),
        [vec![1], text(b"ca"), vec![2], text(b"own"), text(b"mid"), text(b"key")].concat(),
    ]
    .concat();
    let filters = [vec![QOS_1.code()], text(b"a/#"), vec![NO_LOCAL.code()], text(b"b")].concat();
    let request =
        [text(b"GET"), text(b"https://x/"), vec![0x88, 0x27, 1], text(b"a: b"), b"z".to_vec()].concat();
    let secret = KeyLocation { device: false, config: false };
    let config = KeyLocation { device: true, config: true };
    let keys = [vec![secret.code()], text(b"k"), vec![config.code()], text(b"m")].concat();
    let begun = Header { kind: to_cloud::DATA, channel: 4, length: 2, more: true };
    let cut = [begun.to_bytes().as_slice(), b"ab", &frame(to_cloud::DATA, 4, b"c")].concat();
    vec![
        ("OPEN", encoded(to_cloud::OPEN, 1, |out| OPEN.encode(out))),
        ("CLOSE", frame(to_cloud::CLOSE, 1, &[])),
        ("CREDIT of the device", encoded(to_cloud::CREDIT, 1, |out| CREDIT.encode(out))),
        ("TOPIC", frame(to_cloud::TOPIC, 1, b"\x03a/b")),
        ("PUBLISH by name", item(to_cloud::PUBLISH, 1, |out| BY_NAME.encode(out), b"a/bhi")),
        ("PUBLISH by number", item(to_cloud::PUBLISH, 1, |out| BY_NUMBER.encode(out), b"hi")),
        ("PUBLISH of QoS 2", item(to_cloud::PUBLISH, 1, |out| BAD_QOS.encode(out), b"a")),
        ("CONNECT plain", item(to_cloud::CONNECT, 1, |out| PLAIN.encode(out), &plain)),
        ("CONNECT full", item(to_cloud::CONNECT, 1, |out| FULL.encode(out), &full)),
        ("SUBSCRIBE", frame(to_cloud::SUBSCRIBE, 1, &filters)),
        ("UNSUBSCRIBE", frame(to_cloud::UNSUBSCRIBE, 1, &text(b"a/#"))),
        ("DISCONNECT", frame(to_cloud::DISCONNECT, 1, &[])),
        ("ACKNOWLEDGE", encoded(to_cloud::ACKNOWLEDGE, 1, |out| ACKNOWLEDGE.encode(out))),
        ("HTTP_REQUEST", frame(to_cloud::HTTP_REQUEST, 2, &request)),
        ("CONFIG_FETCH", frame(to_cloud::CONFIG_FETCH, 3, &keys)),
        ("DATA of the device, cut", cut),
    ]
}

fn cloud_rows() -> Vec<(&'static str, Vec<u8>)> {
    let credit = WindowCredit { bytes: 4096 };
    let failed = FilterCodes::failed(RequestState::NotConnected);
    vec![
        ("CLOSED", frame(to_device::CLOSED, 1, &[ClosureReason::ConnectionTerminated.code()])),
        ("CREDIT of the cloud", encoded(to_device::CREDIT, 1, |out| credit.encode(out))),
        ("BLOCKED", frame(to_device::BLOCKED, 1, &[])),
        ("MESSAGE of QoS 0", item(to_device::MESSAGE, 1, |out| MESSAGE.encode(out), b"a/bhi")),
        ("MESSAGE of QoS 1", item(to_device::MESSAGE, 1, |out| DELIVERY.encode(out), b"a/bhi")),
        ("LOST", item(to_device::LOST, 1, |out| LOST.encode(out), b"a/b")),
        ("PUBLISHED", encoded(to_device::PUBLISHED, 1, |out| PUBLISHED.encode(out))),
        ("PUBLISHED with a reason", encoded(to_device::PUBLISHED, 1, |out| NO_SUBSCRIBERS.encode(out))),
        ("PUBLISHED not", encoded(to_device::PUBLISHED, 1, |out| UNPUBLISHED.encode(out))),
        ("CONNECTED", encoded(to_device::CONNECTED, 1, |out| CONNECTED.encode(out))),
        ("CONNECTED not", encoded(to_device::CONNECTED, 1, |out| UNRESOLVED.encode(out))),
        ("SUBSCRIBED", encoded(to_device::SUBSCRIBED, 1, |out| subscribed().encode(out))),
        ("UNSUBSCRIBED not", encoded(to_device::UNSUBSCRIBED, 1, |out| failed.encode(out))),
        ("DISCONNECTED", encoded(to_device::DISCONNECTED, 1, |out| DISCONNECTED.encode(out))),
        ("HTTP_RESPONSE", item(to_device::HTTP_RESPONSE, 2, |out| response().encode(out), b"a: bc: dehi")),
        ("HTTP_RESPONSE not", encoded(to_device::HTTP_RESPONSE, 2, |out| no_response().encode(out))),
        ("CONFIG_RESPONSE", item(to_device::CONFIG_RESPONSE, 3, |out| values().encode(out), b"42")),
        ("DATA of the cloud", frame(to_device::DATA, 4, b"abc")),
    ]
}

#[test]
fn the_page_has_what_is_written_and_nothing_else() {
    for (name, bytes) in written() {
        assert_eq!(hex(&golden(name)), hex(&bytes), "{name}");
    }
    let names: Vec<_> = written().iter().map(|(name, _)| *name).collect();
    assert_eq!(rows().map(|(name, _)| name).collect::<Vec<_>>(), names);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn frames_of_the_connection_are_read_back() {
    assert_eq!(Hello::decode(&body("HELLO", to_cloud::HELLO, 0)), Ok(hello()));
    assert_eq!(decode_number(&body("PING", to_cloud::PING, 0)), Ok(5));
    assert_eq!(LogHead::decode(&body("LOG", to_cloud::LOG, 0)), Ok((LOG, &b"hello"[..])));
    assert_eq!(body("TIME_QUERY", to_cloud::TIME_QUERY, 0), []);
    assert_eq!(Bye::decode(&body("BYE of the device", to_cloud::BYE, 0)), Ok(DONE));
    assert_eq!(Welcome::decode(&body("WELCOME", to_device::WELCOME, 0)), Ok(WELCOME));
    assert_eq!(decode_number(&body("PONG", to_device::PONG, 0)), Ok(5));
    assert_eq!(decode_number(&body("LOG_TAKEN", to_device::LOG_TAKEN, 0)), Ok(300));
    assert_eq!(decode_time(&body("TIME", to_device::TIME, 0)), Ok(WALL));
    assert_eq!(Bye::decode(&body("BYE of the cloud", to_device::BYE, 0)), Ok(BROKEN));
    assert_eq!(decode_logging(&body("LOGGING", to_device::LOGGING, 0)), Ok(false));
}

#[test]
fn frames_of_every_channel_are_read_back() {
    assert_eq!(Open::decode(&body("OPEN", to_cloud::OPEN, 1)), Ok(OPEN));
    assert_eq!(body("CLOSE", to_cloud::CLOSE, 1), []);
    assert_eq!(RingCredit::decode(&body("CREDIT of the device", to_cloud::CREDIT, 1)), Ok(CREDIT));
    let reason = ClosureReason::ConnectionTerminated;
    assert_eq!(decode_closed(&body("CLOSED", to_device::CLOSED, 1)), Ok(reason));
    let credit = WindowCredit { bytes: 4096 };
    assert_eq!(WindowCredit::decode(&body("CREDIT of the cloud", to_device::CREDIT, 1)), Ok(credit));
    assert_eq!(body("BLOCKED", to_device::BLOCKED, 1), []);
}

/// Shows M36, M38, M48.
#[test]
fn connects_are_read_back() {
    let plain = body("CONNECT plain", to_cloud::CONNECT, 1);
    let connect = Connect::decode(&plain).unwrap();
    assert_eq!((connect.head, connect.host, connect.client_id), (PLAIN, &b"broker"[..], &b"dev"[..]));
    assert_eq!((connect.credentials, connect.will, connect.tls), (None, None, None));

    let full = body("CONNECT full", to_cloud::CONNECT, 1);
    let connect = Connect::decode(&full).unwrap();
    assert_eq!((connect.head, connect.host, connect.client_id), (FULL, &b"h"[..], &b"c"[..]));
    assert_eq!(connect.credentials, Some(Credentials { username: b"user", password: b"pass" }));
    assert_eq!(connect.will, Some(Will { options: WILL, topic: b"w", payload: b"gone" }));
    let tls = connect.tls.unwrap();
    assert_eq!(tls.authorities.iter().collect::<Vec<_>>(), [b"ca"]);
    assert_eq!(tls.chain.iter().collect::<Vec<_>>(), [b"own", b"mid"]);
    assert_eq!(tls.key, b"key");
    for cut in 0..full.len() {
        assert!(Connect::decode(&full[..cut]).is_err(), "cut at {cut}");
    }
}

/// Shows M70, M87.
#[test]
fn requests_to_a_broker_are_read_back() {
    let topic = body("TOPIC", to_cloud::TOPIC, 1);
    assert_eq!(Topic::decode(&topic), Ok(Topic { number: 3, name: b"a/b" }));
    let publish = body("PUBLISH by name", to_cloud::PUBLISH, 1);
    let named = Publish {
        slot: 2,
        qos1: true,
        retain: false,
        qos_out_of_range: false,
        topic: TopicRef::Name(b"a/b"),
        payload: b"hi",
    };
    assert_eq!(Publish::decode(&publish), Ok(named));
    assert_eq!(BY_NAME.item_len(2) as usize, publish.len());
    let publish = body("PUBLISH by number", to_cloud::PUBLISH, 1);
    let numbered = Publish { slot: 15, qos1: false, retain: true, topic: TopicRef::Number(3), ..named };
    assert_eq!(Publish::decode(&publish), Ok(numbered));
    assert_eq!(BY_NUMBER.item_len(2) as usize, publish.len());
    assert!(Publish::decode(&body("PUBLISH of QoS 2", to_cloud::PUBLISH, 1)).unwrap().qos_out_of_range);

    let filters = body("SUBSCRIBE", to_cloud::SUBSCRIBE, 1);
    let filters = Subscribe::decode(&filters).unwrap();
    assert_eq!(filters.iter().collect::<Vec<_>>(), [(QOS_1, &b"a/#"[..]), (NO_LOCAL, b"b")]);
    let filters = body("UNSUBSCRIBE", to_cloud::UNSUBSCRIBE, 1);
    assert_eq!(Unsubscribe::decode(&filters).unwrap().iter().collect::<Vec<_>>(), [b"a/#"]);
    assert_eq!(body("DISCONNECT", to_cloud::DISCONNECT, 1), []);
    assert_eq!(Acknowledge::decode(&body("ACKNOWLEDGE", to_cloud::ACKNOWLEDGE, 1)), Ok(ACKNOWLEDGE));
}

/// Shows M63.
#[test]
fn answers_of_a_broker_are_read_back() {
    let published = |name| Published::decode(&body(name, to_device::PUBLISHED, 1));
    assert_eq!(published("PUBLISHED"), Ok(PUBLISHED));
    assert_eq!(published("PUBLISHED with a reason"), Ok(NO_SUBSCRIBERS));
    assert_eq!(published("PUBLISHED not"), Ok(UNPUBLISHED));
    let connected = |name| Outcome::decode(&body(name, to_device::CONNECTED, 1));
    assert_eq!(connected("CONNECTED"), Ok(CONNECTED));
    assert_eq!(connected("CONNECTED not"), Ok(UNRESOLVED));
    assert_eq!(FilterCodes::decode(&body("SUBSCRIBED", to_device::SUBSCRIBED, 1)), Ok(subscribed()));
    let failed = FilterCodes::failed(RequestState::NotConnected);
    assert_eq!(FilterCodes::decode(&body("UNSUBSCRIBED not", to_device::UNSUBSCRIBED, 1)), Ok(failed));
    assert_eq!(Outcome::decode(&body("DISCONNECTED", to_device::DISCONNECTED, 1)), Ok(DISCONNECTED));
}

/// Reads a head from every shorter run of bytes, which must ask for more, and then from the whole.
fn head<H>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<Option<(H, usize)>, link::Violation>,
) -> (H, Vec<u8>) {
    let (head, taken) = decode(bytes).unwrap().unwrap();
    for cut in 0..taken {
        assert!(decode(&bytes[..cut]).unwrap().is_none(), "cut at {cut}");
    }
    (head, bytes[taken..].to_vec())
}

#[test]
fn messages_are_read_back() {
    let message = |name| head(&body(name, to_device::MESSAGE, 1), MessageHead::decode);
    assert_eq!(message("MESSAGE of QoS 0"), (MESSAGE, b"a/bhi".to_vec()));
    assert_eq!(message("MESSAGE of QoS 1"), (DELIVERY, b"a/bhi".to_vec()));
    assert_eq!(head(&body("LOST", to_device::LOST, 1), LostHead::decode), (LOST, b"a/b".to_vec()));
}

#[test]
fn http_config_and_opaque_items_are_read_back() {
    let bytes = body("HTTP_REQUEST", to_cloud::HTTP_REQUEST, 2);
    let request = HttpRequest::decode(&bytes).unwrap();
    assert_eq!((request.method, request.url, request.timeout), (&b"GET"[..], &b"https://x/"[..], 5000));
    assert_eq!((request.headers.iter().collect::<Vec<_>>(), request.body), (vec![&b"a: b"[..]], &b"z"[..]));
    let got = head(&body("HTTP_RESPONSE", to_device::HTTP_RESPONSE, 2), ResponseHead::decode);
    assert_eq!(got, (response(), b"a: bc: dehi".to_vec()));
    let got = head(&body("HTTP_RESPONSE not", to_device::HTTP_RESPONSE, 2), ResponseHead::decode);
    assert_eq!(got, (no_response(), vec![]));

    let bytes = body("CONFIG_FETCH", to_cloud::CONFIG_FETCH, 3);
    let keys: Vec<_> = ConfigFetch::decode(&bytes).unwrap().iter().collect();
    let secret = KeyLocation { device: false, config: false };
    let config = KeyLocation { device: true, config: true };
    assert_eq!(keys, [(secret, &b"k"[..]), (config, b"m")]);
    let got = head(&body("CONFIG_RESPONSE", to_device::CONFIG_RESPONSE, 3), ConfigHead::decode);
    assert_eq!(got, (values(), b"42".to_vec()));
    assert_eq!(body("DATA of the cloud", to_device::DATA, 4), b"abc");
}
