//! Each sample, to its expected output.

use abi::channel::ChannelType;
use device::events::DeviceEvent;
use link::http::HttpResult;

use crate::support::bench::Bench;
use crate::support::cloud::{HttpAnswer, HttpAsked, OpaqueEnd, Script, place};
use crate::support::relayed::Relayed;

/// Runs a sample until it says that it is done, and gives its log without what the network says of itself.
fn run(name: &str, script: Script) -> (Bench, Vec<String>) {
    let mut bench = Bench::new(&format!("samples/{name}/{name}.elf"), script);
    bench.run_to_line(20_000, &format!("{name}: done"));
    let faults = bench.events.iter().filter(|event| matches!(event, DeviceEvent::Faulted { .. }));
    assert_eq!(faults.count(), 0, "{:?}", bench.events);
    let log = bench.cloud.log.iter().filter(|line| !line.starts_with("network: ")).cloned().collect();
    (bench, log)
}

/// The same with the cloud's real core.
fn run_relayed(name: &str, script: Script) -> Vec<String> {
    let mut bench = Bench::with(&format!("samples/{name}/{name}.elf"), Relayed::new(script));
    bench.run_to_line(20_000, &format!("{name}: done"));
    bench.cloud.log.into_iter().filter(|line| !line.starts_with("network: ")).collect()
}

/// A server that knows two pages.
fn serve(asked: &HttpAsked) -> HttpAnswer {
    let (status, body) = match asked.method.as_str() {
        "GET" => (200, "0123456789".repeat(10)),
        "POST" => (201, String::new()),
        _ => (405, String::new()),
    };
    let headers = vec!["content-type: text/plain".to_owned(), format!("content-length: {}", body.len())];
    HttpAnswer { result: HttpResult::Ok, status, headers, body: body.into_bytes() }
}

/// What the HTTP sample says of it.
const TWO_PAGES: [&str; 11] = [
    "http: GET https://example.com/",
    "http: status 200, 2 headers, 100 bytes",
    "http: header 0: content-type: text/plain",
    "http: header 1: content-length: 100",
    "http: body from 0: 0123456789012345678901234567890123456789012345678901234567890123",
    "http: body from 64: 456789012345678901234567890123456789",
    "http: POST https://example.com/readings",
    "http: status 201, 2 headers, 0 bytes",
    "http: header 0: content-type: text/plain",
    "http: header 1: content-length: 0",
    "http: done",
];

/// Shows N02, N52, N54, D12, D14, D60.
#[test]
fn the_http_sample_gets_and_posts_through_the_real_relay() {
    assert_eq!(run_relayed("http", Script { http: Some(serve), ..Script::default() }), TWO_PAGES);
}

/// Shows N02, N52, N54, D12, D14.
#[test]
fn the_http_sample_gets_and_posts() {
    let (bench, log) = run("http", Script { http: Some(serve), ..Script::default() });
    assert_eq!(log, TWO_PAGES);
    let post = &bench.cloud.asked[1];
    assert_eq!(post.body, "{\"temperature\":21.37}");
    assert_eq!(post.headers, ["Content-Type: application/json", "Accept: application/json"]);
    assert_eq!(post.timeout_ms, 10_000);
}

/// Shows D60.
#[test]
fn the_http_sample_says_what_became_of_a_request_that_failed() {
    let (_, log) = run("http", Script::default());
    assert_eq!(
        log,
        [
            "http: GET https://example.com/",
            "http: no answer, requestfailed",
            "http: POST https://example.com/readings",
            "http: no answer, requestfailed",
            "http: done",
        ]
    );
}

/// Shows N52, D12, D14, D63.
#[test]
fn the_config_sample_reads_what_is_there_and_continues_without_the_rest() {
    let mut script = Script::default();
    let mut set = |device, config, key: &str, value: &str| {
        script.config.insert((place(device, config), key.to_owned()), value.as_bytes().to_vec());
    };
    set(true, true, "greeting", "good morning");
    set(true, false, "password", "correct horse");
    // The same key elsewhere is another key.
    set(true, true, "interval", "1");
    set(false, false, "api-token", &"x".repeat(300));
    let (bench, log) = run("config", script);
    assert_eq!(
        log,
        [
            "config: ok, 4 items",
            "config: greeting is good morning",
            "config: interval is not set, going on with \"60\"",
            "config: password is a secret of 13 bytes",
            "config: api-token is longer than 256 bytes",
            "config: done",
        ]
    );
    assert!(bench.events.contains(&DeviceEvent::ChannelClosed { channel: ChannelType::ConfigFetch }));
}

/// Shows N52, D12, D14, D63.
#[test]
fn the_config_sample_reads_what_the_real_relay_looked_up() {
    let mut script = Script::default();
    script.config.insert((place(true, true), "greeting".to_owned()), b"good morning".to_vec());
    script.config.insert((place(false, false), "api-token".to_owned()), b"secret".to_vec());
    assert_eq!(
        run_relayed("config", script),
        [
            "config: ok, 4 items",
            "config: greeting is good morning",
            "config: interval is not set, going on with \"60\"",
            "config: password is not set, going on with \"\"",
            "config: api-token is a secret of 6 bytes",
            "config: done",
        ]
    );
}

/// Shows N25, N26, N27, N28, D70, D71.
#[test]
fn the_logging_sample_keeps_lines_offline_and_is_refused_when_the_buffer_is_full() {
    let (bench, log) = run("logging", Script::default());
    let waiting: Vec<_> = log.iter().filter(|line| line.starts_with("waiting line ")).collect();
    // 512 bytes hold twelve lines of 41.
    assert_eq!(waiting.len(), 12, "{log:#?}");
    assert_eq!(waiting[11], "waiting line 11, forty characters in all");
    let rest: Vec<_> = log.iter().filter(|line| !line.starts_with("waiting line ")).collect();
    assert_eq!(
        rest,
        [
            "logging: before a buffer was given: unavailable",
            "logging: 1025 bytes: logmessagetoolong",
            "logging: the next line is empty",
            "",
            "logging: 12 lines waited, the next was refused: invalidbuffersize",
            "logging: done",
        ]
    );
    assert!(bench.events.contains(&DeviceEvent::NetworkReleased));
}

/// Shows N37, N38, N39, N40, N43, D10, D11.
#[test]
fn the_polling_sample_takes_every_record_with_its_line_disabled() {
    let (_, log) = run("polling", Script::default());
    let bursts: Vec<_> = log.iter().filter(|line| line.starts_with("polling: burst")).collect();
    assert_eq!(
        bursts,
        [
            "polling: burst 0: 10 of 10 in order",
            "polling: burst 1: 10 of 10 in order",
            "polling: burst 2: 10 of 10 in order",
            "polling: burst 3: 10 of 10 in order",
        ]
    );
    assert_eq!(log[0], "polling: networkstatuschanged with tag 1");
}

/// Shows N31, N36, N41, N42, D10, D11.
#[test]
fn the_interrupts_sample_takes_one_record_an_interrupt() {
    let (_, log) = run("interrupts", Script::default());
    assert_eq!(
        log,
        [
            "interrupts: networkstatuschanged with tag 1",
            "interrupts: 20 of 20 in order through 4 places",
            "interrupts: done",
        ]
    );
}

/// Shows N56, N57, N58, N70, D12, D13.
#[test]
fn the_opaque_sample_streams_and_gets_its_bytes_back() {
    let (_, log) = run("opaque", Script { opaque: OpaqueEnd::Echo, ..Script::default() });
    assert_eq!(
        log,
        [
            "opaque: streamed 20000 bytes, 20000 came back unchanged",
            "opaque: waited for room at least once",
            "opaque: room for 4096 bytes",
            "opaque: block 1 had to wait",
            "opaque: 26000 bytes in all, 26000 came back unchanged",
            "opaque: done",
        ]
    );
}

/// Shows D31, D99.
#[test]
fn the_opaque_sample_stops_when_there_is_no_other_end() {
    let (_, log) = run("opaque", Script::default());
    assert!(log.contains(&"channel: lost, connectionterminated".to_owned()), "{log:#?}");
}

/// Shows D31, D99.
#[test]
fn the_opaque_sample_is_shown_by_the_real_relay_that_there_is_no_other_end() {
    let log = run_relayed("opaque", Script::default());
    assert!(log.contains(&"channel: lost, connectionterminated".to_owned()), "{log:#?}");
}

/// Shows M01, M27, M54, M56, M57, M61, M63, M64, M66, M74, M77.
#[test]
fn the_mqtt_sample_connects_subscribes_and_publishes_through_the_real_relay() {
    let mut script = Script::default();
    for (key, value) in [("broker-host", "broker.test"), ("broker-port", "1883")] {
        script.config.insert((place(true, true), key.to_owned()), value.as_bytes().to_vec());
    }
    let mut bench = Bench::with("samples/mqtt/mqtt.elf", Relayed::new(script));
    bench.run_to_line(20_000, "publish 2: requestcompleted, reason 0x00");
    for line in ["connect: requestcompleted, reason 0x00", "subscribe: requestcompleted, reason 0x01"] {
        assert_eq!(bench.line(line), Some(line), "{:#?}", bench.cloud.log);
    }
    assert_eq!(bench.cloud.targets, [("broker.test".to_owned(), 1883)]);
}

#[test]
fn the_flash_sample_reads_what_it_wrote() {
    let (_, log) = run("flash", Script::default());
    assert!(log[0].starts_with("flash: chip 0x"), "{log:#?}");
    assert_eq!(
        log[1..],
        [
            "flash: the text of the last time is not there",
            "flash: after erasing: all ones",
            "flash: after writing: written across two sectors",
            "flash: zeros do not become ones by writing",
            "flash: done",
        ]
    );
}
