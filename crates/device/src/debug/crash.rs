//! All there is to say about a crash: the fault, its registers, and the calls that led there.

use std::fmt;

use armv8m::{Cpu, Register};

use super::backtrace::{Frame, Registers, backtrace};
use super::symbols::Symbols;
use crate::fault::Fault;

/// A crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    /// The fault.
    pub fault: Fault,
    /// R0 to R15 at the instruction.
    pub registers: [u32; 16],
    /// The program status registers together.
    pub xpsr: u32,
    /// Main stack pointer.
    pub msp: u32,
    /// Process stack pointer.
    pub psp: u32,
    /// The calls that led there, the innermost first.
    pub frames: Vec<Frame>,
}

/// The bits of CFSR and HFSR by their names in the architecture's manual.
const CFSR: [(u32, &str); 19] = [
    (1 << 0, "IACCVIOL"),
    (1 << 1, "DACCVIOL"),
    (1 << 3, "MUNSTKERR"),
    (1 << 4, "MSTKERR"),
    (1 << 5, "MLSPERR"),
    (1 << 7, "MMARVALID"),
    (1 << 8, "IBUSERR"),
    (1 << 9, "PRECISERR"),
    (1 << 10, "IMPRECISERR"),
    (1 << 11, "UNSTKERR"),
    (1 << 12, "STKERR"),
    (1 << 13, "LSPERR"),
    (1 << 15, "BFARVALID"),
    (1 << 16, "UNDEFINSTR"),
    (1 << 17, "INVSTATE"),
    (1 << 18, "INVPC"),
    (1 << 19, "NOCP"),
    (1 << 20, "STKOF"),
    (1 << 24, "UNALIGNED"),
];
const DIVBYZERO: (u32, &str) = (1 << 25, "DIVBYZERO");
const HFSR: [(u32, &str); 3] = [(1 << 1, "VECTTBL"), (1 << 30, "FORCED"), (1 << 31, "DEBUGEVT")];

const MMARVALID: u32 = 1 << 7;
const BFARVALID: u32 = 1 << 15;

impl Crash {
    /// What a processor that has faulted shows.
    pub fn of(cpu: &Cpu, fault: Fault, symbols: Option<&Symbols>) -> Self {
        let registers = std::array::from_fn(|number| cpu.register(Register::R(number as u8)));
        let (msp, psp) = (cpu.register(Register::Msp), cpu.register(Register::Psp));
        let memory = |address: u32| {
            let mut word = [0; 4];
            cpu.read_memory(address, &mut word).then(|| u32::from_le_bytes(word))
        };
        let frames = backtrace(symbols, &Registers { r: registers, msp, psp }, &memory);
        Self { fault, registers, xpsr: cpu.register(Register::Xpsr), msp, psp, frames }
    }

    /// The bits that are set in CFSR, by name.
    pub fn cfsr(&self) -> Vec<&'static str> {
        set(self.fault.cfsr, CFSR.iter().chain([&DIVBYZERO]))
    }

    /// The bits that are set in HFSR, by name.
    pub fn hfsr(&self) -> Vec<&'static str> {
        set(self.fault.hfsr, HFSR.iter())
    }

    /// MMFAR, where it means something.
    pub fn mmfar(&self) -> Option<u32> {
        (self.fault.cfsr & MMARVALID != 0).then_some(self.fault.mmfar)
    }

    /// BFAR, where it means something.
    pub fn bfar(&self) -> Option<u32> {
        (self.fault.cfsr & BFARVALID != 0).then_some(self.fault.bfar)
    }

    /// The report, in lines.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("crash: {}", self.fault)];
        lines.push(format!("  {}", self.fault_registers()));
        for row in 0..4 {
            let cell = |number: usize| format!("{:<4}{:08x}", NAMES[number], self.registers[number]);
            let cells: Vec<String> = (row * 4..row * 4 + 4).map(cell).collect();
            lines.push(format!("  {}", cells.join("  ")));
        }
        lines.push(format!("  xpsr {:08x}  msp {:08x}  psp {:08x}", self.xpsr, self.msp, self.psp));
        lines.push("backtrace:".to_owned());
        lines.extend(folded_lines(&self.frames));
        lines
    }

    fn fault_registers(&self) -> String {
        let named = |name: &str, value: u32, bits: &[&str]| format!("{name} {value:08x} {}", bits.join(" "));
        let mut parts = vec![
            named("CFSR", self.fault.cfsr, &self.cfsr()).trim_end().to_owned(),
            named("HFSR", self.fault.hfsr, &self.hfsr()).trim_end().to_owned(),
        ];
        parts.extend(self.mmfar().map(|address| format!("MMFAR {address:08x}")));
        parts.extend(self.bfar().map(|address| format!("BFAR {address:08x}")));
        parts.join(", ")
    }
}

const NAMES: [&str; 16] =
    ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "sp", "lr", "pc"];

fn set<'a>(value: u32, bits: impl Iterator<Item = &'a (u32, &'static str)>) -> Vec<&'static str> {
    bits.filter(|(bit, _)| value & bit != 0).map(|(_, name)| *name).collect()
}

/// Equal calls that follow each other and are shown before the rest is counted.
const MAX_EQUAL: usize = 3;

/// The lines of a backtrace. Of more than a few equal calls, as of a function that calls itself, the rest is counted.
fn folded_lines(frames: &[Frame]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut number = 0;
    for equal in frames.chunk_by(|one, next| one.sites == next.sites && one.address == next.address) {
        // Folding a single call would save nothing.
        let shown = if equal.len() > MAX_EQUAL + 1 { MAX_EQUAL } else { equal.len() };
        for (index, frame) in equal.iter().take(shown).enumerate() {
            lines.extend(frame_lines(number + index, frame));
        }
        if shown < equal.len() {
            let site = equal[0].sites.first();
            let function = site.and_then(|site| site.function.as_deref()).unwrap_or("unknown");
            lines.push(format!("  … {} more of {function}", equal.len() - shown));
        }
        number += equal.len();
    }
    lines
}

/// A line for each function at the frame's address; `?` where the frame was only guessed.
fn frame_lines(number: usize, frame: &Frame) -> Vec<String> {
    let mark = if frame.uncertain { "?" } else { " " };
    let line = |(index, site): (usize, &super::symbols::Site)| {
        let function = site.function.as_deref().unwrap_or("unknown");
        let location =
            site.line.as_ref().map(|(file, line)| format!(" at {file}:{line}")).unwrap_or_default();
        match index {
            0 => format!("{mark} #{number:<2} {:#010x} {function}{location}", frame.address),
            _ => format!("{mark}     in           {function}{location}"),
        }
    };
    frame.sites.iter().enumerate().map(line).collect()
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().iter().try_for_each(|line| writeln!(f, "{}", text::escape(line)))
    }
}
