//! Measures instructions a second on a loop of mixed integer code: a table CRC, an insertion sort, hash chains, decimal
//! formatting with divisions, a switch-driven state machine. Run with `cargo run --release --example speed`.

#![allow(clippy::cast_precision_loss, reason = "a rate, which is only displayed")]

use std::sync::Arc;
use std::time::Instant;

use armv8m::{Config, Cpu, EmptyBus, Exit};

/// The program, built from C for a Cortex-M33 at -O2: a vector table of two words, then code that never ends.
const PROGRAM: &[u32] = &[
    0x20000F00, 0x080001AD, 0x68184B04, 0x3040EA80, 0x4050EA80, 0x1040EA80, 0x47706018, 0x20001000,
    0x0C00F04F, 0x490C480B, 0xF500B500, 0x46636E80, 0xF0132208, 0xBF0C0F01, 0xEA81085B, 0x3A010353,
    0xF840D1F7, 0x45863F04, 0x0C01F10C, 0xF85DD1EF, 0xBF00FB04, 0x20001000, 0xEDB88320, 0xF0004B0A,
    0xEB03020F, 0xF8D30382, 0xB9133404, 0x681BE00A, 0x685AB143, 0xD1FA4282, 0x3201891A, 0x4610B292,
    0x4770811A, 0x47704618, 0x20001000, 0xB084B570, 0x46ACAD01, 0x4E0E2200, 0xFBA6468E, 0x08DB4301,
    0x0483EB03, 0x0144EBA1, 0xF1BE3130, 0xF80C0F09, 0xF1021B01, 0x46190201, 0x18ABD8EE, 0xF8133801,
    0x42AB1D01, 0x1F01F800, 0x4610D1F9, 0xBD70B004, 0xCCCCCCCD, 0xB3604684, 0x46032000, 0xB5104602,
    0xF8144C16, 0x440B1B01, 0x0307F003, 0xD8212B06, 0xF003E8DF, 0x1114191C, 0x00040A0E, 0x44102307,
    0x45623201, 0xBD10D1ED, 0xEA4F2300, 0xE7F77070, 0x1A402305, 0xF001E7F4, 0xE7F10303, 0x0180EB00,
    0x1C482303, 0x2302E7EC, 0xE7E94048, 0x30032301, 0x4770E7E6, 0x43C02304, 0xBF00E7E2, 0x20001444,
    0x4C0EB530, 0x0E01F04F, 0xF10446A4, 0xF85C05FC, 0x46730F04, 0xE0034662, 0xF8423B01, 0xD00B1904,
    0x1C04F852, 0xD3F74288, 0x0383EB04, 0x601845AC, 0x0E01F10E, 0xBD30D1EB, 0xE7F74623, 0x20001644,
    0x30FFF04F, 0xF2A24A08, 0xF5024C44, 0xF8127100, 0x40433B01, 0xEB0CB2DB, 0x685B0383, 0xEA83428A,
    0xD1F42010, 0x477043C0, 0x20001444, 0x4FF8E92D, 0x0339F243, 0xA0B0F8DF, 0x2444F60A, 0x5544F60A,
    0x3000F8CA, 0xFF2CF7FF, 0xFF1EF7FF, 0x030FF000, 0x0383EB0A, 0x2404F8D3, 0xE9C4B2C0, 0xF8C32000,
    0x340C4404, 0xD1EF42AC, 0x4B202400, 0x07FCF103, 0xF5A31E5D, 0xF1037900, 0x4A1D085C, 0xF7FF4616,
    0xF842FF03, 0x42BA0F04, 0xF7FFD1F9, 0x4A19FF99, 0xFEFAF7FF, 0x0F01F802, 0xD1F942AA, 0xFFB0F7FF,
    0x0B40F04F, 0xF7FF4404, 0xB2C0FEEF, 0xFF16F7FF, 0x0B01F1BB, 0xD1F64404, 0x1F04F856, 0x000BEB09,
    0xFF24F7FF, 0x448345B0, 0x4658D1F6, 0xFF42F7FF, 0x2650F8DA, 0x0304EA80, 0x1203FBA2, 0xF04F18D4,
    0xF8C35300, 0xE7C84FFC, 0x20001000, 0x20001644, 0x20001640, 0x20001443,
];

/// Instructions in one round, and rounds: other load on the machine makes single rounds slow, so best and median count.
const INSTRUCTIONS: u64 = 50_000_000;
const ROUNDS: usize = 11;

/// Where the program leaves its running checksum.
const CHECKSUM: u32 = 0x2000_0FFC;

fn main() {
    let flash: Vec<u8> = PROGRAM.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut cpu = Cpu::new(Config::default(), Arc::from(flash));
    cpu.reset().expect("the program has a vector table");
    let mut rates: Vec<f64> = (0..ROUNDS).map(|_| round(&mut cpu)).collect();
    rates.sort_by(f64::total_cmp);
    let mut checksum = [0; 4];
    assert!(cpu.read_memory(CHECKSUM, &mut checksum));
    println!(
        "million instructions a second: best {:.0}, median {:.0} (checksum {:08x})",
        rates[ROUNDS - 1],
        rates[ROUNDS / 2],
        u32::from_le_bytes(checksum)
    );
}

/// Runs one round and returns its rate in millions of instructions a second.
fn round(cpu: &mut Cpu) -> f64 {
    let start = Instant::now();
    let exit = cpu.run(&mut EmptyBus, INSTRUCTIONS);
    assert_eq!(exit, Exit::Budget, "{:x?}", cpu.fault_status());
    INSTRUCTIONS as f64 / start.elapsed().as_secs_f64() / 1e6
}
