//! HTTP exchanges.

mod common;

use abi::channel::ChannelType;
use abi::http::{HttpHeader, HttpRequest, HttpResponseData};
use abi::notifications::EventType;
use abi::strings::SizedString;
use abi::{Call, Status};
use common::{Machine, Setup, TAG};
use link::http::{HttpRequest as WireRequest, HttpResult, ResponseHead};
use link::kind::{to_cloud, to_device};

const READABLE: (u32, u32) = (EventType::ChannelDataReadable.raw(), TAG);
const NOT_CONNECTED: (u32, u32) = (EventType::ChannelNotConnected.raw(), TAG);
const NOWHERE: u32 = 0x4000_0000;

fn headers(machine: &mut Machine, lines: &[&[u8]]) -> u32 {
    let mut array = Vec::new();
    for line in lines {
        let data = machine.string(line).data;
        array.extend(HttpHeader { length: line.len() as u32, data }.to_bytes());
    }
    machine.put(&array)
}

fn request(machine: &mut Machine) -> HttpRequest {
    HttpRequest {
        method: machine.string(b"GET"),
        url: machine.string(b"https://example.com/"),
        num_headers: 0,
        headers: headers(machine, &[]),
        body: machine.string(b""),
        timeout_ms: 10_000,
    }
}

fn send(machine: &mut Machine, channel: u32, request: &HttpRequest) -> Status {
    let request = machine.put(&request.to_bytes());
    let status = machine.call(Call::SendHttpRequest, &[channel, request]);
    machine.pump();
    status
}

fn asked() -> (Machine, Setup, u32) {
    let (mut machine, setup, channel) = Machine::with_channel(ChannelType::Http);
    let request = request(&mut machine);
    assert_eq!(send(&mut machine, channel, &request), Status::Okay);
    (machine, setup, channel)
}

fn respond(machine: &mut Machine, result: HttpResult, status: u32, lines: &[&[u8]], body: &[u8]) {
    let lengths: Vec<u32> = lines.iter().map(|line| line.len() as u32).collect();
    let mut head = [0; ResponseHead::MAX];
    let length = ResponseHead::new(result, status, &lengths).expect("at most 64 headers").encode(&mut head);
    let content = [&lines.concat()[..], body].concat();
    machine.cloud().item(1, to_device::HTTP_RESPONSE, &head[..length], &content, 100);
    machine.pump();
}

fn data(machine: &mut Machine, channel: u32) -> Result<HttpResponseData, Status> {
    let to = machine.room(16);
    match machine.call(Call::ReadHttpResponseData, &[channel, to]) {
        Status::Okay => {
            Ok(HttpResponseData::from_bytes(&machine.memory.bytes(to, 16).try_into().expect("16 bytes")))
        }
        status => Err(status),
    }
}

fn header(machine: &mut Machine, channel: u32, index: u32, size: u32) -> Result<Vec<u8>, Status> {
    let to = machine.room(size as usize);
    match machine.call(Call::ReadHttpResponseHeader, &[channel, index, to, size]) {
        Status::Okay => Ok(machine.memory.bytes(to, size as usize)),
        status => Err(status),
    }
}

fn body(machine: &mut Machine, channel: u32, offset: u32, size: u32) -> Result<Vec<u8>, Status> {
    let to = machine.room(size as usize);
    match machine.call(Call::ReadHttpResponseBody, &[channel, offset, to, size]) {
        Status::Okay => Ok(machine.memory.bytes(to, size as usize)),
        status => Err(status),
    }
}

/// Shows N52, D60.
#[test]
fn everything_in_a_request_reaches_the_cloud_unjudged() {
    let (mut machine, _, channel) = Machine::with_channel(ChannelType::Http);
    let request = HttpRequest {
        method: machine.string(b"TEAPOT"),
        url: machine.string(b"gopher://x"),
        num_headers: 2,
        headers: headers(&mut machine, &[b"Host: me", b"A: b"]),
        body: machine.string(b"the body"),
        timeout_ms: 1,
    };
    assert_eq!(send(&mut machine, channel, &request), Status::Okay);
    let items = machine.cloud().items();
    let [(to_cloud::HTTP_REQUEST, item)] = &items[..] else { panic!("{items:?}") };
    let wire = WireRequest::decode(item).expect("a request");
    assert_eq!((wire.method, wire.url, wire.timeout), (&b"TEAPOT"[..], &b"gopher://x"[..], 1));
    assert_eq!(wire.headers.iter().collect::<Vec<_>>(), [&b"Host: me"[..], &b"A: b"[..]]);
    assert_eq!(wire.body, b"the body");
    assert_eq!(send(&mut machine, channel, &request), Status::RequestAlreadySent);
}

/// Shows D12, D61, D32.
#[test]
fn a_response_is_readable_in_any_order_and_again_once_it_is_complete() {
    let (mut machine, mut setup, channel) = asked();
    assert_eq!(data(&mut machine, channel), Err(Status::ResponseNotPresent));
    machine.chunk = 9;
    let text: Vec<u8> = (0..500_u32).map(|n| n as u8).collect();
    respond(&mut machine, HttpResult::Ok, 200, &[b"A: 1", b"Long: header"], &text);
    assert_eq!(machine.events(&mut setup.centre), [READABLE]);
    let head = HttpResponseData { result: 0, status_code: 200, num_headers: 2, body_length: 500 };
    assert_eq!(data(&mut machine, channel), Ok(head));
    for _ in 0..2 {
        assert_eq!(header(&mut machine, channel, 1, 12), Ok(b"Long: header".to_vec()));
        assert_eq!(
            header(&mut machine, channel, 0, 6),
            Ok(b"A: 1\xee\xee".to_vec()),
            "the rest is untouched"
        );
        assert_eq!(header(&mut machine, channel, 1, 4), Ok(b"Long".to_vec()));
        assert_eq!(body(&mut machine, channel, 0, 500), Ok(text.clone()));
        assert_eq!(body(&mut machine, channel, 498, 4), Ok(vec![text[498], text[499], 0xee, 0xee]));
        assert_eq!(body(&mut machine, channel, 500, 2), Ok(vec![0xee, 0xee]));
    }
    assert_eq!(header(&mut machine, channel, 2, 4), Err(Status::IndexInvalid));
    assert_eq!(body(&mut machine, channel, 501, 4), Err(Status::OffsetInvalid));
}

/// Shows D60, D61.
#[test]
fn a_failed_exchange_has_a_result_and_nothing_else() {
    for (result, raw) in [
        (HttpResult::UnsupportedScheme, 1),
        (HttpResult::UnsupportedMethod, 2),
        (HttpResult::InvalidHeaders, 3),
        (HttpResult::InvalidTimeout, 4),
        (HttpResult::RequestFailed, 5),
        (HttpResult::ResponseTooLarge, 6),
    ] {
        let (mut machine, mut setup, channel) = asked();
        respond(&mut machine, result, 0, &[], b"");
        assert_eq!(machine.events(&mut setup.centre), [READABLE]);
        let head = HttpResponseData { result: raw, status_code: 0, num_headers: 0, body_length: 0 };
        assert_eq!(data(&mut machine, channel), Ok(head));
        assert_eq!(header(&mut machine, channel, 0, 4), Err(Status::RequestUnsuccessful));
        assert_eq!(body(&mut machine, channel, 0, 4), Err(Status::RequestUnsuccessful));
    }
}

/// Shows D14, D31, N68, D79.
#[test]
fn a_finished_exchange_outlives_its_channels_end_without_an_event() {
    let (mut machine, mut setup, channel) = asked();
    respond(&mut machine, HttpResult::Ok, 204, &[], b"body");
    machine.cloud().closed(1, link::channel::ClosureReason::None);
    machine.pump();
    assert_eq!(machine.events(&mut setup.centre), [READABLE]);
    assert_eq!(body(&mut machine, channel, 0, 4), Ok(b"body".to_vec()));
}

/// Shows D31, N66.
#[test]
fn an_exchange_cut_short_is_told_and_has_nothing_to_read() {
    let (mut machine, mut setup, channel) = asked();
    machine.cloud().begin(1, to_device::HTTP_RESPONSE, &[0, 0], &[b'x'; 300], 100, 1);
    machine.pump();
    machine.cut();
    assert_eq!(machine.events(&mut setup.centre)[0], NOT_CONNECTED);
    assert_eq!(data(&mut machine, channel), Err(Status::ChannelClosed));
    assert_eq!(header(&mut machine, channel, 0, 4), Err(Status::ChannelClosed));
    assert_eq!(body(&mut machine, channel, 0, 4), Err(Status::ChannelClosed));
}

/// Shows D02, D03, D45.
#[test]
fn bad_requests_are_refused_and_the_channel_stays_usable() {
    let (mut machine, _, channel) = Machine::with_channel(ChannelType::Http);
    let good = request(&mut machine);
    let wild = SizedString { data: NOWHERE, length: 1 };
    let wild_header = machine.put(&HttpHeader { length: 1, data: NOWHERE }.to_bytes());
    let many = headers(&mut machine, &[&b"A: b"[..]; 33]);
    let long = machine.string(&[b'x'; 1600]);
    for (request, status) in [
        (HttpRequest { method: wild, ..good }, Status::LateFault),
        (HttpRequest { url: wild, ..good }, Status::LateFault),
        (HttpRequest { body: wild, ..good }, Status::LateFault),
        (HttpRequest { num_headers: 1, headers: NOWHERE, ..good }, Status::LateFault),
        (HttpRequest { num_headers: u32::MAX, ..good }, Status::LateFault),
        (HttpRequest { num_headers: 1, headers: wild_header, ..good }, Status::LateFault),
        (HttpRequest { num_headers: 33, headers: many, ..good }, Status::TooManyElements),
        (HttpRequest { body: long, ..good }, Status::InvalidBufferSize),
    ] {
        assert_eq!(send(&mut machine, channel, &request), status);
    }
    assert_eq!(machine.cloud().items(), []);
    let most = HttpRequest { num_headers: 32, headers: many, ..good };
    assert_eq!(send(&mut machine, channel, &most), Status::Okay);
}

/// A cloud whose header lengths exceed what it sent is left.
#[test]
fn headers_longer_than_the_response_are_a_violation() {
    let (mut machine, _, _) = asked();
    machine.cloud().item(1, to_device::HTTP_RESPONSE, &[0, 0, 1, 9], b"short", 100);
    machine.pump();
    assert!(!machine.connected);
    assert_eq!(machine.cloud().farewell, link::violation::BODY_TOO_SHORT.text());
}
