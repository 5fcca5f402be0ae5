//! The two loops whose speed is measured: as machine code for the emulated processor, and in Rust for this machine.
//!
//! Both sides compute the same thing from the same start, and return it, so that a wrong result is detected and no work
//! can be optimized away.

/// The table the loops work on, in words.
pub(crate) const TABLE_WORDS: usize = 256;

/// R0: iterations; R1: the table, all zero; R2: the seed. Ends at a breakpoint with the result in R5.
///
/// An iteration has a multiplication, a load, a store and a byte load, shifts and rotations, an unpredictable
/// branch, a call and an IT block.
#[rustfmt::skip]
pub(crate) const INTEGER: &[u16] = &[
    0xF246, 0x630D, // movw r3, #26125
    0xF2C0, 0x0319, // movt r3, #25
    0xF24F, 0x345F, // movw r4, #62303
    0xF6C3, 0x446E, // movt r4, #15470
    0x2500, // movs r5, #0
    0xFB02, 0x4203, // mla r2, r2, r3, r4
    0x0E16, // lsrs r6, r2, #24
    0xF851, 0x7026, // ldr.w r7, [r1, r6, lsl #2]
    0xEA87, 0x17F2, // eor.w r7, r7, r2, ror #7
    0xF841, 0x7026, // str.w r7, [r1, r6, lsl #2]
    0x07FE, // lsls r6, r7, #31
    0xD001, // beq.n even
    0x19ED, // adds r5, r5, r7
    0xE000, // b.n joined
    0x1AAD, // subs r5, r5, r2
    0xF000, 0xF80A, // bl mix
    0xF3C5, 0x1609, // ubfx r6, r5, #4, #10
    0x5D8F, // ldrb r7, [r1, r6]
    0x443D, // add r5, r7
    0x2F64, // cmp r7, #100
    0xBF88, // it hi
    0x3501, // addhi r5, #1
    0x3801, // subs r0, #1
    0xD1E6, // bne.n loop
    0xBE00, // bkpt 0x0000
    0xEA85, 0x35D5, // eor.w r5, r5, r5, lsr #15
    0xEB05, 0x05C5, // add.w r5, r5, r5, lsl #3
    0x4770, // bx lr
];

/// R0: iterations; R1: a word of RAM; R2: the step, as the bits of an `f32`. Ends at a breakpoint, the result in S3.
///
/// A pendulum's energy, summed up: multiplications, additions, a load, a store, a comparison, and a rare division.
#[rustfmt::skip]
pub(crate) const FLOAT: &[u16] = &[
    0xF64E, 0x5388, // movw r3, #60808
    0xF2CE, 0x0300, // movt r3, #57344
    0x681C, // ldr r4, [r3, #0]
    0xF444, 0x0470, // orr.w r4, r4, #15728640
    0x601C, // str r4, [r3, #0]
    0xF3BF, 0x8F4F, // dsb sy
    0xF3BF, 0x8F6F, // isb sy
    0xEEB7, 0x0A00, // vmov.f32 s0, #112
    0x2400, // movs r4, #0
    0xEE00, 0x4A90, // vmov s1, r4
    0xEE01, 0x4A90, // vmov s3, r4
    0xEE01, 0x2A10, // vmov s2, r2
    0xF240, 0x0400, // movw r4, #0
    0xF2C4, 0x4480, // movt r4, #17536
    0xEE04, 0x4A10, // vmov s8, r4
    0xEE20, 0x2A01, // vmul.f32 s4, s0, s2
    0xEE70, 0x0AC2, // vsub.f32 s1, s1, s4
    0xEE20, 0x2A81, // vmul.f32 s4, s1, s2
    0xEE30, 0x0A02, // vadd.f32 s0, s0, s4
    0xEE60, 0x2A00, // vmul.f32 s5, s0, s0
    0xEE20, 0x3AA0, // vmul.f32 s6, s1, s1
    0xEE72, 0x2A83, // vadd.f32 s5, s5, s6
    0xEDC1, 0x2A00, // vstr s5, [r1]
    0xEDD1, 0x3A00, // vldr s7, [r1]
    0xEE71, 0x1AA3, // vadd.f32 s3, s3, s7
    0xEEF4, 0x1A44, // vcmp.f32 s3, s8
    0xEEF1, 0xFA10, // vmrs APSR_nzcv, fpscr
    0xDB01, // blt.n small
    0xEEC1, 0x1A84, // vdiv.f32 s3, s3, s8
    0x3801, // subs r0, #1
    0xD1E2, // bne.n loop
    0xBE00, // bkpt 0x0000
];

/// What [`INTEGER`] computes. Not inlined, so that it is compiled independently of its caller.
#[inline(never)]
pub(crate) fn integer(iterations: u32, table: &mut [u32; TABLE_WORDS], seed: u32) -> u32 {
    let (mut x, mut sum) = (seed, 0_u32);
    for _ in 0..iterations {
        x = x.wrapping_mul(1664525).wrapping_add(1013904223);
        let word = &mut table[(x >> 24) as usize];
        *word ^= x.rotate_right(7);
        sum = if *word & 1 == 0 { sum.wrapping_sub(x) } else { sum.wrapping_add(*word) };
        sum = mix(sum);
        let at = sum >> 4 & 0x3FF;
        let byte = table[at as usize / 4] >> (at % 4 * 8) & 0xFF;
        sum = sum.wrapping_add(byte).wrapping_add(u32::from(byte > 100));
    }
    sum
}

/// A call in [`INTEGER`], so a call here.
#[inline(never)]
fn mix(mut value: u32) -> u32 {
    value ^= value >> 15;
    value.wrapping_add(value << 3)
}

/// What [`FLOAT`] computes.
#[inline(never)]
pub(crate) fn float(iterations: u32, memory: &mut f32, step: f32) -> f32 {
    let (mut x, mut v, mut sum) = (1.0_f32, 0.0_f32, 0.0_f32);
    for _ in 0..iterations {
        v -= x * step;
        x += v * step;
        *memory = x * x + v * v;
        sum += *memory;
        if sum >= 1024.0 {
            sum /= 1024.0;
        }
    }
    sum
}
