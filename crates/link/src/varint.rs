//! Unsigned integers in groups of seven bits, the lowest first (link.md §2).

use crate::violation::{self, Violation};

/// Bytes the longest 32-bit varint takes.
pub const MAX_32: usize = 5;
/// Bytes the longest 64-bit varint takes.
pub const MAX_64: usize = 10;

/// How many bytes `value` takes, 1 to 10.
pub const fn len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Writes `value` and returns how many bytes it took.
pub fn encode(value: u64, out: &mut [u8; MAX_64]) -> usize {
    let count = len(value);
    for (group, byte) in out[..count].iter_mut().enumerate() {
        let more = if group + 1 < count { 0x80 } else { 0 };
        *byte = (value >> (7 * group)) as u8 & 0x7f | more;
    }
    count
}

/// Reads a varint of at most `bits` bits (up to 64): the value and the bytes it took, or `None` when `bytes` ends
/// inside it.
///
/// # Errors
/// [`Violation`]: more than `bits` bits, or not the shortest form, so that each value has one encoding.
pub fn decode(bytes: &[u8], bits: u32) -> Result<Option<(u64, usize)>, Violation> {
    let mut value = 0;
    for (group, &byte) in bytes.iter().enumerate() {
        let shift = 7 * group as u32;
        value |= shifted(byte & 0x7f, shift, bits)?;
        if byte & 0x80 == 0 {
            return if byte == 0 && group > 0 {
                Err(violation::VARINT_NOT_MINIMAL)
            } else {
                Ok(Some((value, group + 1)))
            };
        }
        if shift + 7 >= bits {
            return Err(violation::VARINT_TOO_LONG);
        }
    }
    Ok(None)
}

/// One group at its position. Fails when it has bits beyond the field.
fn shifted(group: u8, shift: u32, bits: u32) -> Result<u64, Violation> {
    let room = bits - shift;
    if room < 7 && group >> room != 0 {
        return Err(violation::VARINT_TOO_LONG);
    }
    Ok(u64::from(group) << shift)
}
