//! A small machine for tests: an image of literal opcodes, and a processor that executes it.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::sync::Arc;

use armv8m::{Config, Cpu, EmptyBus, Exit, Register};

/// Where flash starts.
pub(crate) const FLASH: u32 = 0x0800_0000;
/// Where tests put their main program.
pub(crate) const CODE: u32 = FLASH + 0x400;
/// Where RAM starts.
pub(crate) const RAM: u32 = 0x2000_0000;
/// The initial main stack pointer.
pub(crate) const STACK: u32 = RAM + 0x8000;

/// The contents of flash.
pub(crate) struct Image(Vec<u8>);

impl Image {
    /// Vectors for the stack and for a program at [`CODE`]; every handler at [`Image::HANDLERS`] plus 0x40 times its
    /// number unless [`Image::handler`] replaces it. What is not written is zero, and zero is `MOVS R0, R0`.
    pub(crate) fn new(program: &[u16]) -> Self {
        let mut image = Self(vec![0; 0x8000]);
        image.word(FLASH, STACK);
        image.word(FLASH + 4, CODE | 1);
        for number in 2..64 {
            image.word(FLASH + number * 4, (Self::HANDLERS + number * 0x40) | 1);
            image.code(Self::HANDLERS + number * 0x40, &[0xBE00 | number as u16]);
        }
        image.code(CODE, program);
        image
    }

    /// Where handlers go: each has 0x40 bytes. One that is not written is a BKPT with the exception's number.
    pub(crate) const HANDLERS: u32 = FLASH + 0x4000;

    pub(crate) fn word(&mut self, address: u32, value: u32) -> &mut Self {
        let at = (address - FLASH) as usize;
        self.0[at..at + 4].copy_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn code(&mut self, address: u32, halfwords: &[u16]) -> &mut Self {
        let at = (address - FLASH) as usize;
        for (bytes, half) in self.0[at..].chunks_exact_mut(2).zip(halfwords) {
            bytes.copy_from_slice(&half.to_le_bytes());
        }
        self
    }

    pub(crate) fn handler(&mut self, number: u32, halfwords: &[u16]) -> &mut Self {
        self.code(Self::HANDLERS + number * 0x40, halfwords)
    }

    /// A processor in reset with this image, which stops at BKPT.
    pub(crate) fn boot(&self) -> Cpu {
        let config = Config { ram_size: 0x10000, halt_on_breakpoint: true, ..Config::default() };
        self.boot_with(config)
    }

    pub(crate) fn boot_with(&self, config: Config) -> Cpu {
        let mut cpu = Cpu::new(config, Arc::from(self.0.as_slice()));
        cpu.reset().expect("the image has vectors");
        cpu
    }
}

/// Runs until BKPT and returns its number.
pub(crate) fn run_to_breakpoint(cpu: &mut Cpu) -> u8 {
    match cpu.run(&mut EmptyBus, 100_000) {
        Exit::Breakpoint { comment, .. } => comment,
        exit => panic!("{exit:?} at {:08x}, {:x?}", cpu.register(Register::PC), cpu.fault_status()),
    }
}

/// Continues after a BKPT at which the processor stopped.
pub(crate) fn step_over(cpu: &mut Cpu) {
    cpu.set_register(Register::PC, cpu.register(Register::PC) + 2);
}

pub(crate) fn word(cpu: &Cpu, address: u32) -> u32 {
    let mut bytes = [0; 4];
    assert!(cpu.read_memory(address, &mut bytes), "{address:08x} is not memory");
    u32::from_le_bytes(bytes)
}

pub(crate) fn r(cpu: &Cpu, number: u8) -> u32 {
    cpu.register(Register::R(number))
}
