//! Access to the application's memory, and the statuses that memory faults become.
//!
//! An address from the application is a claim, because it may be wrong by mistake or on purpose (D01). [`Span`] checks
//! that it lies wholly inside a region the application may use, and every use of a span passes through the port's
//! [`Memory`] again, because by then the application may have changed its own memory protection (D33). A failure is a
//! [`MemoryFault`]. It converts into no status by itself: the line that checks the address says [`Phase::early`]
//! (`PARAMETERFAULT`) or [`Phase::late`] (`LATEFAULT`), because the two depend on whether the pointer was an argument
//! or was found inside one (D02).

use abi::memory::{
    APPLICATION_FLASH_LENGTH, APPLICATION_FLASH_START, APPLICATION_RAM_LENGTH, APPLICATION_RAM_START,
};
use abi::{Status, Structure};

use crate::limits::COPY_CHUNK;

/// The application's memory: flash and RAM readable, RAM writable. The kernel checks addresses against the memory map
/// before it uses this.
pub trait Memory {
    /// Fills `into` with the bytes at `address`.
    fn read(&self, address: u32, into: &mut [u8]) -> Result<(), MemoryFault>;
    /// Writes `bytes` to `address`.
    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), MemoryFault>;
    /// Writes numbers, little-endian, each to its address. A port may do this faster than one by one.
    fn write_words(&mut self, words: &[(u32, u32)]) -> Result<(), MemoryFault> {
        words.iter().try_for_each(|(address, value)| self.write(*address, &value.to_le_bytes()))
    }
    /// Copies `count` bytes from `from` to `to`. A port that can copy directly should override this.
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

/// There is no memory there, or the application may not use it that way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryFault;

/// Which status a fault becomes: said on the line that checks the address, never implied.
pub(crate) trait Phase {
    type Value;
    /// A bad argument: `PARAMETERFAULT`.
    fn early(self) -> Result<Self::Value, Status>;
    /// A bad pointer inside an argument: `LATEFAULT`.
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

/// A run of application memory, inside one region of the memory map. It proves the map and nothing else: not that the
/// port still allows the access, nor that the bytes are unchanged, nor that no other span overlaps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    address: u32,
    length: u32,
}

impl Span {
    /// The same check as [`Self::in_ram`], in fewer instructions where the length is not a constant.
    fn ends_in_ram(self) -> bool {
        let offset = self.address.wrapping_sub(APPLICATION_RAM_START);
        offset.checked_add(self.length).is_some_and(|end| end <= APPLICATION_RAM_LENGTH)
    }

    /// A run to read: application flash or RAM. An empty run may have any address, since a null pointer with length 0
    /// is how C says "no bytes".
    pub(crate) fn readable(address: u32, length: u32) -> Result<Self, MemoryFault> {
        let span = Self { address, length };
        if span.ends_in_ram() || span.in_flash() { Ok(span) } else { span.if_empty() }
    }

    /// A run to write: application RAM only, because only the flash driver may write flash.
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

    /// The address `offset` bytes in; the caller has checked that `offset` is within the run.
    pub(crate) fn at(self, offset: u32) -> u32 {
        self.address.wrapping_add(offset)
    }

    /// The first `count` bytes, or all if there are fewer.
    pub(crate) fn first(self, count: u32) -> Self {
        Self { length: self.length.min(count), ..self }
    }

    /// `length` bytes from `offset` on; the caller has checked that they are within the run.
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
        // An address before the start wraps to an offset far beyond the end, so one comparison checks both ends.
        let offset = self.address.wrapping_sub(start);
        self.length <= length && offset <= length - self.length
    }
}

/// An out-parameter of a call: `N` bytes of application RAM for a result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutParam<const N: usize>(Span);

impl<const N: usize> OutParam<N> {
    /// Checks that the bytes can be written before the call changes anything (D02): a call that acted and cannot report
    /// its result would leave the application in the dark. The read shows whether the port allows the access.
    pub(crate) fn check(memory: &dyn Memory, address: u32) -> Result<Self, MemoryFault> {
        let param = Self::check_map(address)?;
        memory.read(address, &mut [0; N])?;
        Ok(param)
    }

    /// Checks the memory map only: for calls that change nothing before all results are written. Whether the port
    /// allows the writes shows then, and the item is still there to be read again (D04). Probing every parameter
    /// beforehand would cost as much again as writing it (D112).
    pub(crate) fn check_map(address: u32) -> Result<Self, MemoryFault> {
        Span::writable(address, N as u32).map(Self)
    }

    /// Writes the bytes. A fault here means that the memory changed during the call.
    pub(crate) fn write(self, memory: &mut dyn Memory, bytes: [u8; N]) -> Result<(), MemoryFault> {
        memory.write(self.0.address, &bytes)
    }
}

impl OutParam<4> {
    /// Writes a number.
    pub(crate) fn write_u32(self, memory: &mut dyn Memory, value: u32) -> Result<(), MemoryFault> {
        self.write(memory, value.to_le_bytes())
    }

    /// The address and the number, for [`Memory::write_words`].
    pub(crate) fn word(self, value: u32) -> (u32, u32) {
        (self.0.address, value)
    }
}

/// Copies a structure in, once: a field that were read twice could change between check and use (D01).
pub(crate) fn read_struct<const N: usize, S: Structure<N>>(
    memory: &dyn Memory,
    address: u32,
) -> Result<S, MemoryFault> {
    if Span::writable(address, N as u32).is_err() {
        check_outside_ram(address, N as u32)?;
    }
    let mut bytes = [0; N];
    memory.read(address, &mut bytes)?;
    Ok(S::from_bytes(&bytes))
}

/// Structures are usually on the stack; the rare constant in flash is checked out of line.
#[cold]
#[inline(never)]
fn check_outside_ram(address: u32, length: u32) -> Result<Span, MemoryFault> {
    Span::readable(address, length)
}

/// Copies one number in.
pub(crate) fn read_u32(memory: &dyn Memory, address: u32) -> Result<u32, MemoryFault> {
    let span = Span::readable(address, 4)?;
    let mut bytes = [0; 4];
    memory.read(span.address, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

/// The application's variable with a handle, which a call that closes the handle sets to 0 (N10).
pub(crate) struct HandleParam {
    /// The handle.
    pub value: u32,
    variable: OutParam<4>,
}

impl HandleParam {
    /// Reads the variable, and checks that it can be written.
    pub(crate) fn check(memory: &dyn Memory, address: u32) -> Result<Self, MemoryFault> {
        Ok(Self { variable: OutParam::check(memory, address)?, value: read_u32(memory, address)? })
    }

    /// Sets the variable to 0.
    pub(crate) fn clear(self, memory: &mut dyn Memory) -> Result<(), MemoryFault> {
        self.variable.write_u32(memory, 0)
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
            // The secure world's flash with the call page.
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
    fn a_fault_becomes_a_status_only_where_the_phase_is_named() {
        let fault: Result<(), MemoryFault> = Err(MemoryFault);
        assert_eq!(fault.early(), Err(Status::ParameterFault));
        assert_eq!(fault.late(), Err(Status::LateFault));
    }
}
