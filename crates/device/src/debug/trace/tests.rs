use std::sync::{Arc, Mutex};

use abi::Call;
use abi::layouts;

use super::*;
use crate::machine::Machine;
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

/// What a tracer writes of `entries`, as text and as events.
fn written(entries: Vec<Entry>) -> [String; 2] {
    let papers = [Paper::default(), Paper::default()];
    let output = |format, paper: &Paper| TraceSink { format, to: Box::new(paper.clone()) };
    let outputs = vec![output(Format::Text, &papers[0]), output(Format::Perfetto, &papers[1])];
    let tracer = Tracer::start(outputs).expect("started");
    for entry in entries {
        tracer.put(entry);
    }
    drop(tracer);
    papers.map(|paper| paper.text())
}

fn call(at: u64, cycles: u64) -> Entry {
    let what = What::Call {
        name: "mvNoOp",
        arguments: vec![("a", "1".into()), ("b", "\"x\\\n\"".into())],
        status: Some("OKAY"),
        results: vec![("c", "2".into())],
        cycles,
    };
    Entry { at, lane: Lane::Application, what }
}

#[test]
fn a_line_says_when_who_and_what() {
    let enter = |at, what| Entry { at, lane: Lane::Interrupts, what };
    let [text, _] = written(vec![
        call(160, 320),
        enter(160_000_001, What::Entered("SysTick".into())),
        enter(320_000_000, What::Left("SysTick".into())),
    ]);
    assert_eq!(
        text,
        "     0.000001000  application  mvNoOp(a=1, b=\"x\\\\n\") = OKAY; c=2 [2 us]\n     \
         1.000000006  interrupts   > SysTick\n     \
         2.000000000  interrupts   < SysTick\n"
    );
}

#[test]
fn events_have_begin_and_length_in_microseconds() {
    let enter = |at, what| Entry { at, lane: Lane::Interrupts, what };
    let [_, events] = written(vec![
        call(161, 320),
        enter(1600, What::Entered("outer".into())),
        enter(3200, What::Entered("inner".into())),
        enter(3360, What::Left("inner".into())),
        enter(4800, What::Entered("never left".into())),
    ]);
    for part in [
        "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[",
        "\"ph\":\"M\",\"pid\":1,\"tid\":1,\"name\":\"thread_name\",\"args\":{\"name\":\"application\"}",
        "{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"name\":\"mvNoOp\",\"ts\":1.00625,\"dur\":2,\"args\":{\"a\":\"1\",\"b\":\"\\\"x\\\\\\n\\\"\",\"status\":\"OKAY\",\"c\":\"2\"}}",
        "{\"ph\":\"X\",\"pid\":1,\"tid\":2,\"name\":\"inner\",\"ts\":20,\"dur\":1,\"args\":{}}",
        "{\"ph\":\"X\",\"pid\":1,\"tid\":2,\"name\":\"outer\",\"ts\":10,\"dur\":20,\"args\":{}}",
        "\n]}\n",
    ] {
        assert!(events.contains(part), "{part} is missing in\n{events}");
    }
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
fn a_slow_disk_does_not_delay_the_device_and_what_is_lost_is_reported() {
    let (gate, paper) = (Arc::new(Mutex::new(())), Paper::default());
    let held = gate.lock().expect("whole");
    let to = Box::new(Stuck(gate.clone(), paper.clone()));
    let tracer = Tracer::start(vec![TraceSink { format: Format::Text, to }]).expect("started");
    for at in 0..3 * QUEUE as u64 {
        tracer.put(call(at, 0));
    }
    drop(held);
    drop(tracer);
    assert!(paper.text().contains("entries lost"), "{}", &paper.text()[..200]);
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
    let tracer = Tracer::start(outputs).expect("started");
    for at in 0..10_000 {
        tracer.put(call(at, 0));
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
    fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

fn answered(call: Call, registers: [u32; 4], ram: &Ram) -> String {
    let fields = decode::results(call, registers, &|address, into| ram.read(address, into));
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

#[test]
fn any_registers_and_any_memory_are_reported_within_bounds() {
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
            let length = arguments_of(call, registers, &ram).len() + answered(call, registers, &ram).len();
            assert!(length < 1 << 16, "{} in round {round}: {length}", call.name());
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
