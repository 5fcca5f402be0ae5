use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use abi::layouts;
use test_rng::Rng;

use super::*;
use crate::machine::{Machine, RunResult};
use crate::testing::{self, Program, b_self, mov32, movs, str_, wfi};

/// What was written, for a test to look at.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("whole").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("whole").clone()).expect("text")
    }
}

/// An entry with what was captured of memory.
type Captured = (Entry, Vec<u8>);

/// What `make`'s tracer writes of `entries`, as text and as events.
fn written_by(make: impl FnOnce(Tracer) -> Tracer, entries: Vec<Captured>) -> [String; 2] {
    let papers = [Paper::default(), Paper::default()];
    let output = |format, paper: &Paper| TraceSink { format, to: Box::new(paper.clone()) };
    let outputs = vec![output(Format::Text, &papers[0]), output(Format::Perfetto, &papers[1])];
    let mut tracer = make(Tracer::start(outputs).expect("started"));
    for (entry, captured) in entries {
        tracer.put(entry, &captured);
    }
    drop(tracer);
    papers.map(|paper| paper.text())
}

/// What a tracer writes of `entries`, as text and as events.
fn written(entries: Vec<Captured>) -> [String; 2] {
    written_by(Tracer::lossless, entries)
}

/// A call with an effect.
fn call(at: u64, cycles: u64) -> Captured {
    made(Call::NoOp, at, cycles, [0; 4], false, &memory(&[], &[]))
}

/// A call that was answered.
fn made(call: Call, at: u64, cycles: u64, registers: [u32; 4], is_query: bool, ram: &Ram) -> Captured {
    let mut captured = Vec::new();
    let read = |address: u32, into: &mut [u8]| ram.read(address, into);
    decode::capture_arguments(call, registers, &read, &mut captured);
    let argument_bytes = captured.len();
    decode::capture_results(call, registers, &read, &mut captured);
    let status = Some(abi::Status::Okay);
    let part = Part::Whole;
    let entry = CallEntry { call, registers, status, part, is_query, cycles, argument_bytes };
    (Entry { at, what: What::Call(entry) }, captured)
}

/// `mvGetMicroseconds` that returned `micros`.
fn time(at: u64, micros: u32) -> Captured {
    made(Call::GetMicroseconds, at, 400, [AT, 0, 0, 0], true, &memory(&[micros, 0], &[]))
}

/// `mvGetNetworkStatus` that returned `status`.
fn network(at: u64, status: u32) -> Captured {
    made(Call::GetNetworkStatus, at, 400, [0x1234, AT, 0, 0], true, &memory(&[status], &[]))
}

fn exception(at: u64, number: u16, entered: bool) -> Captured {
    (Entry { at, what: What::Exception { number, entered } }, Vec::new())
}

fn mark(at: u64, name: &'static str) -> Captured {
    (Entry::mark(at, Lane::Link, name, Fields::new()), Vec::new())
}

#[test]
fn a_line_says_when_who_and_what() {
    let text = memory(&[], &[b"x\\\n"]);
    let [text, _] = written(vec![
        made(Call::ServerLog, 160, 320, [AT + 0x100, 3, 0, 0], false, &text),
        exception(160_000_001, 15, true),
        exception(320_000_000, 15, false),
    ]);
    assert_eq!(
        text,
        "     0.000001000  application  mvServerLog(message=\"x\\\\\\n\", length_bytes=3) = OKAY [2 us]\n     \
         1.000000006  interrupts   > SysTick\n     \
         2.000000000  interrupts   < SysTick\n"
    );
}

#[test]
fn events_have_begin_and_length_in_microseconds() {
    let text = memory(&[], &[b"x\\\n"]);
    let [_, events] = written(vec![
        made(Call::ServerLog, 161, 320, [AT + 0x100, 3, 0, 0], false, &text),
        exception(1600, 15, true),
        exception(3200, 16, true),
        exception(3360, 16, false),
        exception(4800, 14, true),
    ]);
    for part in [
        "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[",
        "\"ph\":\"M\",\"pid\":1,\"tid\":1,\"name\":\"thread_name\",\"args\":{\"name\":\"application\"}",
        "{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"name\":\"mvServerLog\",\"ts\":1.00625,\"dur\":2,\"args\":{\"message\":\"\\\"x\\\\\\\\\\\\n\\\"\",\"length_bytes\":\"3\",\"status\":\"OKAY\"}}",
        "{\"ph\":\"B\",\"pid\":1,\"tid\":2,\"name\":\"SysTick\",\"ts\":10}",
        "{\"ph\":\"E\",\"pid\":1,\"tid\":2,\"name\":\"interrupt 0\",\"ts\":21}",
        "{\"ph\":\"E\",\"pid\":1,\"tid\":2,\"name\":\"PendSV\",\"ts\":30},\n\
         {\"ph\":\"E\",\"pid\":1,\"tid\":2,\"name\":\"SysTick\",\"ts\":30}\n]}\n",
    ] {
        assert!(events.contains(part), "{part} is missing in\n{events}");
    }
}

/// Shows D330.
#[test]
fn a_loop_that_polls_is_one_line_for_each_of_its_calls() {
    let mut entries = vec![mark(0, "up")];
    for round in 0..57_000 {
        entries.push(time(160 + round * 3_200, 1 + 20 * round as u32));
        entries.push(network(1_600 + round * 3_200, 1));
    }
    // The network's status changes, which ends nothing but is a line of its own.
    entries.push(network(182_400_000, 2));
    entries.push(mark(182_400_160, "down"));
    let [text, events] = written(entries);
    assert_eq!(
        text,
        "     0.000000000  link         up\n     \
         0.000001000  application  mvGetMicroseconds(ms=&0x20000000) = OKAY; ms=1 [2.5 us] \
         (57,000 times in 1.1 s, until 1.139981000); last ms=1139981\n     \
         0.000010000  application  mvGetNetworkStatus(handle=0x1234, status=&0x20000000) = OKAY; status=CONNECTED \
         [2.5 us] (57,000 times in 1.1 s, until 1.139990000)\n     \
         1.140000000  application  mvGetNetworkStatus(handle=0x1234, status=&0x20000000) = OKAY; \
         status=CONNECTING [2.5 us]\n     \
         1.140001000  link         down\n"
    );
    assert!(
        events.contains(
            "{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"name\":\"mvGetMicroseconds + mvGetNetworkStatus, 57,000 times\",\
             \"ts\":1,\"dur\":1139989,\"args\":{\"repeated\":[{\"name\":\"mvGetMicroseconds\",\"count\":57000,\
             \"first\":1,\"last\":1139981,\"arguments\":{\"ms\":\"&0x20000000\"},\"status\":\"OKAY\",\
             \"results\":{\"ms\":\"1\"},\"last_results\":{\"ms\":\"1139981\"}},"
        ),
        "{events}"
    );
}

/// Shows D330.
#[test]
fn what_has_an_effect_is_never_counted() {
    let okay = |at| made(Call::ServerLog, at, 0, [AT, 0, 0, 0], false, &memory(&[], &[]));
    let [text, _] = written((0..50).flat_map(|at| [okay(320 * at), mark(320 * at + 160, "up")]).collect());
    assert_eq!(text.lines().count(), 100);
    assert!(!text.contains("times"), "{text}");
}

/// Shows D330.
#[test]
fn without_folding_every_call_is_a_line() {
    let entries = || (0..1_000).map(|at| time(160 * at, at as u32)).collect::<Vec<_>>();
    let [all, _] = written_by(|tracer| tracer.lossless().unfolded(), entries());
    assert_eq!(all.lines().count(), 1_000);
    let [folded, _] = written(entries());
    assert_eq!(folded.lines().count(), 1, "{folded}");
}

/// A program of random queries, interrupts and marks, with random pauses.
fn random_entries(seed: u64) -> Vec<Captured> {
    let mut rng = Rng::new(seed);
    let mut below = |end: u64| rng.next_u64() % end;
    let (mut at, mut entries, mut handlers) = (0, Vec::new(), Vec::new());
    let kinds = 1 + below(12);
    for _ in 0..2_000 {
        at += if below(200) == 0 { below(2_000_000_000) } else { 400 + below(1_600) };
        entries.push(match below(kinds) {
            0 | 1 => time(at, at as u32),
            2 => network(at, below(3) as u32),
            3 if handlers.len() < 3 => {
                handlers.push(15 + handlers.len() as u16);
                exception(at, 14 + handlers.len() as u16, true)
            }
            4 | 5 => match handlers.pop() {
                Some(number) => exception(at, number, false),
                None => time(at, at as u32),
            },
            6 => mark(at, "up"),
            7 => call(at, 0),
            n => made(Call::PeriphPeek32, at, 400, [n as u32, AT, 0, 0], true, &memory(&[0], &[])),
        });
    }
    entries
}

/// The count at the end of a line.
fn count(line: &str) -> u64 {
    let count = line.rsplit_once(" times in ").and_then(|(rest, _)| rest.rsplit_once('('));
    count.map_or(1, |(_, count)| count.replace(',', "").parse().expect("a number"))
}

/// Adds the events of a trace by name, and shows that their times only grow and that what begins ends.
fn counted(events: &str) -> (BTreeMap<String, u64>, u64) {
    let events: serde_json::Value = serde_json::from_str(events).expect("JSON");
    let (mut counts, mut last, mut depth, mut instants) = (BTreeMap::new(), 0.0, [0i64; 6], 0);
    for event in events["traceEvents"].as_array().expect("a list") {
        let Some(ts) = event["ts"].as_f64() else { continue };
        assert!(ts >= last, "{event} after {last}");
        last = ts;
        let lane = event["tid"].as_u64().expect("a lane") as usize;
        match event["ph"].as_str() {
            Some("B") => depth[lane] += 1,
            Some("E") => depth[lane] -= 1,
            Some("i") => instants += 1,
            _ => {}
        }
        assert!(depth[lane] >= 0, "{event}");
        match event["args"]["repeated"].as_array() {
            Some(repeated) => {
                for one in repeated {
                    let name = one["name"].as_str().expect("a name").to_owned();
                    *counts.entry(name).or_default() += one["count"].as_u64().expect("a count");
                }
            }
            None if event["ph"] == "X" => {
                *counts.entry(event["name"].as_str().expect("a name").to_owned()).or_default() += 1;
            }
            None => {}
        }
    }
    assert_eq!(depth, [0; 6]);
    (counts, instants)
}

/// Shows D330: the counts are those of what was made, for any sequence, in both formats; times only grow; a trace has
/// no more lines than it would have without folding.
#[test]
fn counts_add_up_to_what_was_made() {
    for seed in 0..40 {
        let entries = random_entries(seed);
        let made = entries.len() as u64;
        let calls = entries.iter().filter(|(entry, _)| matches!(entry.what, What::Call(_))).count() as u64;
        let marks = entries.iter().filter(|(entry, _)| matches!(entry.what, What::Mark { .. })).count();
        let [text, events] = written(entries);
        assert_eq!(text.lines().map(count).sum::<u64>(), made, "seed {seed}");
        assert!(text.lines().count() as u64 <= made);
        let times: Vec<&str> = text.lines().map(|line| &line[..16]).collect();
        assert!(times.is_sorted(), "seed {seed}:\n{text}");
        let (counts, instants) = counted(&events);
        let in_calls = |name: &&String| name.starts_with("mv");
        let sum: u64 = counts.iter().filter(|(name, _)| in_calls(name)).map(|(_, count)| count).sum();
        assert_eq!((sum, instants), (calls, marks as u64), "seed {seed}");
    }
}

/// Shows D330.
#[test]
fn a_group_ends_with_a_pause_and_after_ten_seconds() {
    let apart = fold::MAX_PAUSE + 400;
    let [text, _] = written((0..3).map(|n| time(n * apart, n as u32)).collect());
    assert!(text.lines().count() == 3 && !text.contains("times"), "{text}");
    let often = fold::MAX_TIME / 1_000;
    let [text, _] = written((0..2_500).map(|n| time(n * often, n as u32)).collect());
    let counts: Vec<u64> = text.lines().map(count).collect();
    assert_eq!(counts, [1_000, 1_000, 500]);
}

/// A disk that takes nothing until it is let go.
struct Stuck(Arc<Mutex<()>>, Paper);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _free = self.0.lock().expect("whole");
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Shows D136.
#[test]
fn a_slow_disk_does_not_delay_the_device_and_what_is_lost_is_reported_once() {
    let (gate, paper) = (Arc::new(Mutex::new(())), Paper::default());
    let held = gate.lock().expect("whole");
    let to = Box::new(Stuck(gate.clone(), paper.clone()));
    let mut tracer = Tracer::start(vec![TraceSink { format: Format::Text, to }]).expect("started");
    let made = 3 * QUEUE as u64;
    for at in 0..made {
        let (entry, captured) = call(at, 0);
        tracer.put(entry, &captured);
    }
    drop(held);
    drop(tracer);
    let text = paper.text();
    let lost = |line: &str| -> Option<u64> {
        let (count, _) = line.split_once("  device       ")?.1.split_once(" entries lost in ")?;
        Some(count.replace(',', "").parse().expect("a number")).filter(|_| !line.contains("in all"))
    };
    let losses: Vec<u64> = text.lines().filter_map(lost).collect();
    // The writer may have taken a full queue once before it has to wait.
    assert!(matches!(losses.len(), 1 | 2), "{losses:?}");
    let written = text.lines().filter(|line| !line.contains("entries lost in ")).count() as u64;
    assert_eq!(written + losses.iter().sum::<u64>(), made);
    assert_eq!(losses.len() == 2, text.contains("entries lost in all, in 2 gaps"));
}

/// A disk that is full.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }
}

#[test]
fn a_full_disk_ends_one_trace_and_not_the_other() {
    let paper = Paper::default();
    let outputs = vec![
        TraceSink { format: Format::Perfetto, to: Box::new(Full) },
        TraceSink { format: Format::Text, to: Box::new(paper.clone()) },
    ];
    let mut tracer = Tracer::start(outputs).expect("started");
    for at in 0..10_000 {
        let (entry, captured) = call(at, 0);
        tracer.put(entry, &captured);
    }
    drop(tracer);
    assert_eq!(paper.text().lines().count(), 10_000);
}

/// Application memory for the decoder: one stretch of bytes.
struct Ram(u32, Vec<u8>);

impl Ram {
    fn read(&self, address: u32, into: &mut [u8]) -> bool {
        let Some(from) = address.checked_sub(self.0) else { return false };
        match self.1.get(from as usize..from as usize + into.len()) {
            Some(bytes) => into.copy_from_slice(bytes),
            None => return false,
        }
        true
    }
}

const AT: u32 = 0x2000_0000;

/// Memory with a structure of `words` at its beginning and `texts` at 0x100, 0x200, and so on.
fn memory(words: &[u32], texts: &[&[u8]]) -> Ram {
    let mut bytes = vec![0; 0x1000];
    for (at, word) in words.iter().enumerate() {
        bytes[at * 4..at * 4 + 4].copy_from_slice(&word.to_le_bytes());
    }
    for (at, text) in texts.iter().enumerate() {
        let from = 0x100 * (at + 1);
        bytes[from..from + text.len()].copy_from_slice(text);
    }
    Ram(AT, bytes)
}

fn arguments_of(call: Call, registers: [u32; 4], ram: &Ram) -> String {
    let fields = decode::arguments(call, registers, &|address, into| ram.read(address, into));
    joined(&fields)
}

fn answered(call: Call, registers: [u32; 4], ram: &Ram) -> String {
    let fields = decode::results(call, registers, &|address, into| ram.read(address, into));
    joined(&fields)
}

fn joined(fields: &Fields) -> String {
    fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_publish_is_reported_with_its_fields() {
    let ram = memory(&[7, AT + 0x100, 5, AT + 0x200, 2, 1, 0], &[b"t/one", b"hi"]);
    assert_eq!(
        arguments_of(Call::MqttRequestPublish, [0x1234, AT, 0, 0], &ram),
        "handle=0x1234, request={correlation_id=7, topic=\"t/one\", payload=\"hi\", desired_qos=1, retain=0}"
    );
}

#[test]
fn arrays_enumerations_and_results_are_reported() {
    // Two keys to fetch: scope, store, and the key itself.
    let mut words = vec![2, AT + 0x300];
    words.resize(0xC0, 0);
    words.extend([1, 0, AT + 0x100, 4, 0, 1, AT + 0x200, 3]);
    let ram = memory(&words, &[b"pass", b"url"]);
    assert_eq!(
        arguments_of(Call::SendConfigFetchRequest, [1, AT, 0, 0], &ram),
        "handle=0x1, request={num_items=2, keys_to_fetch=[{scope=DEVICE, store=SECRET, key=\"pass\"}, \
         {scope=ACCOUNT, store=CONFIG, key=\"url\"}]}"
    );
    let ram = memory(&[0x101, 2], &[]);
    assert_eq!(
        answered(Call::GetNetworkReasons, [AT, AT + 4, 0, 0], &ram),
        "reasons=USINGNETWORK|DEBUGGERATTACHED, request_ref_count=2"
    );
    assert_eq!(
        arguments_of(Call::GetNetworkReasons, [0, AT + 4, 0, 0], &ram),
        "reasons=NULL, request_ref_count=&0x20000004"
    );
}

/// Shows D137.
#[test]
fn what_is_secret_is_shown_by_its_length_only() {
    const SECRET: &[u8] = b"HUNTER2-HUNTER2";
    let length = SECRET.len() as u32;
    let secret = AT + 0x100;
    // Version, host, port, client id, method, username, password, TLS, keepalive, clean start, will.
    let connect =
        [1, AT + 0x200, 4, 1883, AT + 0x200, 4, 1, AT + 0x200, 4, secret, length, AT + 0x300, 60, 1, 0];
    let mut words = connect.to_vec();
    words.resize(0xC0, 0);
    // No authority; a chain of none, and a private key.
    words.extend([0, 0, 0, 0, secret, length]);
    let ram = memory(&words, &[SECRET, b"name"]);
    let connecting = arguments_of(Call::MqttRequestConnect, [1, AT, 0, 0], &ram);
    assert!(
        connecting.contains("username=(4 bytes, not shown), password=(15 bytes, not shown)"),
        "{connecting}"
    );
    assert!(connecting.contains("key=(15 bytes, not shown)"), "{connecting}");

    let wifi = memory(&[1, 0, AT + 0x200, 4, secret, length], &[SECRET, b"name"]);
    let wifi = arguments_of(Call::SetWifiConfig, [AT, 0, 0, 0], &wifi);
    assert!(wifi.contains("wifi_ssid=\"name\""), "{wifi}");

    // An item that was read: index, result, and the buffer with its length.
    let item =
        memory(&[0, AT + 0x40, secret, 64, AT + 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, length], &[SECRET]);
    let item = answered(Call::ReadConfigResponseItem, [1, AT, 0, 0], &item);
    assert!(item.contains("(15 bytes, not shown)"), "{item}");

    let header = b"Authorization: HUNTER2-HUNTER2";
    let url = b"https://user:HUNTER2@host/p?token=HUNTER2";
    let mut request = vec![AT + 0x200, 4, AT + 0x300, url.len() as u32, 1, AT + 0x80, secret, length, 1000];
    request.resize(0x20, 0);
    request.extend([header.len() as u32, AT + 0x400]);
    let http = memory(&request, &[SECRET, b"POST", url, header]);
    let http = arguments_of(Call::SendHttpRequest, [1, AT, 0, 0], &http);
    assert!(http.contains("\"https://…@host/p?…\""), "{http}");
    assert!(http.contains("\"Authorization\" (30 bytes)"), "{http}");
    for line in [&b"HUNTER2-HUNTER2"[..], b"X\r\n HUNTER2: v"] {
        request[0x20] = line.len() as u32;
        let odd = memory(&request, &[SECRET, b"POST", url, line]);
        let odd = arguments_of(Call::SendHttpRequest, [1, AT, 0, 0], &odd);
        assert!(odd.contains(" bytes, not shown)") && !odd.contains("HUNTER2"), "{odd}");
    }
    for text in [connecting, wifi, item, http] {
        assert!(!text.contains("HUNTER2"), "{text}");
    }
}

/// Shows D206, D137.
#[test]
fn an_address_is_never_cut_before_what_reports_its_user_from_its_host() {
    let long = format!("https://HUNTER2-{}@host/p", "x".repeat(400));
    let host = b"HUNTER2@host";
    let mut request = vec![AT + 0x200, 3, AT + 0x300, long.len() as u32, 0, 0, 0, 0, 1000];
    request.resize(0x20, 0);
    let http = arguments_of(
        Call::SendHttpRequest,
        [1, AT, 0, 0],
        &memory(&request, &[b"", b"GET", long.as_bytes()]),
    );
    assert!(http.contains("\"https://…@host/p\""), "{http}");
    request[3] = 1 << 16;
    let http = arguments_of(
        Call::SendHttpRequest,
        [1, AT, 0, 0],
        &memory(&request, &[b"", b"GET", long.as_bytes()]),
    );
    assert!(http.contains("65536 bytes at 0x"), "{http}");

    let will = [AT + 0x100, 5, AT + 0x300, 7, 1, 0];
    let mut connect = vec![1, AT + 0x200, host.len() as u32, 1883, 0, 0, 0, 0, 0, 0, 0, 0, 60, 1, AT + 0x80];
    connect.resize(0x20, 0);
    connect.extend(will);
    let connect = arguments_of(
        Call::MqttRequestConnect,
        [1, AT, 0, 0],
        &memory(&connect, &[b"topic", host, b"HUNTER2"]),
    );
    assert!(connect.contains("host=\"…@host\""), "{connect}");
    assert!(connect.contains("topic=\"topic\", payload=(7 bytes, not shown)"), "{connect}");
    assert!(!connect.contains("HUNTER2") && !http.contains("HUNTER2"), "{connect} {http}");
}

#[test]
fn every_secret_field_exists_and_every_type_is_known() {
    for call in Call::ALL {
        for parameter in call.parameters() {
            let name = parameter.type_name.trim_start_matches("const ").trim_end_matches(['*', ' ']);
            if let Some(name) = name.strip_prefix("struct ") {
                assert!(layouts::layout(name).is_some(), "{name}");
            }
            if let Some(name) = name.strip_prefix("enum ") {
                assert!(layouts::enumeration(name).is_some(), "{name}");
            }
        }
    }
    for (layout, field) in decode::SECRET {
        let layout = layouts::layout(layout).expect("a structure");
        assert!(layout.members.iter().any(|member| member.name == field), "{field}");
    }
}

/// Arguments and results as they are decoded from captured memory.
fn captured_of(call: Call, registers: [u32; 4], ram: &Ram) -> [String; 2] {
    let read = |address: u32, into: &mut [u8]| ram.read(address, into);
    let (mut arguments, mut results) = (Vec::new(), Vec::new());
    decode::capture_arguments(call, registers, &read, &mut arguments);
    decode::capture_results(call, registers, &read, &mut results);
    [
        joined(&decode::captured_arguments(call, registers, &arguments)),
        joined(&decode::captured_results(call, registers, &results)),
    ]
}

#[test]
fn any_registers_and_any_memory_are_reported_within_bounds_and_the_same_from_captured_memory() {
    let mut seed = 0x1234_5678u32;
    let mut entropy = || {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed
    };
    for round in 0..40 {
        let mut bytes = vec![0; 0x1000];
        for word in bytes.chunks_exact_mut(4) {
            let near = AT | entropy() & 0xFFC;
            word.copy_from_slice(
                &[entropy(), near, entropy() & 0xFF, u32::MAX][entropy() as usize % 4].to_le_bytes(),
            );
        }
        let ram = Ram(AT, bytes);
        for call in Call::ALL {
            let registers =
                [AT | entropy() & 0xFFC, AT | entropy() & 0xFFC, entropy(), AT | entropy() & 0xFFF];
            let shown = [arguments_of(call, registers, &ram), answered(call, registers, &ram)];
            let length = shown.concat().len();
            assert!(length < 1 << 16, "{} in round {round}: {length}", call.name());
            assert_eq!(shown, captured_of(call, registers, &ram), "{} in round {round}", call.name());
        }
    }
}

/// Entries of calls.
const SETUP_NOTIFICATIONS: u32 = 0x0C1F_E081;
const TRIGGER: u32 = 0x0C1F_E0E1;
const WORDS: u32 = 0x2000_1000;

#[test]
fn a_machine_traces_calls_interrupts_and_notifications_in_order() {
    let mut program = Program::new();
    program.add(mov32(0, WORDS));
    for (offset, value) in [(0x0, 41), (0x4, WORDS + 0x100), (0x8, 48)] {
        program.add(mov32(1, value)).add(str_(1, 0, offset));
    }
    program.add(mov32(1, WORDS + 0x40)).call(SETUP_NOTIFICATIONS);
    program.add(mov32(0, 0xE000_E104)).add(mov32(1, 1 << 9)).add(str_(1, 0, 0)); // NVIC_ISER1: interrupt 41
    program.add(mov32(0, WORDS + 0x40)).add([0x6800]).add(movs(1, 5)).add(movs(2, 77)).call(TRIGGER);
    program.add(wfi()).add(b_self());
    program.handler(16 + 41).add([0x4770]);
    let paper = Paper::default();
    let mut machine = Machine::new(testing::settings(&program));
    let output = TraceSink { format: Format::Text, to: Box::new(paper.clone()) };
    machine.trace_to(Tracer::start(vec![output]).expect("started"));
    machine.run(10_000);
    drop(machine);
    let text = paper.text();
    let mut rest = text.as_str();
    for part in [
        "device       application starts: reason=MV_WAKEREASON_COLDBOOT",
        "mvSetupNotifications(notifications={irq=41, buffer=&0x20001100, buffer_size=48}, handle_out=&0x20001040) = OKAY; handle_out=0x",
        "mvTempTriggerNotification(handle=0x",
        "type=UPDATEDOWNLOADED, tag=77) = OKAY [2.5 us]\n",
        "kernel       notification: line=41, microseconds=5, event_type=UPDATEDOWNLOADED, tag=77\n",
        "interrupts   > interrupt 41\n",
        "interrupts   < interrupt 41\n",
    ] {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} is missing, or too early, in\n{text}"));
        rest = &rest[at + part.len()..];
    }
}

/// A program that polls with ticks of SysTick, and posts a notification now and then.
fn polling() -> Program {
    let mut program = Program::new();
    program.add(mov32(0, 0xE000_E014)).add(mov32(1, 15_999)).add(str_(1, 0, 0)); // SYST_RVR: 100 us
    program.add(mov32(0, 0xE000_E010)).add(movs(1, 7)).add(str_(1, 0, 0)); // SYST_CSR: on, with interrupt
    let top = program.here();
    program.add(mov32(0, WORDS)).call(GET_MICROSECONDS);
    program.add(mov32(0, WORDS + 0x10)).call(GET_NETWORK_STATUS);
    program.add([0x3701, 0x2F00]).bne(top); // adds r7, #1; cmp r7, #0
    program.handler(15).add([0x4770]);
    program
}

const GET_MICROSECONDS: u32 = 0x0C1F_E011;
const GET_NETWORK_STATUS: u32 = 0x0C1F_E0E9;

/// What a machine's trace is when its time is cut into runs of `budget` cycles.
fn traced(program: &Program, budget: u64, time: u64) -> String {
    let paper = Paper::default();
    let mut machine = Machine::new(testing::settings(program));
    let output = TraceSink { format: Format::Text, to: Box::new(paper.clone()) };
    machine.trace_to(Tracer::start(vec![output]).expect("started").lossless());
    while machine.now() < time {
        if machine.run(budget.min(time - machine.now())) == RunResult::Idle {
            machine.pass_time(time);
        }
    }
    drop(machine);
    paper.text()
}

/// Shows D330: how the host cuts the time of a machine, in which a replay differs, changes nothing in its trace.
#[test]
fn a_polling_application_with_interrupts_has_a_short_trace_that_is_the_same_each_time() {
    let time = 16_000_000; // 100 ms
    let text = traced(&polling(), 4_000, time);
    assert_eq!(text, traced(&polling(), 1_234_567, time));
    assert!(text.lines().count() < 12, "{text}");
    let calls = |name: &str| text.lines().filter(|line| line.contains(name)).map(count).sum::<u64>();
    assert!(calls("mvGetMicroseconds(") > 10_000, "{text}");
    assert!(calls("mvGetMicroseconds(").abs_diff(calls("mvGetNetworkStatus(")) <= 1, "{text}");
    assert!(calls("> SysTick").abs_diff(calls("< SysTick")) <= 1 && calls("> SysTick") > 990, "{text}");
}
