//! The device itself.

use openvisor_sys::mvGetDeviceId;

/// Characters of an identifier.
const LENGTH: usize = 34;

/// A device's identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceId([u8; LENGTH]);

impl DeviceId {
    /// This device's identifier.
    pub fn read() -> crate::Result<Self> {
        let mut text = [0; LENGTH];
        // SAFETY: writes as many bytes as there are.
        unsafe { mvGetDeviceId(text.as_mut_ptr(), LENGTH as u32) }.ok()?;
        Ok(Self(text))
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        if !self.0.is_ascii() {
            return "";
        }
        // SAFETY: ASCII is UTF-8. The safe conversion is ten times as large.
        unsafe { core::str::from_utf8_unchecked(&self.0) }
    }
}
