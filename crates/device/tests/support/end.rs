//! What a bench asks of a cloud, whatever it is made of.

/// The cloud's end of a device's link. Times are milliseconds of guest time.
pub(crate) trait CloudEnd {
    /// Another connection begins.
    fn reconnect(&mut self, now: u64);

    /// Bytes from the device, or none: time has passed.
    fn hear(&mut self, now: u64, bytes: &[u8]);

    /// What is to go to the device now.
    fn speak(&mut self) -> Vec<u8>;

    /// Log lines received, in order.
    fn log(&self) -> &[String];
}
