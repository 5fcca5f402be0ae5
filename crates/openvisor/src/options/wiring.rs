//! What is attached to the device, and its inputs at given times.

use std::path::PathBuf;

use clap::Args;

/// Attachments and inputs of a device.
#[derive(Args, Default)]
pub(crate) struct WiringOptions {
    /// Attach a sensor or display to an I2C bus: mcp9808, th02, lis3dh or ht16k33 on bus 1 or 2, such as
    /// 1:mcp9808@0x18,temperature=20..30/60s (repeatable). A value is a number, a ramp up and down FROM..TO/SECONDSs,
    /// @FILE with lines VALUE or SECOND,VALUE, or @- for lines on standard input
    #[arg(long, value_name = "BUS:MODEL[@ADDRESS][,NAME=VALUE]...")]
    pub(crate) i2c: Vec<String>,
    /// Attach a memory (23lc512) or a wire from output to input (loopback) to SPI bus 1, 2 or 3 (repeatable)
    #[arg(long, value_name = "BUS:MODEL[,cs=PIN]")]
    pub(crate) spi: Vec<String>,
    /// Write what a serial port sends to a file, or to standard output for -, instead of reporting it as an event; PORT
    /// is 1 to 5 or lp1 (repeatable)
    #[arg(long, value_name = "PORT=FILE")]
    pub(crate) serial: Vec<String>,
    /// Send a file, or standard input for -, to a serial port, at its baud rate once its receiver is enabled; nothing
    /// is lost while the receiver is full (repeatable)
    #[arg(long = "serial-in", value_name = "PORT=FILE")]
    pub(crate) serial_in: Vec<String>,
    /// Let a serial port drop what arrives while its receiver is full and report an overrun to the application, as the
    /// chip does (repeatable)
    #[arg(long, value_name = "PORT")]
    pub(crate) serial_overrun: Vec<String>,
    /// Drive a pin from outside at times since power-on, such as 5s, 250ms or 10us of the device's clock; without a
    /// time, from the start: PB11=0@5s,1@5.2s (repeatable)
    #[arg(long, value_name = "PIN=LEVEL[@TIME][,...]")]
    pub(crate) pin: Vec<String>,
    /// Apply an input at a time of the device's clock: PB11=0@5s, serial:2=hello\n@3s, i2c:1@0x18:temperature=30@1m, or
    /// a tap on an accelerometer, i2c:1@0x19:tap=-z@2s (repeatable)
    #[arg(long, value_name = "TARGET=VALUE[@TIME]")]
    pub(crate) input: Vec<String>,
    /// Apply inputs from a script with lines TIME TARGET=VALUE (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(crate) inputs: Vec<PathBuf>,
}
