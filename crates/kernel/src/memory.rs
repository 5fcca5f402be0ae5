//! The one way to the application's memory, and the one place of the fault policy.
//!
//! An address from the application is a claim. [`Access`] turns claims into spans that lie wholly where they may, and
//! every use of a span passes through the port's [`Memory`] again, because the application may have changed its own
//! memory protection, or be another application by then (D33). A failure is a [`MemoryFault`], which is no status and
//! converts into none by itself: the line that makes the claim says [`Phase::early`] (`PARAMETERFAULT`) or
//! [`Phase::late`] (`LATEFAULT`), as D02 divides them.

use abi::memory::{
    APPLICATION_FLASH_LENGTH, APPLICATION_FLASH_START, APPLICATION_RAM_LENGTH, APPLICATION_RAM_START,
};
use abi::{Status, Structure};

use crate::limits::COPY_CHUNK;

/// The application's memory: flash and RAM readable, RAM writable. The kernel checks the map before it asks.
pub trait Memory {
    /// Fills `into` from `address` on.
    fn read(&self, address: u32, into: &mut [u8]) -> Result<(), MemoryFault>;
    /// Writes `bytes` from `address` on.
    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), MemoryFault>;
    /// Writes numbers, little-endian, each at its address.
    fn write_words(&mut self, words: &[(u32, u32)]) -> Result<(), MemoryFault> {
        words.iter().try_for_each(|(address, value)| self.write(*address, &value.to_le_bytes()))
    }
    /// Copies `count` bytes at `from` to `to`. A port that can do it in one go should say how.
    fn copy(&mut self, from: u32, to: u32, count: u32) -> Result<(), MemoryFault> {
        let mut chunk = [0; COPY_CHUNK];
        let mut done = 0;
        while done < count {
            let step = (count - done).min(COPY_CHUNK as u32);
            let part = &mut chunk[..step as usize];
            self.read(from.wrapping_add(done), part)?;
            self.write(to.wrapping_add(done), part)?;
            done += step;
        }
        Ok(())
    }
}

/// The bytes are not there, or not for the application to use so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryFault;

/// Which status a fault is: said on the line where the claim is made, never implied.
pub(crate) trait Phase {
    type Value;
    /// An argument itself was bad: `PARAMETERFAULT`.
    fn early(self) -> Result<Self::Value, Status>;
    /// A pointer found inside an argument was bad: `LATEFAULT`.
    fn late(self) -> Result<Self::Value, Status>;
}

impl<T> Phase for Result<T, MemoryFault> {
    type Value = T;
    fn early(self) -> Result<T, Status> {
        self.map_err(|MemoryFault| Status::ParameterFault)
    }
    fn late(self) -> Result<T, Status> {
        self.map_err(|MemoryFault| Status::LateFault)
    }
}

/// A run of application memory that was inside the map when it was made. It proves the map and nothing else: not that
/// the bytes still mean what they meant, nor that nobody else holds the same run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    address: u32,
    length: u32,
}

impl Span {
    /// The same check as [`Self::in_ram`], quicker where the length is not known.
    fn ends_in_ram(self) -> bool {
        let offset = self.address.wrapping_sub(APPLICATION_RAM_START);
        offset.checked_add(self.length).is_some_and(|end| end <= APPLICATION_RAM_LENGTH)
    }

    /// A run to read: application flash or RAM. An empty run may have any address (a null pointer with length 0).
    pub(crate) fn readable(address: u32, length: u32) -> Result<Self, MemoryFault> {
        let span = Self { address, length };
        if span.ends_in_ram() || span.in_flash() { Ok(span) } else { span.if_empty() }
    }

    /// A run to write: application RAM only.
    pub(crate) fn writable(address: u32, length: u32) -> Result<Self, MemoryFault> {
        let span = Self { address, length };
        if span.in_ram() { Ok(span) } else { span.if_empty() }
    }

    /// `count` elements of `size` bytes to read.
    pub(crate) fn array(address: u32, count: u32, size: u32) -> Result<Self, MemoryFault> {
        Self::readable(address, count.checked_mul(size).ok_or(MemoryFault)?)
    }

    pub(crate) fn address(self) -> u32 {
        self.address
    }

    pub(crate) fn length(self) -> u32 {
        self.length
    }

    /// Whether the two runs share a byte.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        let end = |span: Self| u64::from(span.address) + u64::from(span.length);
        u64::from(self.address) < end(other) && u64::from(other.address) < end(self)
    }

    /// The address `offset` bytes in; the caller knows that `offset` is within the run.
    pub(crate) fn at(self, offset: u32) -> u32 {
        self.address.wrapping_add(offset)
    }

    /// The first `count` bytes, or all if there are fewer.
    pub(crate) fn first(self, count: u32) -> Self {
        Self { length: self.length.min(count), ..self }
    }

    /// `length` bytes from `offset` on; the caller knows that they are within the run.
    pub(crate) fn part(self, offset: u32, length: u32) -> Self {
        Self { address: self.at(offset), length }
    }

    #[cold]
    #[inline(never)]
    fn if_empty(self) -> Result<Self, MemoryFault> {
        if self.length == 0 { Ok(self) } else { Err(MemoryFault) }
    }

    fn in_flash(self) -> bool {
        self.within(APPLICATION_FLASH_START, APPLICATION_FLASH_LENGTH)
    }

    fn in_ram(self) -> bool {
        self.within(APPLICATION_RAM_START, APPLICATION_RAM_LENGTH)
    }

    fn within(self, start: u32, length: u32) -> bool {
        // An address before the start wraps to an offset far behind the end.
        let offset = self.address.wrapping_sub(start);
        self.length <= length && offset <= length - self.length
    }
}

/// An output of a call: `N` bytes that were writable when the call was checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output<const N: usize>(Span);

impl<const N: usize> Output<N> {
    /// Checks that the bytes are there to be written, before anything is done (D02).
    pub(crate) fn claim(memory: &dyn Memory, address: u32) -> Result<Self, MemoryFault> {
        let output = Self::mapped(address)?;
        memory.read(address, &mut [0; N])?;
        Ok(output)
    }

    /// Checks the map only: for calls that do nothing before all their results are written. Whether the port lets them be
    /// written shows then, and what was to be read is still there (D04, D112).
    pub(crate) fn mapped(address: u32) -> Result<Self, MemoryFault> {
        Span::writable(address, N as u32).map(Self)
    }

    /// Writes the bytes. A fault here means that the memory changed under the call.
    pub(crate) fn put(self, memory: &mut dyn Memory, bytes: [u8; N]) -> Result<(), MemoryFault> {
        memory.write(self.0.address, &bytes)
    }
}

impl Output<4> {
    /// Writes a number.
    pub(crate) fn put_u32(self, memory: &mut dyn Memory, value: u32) -> Result<(), MemoryFault> {
        self.put(memory, value.to_le_bytes())
    }

    /// The number and where it goes, for [`Memory::write_words`].
    pub(crate) fn with(self, value: u32) -> (u32, u32) {
        (self.0.address, value)
    }
}

/// Copies a structure in (D01).
pub(crate) fn structure<const N: usize, S: Structure<N>>(
    memory: &dyn Memory,
    address: u32,
) -> Result<S, MemoryFault> {
    if Span::writable(address, N as u32).is_err() {
        outside_ram(address, N as u32)?;
    }
    let mut bytes = [0; N];
    memory.read(address, &mut bytes)?;
    Ok(S::from_bytes(&bytes))
}

/// A structure that is not on somebody's stack may be a constant in flash.
#[cold]
#[inline(never)]
fn outside_ram(address: u32, length: u32) -> Result<Span, MemoryFault> {
    Span::readable(address, length)
}

/// Copies one number in.
pub(crate) fn word(memory: &dyn Memory, address: u32) -> Result<u32, MemoryFault> {
    let span = Span::readable(address, 4)?;
    let mut bytes = [0; 4];
    memory.read(span.address, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

/// A handle the caller holds in a variable of its own, which the closing call zeroes (N10).
pub(crate) struct HandleVariable {
    /// The handle that stands there.
    pub value: u32,
    place: Output<4>,
}

impl HandleVariable {
    /// Reads the variable, and checks that it can be written.
    pub(crate) fn claim(memory: &dyn Memory, address: u32) -> Result<Self, MemoryFault> {
        Ok(Self { place: Output::claim(memory, address)?, value: word(memory, address)? })
    }

    /// Writes 0.
    pub(crate) fn zero(self, memory: &mut dyn Memory) -> Result<(), MemoryFault> {
        self.place.put_u32(memory, 0)
    }
}

#[cfg(test)]
mod tests {
    use abi::Status;

    use super::{MemoryFault, Phase as _, Span};

    const RAM_END: u32 = 0x2008_0000;
    const FLASH_END: u32 = 0x0810_0000;

    fn is_readable(address: u32, length: u32) -> bool {
        Span::readable(address, length).is_ok()
    }

    fn is_writable(address: u32, length: u32) -> bool {
        Span::writable(address, length).is_ok()
    }

    /// Shows D01.
    #[test]
    fn a_run_must_lie_wholly_inside_one_region() {
        assert!(is_readable(0x0800_0000, 0x10_0000) && is_readable(FLASH_END - 1, 1));
        assert!(is_writable(0x2000_0000, 0x8_0000) && is_writable(RAM_END - 4, 4));
        for (address, length) in [
            (0x07ff_ffff, 2),
            (FLASH_END - 1, 2),
            (FLASH_END, 1),
            (0x1fff_ffff, 2),
            (RAM_END - 1, 2),
            (RAM_END, 1),
            (0x2000_0000, 0x8_0001),
            (0x2000_0000, u32::MAX),
            (u32::MAX, 1),
            (u32::MAX, 2),
            (0, 1),
            // The secure world's own flash, where the calls' entries are.
            (0x0c1f_e000, 8),
        ] {
            assert!(!is_readable(address, length) && !is_writable(address, length), "{address:#x} {length}");
        }
    }

    /// Shows D01.
    #[test]
    fn flash_is_read_and_never_written() {
        assert!(is_readable(0x0800_0000, 4) && !is_writable(0x0800_0000, 4));
    }

    #[test]
    fn an_empty_run_may_be_anywhere() {
        assert!(is_readable(0, 0) && is_writable(u32::MAX, 0));
    }

    #[test]
    fn an_array_whose_size_overflows_is_no_array() {
        assert_eq!(Span::array(0x2000_0000, 0x4000_0001, 4), Err(MemoryFault));
        assert!(Span::array(0x2000_0000, 2, 4).is_ok());
    }

    #[test]
    fn runs_that_touch_do_not_overlap() {
        let span = |address, length| Span::writable(address, length).expect("in RAM");
        assert!(!span(0x2000_0000, 16).overlaps(span(0x2000_0010, 16)));
        assert!(span(0x2000_0000, 17).overlaps(span(0x2000_0010, 16)));
        assert!(!span(0x2000_0000, 0).overlaps(span(0x2000_0000, 16)));
    }

    /// Shows D02.
    #[test]
    fn a_fault_becomes_a_status_only_where_the_phase_is_said() {
        let fault: Result<(), MemoryFault> = Err(MemoryFault);
        assert_eq!(fault.early(), Err(Status::ParameterFault));
        assert_eq!(fault.late(), Err(Status::LateFault));
    }
}
