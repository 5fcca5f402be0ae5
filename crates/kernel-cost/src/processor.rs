//! The firmware on the emulated processor: functions are called by name, and every instruction is counted.

use std::collections::BTreeMap;

use armv8m::{Config, Cpu, EmptyBus, Exit, Register};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionKind, SymbolKind};

/// Start of the firmware's flash; the application's is before it, as on the device.
const PROGRAM: u32 = 0x0810_0000;
const FLASH: u32 = 0x0800_0000;
const FLASH_SIZE: usize = 0x14_0000;
/// Address of the four arguments of a system call.
const ARGUMENTS: u32 = 0x200a_0000;
/// Address of bytes to and from the cloud, with their number before them.
const BUFFER: u32 = 0x200a_1000;
const STACK: u32 = 0x200c_0000;
/// The return address of every function: reaching it ends the call.
const RETURN: u32 = 0x0c1f_e000;
/// Microseconds since the start, for all of the scenario.
const NOW: u32 = 1000;
/// Instructions after which a function counts as one that does not return.
const MAX_INSTRUCTIONS: u64 = 10_000_000;

/// The linked firmware.
pub(crate) struct Program {
    flash: Vec<u8>,
    /// Function names by address.
    functions: BTreeMap<u32, String>,
    /// Bytes of code and constants.
    pub code: usize,
    /// Of these, constants.
    pub constants: usize,
    /// Bytes of the kernel's state. It is all zero before the program runs, so that no copy of it takes flash (D111).
    pub state: usize,
}

impl Program {
    /// Reads an ELF file.
    pub(crate) fn load(path: &str) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
        let file = object::File::parse(&bytes[..]).map_err(|error| format!("{path}: {error}"))?;
        let mut flash = vec![0xff; FLASH_SIZE];
        let (mut code, mut constants, mut state) = (0, 0, 0);
        for section in file.sections() {
            match section.kind() {
                SectionKind::Text | SectionKind::ReadOnlyData => {}
                SectionKind::UninitializedData => {
                    state += section.size() as usize;
                    continue;
                }
                SectionKind::Data if section.size() > 0 => {
                    return Err("the kernel's first state is not all zero: it lies in .data".to_owned());
                }
                _ => continue,
            }
            let data = section.data().map_err(|error| error.to_string())?;
            let start = section.address() as usize - FLASH as usize;
            flash.get_mut(start..start + data.len()).ok_or("the program is too long")?.copy_from_slice(data);
            code += data.len();
            constants += if section.kind() == SectionKind::ReadOnlyData { data.len() } else { 0 };
        }
        let vectors = (PROGRAM - FLASH) as usize;
        flash[vectors..vectors + 4].copy_from_slice(&STACK.to_le_bytes());
        flash[vectors + 4..vectors + 8].copy_from_slice(&(PROGRAM + 0x401).to_le_bytes());
        let text = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
        let functions =
            text.filter_map(|symbol| Some((symbol.address() as u32 & !1, demangle(symbol.name().ok()?))));
        let functions = functions.collect();
        Ok(Self { flash, functions, code, constants, state })
    }

    fn address(&self, name: &str) -> u32 {
        let found = self.functions.iter().find(|(_, known)| *known == name);
        *found.unwrap_or_else(|| panic!("the program has no function {name}")).0
    }
}

/// The last two parts of a mangled name, without its hash.
fn demangle(name: &str) -> String {
    let Some(mut rest) = name.strip_prefix("_ZN") else {
        let last = name.rsplit(|c: char| c.is_ascii_digit()).find(|part| part.len() > 2);
        return last.unwrap_or(name).to_owned();
    };
    let mut parts = Vec::new();
    while let Some(digits) = rest.find(|c: char| !c.is_ascii_digit()).filter(|digits| *digits > 0) {
        let Ok(length) = rest[..digits].parse::<usize>() else { break };
        let end = (digits + length).min(rest.len());
        parts.push(&rest[digits..end]);
        rest = &rest[end..];
    }
    parts.pop();
    let shown = parts.len().saturating_sub(2);
    parts[shown..].join("::")
}

/// What a call cost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count {
    /// All instructions.
    pub all: u64,
    /// Those of functions that only move bytes.
    pub copying: u64,
    /// Bytes of stack.
    pub stack: u32,
    /// Instructions by function.
    pub by_function: BTreeMap<String, u64>,
}

impl Count {
    /// Instructions of all other functions.
    pub(crate) fn own(&self) -> u64 {
        self.all - self.copying
    }
}

/// Whether a function only moves bytes.
fn copies(function: &str) -> bool {
    ["memcpy", "memmove", "memset", "memclr", "Direct"].iter().any(|name| function.contains(name))
}

/// A processor on which the firmware runs.
pub(crate) struct Processor<'a> {
    program: &'a Program,
    cpu: Cpu,
}

impl<'a> Processor<'a> {
    /// Starts the kernel.
    pub(crate) fn start(program: &'a Program) -> Self {
        let config = Config { vtor: PROGRAM, trap: RETURN..RETURN + 0x1000, ..Config::default() };
        let mut cpu = Cpu::new(config, program.flash.clone().into());
        cpu.reset().expect("the program has vectors");
        let mut processor = Self { program, cpu };
        processor.set(ARGUMENTS, &[3; 48]);
        processor.run("kernel_start", [ARGUMENTS, ARGUMENTS + 16, 0, 0]);
        processor.run("port_set_time", [NOW, 0, 0, 0]);
        processor
    }

    /// Makes a system call; returns its status and cost.
    pub(crate) fn call(&mut self, slot: u32, args: [u32; 4]) -> (u32, Count) {
        let bytes: Vec<u8> = args.iter().flat_map(|arg| arg.to_le_bytes()).collect();
        self.set(ARGUMENTS, &bytes);
        self.run("kernel_call", [slot, ARGUMENTS, 0, 0])
    }

    /// Reports a connection to the kernel.
    pub(crate) fn connected(&mut self) {
        self.run("kernel_connected", [0; 4]);
    }

    /// Gives the kernel bytes from the cloud.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Count {
        self.set(BUFFER, &(bytes.len() as u32).to_le_bytes());
        self.set(BUFFER + 4, bytes);
        let (refused, count) = self.run("kernel_receive", [BUFFER, 0, 0, 0]);
        assert_eq!(refused, 0, "the kernel found a violation of the link");
        count
    }

    /// Takes bytes for the cloud.
    pub(crate) fn transmit(&mut self) -> (Vec<u8>, Count) {
        let count = self.run("kernel_transmit", [BUFFER, 0, 0, 0]).1;
        let length = self.u32(BUFFER) as usize;
        (self.bytes(BUFFER + 4, length), count)
    }

    /// Calls a function and counts instructions until it returns.
    fn run(&mut self, function: &str, args: [u32; 4]) -> (u32, Count) {
        for (number, arg) in (0..).zip(args) {
            self.cpu.set_register(Register::R(number), arg);
        }
        self.cpu.set_register(Register::SP, STACK);
        self.cpu.set_register(Register::LR, RETURN | 1);
        self.cpu.set_register(Register::PC, self.program.address(function));
        let mut count = Count::default();
        let mut lowest_sp = STACK;
        loop {
            let at = self.cpu.register(Register::PC);
            match self.cpu.run(&mut EmptyBus, 1) {
                Exit::Trap { .. } => break,
                Exit::Budget => {}
                other => panic!("{function}: {other:?} at {at:#x}"),
            }
            self.count(at, &mut count);
            lowest_sp = lowest_sp.min(self.cpu.register(Register::SP));
            assert!(count.all < MAX_INSTRUCTIONS, "{function} does not return");
        }
        count.stack = STACK - lowest_sp;
        (self.cpu.register(Register::R(0)), count)
    }

    fn count(&self, at: u32, count: &mut Count) {
        let function = self.program.functions.range(..=at).next_back().map_or("?", |(_, name)| name);
        count.all += 1;
        count.copying += u64::from(copies(function));
        if let Some(instructions) = count.by_function.get_mut(function) {
            *instructions += 1;
        } else {
            count.by_function.insert(function.to_owned(), 1);
        }
    }

    /// Writes memory.
    pub(crate) fn set(&mut self, at: u32, bytes: &[u8]) {
        assert!(self.cpu.write_memory(at, bytes), "no memory at {at:#x}");
    }

    /// Reads memory.
    pub(crate) fn bytes(&self, at: u32, count: usize) -> Vec<u8> {
        self.cpu.memory(at, count).expect("memory is there").to_vec()
    }

    /// Reads a number.
    pub(crate) fn u32(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.bytes(at, 4).try_into().expect("four bytes"))
    }
}
