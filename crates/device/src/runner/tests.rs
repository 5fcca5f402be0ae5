use std::io::{Read, Write};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use abi::power::WakeReason;

use super::*;
use crate::device::{Device, Options};
use crate::machine::{Machine, RestartPolicy};
use crate::stimulus::{self, Schedule};
use crate::testing::{Authority, Peer, Program, Server, b_self, ldr, mov32, movs, str_, wfi};
use crate::transport::{ALPN, Address};

/// Long enough for a busy machine; reached only by a failing test.
const PATIENCE: Duration = Duration::from_secs(20);

/// WELCOME: version 1, keepalive 60 s, window 16384, wall clock 0, logging on.
const WELCOME: [u8; 9] = [0x00, 0x0E, 0x01, 0x3C, 0x80, 0x80, 0x01, 0x00, 0x01];

struct Bench {
    device: Device,
    events: mpsc::Receiver<DeviceEvent>,
}

impl Bench {
    fn start(program: &Program, authority: &Authority, cloud: Address) -> Self {
        Self::with(Options::new(cloud, authority.device(), program.image()))
    }

    fn with(mut options: Options) -> Self {
        let (sender, events) = mpsc::channel();
        options.restart.minimum_ms = 1;
        let device = Device::start(options, move |event| {
            let _ = sender.send(event);
        });
        Self { device: device.expect("started"), events }
    }

    /// A device whose cloud is not there.
    fn alone(program: &Program) -> Self {
        let nowhere = Address::parse("localhost:1").expect("an address");
        Self::start(program, &Authority::new(), nowhere)
    }

    /// Waits for an event, passing over others.
    fn expect(&self, wanted: &DeviceEvent) {
        loop {
            let event = self.events.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no {wanted:?}"));
            if event == *wanted {
                return;
            }
        }
    }
}

/// Waits for ever, asleep.
fn idle() -> Program {
    let mut program = Program::new();
    program.add(wfi()).add([0xE7FD]); // b to the wfi
    program
}

fn spinning() -> Program {
    let mut program = Program::new();
    program.add(b_self());
    program
}

/// Reads the device's HELLO whole: a header of two bytes says how long it is.
fn hello(peer: &mut Peer) -> Vec<u8> {
    let mut header = [0; 2];
    peer.read_exact(&mut header).expect("a header");
    assert_eq!((header[0], header[1] & 0x81), (0x00, 0x00), "HELLO, of one byte's length");
    let mut body = vec![0; usize::from(header[1]) / 2];
    peer.read_exact(&mut body).expect("a body");
    body
}

#[test]
fn a_device_says_hello_to_its_cloud_and_is_welcomed() {
    let authority = Authority::new();
    let (sender, heard) = mpsc::channel();
    let server = Server::start(&authority, ALPN, 1, move |mut peer| {
        let _ = sender.send(hello(&mut peer));
        peer.write_all(&WELCOME).expect("sent");
        let _ = peer.flush();
        let _ = peer.read_to_end(&mut Vec::new());
    });
    let program = idle();
    let bench = Bench::start(&program, &authority, server.address);
    bench.expect(&DeviceEvent::Started { reason: WakeReason::ColdBoot });
    bench.expect(&DeviceEvent::LinkConnecting);
    bench.expect(&DeviceEvent::LinkUp);
    let hello = heard.recv_timeout(PATIENCE).expect("a HELLO");
    assert_eq!((hello[0], hello[5]), (1, 0), "version 1, cold boot");
    assert!(hello.ends_with(&program.image().digest()));
    bench.device.stop();
}

#[test]
fn a_cloud_that_breaks_a_rule_is_reported_and_left() {
    let authority = Authority::new();
    let (sender, heard) = mpsc::channel();
    let server = Server::start(&authority, ALPN, 1, move |mut peer| {
        hello(&mut peer);
        let _ = peer.write_all(&[0xF0, 0x00]); // a frame of a kind that does not exist
        let _ = peer.flush();
        let mut rest = Vec::new();
        let _ = peer.read_to_end(&mut rest);
        let _ = sender.send(rest);
    });
    let bench = Bench::start(&idle(), &authority, server.address);
    bench.expect(&DeviceEvent::LinkUp);
    let bye = heard.recv_timeout(PATIENCE).expect("a BYE");
    assert_eq!((bye[0], bye[2]), (0x40, 2), "BYE, violation");
    let down = bench.events.recv_timeout(PATIENCE).expect("an event");
    assert!(
        matches!(&down, DeviceEvent::LinkDown { reason: "requested", cause } if cause.starts_with("the cloud violated the link protocol")),
        "{down:?}"
    );
}

#[test]
fn a_cloud_that_is_not_there_is_reported() {
    let bench = Bench::alone(&idle());
    bench.expect(&DeviceEvent::LinkDown {
        reason: "unreachable",
        cause: "cloud at localhost:1: connection refused".into(),
    });
}

#[test]
fn guest_time_never_runs_ahead_of_the_wall_clock() {
    let mut program = Program::new();
    program.add(mov32(0, 0x4202_0000)).add(mov32(1, 0xABFF_F7FF)).add(str_(1, 0, 0)); // LED an output
    program.add(mov32(0, 0x4000_1000));
    for (offset, value) in [(0x28, 159), (0x2C, 999), (0x14, 1), (0x10, 0), (0x0C, 1), (0x00, 1)] {
        program.add(mov32(1, value)).add(str_(1, 0, offset));
    }
    program.add(mov32(0, 0xE000_E104)).add(mov32(1, 1 << 17)).add(str_(1, 0, 0));
    program.add(wfi()).add([0xE7FD]);
    program.handler(16 + 49);
    program.add(mov32(0, 0x4000_1010)).add(movs(1, 0)).add(str_(1, 0, 0));
    program.add(mov32(0, 0x4202_0000)).add(ldr(1, 0, 0x14)).add([0xF081, 0x0120]).add(str_(1, 0, 0x14)); // eor r1, #32
    program.add([0x4770]);
    let started = Instant::now();
    let bench = Bench::alone(&program);
    for _ in 0..25 {
        bench.expect(&DeviceEvent::Led { on: true });
        bench.expect(&DeviceEvent::Led { on: false });
    }
    assert!(started.elapsed() >= Duration::from_millis(49), "{:?}", started.elapsed());
}

#[test]
fn guest_time_continues_while_the_device_sleeps() {
    let mut program = Program::new();
    program.add(mov32(0, 0x4000_0000)).add(mov32(1, 0xFFFF)).add(str_(1, 0, 0x28)); // TIM2: 2441 ticks a second
    program.add(movs(1, 1)).add(str_(1, 0, 0x14)).add(str_(1, 0, 0));
    program.add(mov32(0, 0x4000_4400)).add(movs(1, 0x2D)).add(str_(1, 0, 0));
    program.add(mov32(2, 0xE000_E104)).add(mov32(1, 1 << 30)).add(str_(1, 2, 0));
    program.add(wfi()).add([0xE7FD]);
    program.handler(16 + 62);
    program.add(mov32(0, 0x4000_4400)).add(ldr(1, 0, 0x24));
    program.add(mov32(2, 0x4000_0000)).add(ldr(3, 2, 0x24)).add([0x0A1B]); // lsrs r3, r3, #8
    program.add(str_(3, 0, 0x28)).add([0x4770]);
    let bench = Bench::alone(&program);
    let ask = || loop {
        bench.device.remote().send_serial(2, vec![b'?']);
        if let Ok(DeviceEvent::Serial { bytes, .. }) = bench.events.recv_timeout(Duration::from_millis(20)) {
            return bytes[0];
        }
    };
    let before = ask();
    std::thread::sleep(Duration::from_millis(700));
    // Answers to questions asked more than once before the sleep.
    bench.events.try_iter().for_each(drop);
    // Of 105 ms each; the back-off of the link wakes the device once or not at all meanwhile.
    assert!(ask() - before >= 6, "guest time fell behind");
}

/// Sends back what arrives at USART2, by interrupt.
fn echoing() -> Program {
    let mut program = Program::new();
    program.add(mov32(0, 0x4000_4400)).add(movs(1, 0x2D)).add(str_(1, 0, 0)); // USART2: on, both ways, RXNEIE
    program.add(mov32(2, 0xE000_E104)).add(mov32(1, 1 << 30)).add(str_(1, 2, 0)); // interrupt 62
    program.add(wfi()).add([0xE7FD]);
    program.handler(16 + 62);
    program.add(mov32(0, 0x4000_4400)).add(ldr(1, 0, 0x24)).add(str_(1, 0, 0x28)).add([0x4770]);
    program
}

fn echoed(bench: &Bench, length: usize) -> Vec<u8> {
    let mut echoed = Vec::new();
    while echoed.len() < length {
        if let DeviceEvent::Serial { port: 2, bytes } = bench.events.recv_timeout(PATIENCE).expect("an echo")
        {
            echoed.extend(bytes);
        }
    }
    echoed
}

#[test]
fn serial_input_reaches_a_device_asleep() {
    let bench = Bench::alone(&echoing());
    bench.expect(&DeviceEvent::Started { reason: WakeReason::ColdBoot });
    bench.device.remote().send_serial(2, b"hello".to_vec());
    assert_eq!(echoed(&bench, 5), b"hello");
}

/// Shows D216.
#[test]
fn what_is_scheduled_reaches_a_device_asleep_at_its_time() {
    let nowhere = Address::parse("localhost:1").expect("an address");
    let mut options = Options::new(nowhere, Authority::new().device(), echoing().image());
    let stimuli =
        ["serial:2=b@200ms", "serial:2=a@100ms"].map(|text| stimulus::parse(text).expect("a stimulus"));
    options.schedule = Schedule::new(stimuli.to_vec());
    let started = Instant::now();
    let bench = Bench::with(options);
    assert_eq!(echoed(&bench, 2), b"ab");
    assert!(started.elapsed() >= Duration::from_millis(200));
}

/// Shows D72.
#[test]
fn no_tick_of_a_timer_is_lost_while_the_device_sleeps_between_them() {
    let mut program = Program::new();
    program.add(mov32(0, 0x4000_4400)).add(movs(1, 0x09)).add(str_(1, 0, 0)); // USART2: on, sending
    program.add(mov32(0, 0x4000_1000)).add(movs(1, 159)).add(str_(1, 0, 0x28)); // TIM6 counts microseconds
    program.add(mov32(1, 999)).add(str_(1, 0, 0x2C)); // to a thousand
    program.add(movs(1, 1)).add(str_(1, 0, 0x0C)).add(str_(1, 0, 0));
    program.add(mov32(0, 0x4000_0000)).add(mov32(1, 32_000_000 - 1)).add(str_(1, 0, 0x2C)); // TIM2: 200 ms
    program.add(movs(1, 1)).add(str_(1, 0, 0x0C)).add(str_(1, 0, 0));
    program.add(mov32(2, 0xE000_E104)).add(mov32(1, 1 << 17 | 1 << 13)).add(str_(1, 2, 0)); // interrupts 49, 45
    program.add(wfi()).add([0xE7FD]);
    program.handler(16 + 49); // counts
    program.add(mov32(0, 0x4000_1000)).add(movs(1, 0)).add(str_(1, 0, 0x10));
    program.add(mov32(2, 0x2000_0000)).add(ldr(1, 2, 0)).add([0x3101]).add(str_(1, 2, 0)).add([0x4770]);
    program.handler(16 + 45); // sends the count
    program.add(mov32(0, 0x4000_0000)).add(movs(1, 0)).add(str_(1, 0, 0x10));
    program.add(mov32(2, 0x2000_0000)).add(ldr(1, 2, 0)).add(mov32(0, 0x4000_4400)).add(str_(1, 0, 0x28));
    program.add([0x4770]);
    for spins in [false, true] {
        if spins {
            program.replace_wfi_with_nop();
        }
        let bench = Bench::alone(&program);
        let count = loop {
            if let DeviceEvent::Serial { port: 2, bytes } =
                bench.events.recv_timeout(PATIENCE).expect("a count")
            {
                break bytes[0];
            }
        };
        // The first period is short, because the prescaler is loaded at its end.
        assert!((199..=201).contains(&count), "{count} ticks of a millisecond in 200");
    }
}

/// Requests the network, waits until it is connected, and releases it.
fn visiting() -> Program {
    const SETUP: u32 = 0x2000_1000;
    const CENTRE: u32 = SETUP + 0x10;
    const REQUEST: u32 = SETUP + 0x20;
    const NETWORK: u32 = SETUP + 0x30;
    let mut program = Program::new();
    program.add(mov32(0, SETUP));
    for (offset, value) in [(0, 41), (4, SETUP + 0x100), (8, 64), (0x20, 1), (0x28, 7)] {
        program.add(mov32(1, value)).add(str_(1, 0, offset));
    }
    program.add(mov32(1, CENTRE)).call(0x0C1F_E081); // mvSetupNotifications
    program.add(mov32(0, SETUP)).add(ldr(1, 0, 0x10)).add(str_(1, 0, 0x24));
    program.add(mov32(0, REQUEST)).add(mov32(1, NETWORK)).call(0x0C1F_E041); // mvRequestNetwork
    let wait = program.here();
    program.add(mov32(5, NETWORK)).add(ldr(0, 5, 0)).add(mov32(1, NETWORK + 4)).call(0x0C1F_E0E9); // mvGetNetworkStatus
    program.add(ldr(1, 5, 4)).add([0x2901]).bne(wait); // cmp r1, #1
    program.add(mov32(0, NETWORK)).call(0x0C1F_E0D1); // mvReleaseNetwork
    program.add(wfi()).add([0xE7FD]);
    program
}

/// Shows D24, N76.
#[test]
fn an_unused_link_is_ended_in_order() {
    let authority = Authority::new();
    let (sender, heard) = mpsc::channel();
    let server = Server::start(&authority, ALPN, 1, move |mut peer| {
        hello(&mut peer);
        let _ = peer.write_all(&WELCOME);
        let _ = peer.flush();
        let mut rest = Vec::new();
        let clean = peer.read_to_end(&mut rest).is_ok();
        let _ = sender.send((rest, clean));
    });
    let bench = Bench::start(&visiting(), &authority, server.address);
    bench.expect(&DeviceEvent::NetworkRequested);
    bench.expect(&DeviceEvent::NetworkReleased);
    bench.expect(&DeviceEvent::LinkDown { reason: "requested", cause: "no longer needed".into() });
    let (bye, clean) = heard.recv_timeout(PATIENCE).expect("a BYE");
    assert!(clean, "TLS was closed in good order");
    assert_eq!((bye[0], bye[2]), (0x40, 0), "BYE, done");
}

/// Shows D23.
#[test]
fn a_lost_connection_is_made_again_by_the_same_start() {
    let authority = Authority::new();
    let (sender, heard) = mpsc::channel();
    let server = Server::start(&authority, ALPN, 2, move |mut peer| {
        let _ = sender.send(hello(&mut peer));
        peer.conn.send_close_notify();
        let _ = peer.flush();
    });
    let bench = Bench::start(&idle(), &authority, server.address);
    let hellos: Vec<_> = (0..2).map(|_| heard.recv_timeout(PATIENCE).expect("a HELLO")).collect();
    assert_eq!(hellos[0][..6], hellos[1][..6], "version, number of the start and wake reason");
    let events: Vec<_> = bench.events.try_iter().collect();
    let lost = events.iter().position(|event| matches!(event, DeviceEvent::LinkDown { .. })).expect("a loss");
    assert!(events[lost..].contains(&DeviceEvent::LinkConnecting));
}

/// Faults when its serial port receives something; until then it waits.
fn fragile() -> Program {
    let mut program = Program::new();
    program.add(mov32(0, 0x4000_4400)).add(movs(1, 0x2D)).add(str_(1, 0, 0));
    program.add(mov32(2, 0xE000_E104)).add(mov32(1, 1 << 30)).add(str_(1, 2, 0));
    program.add(wfi()).add([0xE7FD]);
    program.handler(16 + 62);
    program.add([0xDE00]); // udf
    program
}

/// Shows D73.
#[test]
fn an_application_that_starts_again_keeps_its_connection() {
    let (sender, heard) = mpsc::channel();
    let bench = welcomed(&fragile(), move |mut peer| {
        let mut rest = Vec::new();
        let _ = peer.read_to_end(&mut rest);
        let _ = sender.send(rest);
    });
    bench.device.remote().send_serial(2, b"x".to_vec());
    bench.expect(&DeviceEvent::Started { reason: WakeReason::ApplicationCrash });
    bench.device.stop();
    let rest = heard.recv_timeout(PATIENCE).expect("the connection's end");
    assert_eq!(rest, [0x40, 0x02, 0x00], "BYE, done, and nothing before it");
    let later: Vec<_> = bench.events.try_iter().collect();
    assert!(!later.iter().any(|event| matches!(event, DeviceEvent::LinkConnecting)), "{later:?}");
}

/// A device whose cloud has welcomed it and then does `then`.
fn welcomed(program: &Program, then: impl Fn(Peer) + Send + 'static) -> Bench {
    let authority = Authority::new();
    let server = Server::start(&authority, ALPN, 1, move |mut peer| {
        hello(&mut peer);
        let _ = peer.write_all(&WELCOME);
        let _ = peer.flush();
        then(peer);
    });
    let bench = Bench::start(program, &authority, server.address);
    bench.expect(&DeviceEvent::LinkUp);
    bench
}

#[test]
fn a_device_that_is_stopped_says_goodbye() {
    for program in [idle(), spinning()] {
        let (sender, heard) = mpsc::channel();
        let bench = welcomed(&program, move |mut peer| {
            let mut rest = Vec::new();
            let clean = peer.read_to_end(&mut rest).is_ok();
            let _ = sender.send((rest, clean));
        });
        bench.device.stop();
        let (bye, clean) = heard.recv_timeout(PATIENCE).expect("a BYE");
        assert!(clean, "TLS was closed in good order");
        assert_eq!(bye, [0x40, 0x02, 0x00], "BYE, done, no text");
    }
}

#[test]
fn a_device_whose_cloud_is_deaf_stops_all_the_same() {
    let (release, held) = mpsc::channel::<()>();
    let bench = welcomed(&idle(), move |_peer| {
        // Neither reads nor closes while the device stops.
        let _ = held.recv();
    });
    bench.device.stop();
    drop(release);
}

#[test]
fn a_busy_device_stops_when_reported() {
    Bench::alone(&spinning()).device.stop();
}

#[test]
fn a_waiting_thread_ends_when_another_stops_the_device() {
    let bench = Bench::alone(&idle());
    let remote = bench.device.remote();
    let waiting = std::thread::spawn(move || bench.device.wait());
    remote.stop();
    waiting.join().expect("ended");
}

/// The first byte of PING.
const PING: u8 = 0x10;

/// Reads frames until one of `kind` comes; how long that took.
fn time_of_frame(peer: &mut Peer, kind: u8, since: Instant) -> Duration {
    loop {
        let mut header = [0; 2];
        peer.read_exact(&mut header).expect("a frame's header");
        let mut body = vec![0; usize::from(header[1]) / 2];
        peer.read_exact(&mut body).expect("a frame's body");
        if header[0] == kind {
            return since.elapsed();
        }
    }
}

/// A runner whose wall clock is the test's, without a cloud. Its application counts for 20 ms and then faults.
fn crashing_runner(events: mpsc::Sender<DeviceEvent>) -> Runner {
    let mut program = Program::new();
    program.add(mov32(1, 1_600_000));
    let count = program.here();
    program.add([0x3901]).bne(count).add([0xDE00]); // subs r1, #1; udf
    let remote = Remote::new().expect("a waker");
    let nowhere = Address::parse("localhost:1").expect("an address");
    let identity = Authority::new().device();
    let connector = Connector::new(&identity, nowhere, remote.waker.clone()).expect("a connector");
    let mut settings = crate::testing::settings(&program);
    settings.restart = RestartPolicy { minimum_ms: 1000, maximum_ms: 1000 };
    let machine = RecordedMachine::new(Machine::new(settings), None);
    let observer = Box::new(move |event| drop(events.send(event)));
    Runner::new(machine, connector, remote, Serial::new(Vec::new(), Arc::default()), observer)
}

/// A host that takes 0.1 ms for each slice of 25 us: when the application faults, it is 60 ms late.
///
/// Shows D341.
#[test]
fn the_pause_before_a_restart_is_the_wall_clocks_also_for_a_device_that_is_late() {
    let (sender, events) = mpsc::channel();
    let mut runner = crashing_runner(sender);
    let mut wall = runner.started;
    let mut until = |wanted: fn(&DeviceEvent) -> bool| loop {
        wall += Duration::from_micros(100);
        let target = runner.begin_step(wall);
        runner.run_towards(wall, target);
        runner.idle = runner.machine.run(1) == RunResult::Idle;
        runner.begins_restart(wall);
        runner.report_events();
        if events.try_iter().any(|event| wanted(&event)) {
            return wall;
        }
    };
    until(|event| matches!(event, DeviceEvent::Started { .. }));
    for _ in 0..2 {
        let began = until(|event| matches!(event, DeviceEvent::Faulted { restart_in_ms: 1000, .. }));
        let restarted = until(|event| matches!(event, DeviceEvent::Started { .. }));
        let pause = restarted - began;
        assert!(pause.abs_diff(Duration::from_secs(1)) < Duration::from_millis(1), "{pause:?}");
    }
}

/// A host so slow that the guest hardly moves: its observer takes a tenth of a second for each character of a device
/// that sends as fast as it can.
///
/// Shows D220: PING follows the wall clock, and that the guest is behind is reported once.
#[test]
fn a_guest_that_falls_behind_keeps_its_link_and_is_reported_once() {
    let mut program = Program::new();
    program.add(mov32(0, 0x4000_4400)).add(movs(1, 0x09)).add(str_(1, 0, 0)); // USART2: on, sending
    let top = program.here();
    program.add(mov32(1, 100_000)); // a character each 200,000 cycles
    let count = program.here();
    program.add([0x3901]).bne(count); // subs r1, #1
    program.add(movs(1, 0x2E)).add(str_(1, 0, 0x28)).add([0x4281]).bne(top).add(b_self()); // cmp r1, r0
    let authority = Authority::new();
    let (sender, heard) = mpsc::channel();
    let server = Server::start(&authority, ALPN, 1, move |mut peer| {
        hello(&mut peer);
        // WELCOME, with a keepalive of 2 s.
        peer.write_all(&[0x00, 0x0E, 0x01, 0x02, 0x80, 0x80, 0x01, 0x00, 0x01]).expect("sent");
        let _ = peer.flush();
        let since = Instant::now();
        let _ = sender.send(time_of_frame(&mut peer, PING, since));
        let _ = peer.read_to_end(&mut Vec::new());
    });
    let (reports, events) = mpsc::channel();
    let device =
        Device::start(Options::new(server.address, authority.device(), program.image()), move |event| {
            if let DeviceEvent::Serial { .. } = event {
                std::thread::sleep(Duration::from_millis(100));
            }
            if let DeviceEvent::FellBehind { behind_ms, elapsed_ms, .. } = event {
                let _ = reports.send((behind_ms, elapsed_ms));
            }
        })
        .expect("started");
    let waited = heard.recv_timeout(PATIENCE).expect("a PING");
    assert!(waited >= Duration::from_millis(1900), "{waited:?}");
    device.stop();
    let reports: Vec<_> = events.try_iter().collect();
    assert_eq!(reports.len(), 1, "{reports:?}");
    let (behind, elapsed) = reports[0];
    assert!(behind >= 1000 && elapsed >= behind, "{reports:?}");
}
