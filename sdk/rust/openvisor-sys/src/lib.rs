//! The hypervisor's system calls, with the vendor's names: functions, structures and constants as in the C header.
//!
//! Everything here is generated from `docs/spec/abi.toml`. Every call returns at once with a status that says whether
//! it was accepted; the outcome of anything that takes time comes as a notification. `openvisor-app` has safe types
//! over them.

#![no_std]

#[allow(non_camel_case_types, non_snake_case, reason = "the vendor's names, which users know")]
#[allow(clippy::wildcard_imports, reason = "each topic uses the types of others")]
#[allow(clippy::inline_always, reason = "a call is one branch")]
#[allow(clippy::unreadable_literal, reason = "addresses")]
#[allow(clippy::struct_field_names, reason = "the vendor's names")]
mod generated;

pub use generated::*;

impl MvStatus {
    /// `Ok` for [`MV_STATUS_OKAY`], or the status as an error.
    pub const fn ok(self) -> Result<(), Self> {
        match self {
            MV_STATUS_OKAY => Ok(()),
            status => Err(status),
        }
    }
}

impl core::fmt::Display for MvStatus {
    fn fmt(&self, to: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        to.write_str(self.name())
    }
}

impl MvSizedString {
    /// The bytes of a slice, which must outlive the call it is given to.
    pub const fn new(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr(), length: bytes.len() as u32 }
    }

    /// No bytes.
    pub const EMPTY: Self = Self::new(&[]);
}
