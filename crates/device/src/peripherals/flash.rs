//! The flash interface. It belongs to the kernel; the application may peek at its access control register, and a
//! direct access reads zero and writes nothing.

/// First register.
pub const BASE: u32 = 0x4002_2000;

/// Access control register: four wait states, as 160 MHz takes, and prefetch.
const ACR: u32 = 0x0000_0104;

/// The register at `address`, as the kernel reads it for the application; `None` for any but the first.
pub fn peek(address: u32) -> Option<u32> {
    (address == BASE).then_some(ACR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_access_control_register_can_be_peeked() {
        assert_eq!(peek(0x4002_2000), Some(0x104));
        assert_eq!(peek(0x4002_2004), None);
    }
}
