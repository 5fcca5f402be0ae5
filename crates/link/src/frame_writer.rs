//! Writes whole frames into a buffer of the driver's.

use crate::header::Header;
use crate::varint;

/// Writes whole frames into a borrowed buffer. A frame that does not fit is not begun.
pub(crate) struct FrameWriter<'a> {
    out: &'a mut [u8],
    written: usize,
}

impl<'a> FrameWriter<'a> {
    pub(crate) fn new(out: &'a mut [u8]) -> Self {
        Self { out, written: 0 }
    }

    /// Writes a frame. Returns whether it fitted.
    pub(crate) fn frame(&mut self, channel: u8, kind: u8, body: &[u8]) -> bool {
        let header = Header { kind, channel, length: body.len() as u16, more: false }.to_bytes();
        let header = header.as_slice();
        let end = self.written + header.len() + body.len();
        let Some(room) = self.out.get_mut(self.written..end) else { return false };
        room[..header.len()].copy_from_slice(header);
        room[header.len()..].copy_from_slice(body);
        self.written = end;
        true
    }

    /// Writes a frame of the connection whose body is one number. Returns whether it fitted.
    pub(crate) fn number(&mut self, kind: u8, value: u64) -> bool {
        let mut body = [0; varint::MAX_64];
        let length = varint::encode(value, &mut body);
        self.frame(0, kind, &body[..length])
    }

    /// Bytes written so far.
    pub(crate) const fn written(&self) -> usize {
        self.written
    }
}
