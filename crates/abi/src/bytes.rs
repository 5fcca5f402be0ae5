//! Conversion between structures and their bytes.

/// A structure of the interface, `N` bytes long in application memory.
pub trait Structure<const N: usize>: Sized {
    /// Reads the structure, little-endian; padding is ignored.
    fn from_bytes(bytes: &[u8; N]) -> Self;
    /// Writes the structure, little-endian; padding is zero.
    fn to_bytes(&self) -> [u8; N];
}

/// A field of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in the public header.
    pub name: &'static str,
    /// Where it starts, in bytes.
    pub offset: usize,
    /// How many bytes it takes.
    pub size: usize,
}

/// The `N` bytes at `offset`, which the generator has checked to be inside the structure.
pub(crate) fn take<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    *bytes[offset..].first_chunk().expect("the field lies inside the structure")
}

/// Writes the bytes of a field at `offset`.
pub(crate) fn put<const N: usize>(bytes: &mut [u8], offset: usize, part: [u8; N]) {
    bytes[offset..offset + N].copy_from_slice(&part);
}
