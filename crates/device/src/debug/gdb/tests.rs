use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::registers::WORDS;
use super::*;
use crate::debug::Debugging;
use crate::machine::{Input, Machine};
use crate::recording::tests as recordings;
use crate::recording::{Ending, Recorder, Replay, Turn};
use crate::testing::{CODE, Program, b_self, ldr, mov32, movs, str_, wfi};
use crate::waker::Waker;

/// Long enough for a busy machine; reached only by a failing test.
const PATIENCE: Duration = Duration::from_secs(20);

/// A word of RAM the programs write.
const WORD: u32 = 0x2000_1000;

/// A debugger connected to a machine that runs whenever it may.
struct Bench {
    machine: RecordedMachine,
    connection: GdbConnection,
    address: std::net::SocketAddr,
    writer: TcpStream,
    read: Vec<u8>,
}

impl Bench {
    fn new(program: &Program) -> Self {
        Self::with(RecordedMachine::new(Machine::new(crate::testing::settings(program)), None))
    }

    fn with(mut machine: RecordedMachine) -> Self {
        let server = Server::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let address = server.address();
        let writer = TcpStream::connect(address).expect("connected");
        writer.set_nonblocking(true).expect("set");
        writer.set_nodelay(true).expect("set");
        let connection = GdbConnection::new(server.open(Waker::new().expect("a pipe")).expect("open"));
        machine.control(DebuggerInput::HaltAtReset);
        let mut bench = Self { machine, connection, address, writer, read: Vec::new() };
        bench.connect();
        bench
    }

    /// Attaches, as a debugger does by its first packet.
    fn connect(&mut self) {
        assert!(self.ask("?").starts_with("T05"));
    }

    /// Attaches again. The server refuses a debugger, by closing the connection, until it has noticed that the one
    /// before is gone.
    fn reconnect(&mut self) {
        loop {
            self.writer = TcpStream::connect(self.address).expect("connected");
            self.writer.set_nonblocking(true).expect("set");
            self.read.clear();
            self.send("?");
            let is_refused = |bench: &Self| match bench.writer.peek(&mut [0]) {
                Ok(length) => length == 0,
                Err(error) => error.kind() != io::ErrorKind::WouldBlock,
            };
            self.until(|bench| whole(&bench.read).is_some() || is_refused(bench));
            if whole(&self.read).is_some() {
                return assert!(self.answer().starts_with("T05"));
            }
        }
    }

    fn until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let began = Instant::now();
        while !done(self) {
            assert!(began.elapsed() < PATIENCE, "timed out; read {:?}", String::from_utf8_lossy(&self.read));
            self.connection.poll(&mut self.machine);
            self.machine.run(10_000);
            let mut chunk = [0; 4096];
            if let Ok(length) = self.writer.read(&mut chunk) {
                self.read.extend(&chunk[..length]);
            }
        }
    }

    fn send(&mut self, packet: &str) {
        self.writer.write_all(&framed(packet.as_bytes())).expect("sent");
    }

    /// The next packet, acknowledged, with runs written out.
    fn answer(&mut self) -> String {
        self.until(|bench| whole(&bench.read).is_some());
        let end = whole(&self.read).expect("whole");
        let packet = String::from_utf8(self.read.drain(..end).collect()).expect("text");
        self.writer.write_all(b"+").expect("sent");
        let body = packet.trim_start_matches(['+', '-']).trim_start_matches('$');
        expanded(&body[..body.len() - 3])
    }

    fn ask(&mut self, packet: &str) -> String {
        self.send(packet);
        self.answer()
    }

    fn register(&mut self, number: usize) -> u32 {
        let text = self.ask(&format!("p{number:x}"));
        u32::from_str_radix(&text, 16).expect("a word").swap_bytes()
    }

    fn pc(&mut self) -> u32 {
        self.register(15)
    }

    fn monitor(&mut self, command: &str) -> String {
        let hex = |byte: u8| format!("{byte:02x}");
        let asked: String = command.bytes().map(hex).collect();
        self.send(&format!("qRcmd,{asked}"));
        let mut text = String::new();
        loop {
            let answer = self.answer();
            let Some(part) = answer.strip_prefix('O').filter(|part| *part != "K") else { return text };
            let pairs = (0..part.len() / 2).map(|at| &part[at * 2..at * 2 + 2]);
            text.extend(pairs.map(|pair| char::from(u8::from_str_radix(pair, 16).expect("hex"))));
        }
    }
}

fn whole(read: &[u8]) -> Option<usize> {
    let hash = read.iter().position(|byte| *byte == b'#')?;
    (read.len() >= hash + 3).then_some(hash + 3)
}

/// A run is encoded as a character, `*` and a count.
fn expanded(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, out.chars().last()) {
            ('*', Some(last)) => {
                let count = characters.next().map_or(0, |count| count as usize - 29);
                out.extend(std::iter::repeat_n(last, count));
            }
            _ => out.push(character),
        }
    }
    out
}

/// r0 is [`WORD`]; counts it up for ever.
fn counting() -> Program {
    let mut program = Program::new();
    program.add(mov32(0, WORD));
    // ldr r1, [r0]; adds r1, #1; str r1, [r0]; b to the first
    program.add(ldr(1, 0, 0)).add([0x3101]).add(str_(1, 0, 0)).add([0xE7FB]);
    program
}

/// Where [`counting`] adds, and where it stores.
const ADDS: u32 = CODE + 10;
const STORES: u32 = CODE + 12;

#[test]
fn a_debugger_that_attaches_halts_the_application() {
    let mut bench = Bench::new(&counting());
    assert!(bench.ask("?").starts_with("T05"));
    let (pc, now) = (bench.pc(), bench.machine.now());
    assert_eq!(bench.pc(), pc);
    assert_eq!(bench.machine.now(), now, "its time stands still");
}

#[test]
fn the_processor_is_described_with_all_its_registers() {
    let mut bench = Bench::new(&counting());
    let features = bench.ask("qSupported:multiprocess+;swbreak+;hwbreak+;xmlRegisters=arm");
    for feature in ["qXfer:features:read+", "qXfer:memory-map:read+", "swbreak+", "hwbreak+"] {
        assert!(features.contains(feature), "{features}");
    }
    let description = bench.ask("qXfer:features:read:target.xml:0,fff");
    for name in ["xpsr", "d15", "fpscr", "msp", "psp", "primask", "basepri", "faultmask", "control"] {
        assert!(description.contains(&format!("name=\"{name}\"")), "{name}");
    }
    assert_eq!(bench.ask("g").len(), WORDS * 8);
}

#[test]
fn every_number_of_the_description_names_its_register() {
    use gdbstub::arch::RegId;
    let names = registers::DESCRIPTION.matches("<reg ").count();
    let (mut words, mut number) = (0, 0);
    while let Some((register, size)) = registers::RegisterId::from_raw_id(number) {
        assert_eq!((register.first, size.map(usize::from)), (words, Some(register.words * 4)));
        assert_eq!(register.to_raw_id(), Some(number));
        (words, number) = (words + register.words, number + 1);
    }
    assert_eq!((words, number), (WORDS, names));
}

#[test]
fn the_memory_map_marks_flash() {
    let mut bench = Bench::new(&counting());
    let map = bench.ask("qXfer:memory-map:read::0,fff");
    assert!(map.contains("type=\"flash\" start=\"0x8000000\" length=\"0x100000\""), "{map}");
    assert!(map.contains("type=\"ram\" start=\"0x20000000\" length=\"0x80000\""), "{map}");
}

#[test]
fn breakpoints_of_both_kinds_stop_and_go_away() {
    for kind in ["0", "1"] {
        let mut bench = Bench::new(&counting());
        bench.ask("qSupported:swbreak+;hwbreak+");
        assert_eq!(bench.ask(&format!("Z{kind},{ADDS:x},2")), "OK");
        assert_eq!(bench.ask("vCont;c"), "T05thread:01;hwbreak:;");
        assert_eq!(bench.pc(), ADDS);
        assert_eq!(bench.ask(&format!("z{kind},{ADDS:x},2")), "OK");
        assert_eq!(bench.ask("vCont;s"), "S05");
        assert_eq!(bench.pc(), STORES);
    }
}

#[test]
fn a_breakpoint_where_no_code_is_is_refused() {
    let mut bench = Bench::new(&counting());
    assert!(bench.ask("Z1,60000000,2").starts_with('E'));
}

#[test]
fn a_watchpoint_names_the_address_and_stops_before_the_access() {
    for (kind, name, at) in [("2", "watch", STORES), ("3", "rwatch", CODE + 8)] {
        let mut bench = Bench::new(&counting());
        bench.machine.run(100);
        bench.ask("vCont;s");
        assert_eq!(bench.ask(&format!("Z{kind},{WORD:x},4")), "OK");
        assert_eq!(bench.ask("vCont;c"), format!("T05thread:01;{name}:{WORD:08x};"));
        assert_eq!(bench.pc(), at);
        assert_eq!(bench.ask(&format!("z{kind},{WORD:x},4")), "OK");
        assert_eq!(bench.ask(&format!("z{kind},{WORD:x},4")), "E16", "it is gone");
    }
}

#[test]
fn an_interrupt_stops_a_running_application() {
    let mut bench = Bench::new(&counting());
    bench.send("vCont;c");
    bench.until(|bench| !bench.machine.machine().is_halted());
    bench.writer.write_all(&[3]).expect("sent");
    assert_eq!(bench.answer(), "S02");
}

#[test]
fn registers_and_memory_are_read_and_written() {
    let mut bench = Bench::new(&counting());
    assert_eq!(bench.ask("P2=78563412"), "OK");
    assert_eq!(bench.register(2), 0x1234_5678);
    assert_eq!(bench.ask(&format!("M{WORD:x},4:01020304")), "OK");
    assert_eq!(bench.ask(&format!("m{WORD:x},4")), "01020304");
    assert_eq!(bench.ask(&format!("m{CODE:x},2")), "41f2", "movw r0");
    assert!(bench.ask(&format!("M{CODE:x},2:0000")).starts_with('E'), "flash is not written like that");
    assert!(bench.ask("m60000000,4").starts_with('E'));
    assert_eq!(bench.ask("m2007fffe,4").len(), 4, "as far as there is any");
}

#[test]
fn all_registers_are_written_at_once_and_only_what_changed() {
    let mut bench = Bench::new(&counting());
    let all = bench.ask("g");
    // SP moves, and MSP, which is the same, is sent as it was.
    let sp = "00f00720";
    assert_eq!(bench.ask(&format!("G{}{sp}{}", &all[..13 * 8], &all[14 * 8..])), "OK");
    assert_eq!((bench.register(13), bench.register(34)), (0x2007_F000, 0x2007_F000));
}

#[test]
fn peripherals_and_system_registers_are_memory() {
    let mut bench = Bench::new(&counting());
    assert_eq!(bench.ask("me000ed00,4"), "14d20f41", "CPUID");
    // GPIOA's output data register.
    assert_eq!(bench.ask("M42020014,4:20000000"), "OK");
    assert_eq!(bench.ask("m42020014,4"), "20000000");
    assert_eq!(bench.ask("m42020015,1"), "00");
}

#[test]
fn a_range_is_stepped_without_a_word_between() {
    let mut bench = Bench::new(&counting());
    bench.ask(&format!("Z1,{:x},2", CODE + 8));
    bench.ask("vCont;c");
    bench.ask(&format!("z1,{:x},2", CODE + 8));
    assert_eq!(bench.ask(&format!("vCont;r{:x},{STORES:x}", CODE + 8)), "S05");
    assert_eq!(bench.pc(), STORES);
}

/// `mvNoOp` by its entry.
const NO_OP: u32 = 0x0C1F_E0D8;

#[test]
fn a_system_call_is_one_step_and_its_entry_can_have_a_breakpoint() {
    let mut program = Program::new();
    program.add(movs(0, 7)).call(NO_OP | 1).add(b_self());
    let mut bench = Bench::new(&program);
    bench.ask(&format!("Z1,{NO_OP:x},2"));
    assert!(bench.ask("vCont;c").starts_with("T05"));
    assert_eq!((bench.pc(), bench.register(0)), (NO_OP, 7));
    assert_eq!(bench.ask(&format!("m{NO_OP:x},2")), "7047", "bx lr");
    assert_eq!(bench.ask("vCont;s"), "S05");
    assert_eq!((bench.pc(), bench.register(0)), (bench.register(14) & !1, 0));
}

/// Ticks by SysTick, whose handler counts [`WORD`]; the main program adds to r6 for ever.
fn ticking() -> Program {
    let mut program = Program::new();
    program.add(mov32(0, 0xE000_E010));
    program.add(movs(1, 200)).add(str_(1, 0, 4)).add(movs(1, 7)).add(str_(1, 0, 0));
    program.add([0x3601]).add([0xE7FD]); // adds r6, #1; b to it
    program.handler(15);
    program.add(mov32(0, WORD)).add(ldr(1, 0, 0)).add([0x3101]).add(str_(1, 0, 0)).add([0x4770]);
    program
}

/// The addition in [`ticking`].
const TICKING_ADDS: u32 = CODE + 16;

#[test]
fn steps_do_not_lead_into_handlers_and_do_not_hold_them_back() {
    let mut bench = Bench::new(&ticking());
    bench.ask(&format!("Z1,{TICKING_ADDS:x},2"));
    bench.ask("vCont;c");
    bench.ask(&format!("z1,{TICKING_ADDS:x},2"));
    for _ in 0..1000 {
        assert_eq!(bench.ask("vCont;s"), "S05");
        let pc = bench.pc();
        assert!((TICKING_ADDS..=TICKING_ADDS + 2).contains(&pc), "{pc:#x}");
    }
    let mut ticks = [0; 4];
    bench.machine.read_memory(WORD, &mut ticks);
    assert!(u32::from_le_bytes(ticks) >= 4, "{ticks:?}");
    for address in [TICKING_ADDS, TICKING_ADDS + 2] {
        let removed = bench.machine.debug(DebuggerInput::RemoveBreakpoint(address));
        assert!(removed.is_err(), "none is left at {address:#x}");
    }
}

#[test]
fn a_range_that_waits_for_a_tick_ends() {
    // ldr r1, [r0]; cmp r1, #3; bne to the load.
    let mut program = Program::new();
    program.add(mov32(0, 0xE000_E010));
    program.add(movs(1, 200)).add(str_(1, 0, 4)).add(movs(1, 7)).add(str_(1, 0, 0));
    program.add(mov32(0, WORD)).add(ldr(1, 0, 0)).add([0x2903, 0xD1FC]).add(b_self());
    program.handler(15);
    program.add(mov32(0, WORD)).add(ldr(1, 0, 0)).add([0x3101]).add(str_(1, 0, 0)).add([0x4770]);
    let mut bench = Bench::new(&program);
    bench.ask("vCont;s");
    assert_eq!(bench.ask(&format!("vCont;r{CODE:x},{:x}", CODE + 30)), "S05");
    assert_eq!(bench.pc(), CODE + 30);
}

fn ending_in(instructions: &[u16]) -> Program {
    let mut program = Program::new();
    program.add(mov32(0, 0x6000_0000)).add(movs(2, 0)).add(instructions).add(b_self());
    program
}

#[test]
fn a_fault_stops_where_it_happened_with_a_signal_and_continuing_restarts() {
    for (instructions, signal) in [
        (&[0x6801][..], "S0a"),                             // ldr r1, [r0]: SIGBUS
        (&[0xDE00], "S04"),                                 // udf: SIGILL
        (&[0x4700], "S0a"),                                 // bx r0, where nothing is: SIGBUS
        (&[0xF24E, 0x04A1, 0xF6C0, 0x441F, 0x47A0], "S0c"), // r4 = 0x0C1FE0A1, where no call is; blx r4: SIGSYS
    ] {
        let mut bench = Bench::new(&ending_in(instructions));
        let text = bench.ask("vCont;c");
        assert_eq!(text, signal, "{instructions:x?}");
        if instructions.len() == 1 {
            let at = bench.pc();
            assert!(at == CODE + 10 || at == 0x6000_0000, "{at:#x}");
        }
        assert!(bench.monitor("fault").contains("(pc 0x"));
        bench.ask(&format!("Z1,{CODE:x},2"));
        assert!(bench.ask("vCont;c").starts_with("T05"), "from its beginning");
        assert_eq!(bench.pc(), CODE);
    }
}

#[test]
fn a_bkpt_of_the_applications_own_stops_once() {
    let mut program = Program::new();
    program.add([0xBE00]).add(movs(3, 3)).add([0xBE01]).add(b_self());
    let mut bench = Bench::new(&program);
    for at in [CODE, CODE + 4] {
        assert_eq!(bench.ask("vCont;c"), "S05");
        assert_eq!(bench.pc(), at);
    }
}

#[test]
fn a_debugger_that_leaves_lets_the_application_run_and_another_may_come() {
    let mut bench = Bench::new(&counting());
    bench.ask(&format!("Z1,{ADDS:x},2"));
    assert_eq!(bench.ask("D"), "OK");
    bench.until(|bench| bench.connection.client.is_none() && !bench.machine.machine().is_halted());
    let now = bench.machine.now();
    bench.machine.run(1000);
    assert!(bench.machine.now() >= now + 1000, "no breakpoint is left");
}

#[test]
fn a_second_debugger_is_turned_away_and_may_come_when_the_first_is_gone() {
    let server = Server::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let address = server.address();
    let mut connection = GdbConnection::new(server.open(Waker::new().expect("a pipe")).expect("open"));
    let mut machine = RecordedMachine::new(Machine::new(crate::testing::settings(&counting())), None);
    let attached = || {
        let mut tcp = TcpStream::connect(address).expect("connected");
        // The answer is not waited for: a connection that is turned away ends.
        let _ = tcp.write_all(b"+$?#3f");
        tcp
    };
    let first = attached();
    let began = Instant::now();
    while !machine.machine().is_halted() {
        assert!(began.elapsed() < PATIENCE);
        connection.poll(&mut machine);
    }
    let mut second = TcpStream::connect(address).expect("connected");
    assert_eq!(second.read(&mut [0; 1]).unwrap_or(0), 0, "its connection ends");
    assert!(machine.machine().is_halted());
    drop(first);
    while machine.machine().is_halted() {
        assert!(began.elapsed() < PATIENCE);
        connection.poll(&mut machine);
    }
    while !machine.machine().is_halted() {
        assert!(began.elapsed() < PATIENCE);
        let _third = attached();
        std::thread::sleep(Duration::from_millis(1));
        connection.poll(&mut machine);
    }
}

#[test]
fn monitor_commands_of_probes_are_answered() {
    let mut bench = Bench::new(&counting());
    assert!(bench.monitor("help").contains("monitor reset"));
    assert!(bench.monitor("halt").contains("halted"));
    assert!(bench.monitor("arm semihosting enable").contains("mvServerLog"));
    assert!(bench.monitor("nonsense").contains("unknown command: nonsense"));
    assert!(bench.monitor("status").contains("power on"));
    assert!(bench.monitor("fault").contains("has not faulted"));
    bench.ask("vCont;s");
    bench.ask("vCont;s");
    assert_ne!(bench.pc(), CODE);
    assert!(bench.monitor("reset halt").contains("first instruction"));
    assert_eq!(bench.pc(), CODE);
}

#[test]
fn extended_mode_starts_again_and_again() {
    let mut bench = Bench::new(&counting());
    assert_eq!(bench.ask("!"), "OK");
    bench.ask("vCont;s");
    assert!(bench.ask("vRun;").starts_with("T05"));
    assert_eq!(bench.pc(), CODE);
    assert_eq!(bench.ask("qAttached"), "1", "so that a debugger that leaves does not kill");
    assert_eq!(bench.ask("vKill;1"), "OK");
    assert_eq!(bench.pc(), CODE);
}

#[test]
fn another_image_is_loaded_into_flash() {
    let mut bench = Bench::new(&counting());
    assert_eq!(bench.ask("vFlashErase:08000000,2000"), "OK");
    assert_eq!(bench.ask("m8000000,4"), "ffffffff");
    // The vectors of a program at 0x08000008, and that: b to itself.
    let mut packet = b"vFlashWrite:8000000:".to_vec();
    packet.extend([0x00, 0x00, 0x08, 0x20, 0x09, 0x00, 0x00, 0x08, 0xFE, 0xE7]);
    let sum = packet.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    bench.writer.write_all(b"$").expect("sent");
    bench.writer.write_all(&packet).expect("sent");
    bench.writer.write_all(format!("#{sum:02x}").as_bytes()).expect("sent");
    assert_eq!(bench.answer(), "OK");
    assert_eq!(bench.ask("vFlashDone"), "OK");
    assert_eq!(bench.pc(), 0x0800_0008);
}

#[test]
fn a_step_over_a_wait_continues() {
    let mut program = Program::new();
    program.add(wfi()).add(movs(3, 3)).add(b_self());
    let mut bench = Bench::new(&program);
    bench.ask("vCont;s");
    bench.ask("vCont;s");
    assert_eq!((bench.register(3), bench.pc()), (3, CODE + 4));
}

/// What a debugger does changes the application: a replay does it again, at the same cycles.
///
/// Shows D133, D140.
#[test]
fn a_session_of_a_debugger_is_recorded_and_replayed_exactly() {
    let program = counting();
    let tape = recordings::Tape::default();
    let mut recorder = Recorder::to(Box::new(tape.clone()));
    recorder.begin(&recordings::header(&program)).expect("written");
    let machine = recordings::machine(&program);
    let mut bench = Bench::with(RecordedMachine::new(machine, Some(recorder)));
    assert_eq!(bench.ask(&format!("Z1,{STORES:x},2")), "OK");
    for _ in 0..3 {
        assert!(bench.ask("c").contains("hwbreak"));
        assert_eq!(bench.pc(), STORES);
        // The sum in r1, and what is loaded next.
        assert_eq!(bench.ask("P1=10000000"), "OK");
        assert_eq!(bench.ask("vCont;s"), "S05");
        assert_eq!(bench.ask(&format!("M{WORD:x},4:78563412")), "OK");
    }
    assert_eq!(bench.ask(&format!("m{WORD:x},4")), "78563412");
    // A timer's count, which another read would find at another value, and its registers as the debugger sets them.
    bench.ask("m40000024,4");
    assert_eq!(bench.ask("M40000000,4:01000000"), "OK");
    bench.machine.handle(&Input::TimeSkipped(1_000_000)).expect("accepted");
    assert_eq!(bench.ask(&format!("Z2,{WORD:x},4")), "OK");
    assert_eq!(bench.ask(&format!("z1,{STORES:x},2")), "OK");
    assert!(bench.ask("c").contains("watch"));
    assert_eq!(bench.ask(&format!("z2,{WORD:x},4")), "OK");
    bench.monitor("reset halt");
    assert_eq!(bench.pc(), CODE);
    assert_eq!(bench.ask("vCont;r8000238,8000240"), "S05", "a step through a range");
    assert_eq!(bench.ask("D"), "OK");
    bench.until(|bench| bench.machine.now() > 1_000_000);
    bench.machine.end();
    let ending = recordings::replay(tape.bytes(), &program);
    assert!(matches!(ending, Ending::Exact { is_whole: true, .. }), "{ending:?}");
}

/// Packets that no debugger should send, or that this one does not know, with their replies; `None` accepts any.
const UNEXPECTED: [(&str, Option<&str>); 60] = [
    ("", Some("")),
    ("zzz", Some("")),
    ("qC", Some("QC01")),
    ("qCzz", None),
    ("qSupported", None),
    ("qSupported:", None),
    ("qSupported:;;multiprocess-;", None),
    ("qSupportedzz", None),
    ("Hg-1", Some("OK")),
    ("Hgp1.-1", Some("OK")),
    ("Hc-1", Some("OK")),
    ("Hq0", Some("")),
    ("H", Some("")),
    ("qXfer:features:read:other.xml:0,fff", Some("E00")),
    ("qXfer:features:read:target.xml:zz,1", Some("E00")),
    ("qXfer:features:read:target.xml", Some("E00")),
    ("qXfer:features:read:target.xml:0,ffffffffffffffff", None),
    ("qXfer:features:read:target.xml:ffffffffffffffff,ffffffffffffffff", Some("l")),
    ("qXfer:memory-map:read:x:0,ff", Some("E00")),
    ("qXfer:threads:read::0,ff", Some("")),
    ("qXfer:", None),
    ("vAttach;1", Some("T05thread:01;")),
    ("vAttach;7", Some("E03")),
    ("vAttach", Some("")),
    ("vAttach;zz", Some("")),
    ("vAttach;0", Some("")),
    ("vMustReplyEmpty", Some("")),
    ("vCont", Some("")),
    ("vCont;", Some("")),
    ("vCont;t", Some("")),
    ("vCont;x", Some("")),
    ("vCont;c;c;c", Some("")),
    ("vCont;s:zz", Some("")),
    ("vCont;r8000000", Some("")),
    ("vCont;rzz,yy", Some("")),
    ("vKill;zz", Some("")),
    ("vFile:open:00,0,0", None),
    ("vFlashErase:8000000,ffffffff", Some("E0e")),
    ("vFlashErase:8000000,6fffff00", Some("E0e")),
    ("vFlashErase:80ffff0,20", Some("E0e")),
    ("vFlashErase:20000000,20", Some("E0e")),
    ("vFlashErase:8000000", Some("")),
    ("vFlashErase:100000000,1", Some("")),
    ("vFlashWrite:8000000", Some("")),
    ("vFlashWrite:80fffff:ab", Some("E0e")),
    ("m", Some("E16")),
    ("m8000000", Some("E16")),
    ("m8000000,zz", Some("E16")),
    ("m123456789,4", Some("E16")),
    ("mffffffff,4", Some("E0e")),
    ("M20000000,4:0", Some("E16")),
    ("M20000000,4", Some("E16")),
    ("Mfffffffe,4:01020304", Some("E0e")),
    ("X20000000,2:a", Some("E16")),
    ("pfff", Some("")),
    ("P2", Some("")),
    ("G00", Some("")),
    ("Z9,0,1", Some("")),
    ("Z1,zz,2", Some("")),
    ("T7", Some("E01")),
];

/// Shows D208.
#[test]
fn whatever_the_debugger_sends_the_connection_stays() {
    let mut bench = Bench::new(&counting());
    bench.ask(&format!("Z1,{ADDS:x},2"));
    for (packet, expected) in UNEXPECTED {
        let answer = bench.ask(packet);
        assert!(expected.is_none_or(|expected| answer == expected), "{packet}: {answer}");
        assert!(bench.machine.machine().is_halted(), "{packet}");
    }
    bench.ask("D");
    let mut bench = Bench::new(&counting());
    bench.ask(&format!("Z1,{ADDS:x},2"));
    for (packet, _) in UNEXPECTED.into_iter().filter(|(packet, _)| *packet != "vAttach;1") {
        bench.ask(packet);
    }
    assert!(bench.ask("vCont;c").contains("hwbreak"), "breakpoints are still there");
    assert_eq!(bench.pc(), ADDS);
}

/// Shows D208.
#[test]
fn unexpected_packets_leave_a_running_application_alone() {
    let mut bench = Bench::new(&counting());
    bench.send("vCont;c");
    bench.until(|bench| !bench.machine.machine().is_halted());
    for packet in ["zzz", "vCont;t", "Hg-1", "vAttach;zz", "m20001000,4"] {
        bench.ask(packet);
        assert!(!bench.machine.machine().is_halted(), "{packet}");
    }
    bench.writer.write_all(&[3]).expect("sent");
    assert_eq!(bench.answer(), "S02");
    // One that comes too late stops nothing.
    bench.writer.write_all(&[3]).expect("sent");
    bench.ask(&format!("Z1,{ADDS:x},2"));
    assert!(bench.ask("vCont;c").contains("hwbreak"));
}

/// Shows D208.
#[test]
fn a_reply_that_was_not_understood_comes_again() {
    let mut bench = Bench::new(&counting());
    let first = bench.ask("g");
    bench.writer.write_all(b"-").expect("sent");
    assert_eq!(bench.answer(), first);
    bench.writer.write_all(b"$g#00").expect("sent");
    bench.until(|bench| bench.read.contains(&b'-'));
    assert_eq!(bench.ask("g"), first);
}

/// Shows D208.
#[test]
fn memory_is_summed_up_as_the_debugger_does() {
    let mut bench = Bench::new(&counting());
    // The catalogue's check value of CRC-32/MPEG-2.
    bench.ask(&format!("M{WORD:x},9:313233343536373839"));
    assert_eq!(bench.ask(&format!("qCRC:{WORD:x},9")), "C376e6e7");
    assert_eq!(bench.ask(&format!("qCRC:{WORD:x},0")), "Cffffffff");
    assert!(bench.ask("qCRC:8000000,100000").starts_with('C'), "all of flash");
    for wrong in ["8000000,100001", "40000000,4", "8000000,ffffffff", "fffffffc,8"] {
        assert_eq!(bench.ask(&format!("qCRC:{wrong}")), "E0e", "{wrong}");
    }
    for wrong in ["", "8000000", "zz,1", "8000000,1,2"] {
        assert_eq!(bench.ask(&format!("qCRC:{wrong}")), "E16", "{wrong}");
    }
}

/// Shows D208.
#[test]
fn bytes_are_written_with_their_escapes() {
    let mut bench = Bench::new(&counting());
    assert_eq!(bench.ask("X0,0:"), "OK", "as debuggers ask whether it is known");
    assert_eq!(bench.ask(&format!("X{WORD:x},4:}}]a}}\u{3}b")), "OK");
    assert_eq!(bench.ask(&format!("m{WORD:x},4")), "7d612362");
    assert_eq!(bench.ask(&format!("X{WORD:x},2:}}]ab")), "E16");
    assert_eq!(bench.ask(&format!("X{WORD:x},1:}}")), "E16", "an escape of nothing");
}

/// Shows D208.
#[test]
fn lengths_are_bounded() {
    let mut bench = Bench::new(&counting());
    let answer = bench.ask("m8000000,ffffffff");
    assert_eq!(answer.len(), 2 * (framing::PACKET_SIZE / 2 - 16));
    assert!(bench.ask("m42020000,ffffffff").len() <= framing::PACKET_SIZE);
    assert_eq!(bench.ask(&"x".repeat(1 << 16)), "E16");
    for _ in 0..crate::machine::MAX_WATCHPOINTS {
        assert_eq!(bench.ask(&format!("Z2,{WORD:x},4")), "OK");
    }
    assert_eq!(bench.ask(&format!("Z2,{WORD:x},4")), "E16");
    assert_eq!(bench.ask(&format!("z2,{WORD:x},4")), "OK");
    assert_eq!(bench.ask(&format!("Z2,{WORD:x},4")), "OK");
}

/// Shows D209.
#[test]
fn a_connection_that_is_no_debugger_stops_nothing() {
    let server = Server::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let address = server.address();
    let mut connection = GdbConnection::new(server.open(Waker::new().expect("a pipe")).expect("open"));
    let mut machine = RecordedMachine::new(Machine::new(crate::testing::settings(&counting())), None);
    for noise in [&b""[..], b"+", b"\x03", b"\xff\0$m0,1#00", b"POST / HTTP/1.1\r\n\r\n$?#3f"] {
        let mut tcp = TcpStream::connect(address).expect("connected");
        let _ = tcp.write_all(noise);
        let _ = tcp.shutdown(std::net::Shutdown::Write);
        tcp.set_nonblocking(true).expect("set");
        let began = Instant::now();
        // Until it is over at both ends.
        while matches!(tcp.read(&mut [0; 64]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
            || connection.client.is_some()
        {
            assert!(began.elapsed() < PATIENCE, "{noise:?}");
            connection.poll(&mut machine);
            assert!(!machine.machine().is_halted(), "{noise:?}");
            machine.run(1000);
        }
    }
}

/// Shows D210.
#[test]
fn registers_are_written_by_any_width_as_the_application_would() {
    let mut bench = Bench::new(&counting());
    // An NVIC priority, of which three bits of eight exist at most; its neighbours stay.
    bench.ask("M e000e42c,4:00000000".replace(' ', "").as_str());
    assert_eq!(bench.ask("Me000e42d,1:40"), "OK");
    assert_eq!(bench.ask("me000e42c,4"), "00400000");
    // GPIOB's output data register by a halfword, and six bytes of it and the register behind: a word and a halfword.
    assert_eq!(bench.ask("M42020414,2:3412"), "OK");
    assert_eq!(bench.ask("m42020414,4"), "34120000");
    assert_eq!(bench.ask("M42020414,6:010000000200"), "OK");
    assert_eq!(bench.ask("m42020414,4"), "03000000", "BSRR has set a bit");
    assert_eq!(bench.ask("M42020415,3:800000"), "OK");
    assert_eq!(bench.ask("m42020414,4"), "03800000");
    // VTOR by bytes; a read-only register takes them and stays.
    assert_eq!(bench.ask("Me000ed00,1:ff"), "OK");
    assert_eq!(bench.ask("me000ed00,4"), "14d20f41");
    assert!(bench.ask("M60000000,1:00").starts_with('E'));
    assert!(bench.ask("Mdfffffff,2:0000").starts_with('E'));
}

/// Shows D210.
#[test]
fn the_application_sees_the_debugger_in_dhcsr() {
    let mut program = Program::new();
    program.add(mov32(0, 0xE000_EDF0)).add(ldr(3, 0, 0)).add(b_self());
    let mut bench = Bench::new(&program);
    for _ in 0..3 {
        bench.ask("vCont;s");
    }
    assert_eq!(bench.register(3), 0x0001_0001, "C_DEBUGEN, S_REGRDY");
    assert_eq!(bench.ask("me000edf0,4"), "03000300", "and S_HALT, C_HALT for who looks");
    assert_eq!(bench.ask("me000edf2,1"), "03");
    bench.ask("D");
    bench.until(|bench| bench.connection.client.is_none());
    bench.machine.control(DebuggerInput::Reset);
    bench.machine.control(DebuggerInput::Resume);
    bench.machine.run(1000);
    assert_eq!(bench.machine.machine().register(armv8m::Register::R(3)), 0);
}

/// A debugger of a replay, which it changes nothing in. Packets go through the socket, as a debugger's do.
struct ReplayBench {
    replay: Replay,
    writer: TcpStream,
    read: Vec<u8>,
}

impl ReplayBench {
    fn new(recording: Vec<u8>, program: &Program) -> Self {
        let image = program.image();
        let from = Box::new(std::io::Cursor::new(recording));
        let mut replay = Replay::from(from, &image, Vec::new(), false).expect("a recording");
        let server = Server::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let writer = TcpStream::connect(server.address()).expect("connected");
        writer.set_nonblocking(true).expect("set");
        replay.debug(Debugging { gdb: Some(server), ..Debugging::default() }).expect("started");
        Self { replay, writer, read: Vec::new() }
    }

    fn ask(&mut self, packet: &str) -> String {
        self.writer.write_all(&framed(packet.as_bytes())).expect("sent");
        let began = Instant::now();
        while whole(&self.read).is_none() {
            assert!(began.elapsed() < PATIENCE, "{packet}: timed out");
            assert!(matches!(self.replay.turn(), Turn::Going), "{packet}: it ended under the debugger");
            let mut chunk = [0; 4096];
            if let Ok(length) = self.writer.read(&mut chunk) {
                self.read.extend(&chunk[..length]);
            }
        }
        let packet: Vec<u8> = self.read.drain(..whole(&self.read).expect("whole")).collect();
        self.writer.write_all(b"+").expect("sent");
        let packet = String::from_utf8(packet).expect("text");
        let body = packet.trim_start_matches(['+', '-']).trim_start_matches('$');
        expanded(&body[..body.len() - 3])
    }
}

/// Shows D340.
#[test]
fn a_debugger_of_a_replay_stops_looks_and_is_refused_and_the_replay_is_exact() {
    let program = ending_in(&[0x3201, 0x3201, 0x6801]); // adds r2, #1, twice; ldr r1, [r0]
    let tape = recordings::Tape::default();
    let mut recorder = Recorder::to(Box::new(tape.clone()));
    recorder.begin(&recordings::header(&program)).expect("written");
    let mut machine = RecordedMachine::new(recordings::machine(&program), Some(recorder));
    machine.run(10_000);
    machine.end();
    let adds = CODE + 10;
    let mut bench = ReplayBench::new(tape.bytes(), &program);
    assert!(bench.ask("?").starts_with("T05"), "it waits before the first instruction");
    assert_eq!(bench.ask("pf"), format!("{:08x}", CODE.swap_bytes()));
    assert_eq!(bench.ask(&format!("Z1,{adds:x},2")), "OK");
    assert_eq!(bench.ask("vCont;c"), "T05thread:01;hwbreak:;");
    assert_eq!(bench.ask("vCont;s"), "S05");
    assert_eq!(bench.ask("p2"), "01000000");
    for packet in [
        format!("M{WORD:x},1:00"),
        "P2=05000000".to_owned(),
        "vRun;".to_owned(),
        "vFlashErase:8000000,8".to_owned(),
    ] {
        let reply = bench.ask(&packet);
        assert!(reply.starts_with("E.this is a replay: "), "{packet}: {reply}");
    }
    assert_eq!(bench.replay.take_refusal(), Some("this is a replay: no other image can be loaded"));
    assert_eq!(bench.ask("vCont;c"), "S0a", "the fault is a bus error");
    assert_eq!(bench.ask("p2"), "02000000");
    for _ in 0..2 {
        assert_eq!(bench.ask("vCont;c"), "T05thread:01;replaylog:end;");
    }
    bench.writer.write_all(&framed(b"D")).expect("sent");
    let ending = loop {
        if let Turn::Ended(ending) = bench.replay.turn() {
            break ending;
        }
    };
    assert!(matches!(ending, Ending::Exact { is_whole: true, .. }), "{ending:?}");
}

/// Shows D134.
#[test]
fn run_restarts_and_halts_whatever_it_is_called() {
    let mut bench = Bench::new(&counting());
    assert_eq!(bench.ask("!"), "OK");
    for packet in ["vRun;", "vRun", "vRun;6170702e656c66", "vRun;;61;62"] {
        bench.ask("vCont;s");
        assert_eq!(bench.ask(packet), "T05thread:01;", "{packet}");
        // The debugger continues by itself; the application is halted all the same.
        assert_eq!(bench.ask("vCont;c"), "S05", "{packet}");
        assert_eq!(bench.pc(), CODE, "{packet}");
    }
    bench.ask(&format!("Z1,{ADDS:x},2"));
    assert!(bench.ask("vCont;c").contains("hwbreak"), "the next continue is the user's");
    // With a breakpoint, the debugger's own continue leads there.
    bench.ask("vRun;");
    assert!(bench.ask("vCont;c").contains("hwbreak"));
    bench.ask(&format!("z1,{ADDS:x},2"));
    bench.ask("vCont;s");
    // It has no answer of its own.
    bench.send("R00");
    assert_eq!(bench.pc(), CODE);
    // One that has detached stays, and may begin again.
    assert_eq!(bench.ask("D"), "OK");
    bench.until(|bench| !bench.machine.machine().is_halted());
    assert_eq!(bench.ask("vRun;"), "T05thread:01;");
    assert_eq!(bench.pc(), CODE);
}

/// Shows D208.
#[test]
fn an_address_to_continue_at_is_used() {
    let mut bench = Bench::new(&counting());
    bench.ask(&format!("Z1,{STORES:x},2"));
    bench.ask("P0=00100020");
    assert!(bench.ask(&format!("c{ADDS:x}")).contains("hwbreak"));
    assert_eq!(bench.pc(), STORES);
    assert_eq!(bench.ask(&format!("S05;{:x}", CODE + 8)), "S05");
    assert_eq!(bench.pc(), ADDS);
    assert_eq!(bench.ask("czz"), "E16");
}

#[test]
fn an_application_that_faulted_before_the_debugger_attached_restarts_under_it() {
    let mut bench = Bench::new(&ending_in(&[0x6801]));
    bench.ask("D");
    bench.until(|bench| bench.connection.client.is_none());
    bench.machine.take_events();
    bench.machine.run(10_000);
    bench.reconnect();
    assert_eq!(bench.pc(), CODE + 10, "where it faulted");
    bench.monitor("reset halt");
    bench.ask(&format!("Z1,{:x},2", CODE + 8));
    assert!(bench.ask("vCont;c").starts_with("T05"));
    assert_eq!(bench.pc(), CODE + 8);
}
