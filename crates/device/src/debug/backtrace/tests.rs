use super::*;
use crate::debug::crash::Crash;
use crate::events::DeviceEvent;
use crate::image::Image;
use crate::machine::{Machine, Settings};
use crate::testing::{self, CODE, Program, b_self, mov32};

/// An image with names, lines and call frame information, which faults in the end.
const DEBUGGED: &[u8] = include_bytes!("../../../../../sdk/tests/apps/debugged/debugged.elf");

/// The first crash of a machine.
fn crash(image: Image, symbols: Option<Symbols>) -> Crash {
    let mut machine = Machine::new(Settings { image, ..testing::settings(&testing_program()) });
    machine.set_symbols(symbols);
    machine.run(10_000_000);
    let crash = |event| if let DeviceEvent::Crashed(crash) = event { Some(*crash) } else { None };
    machine.take_events().into_iter().find_map(crash).expect("a crash")
}

fn testing_program() -> Program {
    let mut program = Program::new();
    program.add(b_self());
    program
}

fn debugged(symbols: Option<Symbols>) -> Crash {
    crash(Image::parse(DEBUGGED).expect("an image"), symbols)
}

fn names(frames: &[Frame]) -> Vec<&str> {
    frames.iter().flat_map(|frame| &frame.sites).filter_map(|site| site.function.as_deref()).collect()
}

#[test]
fn a_crash_is_reported_with_functions_and_lines() {
    let crash = debugged(Symbols::of(DEBUGGED.to_vec()));
    assert_eq!(names(&crash.frames)[..3], ["read_word", "fail", "main"]);
    assert!(crash.frames.iter().all(|frame| !frame.uncertain));
    let (file, line) = crash.frames[0].sites[0].line.clone().expect("a line");
    assert_eq!(file, "sdk/tests/apps/debugged/main.c");
    let source = include_str!("../../../../../sdk/tests/apps/debugged/main.c");
    assert_eq!(source.lines().nth(line as usize - 1).map(str::trim), Some("return *from;"));
}

#[test]
fn a_crash_is_reported_in_readable_lines() {
    let text = debugged(Symbols::of(DEBUGGED.to_vec())).to_string();
    for part in [
        "crash: bus error: read or write at 0x60000000, where there is no memory (pc 0x0800",
        "CFSR 00008200 PRECISERR BFARVALID, HFSR 40000000 FORCED, BFAR 60000000",
        "r0  60000000",
        " #0  0x0800",
        "read_word at sdk/tests/apps/debugged/main.c:",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
}

#[test]
fn without_names_what_looks_like_calls_is_marked_as_a_guess() {
    let named = debugged(Symbols::of(DEBUGGED.to_vec()));
    let crash = debugged(None);
    assert!(!crash.frames[0].uncertain && crash.frames[1..].iter().all(|frame| frame.uncertain));
    let followed = named.frames.iter().map(|frame| frame.address);
    let guessed: Vec<u32> = crash.frames.iter().map(|frame| frame.address).collect();
    for address in followed.take(3) {
        assert!(guessed.contains(&address), "{address:#x} in {guessed:x?}");
    }
    assert!(crash.to_string().contains("? #1 "));
}

/// A file with names only: as one built without `-g`.
#[test]
fn names_alone_are_better_than_nothing() {
    let mut bare = DEBUGGED.to_vec();
    while let Some(at) = bare.windows(7).position(|name| name == b".debug_") {
        bare[at + 1] = b'x';
    }
    let crash = debugged(Symbols::of(bare));
    assert_eq!(crash.frames[0].sites, [Site { function: Some("read_word".into()), line: None }]);
    assert!(names(&crash.frames).contains(&"main"));
}

#[test]
fn a_branch_to_where_no_call_is_names_who_branched() {
    let mut program = Program::new();
    program.call(0x0C1F_E0A1).add(b_self());
    let crash = crash(program.image(), None);
    assert_eq!(crash.frames[0].address, 0x0C1F_E0A0);
    assert_eq!(crash.frames[1].address, CODE + 10);
}

/// The address of a function of the image.
fn address(name: &str) -> u32 {
    let elf = elf::ElfBytes::<elf::endian::LittleEndian>::minimal_parse(DEBUGGED).expect("an ELF file");
    let (table, names) = elf.symbol_table().expect("a table").expect("a table");
    let found = table.iter().find(|symbol| names.get(symbol.st_name as usize).is_ok_and(|its| its == name));
    found.expect("a symbol").st_value as u32 & !1
}

#[test]
fn a_fault_in_a_handler_is_followed_into_what_it_interrupted() {
    let symbols = Symbols::of(DEBUGGED.to_vec()).expect("names");
    // A frame stacked in `main`'s first instruction, LR as after reset, seen from the first of the handler.
    let frame = 0x2007_F000u32;
    let words = [0, 0, 0, 0, 0, 0xFFFF_FFFF, address("main"), 1 << 24];
    let memory = |at: u32| words.get((at.checked_sub(frame)? / 4) as usize).copied();
    let mut r = [0; 16];
    (r[13], r[14], r[15]) = (frame, 0xFFFF_FFB8, address("SysTick_Handler"));
    let frames = backtrace(Some(&symbols), &Registers { r, msp: frame, psp: 0 }, &memory);
    assert_eq!(names(&frames), ["SysTick_Handler", "main"]);
}

#[test]
fn nothing_in_memory_or_in_a_file_makes_a_backtrace_endless_or_panic() {
    let symbols = Symbols::of(DEBUGGED.to_vec()).expect("names");
    let mut seed = 0x2545_F491u32;
    let mut entropy = || {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed
    };
    for _ in 0..100 {
        let places =
            [entropy(), 0xFFFF_FFFF, 0x0800_0000 | entropy() & 0x7FF, 0x0C1F_E000 | entropy() & 0xFFF, 0, 1];
        let mut r: [u32; 16] = std::array::from_fn(|_| entropy());
        r[13] = 0x2000_0000 | entropy() & 0x7_FFFF;
        (r[14], r[15]) = (places[entropy() as usize % 6], places[entropy() as usize % 6]);
        let word = entropy();
        let memory =
            |at: u32| if at.is_multiple_of(8) { Some(word) } else { Some(0x0800_0200 | at & 0x1FF | 1) };
        let frames = backtrace(Some(&symbols), &Registers { r, msp: r[13], psp: word }, &memory);
        assert!((1..=MAX_FRAMES).contains(&frames.len()));
    }
    for at in (0..DEBUGGED.len()).step_by(211) {
        let mut damaged = DEBUGGED.to_vec();
        damaged[at] ^= 0xFF;
        if let Some(symbols) = Symbols::of(damaged) {
            symbols.sites(0x0800_0238);
            let r = [0x0800_0239; 16];
            backtrace(Some(&symbols), &Registers { r, msp: 0, psp: 0 }, &|_| Some(0x0800_0239));
        }
    }
}

#[test]
fn a_file_without_names_is_none() {
    assert!(Symbols::of(b"no ELF file".to_vec()).is_none());
    assert!(Symbols::of(include_bytes!("../../../../../sdk/samples/mqtt/mqtt.elf").to_vec()).is_none());
    let mut program = Program::new();
    program.add(mov32(0, 0));
    assert!(Symbols::of(program.image().bytes().to_vec()).is_none());
}
