//! No secret gets into debug output, whatever encloses it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use core::fmt::Debug;

use sansio::{Duration, Instant};

use super::*;

const SECRET: &[u8] = b"hunter2-secret";

/// Fails if the secret is in the debug output, as text or as numbers.
fn assert_hidden(value: &dyn Debug) {
    for output in [format!("{value:?}"), format!("{value:#?}").replace(['\n', ' '], "")] {
        let numbers: Vec<String> = SECRET.iter().map(ToString::to_string).collect();
        for leak in [String::from_utf8_lossy(SECRET).into(), numbers.join(", "), numbers.join(",")] {
            assert!(!output.contains(&leak), "{output}");
        }
    }
}

fn target() -> Target {
    let tls = TlsOptions { key: SECRET.to_vec(), ..TlsOptions::default() };
    Target { host: "broker.example".into(), port: 8883, tls: Some(tls) }
}

fn headers() -> Vec<(String, Vec<u8>)> {
    vec![("authorization".into(), SECRET.to_vec())]
}

#[test]
fn private_keys_are_not_printed() {
    assert_hidden(&target());
    assert_hidden(&Output::OpenConnection { connection: ConnectionId(1), target: target() });
}

#[test]
fn payloads_are_not_printed() {
    assert_hidden(&Output::LinkSend(SECRET.to_vec()));
    assert_hidden(&Output::ConnectionSend { connection: ConnectionId(1), bytes: SECRET.to_vec() });
    let line = LogLine { sequence: 1, clock: Instant::ZERO, text: SECRET.to_vec() };
    assert_hidden(&Output::Log(line));
}

#[test]
fn configuration_values_are_not_printed() {
    assert_hidden(&vec![Value::Found(SECRET.to_vec()), Value::NotFound]);
}

#[test]
fn what_http_carries_is_not_printed() {
    let url = format!("https://user:{}@server.example/", String::from_utf8_lossy(SECRET));
    let timeout = Duration::from_secs(5);
    let body = SECRET.to_vec();
    let request =
        HttpRequest { method: "PUT", url, headers: headers(), body, timeout, max_response_length: 1 };
    assert_hidden(&Output::HttpRequest { exchange: ExchangeId(1), request });
    let body = SECRET.to_vec();
    let response = HttpResponse { status: 200, headers: headers(), body, ..HttpResponse::default() };
    assert_hidden(&HttpOutcome::Response(response));
}
