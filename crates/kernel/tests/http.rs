//! HTTP exchanges.

use abi::channel::ChannelType;
use abi::http::{HttpHeader, HttpRequest, HttpResponseData};
use abi::notifications::EventType;
use abi::strings::SizedString;
use abi::{Call, Status};
use kernel_testport::{AppSetup, TAG, TestDevice};
use link::http::{HttpRequest as WireRequest, HttpResult, ResponseHead};
use link::kind::{to_cloud, to_device};

const READABLE: (u32, u32) = (EventType::ChannelDataReadable.raw(), TAG);
const NOT_CONNECTED: (u32, u32) = (EventType::ChannelNotConnected.raw(), TAG);
const NOWHERE: u32 = 0x4000_0000;

fn headers(device: &mut TestDevice, lines: &[&[u8]]) -> u32 {
    let mut array = Vec::new();
    for line in lines {
        let data = device.flash_string(line).data;
        array.extend(HttpHeader { length: line.len() as u32, data }.to_bytes());
    }
    device.alloc_bytes(&array)
}

fn request(device: &mut TestDevice) -> HttpRequest {
    HttpRequest {
        method: device.flash_string(b"GET"),
        url: device.flash_string(b"https://example.com/"),
        num_headers: 0,
        headers: headers(device, &[]),
        body: device.flash_string(b""),
        timeout_ms: 10_000,
    }
}

fn send(device: &mut TestDevice, channel: u32, request: &HttpRequest) -> Status {
    let request = device.alloc_bytes(&request.to_bytes());
    let status = device.call(Call::SendHttpRequest, &[channel, request]);
    device.pump();
    status
}

fn requested() -> (TestDevice, AppSetup, u32) {
    let (mut device, setup, channel) = TestDevice::with_channel(ChannelType::Http);
    let request = request(&mut device);
    assert_eq!(send(&mut device, channel, &request), Status::Okay);
    (device, setup, channel)
}

fn respond(device: &mut TestDevice, result: HttpResult, status: u32, lines: &[&[u8]], body: &[u8]) {
    let lengths: Vec<u32> = lines.iter().map(|line| line.len() as u32).collect();
    let mut head = [0; ResponseHead::MAX];
    let length = ResponseHead::new(result, status, &lengths).expect("at most 64 headers").encode(&mut head);
    let content = [&lines.concat()[..], body].concat();
    device.cloud().send_item(1, to_device::HTTP_RESPONSE, &head[..length], &content, 100);
    device.pump();
}

fn data(device: &mut TestDevice, channel: u32) -> Result<HttpResponseData, Status> {
    let to = device.alloc(16);
    match device.call(Call::ReadHttpResponseData, &[channel, to]) {
        Status::Okay => {
            Ok(HttpResponseData::from_bytes(&device.memory.bytes(to, 16).try_into().expect("16 bytes")))
        }
        status => Err(status),
    }
}

fn header(device: &mut TestDevice, channel: u32, index: u32, size: u32) -> Result<Vec<u8>, Status> {
    let to = device.alloc(size as usize);
    match device.call(Call::ReadHttpResponseHeader, &[channel, index, to, size]) {
        Status::Okay => Ok(device.memory.bytes(to, size as usize)),
        status => Err(status),
    }
}

fn body(device: &mut TestDevice, channel: u32, offset: u32, size: u32) -> Result<Vec<u8>, Status> {
    let to = device.alloc(size as usize);
    match device.call(Call::ReadHttpResponseBody, &[channel, offset, to, size]) {
        Status::Okay => Ok(device.memory.bytes(to, size as usize)),
        status => Err(status),
    }
}

/// Shows N52, D60.
#[test]
fn everything_in_a_request_reaches_the_cloud_unjudged() {
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::Http);
    let request = HttpRequest {
        method: device.flash_string(b"TEAPOT"),
        url: device.flash_string(b"gopher://x"),
        num_headers: 2,
        headers: headers(&mut device, &[b"Host: me", b"A: b"]),
        body: device.flash_string(b"the body"),
        timeout_ms: 1,
    };
    assert_eq!(send(&mut device, channel, &request), Status::Okay);
    let items = device.cloud().take_items();
    let [(to_cloud::HTTP_REQUEST, item)] = &items[..] else { panic!("{items:?}") };
    let wire = WireRequest::decode(item).expect("a request");
    assert_eq!((wire.method, wire.url, wire.timeout), (&b"TEAPOT"[..], &b"gopher://x"[..], 1));
    assert_eq!(wire.headers.iter().collect::<Vec<_>>(), [&b"Host: me"[..], &b"A: b"[..]]);
    assert_eq!(wire.body, b"the body");
    assert_eq!(send(&mut device, channel, &request), Status::RequestAlreadySent);
}

/// Shows D12, D61, D32.
#[test]
fn a_response_is_readable_in_any_order_and_again_once_it_is_complete() {
    let (mut device, mut setup, channel) = requested();
    assert_eq!(data(&mut device, channel), Err(Status::ResponseNotPresent));
    device.chunk = 9;
    let text: Vec<u8> = (0..500_u32).map(|n| n as u8).collect();
    respond(&mut device, HttpResult::Ok, 200, &[b"A: 1", b"Long: header"], &text);
    assert_eq!(device.events(&mut setup.centre), [READABLE]);
    let head = HttpResponseData { result: 0, status_code: 200, num_headers: 2, body_length: 500 };
    assert_eq!(data(&mut device, channel), Ok(head));
    for _ in 0..2 {
        assert_eq!(header(&mut device, channel, 1, 12), Ok(b"Long: header".to_vec()));
        assert_eq!(header(&mut device, channel, 0, 6), Ok(b"A: 1\xee\xee".to_vec()), "the rest is untouched");
        assert_eq!(header(&mut device, channel, 1, 4), Ok(b"Long".to_vec()));
        assert_eq!(body(&mut device, channel, 0, 500), Ok(text.clone()));
        assert_eq!(body(&mut device, channel, 498, 4), Ok(vec![text[498], text[499], 0xee, 0xee]));
        assert_eq!(body(&mut device, channel, 500, 2), Ok(vec![0xee, 0xee]));
    }
    assert_eq!(header(&mut device, channel, 2, 4), Err(Status::IndexInvalid));
    assert_eq!(body(&mut device, channel, 501, 4), Err(Status::OffsetInvalid));
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
        let (mut device, mut setup, channel) = requested();
        respond(&mut device, result, 0, &[], b"");
        assert_eq!(device.events(&mut setup.centre), [READABLE]);
        let head = HttpResponseData { result: raw, status_code: 0, num_headers: 0, body_length: 0 };
        assert_eq!(data(&mut device, channel), Ok(head));
        assert_eq!(header(&mut device, channel, 0, 4), Err(Status::RequestUnsuccessful));
        assert_eq!(body(&mut device, channel, 0, 4), Err(Status::RequestUnsuccessful));
    }
}

/// Shows D14, D31, N68, D79.
#[test]
fn a_finished_exchange_outlives_its_channels_end_without_an_event() {
    let (mut device, mut setup, channel) = requested();
    respond(&mut device, HttpResult::Ok, 204, &[], b"body");
    device.cloud().send_closed(1, link::channel::ClosureReason::None);
    device.pump();
    assert_eq!(device.events(&mut setup.centre), [READABLE]);
    assert_eq!(body(&mut device, channel, 0, 4), Ok(b"body".to_vec()));
}

/// Shows D31, N66.
#[test]
fn an_interrupted_exchange_is_reported_and_has_nothing_to_read() {
    let (mut device, mut setup, channel) = requested();
    device.cloud().send_fragments(1, to_device::HTTP_RESPONSE, &[0, 0], &[b'x'; 300], 100, 1);
    device.pump();
    device.lose_link();
    assert_eq!(device.events(&mut setup.centre)[0], NOT_CONNECTED);
    assert_eq!(data(&mut device, channel), Err(Status::ChannelClosed));
    assert_eq!(header(&mut device, channel, 0, 4), Err(Status::ChannelClosed));
    assert_eq!(body(&mut device, channel, 0, 4), Err(Status::ChannelClosed));
}

/// Shows D02, D03, D45.
#[test]
fn bad_requests_are_refused_and_the_channel_stays_usable() {
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::Http);
    let good = request(&mut device);
    let wild = SizedString { data: NOWHERE, length: 1 };
    let wild_header = device.alloc_bytes(&HttpHeader { length: 1, data: NOWHERE }.to_bytes());
    let many = headers(&mut device, &[&b"A: b"[..]; 33]);
    let long = device.flash_string(&[b'x'; 1600]);
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
        assert_eq!(send(&mut device, channel, &request), status);
    }
    assert_eq!(device.cloud().take_items(), []);
    let most = HttpRequest { num_headers: 32, headers: many, ..good };
    assert_eq!(send(&mut device, channel, &most), Status::Okay);
}

/// A cloud whose header lengths exceed what it sent is left.
#[test]
fn headers_longer_than_the_response_are_a_violation() {
    let (mut device, _, _) = requested();
    device.cloud().send_item(1, to_device::HTTP_RESPONSE, &[0, 0, 1, 9], b"short", 100);
    device.pump();
    assert!(!device.connected);
    assert_eq!(device.cloud().bye_text, link::violation::BODY_TOO_SHORT.text());
}
