//! A file for the names in backtraces: hostile ELF and DWARF.

use device::debug::symbols::Symbols;

/// Addresses looked up: where the corpus has code, beside it, and the ends of the address space.
const ADDRESSES: [u32; 5] = [0x0800_0000, 0x0800_0004, 0x0800_1000, 0, u32::MAX];

pub(crate) fn run(bytes: &[u8]) {
    let Some(symbols) = Symbols::of(bytes.to_vec()) else { return };
    for address in ADDRESSES {
        let sites = symbols.sites(address);
        assert!(sites.len() <= 8, "{} functions at one address", sites.len());
    }
}
