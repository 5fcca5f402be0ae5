//! An application that reads and writes peripheral registers as it likes, while input arrives and time passes.

use std::sync::OnceLock;

use device::board::{Board, DirectMemory};
use device::peripherals::{BoardSignal, PeripheralConfig, peripheral_map};

use crate::board::board;
use crate::source::Source;

/// Memory a DMA controller reaches, bytes.
const MEMORY: usize = 4096;
/// Its address.
const RAM: u32 = 0x2000_0000;
/// Outputs of one step; more are a loop.
const MAX_OUTPUTS: usize = 10_000;

struct Memory(Vec<u8>);

impl Memory {
    fn range(address: u32, bytes: u32) -> Option<std::ops::Range<usize>> {
        let start = address.checked_sub(RAM)? as usize;
        let end = start + bytes as usize;
        (end <= MEMORY).then_some(start..end)
    }
}

impl DirectMemory for Memory {
    fn load(&self, address: u32, bytes: u32) -> Option<u32> {
        let range = Self::range(address, bytes)?;
        Some(self.0[range].iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }

    fn store(&mut self, address: u32, bytes: u32, value: u32) -> bool {
        let Some(range) = Self::range(address, bytes) else { return false };
        let length = range.len();
        self.0[range].copy_from_slice(&value.to_le_bytes()[..length]);
        true
    }
}

/// Base and size of every peripheral.
fn regions() -> &'static [(u32, u32)] {
    static REGIONS: OnceLock<Vec<(u32, u32)>> = OnceLock::new();
    REGIONS.get_or_init(|| {
        peripheral_map(PeripheralConfig::new(Box::new(|| 7), [9; 12]))
            .iter()
            .map(|placed| (placed.base, placed.size))
            .collect()
    })
}

pub(crate) fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let (mut board, mut memory, mut now) = (board(), Memory(vec![0; MEMORY]), 0);
    board.reset(now);
    while !source.is_empty() {
        step(&mut board, &mut memory, &mut now, &mut source);
        assert!(board.take_events().len() < MAX_OUTPUTS, "outputs without end");
        let next = board.next_event();
        assert!(next.is_none_or(|next| next > now), "an event of the past: {next:?} at {now}");
    }
}

fn step(board: &mut Board, memory: &mut Memory, now: &mut u64, source: &mut Source<'_>) {
    let kind = source.u8() % 8;
    let (base, size) = regions()[usize::from(source.u8()) % regions().len()];
    match kind {
        0..=2 => {
            let (address, width) = register(base, size, source);
            let _ = board.write(address, width, source.u32(), *now);
        }
        3 => {
            let (address, width) = register(base, size, source);
            if let Ok(value) = board.read(address, width, *now) {
                assert!(
                    width == 4 || value >> (8 * width) == 0,
                    "{value:#x} of {width} bytes at {address:#x}"
                );
            }
        }
        4 => {
            *now += u64::from(source.u16()) << (source.u8() % 16);
            board.advance(*now);
        }
        5 => {
            board.signal(base, &BoardSignal::Serial(source.run()), *now);
        }
        6 => {
            let (pin, level) = (source.u8() % 16, source.u8() % 2 == 1);
            board.signal(base, &BoardSignal::Pin { pin, level }, *now);
        }
        _ => {
            if board.is_transfer_due() {
                board.transfer(memory, *now);
            }
        }
    }
}

/// A register of a peripheral: near its beginning, where most are, and aligned, as the processor has it.
fn register(base: u32, size: u32, source: &mut Source<'_>) -> (u32, u32) {
    let width = 1 << (source.u8() % 3);
    let offset = u32::from(source.u8()) * 4 + u32::from(source.u8() % 4);
    (base + (offset % size) / width * width, width)
}
