//! What an observer of the device is told.

/// Something that leaves the microcontroller through its pins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// A general-purpose output changed.
    Pin {
        /// Port of the pin, 0 for A.
        port: u8,
        /// Number of the pin in its port.
        pin: u8,
        /// Its new level.
        level: bool,
    },
    /// A serial port sent a character.
    Serial {
        /// Number of the port, as in its name.
        port: u8,
        /// The character.
        byte: u8,
    },
    /// The application accessed an address in the peripheral region where nothing is modelled. It read zero. Told
    /// once for each address.
    UnknownRegister {
        /// The address, a multiple of four.
        address: u32,
    },
}
