//! Encodings of the instructions that cases need around the one under test.

/// B.W from `at` to `target`, both within 16 MiB.
pub fn branch(at: u32, target: u32) -> [u16; 2] {
    let offset = target.wrapping_sub(at.wrapping_add(4));
    let bit = |n: u32| offset >> n & 1;
    let (sign, i1, i2) = (bit(24), bit(23), bit(22));
    let (j1, j2) = (i1 ^ sign ^ 1, i2 ^ sign ^ 1);
    let first = 0xF000 | sign << 10 | offset >> 12 & 0x3FF;
    let second = 0x9000 | j1 << 13 | j2 << 11 | offset >> 1 & 0x7FF;
    [first as u16, second as u16]
}

/// MOVW: `register` becomes `value`.
pub fn move_wide(register: u32, value: u16) -> [u16; 2] {
    let value = u32::from(value);
    let first = 0xF240 | value >> 12 | (value >> 11 & 1) << 10;
    let second = (value >> 8 & 7) << 12 | register << 8 | value & 0xFF;
    [first as u16, second as u16]
}
