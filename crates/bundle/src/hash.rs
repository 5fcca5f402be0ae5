//! SHA-256, and its hexadecimal form.

use ring::digest::{Context, SHA256, digest};

/// A block of erased flash.
const ERASED: [u8; 4096] = [0xFF; 4096];

/// SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    array(digest(&SHA256, bytes).as_ref())
}

/// SHA-256 of `bytes`, padded with erased flash to `size` bytes; of `bytes` alone if they are longer.
pub(crate) fn padded(bytes: &[u8], size: u32) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    let mut missing = (size as usize).saturating_sub(bytes.len());
    while missing > 0 {
        let length = missing.min(ERASED.len());
        context.update(&ERASED[..length]);
        missing -= length;
    }
    array(context.finish().as_ref())
}

/// Lowercase hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn array(digest: &[u8]) -> [u8; 32] {
    digest.try_into().expect("SHA-256 is 32 bytes long")
}
