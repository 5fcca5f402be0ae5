//! HTTP exchanges: what is refused, what is sent, and what the device receives, byte for byte.

mod common;

use common::{RING, Received, Rig, str};
use link::channel::ChannelType;
use link::connection::ByeReason;
use link::http::HttpResult;
use link::kind::to_cloud;
use link::violation;
use relay::{ConnectError, HttpError, HttpOutcome, HttpRequest, HttpResponse, Input, Notice, Settings};
use sansio::Duration;

const URL: &str = "https://example.com/a?b=c";

fn body(method: &str, url: impl AsRef<[u8]>, timeout: u32, headers: &[&[u8]], body: &[u8]) -> Vec<u8> {
    let mut millis = [0; link::bytes::MAX_PREFIX];
    let length = link::bytes::prefix(timeout, &mut millis);
    let lines: Vec<u8> = headers.iter().flat_map(str).collect();
    [str(method), str(url), millis[..length].to_vec(), vec![headers.len() as u8], lines, body.to_vec()]
        .concat()
}

/// A rig with an HTTP channel on which this was requested.
fn asking(ring: u32, body: &[u8]) -> (Rig, u8) {
    let mut rig = Rig::open();
    let channel = rig.open_channel(ChannelType::Http, ring);
    rig.send(channel, to_cloud::HTTP_REQUEST, body);
    (rig, channel)
}

/// What is carried of a request, if it is.
fn carried(asked: &[u8]) -> Result<HttpRequest, u8> {
    let (mut rig, _) = asking(RING, asked);
    if let Some((_, request)) = rig.exchanges.pop() {
        assert_eq!(rig.received, [], "no answer yet");
        return Ok(request);
    }
    assert!(matches!(rig.notices.pop(), Some(Notice::RequestRefused { request: "HTTP request", .. })));
    match &rig.received()[..] {
        [Received::Http { result, status: 0, headers, body, .. }]
            if headers.is_empty() && body.is_empty() =>
        {
            Err(*result)
        }
        other => panic!("{other:?}"),
    }
}

fn response(headers: &[(&str, &str)], body: &[u8]) -> HttpResponse {
    let pair = |&(name, value): &(&str, &str)| (name.into(), value.as_bytes().to_vec());
    HttpResponse {
        status: 200,
        headers: headers.iter().map(pair).collect(),
        ignored: Vec::new(),
        body: body.to_vec(),
    }
}

/// What the device receives for an outcome.
fn received(ring: u32, outcome: HttpOutcome) -> Received {
    let (mut rig, _) = asking(ring, &body("GET", URL, 5000, &[], b""));
    let (exchange, _) = rig.exchanges.pop().unwrap();
    rig.http(exchange, outcome);
    assert_eq!(rig.received.len(), 1, "exactly one answer");
    rig.received.pop().unwrap()
}

fn result_of(received: &Received) -> u8 {
    let Received::Http { result, .. } = received else { panic!("{received:?}") };
    *result
}

/// Shows D60.
#[test]
fn a_request_is_carried_as_the_application_wrote_it() {
    let headers: [&[u8]; 4] = [b"b: 2", b"A:1", b"empty:", b"b:  \tx y\t"];
    let request = carried(&body("POST", URL, 7000, &headers, b"hi")).unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let expected = HttpRequest {
        method: "POST",
        url: URL.into(),
        headers: vec![pair("b", "2"), pair("A", "1"), pair("empty", ""), pair("b", "x y")],
        body: b"hi".to_vec(),
        timeout: Duration::from_secs(7),
        max_response_length: RING,
    };
    assert_eq!(request, expected);
}

/// Shows D60.
#[test]
fn seven_methods_are_carried_and_no_other() {
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        assert_eq!(carried(&body(method, URL, 5000, &[], b"")).unwrap().method, method);
    }
    for method in ["", "get", "CONNECT", "TRACE", "GET ", "GETX", "PROPFIND"] {
        assert_eq!(carried(&body(method, URL, 5000, &[], b"")), Err(2), "{method:?}");
    }
}

/// Shows D60.
#[test]
fn only_https_is_carried() {
    for url in ["https://x", "HTTPS://x/", "https:x", "https://[::1]:8443/", "https://"] {
        assert!(carried(&body("GET", url, 5000, &[], b"")).is_ok(), "{url}");
    }
    for url in ["http://x/", "", "https", "x/https:", " https://x/", "ftp://x/", "httpss://x", "//x/"] {
        assert_eq!(carried(&body("GET", url, 5000, &[], b"")), Err(1), "{url:?}");
    }
    assert_eq!(carried(&body("GET", b"https://\xff", 5000, &[], b"")), Err(5), "no text");
}

/// Shows D185: a URL is not mended, and what some servers take for a line end is in no header.
#[test]
fn control_characters_are_in_no_url_and_no_header() {
    for url in ["https://x/a\r\nb", "https://x\n.y/", "https://x/\t", "https://x/\u{7f}", "https://x/\u{85}"]
    {
        assert_eq!(carried(&body("GET", url, 5000, &[], b"")), Err(5), "{url:?}");
    }
    for line in
        [&b"a: x\x0by"[..], b"a: x\0", b"a: x\x7f", "a: x\u{85}y".as_bytes(), b"a: \xff\x85", b"a\t: x"]
    {
        assert_eq!(carried(&body("GET", URL, 5000, &[line], b"")), Err(3), "{line:?}");
    }
    for line in [&b"a: x\ty"[..], "a: Gr\u{fc}\u{df}e".as_bytes(), b"a: gr\xfc\xdfe"] {
        assert!(carried(&body("GET", URL, 5000, &[line], b"")).is_ok(), "{line:?}");
    }
}

/// Shows D60.
#[test]
fn a_header_that_is_malformed_or_of_the_connection_is_invalid() {
    for line in [
        "Host: x",
        "content-length: 0",
        "Connection: close",
        "Keep-Alive: 5",
        "TE: trailers",
        "Trailer: x",
        "Transfer-Encoding: chunked",
        "Upgrade: h2c",
        "Proxy-Authorization: x",
        "Proxy-Connection: x",
        "no colon",
        ": no name",
        "blank : x",
        " a: x",
        "a\tb: x",
        "a: x\r\n",
        "a: x\r\nHost: y",
        "a: x\n b",
        "a: nul\0l",
        "a: \u{7f}",
        "\u{e9}: x",
        "",
    ] {
        assert_eq!(carried(&body("GET", URL, 5000, &[b"ok: 1", line.as_bytes()], b"")), Err(3), "{line:?}");
    }
    for line in ["a:", "!#$%&'*+-.^_`|~09azAZ: x:y", "hosts: x", "a: \u{e9}", "a: b\tc"] {
        assert!(carried(&body("GET", URL, 5000, &[line.as_bytes()], b"")).is_ok(), "{line:?}");
    }
}

/// Shows D60.
#[test]
fn thirty_two_headers_are_carried_and_not_one_more() {
    let asked = |count| body("GET", URL, 5000, &vec![&b"a: b"[..]; count], b"");
    assert_eq!(carried(&asked(32)).unwrap().headers.len(), 32);
    assert_eq!(carried(&asked(33)), Err(3));
}

/// Shows D60.
#[test]
fn a_timeout_is_five_to_ten_seconds() {
    for timeout in [5000, 10_000] {
        assert_eq!(
            carried(&body("GET", URL, timeout, &[], b"")).unwrap().timeout,
            Duration::from_millis(timeout.into())
        );
    }
    for timeout in [0, 4999, 10_001, u32::MAX] {
        assert_eq!(carried(&body("GET", URL, timeout, &[], b"")), Err(4), "{timeout}");
    }
}

/// Shows D60.
#[test]
fn the_first_fault_in_the_order_of_the_numbers_is_the_result() {
    assert_eq!(carried(&body("NO", "http://x", 0, &[b"Host: x"], b"")), Err(1));
    assert_eq!(carried(&body("NO", URL, 0, &[b"Host: x"], b"")), Err(2));
    assert_eq!(carried(&body("GET", URL, 0, &[b"Host: x"], b"")), Err(3));
}

/// Shows D60.
#[test]
fn a_response_goes_to_the_device_byte_for_byte() {
    let (mut rig, channel) = asking(RING, &body("GET", URL, 5000, &[], b""));
    assert_eq!(channel, 1);
    rig.bytes.clear();
    let (exchange, _) = rig.exchanges.pop().unwrap();
    rig.http(exchange, HttpOutcome::Response(response(&[("a", "b"), ("c", "de")], b"hi")));
    let frame = b"\xb1\x22\x00\xc8\x01\x02\x04\x05a: bc: dehi";
    assert_eq!(rig.bytes, frame);
    let headers = vec!["a: b".into(), "c: de".into()];
    assert_eq!(
        rig.received(),
        [Received::Http { channel, result: 0, status: 200, headers, body: b"hi".to_vec() }]
    );
}

/// Shows D60.
#[test]
fn a_failure_goes_to_the_device_byte_for_byte() {
    let (mut rig, _) = asking(RING, &body("GET", URL, 5000, &[], b""));
    rig.bytes.clear();
    let (exchange, _) = rig.exchanges.pop().unwrap();
    rig.http(exchange, HttpOutcome::Failed(HttpError::TimedOut));
    assert_eq!(rig.bytes, b"\xb1\x06\x05\x00\x00");
}

/// Shows D60, D62.
#[test]
fn every_error_is_a_failed_request_with_its_cause_on_the_timeline() {
    let causes = [
        HttpError::InvalidUrl,
        HttpError::TimedOut,
        HttpError::Broken,
        HttpError::NotHttp("invalid HTTP version parsed".into()),
        HttpError::Connection(ConnectError::NotAllowed),
        HttpError::Connection(ConnectError::NameNotResolved),
    ];
    for error in causes {
        let (mut rig, channel) = asking(RING, &body("GET", URL, 5000, &[], b""));
        let (exchange, _) = rig.exchanges.pop().unwrap();
        rig.http(exchange, HttpOutcome::Failed(error.clone()));
        assert_eq!(result_of(&rig.received[0]), HttpResult::RequestFailed.code());
        assert_eq!(rig.notices.pop(), Some(Notice::HttpFailed { channel, error }));
    }
}

/// Shows D194.
#[test]
fn header_lines_that_were_left_out_are_named_for_those_who_watch() {
    let (mut rig, channel) = asking(RING, &body("GET", URL, 5000, &[], b""));
    let (exchange, _) = rig.exchanges.pop().unwrap();
    let names = vec!["X Forwarded By".to_owned()];
    let answer = HttpResponse { ignored: names.clone(), ..response(&[], b"hi") };
    rig.http(exchange, HttpOutcome::Response(answer));
    assert_eq!(result_of(&rig.received[0]), HttpResult::Ok.code());
    assert!(rig.notices.contains(&Notice::HttpHeadersIgnored { channel, names }), "{:?}", rig.notices);
}

/// Shows D60.
#[test]
fn a_response_of_exactly_the_ring_fits_and_one_byte_more_does_not() {
    for headers in [&[][..], &[("name", "value")]] {
        let taken = response(headers, b"").length();
        let fits = response(headers, &vec![7; RING as usize - taken]);
        assert_eq!(fits.length(), RING as usize);
        assert_eq!(result_of(&received(RING, HttpOutcome::Response(fits))), 0);
        let beyond = response(headers, &vec![7; RING as usize - taken + 1]);
        assert_eq!(result_of(&received(RING, HttpOutcome::Response(beyond))), 6);
    }
    assert_eq!(result_of(&received(RING, HttpOutcome::TooLarge)), 6);
}

#[test]
fn a_ring_larger_than_an_item_takes_what_an_item_does() {
    let ring = 2 * link::MAX_ITEM;
    let (rig, _) = asking(ring, &body("GET", URL, 5000, &[], b""));
    let room = rig.exchanges[0].1.max_response_length;
    assert!(room < link::MAX_ITEM && room > link::MAX_ITEM - 256);
    assert_eq!(result_of(&received(ring, HttpOutcome::Response(response(&[], &vec![1; room as usize])))), 0);
    assert_eq!(
        result_of(&received(ring, HttpOutcome::Response(response(&[], &vec![1; room as usize + 1])))),
        6
    );
}

/// Shows D60.
#[test]
fn sixty_four_response_headers_are_delivered_and_one_more_is_too_large() {
    let many = |count| HttpOutcome::Response(response(&vec![("a", ""); count], b""));
    let Received::Http { result: 0, headers, .. } = received(RING, many(64)) else { panic!("refused") };
    assert_eq!(headers, vec!["a: "; 64]);
    assert_eq!(result_of(&received(RING, many(65))), 6);
}

#[test]
fn a_channel_that_closes_cancels_its_exchange_and_no_other() {
    let (mut rig, first) = asking(RING, &body("GET", URL, 5000, &[], b""));
    let second = rig.open_channel(ChannelType::Http, RING);
    rig.send(second, to_cloud::HTTP_REQUEST, &body("GET", URL, 5000, &[], b""));
    let names: Vec<_> = rig.exchanges.iter().map(|(name, _)| *name).collect();
    assert_ne!(names[0], names[1]);
    rig.close(first);
    assert_eq!(rig.cancelled, [names[0]]);
    rig.received.clear();
    rig.http(names[0], HttpOutcome::TooLarge);
    assert_eq!(rig.received, [], "no request is pending");
    rig.http(names[1], HttpOutcome::TooLarge);
    assert_eq!(result_of(&rig.received()[0]), 6);
    rig.close(second);
    assert_eq!(rig.cancelled, [names[0]], "a finished exchange is not cancelled");
}

#[test]
fn the_end_of_the_link_cancels_every_exchange() {
    let (mut rig, _) = asking(RING, &body("GET", URL, 5000, &[], b""));
    let exchange = rig.exchanges[0].0;
    rig.input(Input::Shutdown { reason: ByeReason::ShuttingDown });
    assert_eq!(rig.cancelled, [exchange]);
    assert_eq!(rig.disconnected, Some(ByeReason::ShuttingDown));
    rig.http(exchange, HttpOutcome::TooLarge);
}

#[test]
fn a_second_request_or_one_cut_short_breaks_a_rule() {
    let (mut rig, channel) = asking(RING, &body("GET", URL, 5000, &[], b""));
    rig.input(Input::LinkReceived(&[0xa0 | channel, 8, 3, b'G', b'E', b'T']));
    assert_eq!(rig.violation, Some(violation::REQUEST_TWICE));
    assert_eq!(rig.cancelled.len(), 1);
    let (rig, _) = asking(RING, &str("GET"));
    assert_eq!(rig.violation, Some(violation::BODY_TOO_SHORT));
}

/// A body longer than the window comes to its end, and the relay holds nothing of it once it is handed out.
#[test]
fn a_long_body_is_carried_whole() {
    let long: Vec<u8> = (0..100_000u32).map(|number| number as u8).collect();
    let (mut rig, _) = asking(RING, &body("PUT", URL, 5000, &[], &long));
    assert_eq!(rig.exchanges.pop().unwrap().1.body, long);
    assert_eq!(rig.relay.buffered_bytes(), 0);
}

#[test]
fn those_who_watch_see_request_and_response_from_when_they_ask_on() {
    let mut rig = Rig::open_with(Settings::default());
    let channel = rig.open_channel(ChannelType::Http, RING);
    assert_eq!(rig.notices, []);
    rig.input(Input::Notices { enabled: true });
    rig.send(channel, to_cloud::HTTP_REQUEST, &body("GET", URL, 5000, &[], b""));
    let (exchange, _) = rig.exchanges.pop().unwrap();
    rig.http(exchange, HttpOutcome::Response(response(&[("a", "b")], b"hello")));
    rig.input(Input::Notices { enabled: false });
    rig.close(channel);
    let expected = [
        Notice::HttpRequested { channel, method: "GET", url: URL.into() },
        Notice::HttpAnswered { channel, status: 200, length: 5 },
    ];
    assert_eq!(rig.notices, expected);
}
