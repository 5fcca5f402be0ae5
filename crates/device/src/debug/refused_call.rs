//! System calls that were refused: the first of each kind is reported, also without a trace.

use std::collections::BTreeSet;

use abi::layouts;
use abi::{Call, Status};

use super::trace::decode::{self, Memory};

/// Most characters of a refused call's arguments.
const MAX_CHARACTERS: usize = 300;

/// The alignment of buffers of channels and logs, in bytes, of which their sizes are multiples too (D30, D70).
const BUFFER_UNIT: u32 = 512;

/// A call that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedCall {
    /// The call.
    pub call: Call,
    /// What it answered.
    pub status: Status,
    /// Names and values of its arguments as a trace shows them: of credentials and contents only lengths, because
    /// timelines are stored and shared (D137).
    pub arguments: String,
    /// Which arguments are to blame, and why, where that is known.
    pub invalid_buffers: Option<String>,
}

/// Which kinds have been reported.
#[derive(Debug, Default)]
pub struct RefusedCalls(BTreeSet<(u32, u32)>);

impl RefusedCalls {
    /// The refused call to report, if `status` is a refusal and the first of this call with this status.
    pub fn note(
        &mut self,
        call: Call,
        registers: [u32; 4],
        status: Status,
        memory: Memory<'_>,
    ) -> Option<RefusedCall> {
        if !is_refusal(status) || !self.0.insert((call.slot(), status.raw())) {
            return None;
        }
        let fields = decode::arguments(call, registers, memory);
        let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let arguments = fields.join(", ").chars().take(MAX_CHARACTERS).collect();
        Some(RefusedCall {
            call,
            status,
            arguments,
            invalid_buffers: invalid_buffers(call, registers, status, memory),
        })
    }
}

/// What is not there yet is no refusal.
fn is_refusal(status: Status) -> bool {
    !matches!(status, Status::Okay | Status::ResponseNotPresent | Status::TimeNotSet)
}

/// What is wrong with the buffers that a call hands to the kernel.
fn invalid_buffers(call: Call, registers: [u32; 4], status: Status, memory: Memory<'_>) -> Option<String> {
    if !matches!(status, Status::InvalidBufferAlignment | Status::InvalidBufferSize) {
        return None;
    }
    let field = |name| word_of("MvOpenChannelParams", name, registers[0], memory);
    let buffers = match call {
        Call::OpenChannel => vec![
            ("receive_buffer", field("receive_buffer")?, field("receive_buffer_len")?),
            ("send_buffer", field("send_buffer")?, field("send_buffer_len")?),
        ],
        Call::ServerLoggingInit | Call::TestLoggingInit => vec![("buffer", registers[0], registers[1])],
        _ => return None,
    };
    let errors: Vec<String> =
        buffers.into_iter().flat_map(|(name, at, length)| buffer_errors(name, at, length)).collect();
    (!errors.is_empty()).then(|| errors.join("; "))
}

fn buffer_errors(name: &str, at: u32, length: u32) -> impl Iterator<Item = String> {
    let address = (!at.is_multiple_of(BUFFER_UNIT))
        .then(|| format!("{name} {at:#010x} is not aligned to {BUFFER_UNIT} bytes"));
    let size = (length == 0 || !length.is_multiple_of(BUFFER_UNIT))
        .then(|| format!("the size of {name}, {length} bytes, is not a multiple of {BUFFER_UNIT}, or is 0"));
    address.into_iter().chain(size)
}

/// A word of a structure in application memory.
fn word_of(structure: &str, member: &str, address: u32, memory: Memory<'_>) -> Option<u32> {
    let layout = layouts::layout(structure)?;
    let member = layout.members.iter().find(|known| known.name == member)?;
    let mut bytes = [0; 4];
    memory(address.wrapping_add(member.offset), &mut bytes).then(|| u32::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A channel of opaque bytes with a receive buffer of 16 bytes at 0x200013E1, as an application of 2021 has it.
    fn parameters(address: u32, into: &mut [u8]) -> bool {
        let words = [1, 7, 0, 9, 0x2000_13E1, 16, 0x2000_2000, 512, 0, 0, 0_u32];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let from = address.wrapping_sub(0x2000_1000) as usize;
        let Some(found) = bytes.get(from..from + into.len()) else { return false };
        into.copy_from_slice(found);
        true
    }

    /// Shows D222, D225.
    #[test]
    fn a_buffer_that_does_not_fit_is_named_with_what_is_wanted() {
        let registers = [0x2000_1000, 0x2000_3000, 0, 0];
        let refused = RefusedCalls::default().note(
            Call::OpenChannel,
            registers,
            Status::InvalidBufferAlignment,
            &parameters,
        );
        let refused = refused.expect("the first of its kind");
        assert_eq!(
            refused.invalid_buffers.as_deref(),
            Some(
                "receive_buffer 0x200013e1 is not aligned to 512 bytes; \
                 the size of receive_buffer, 16 bytes, is not a multiple of 512, or is 0"
            )
        );
        assert!(refused.arguments.contains("receive_buffer_len=16"), "{}", refused.arguments);
    }

    /// Shows D222.
    #[test]
    fn each_kind_of_refusal_is_reported_once() {
        let mut refusals = RefusedCalls::default();
        let mut is_reported =
            |call, status| refusals.note(call, [1, 2, 3, 4], status, &|_, _| false).is_some();
        assert!(is_reported(Call::CloseChannel, Status::InvalidHandle));
        assert!(!is_reported(Call::CloseChannel, Status::InvalidHandle), "reported already");
        assert!(is_reported(Call::CloseChannel, Status::ParameterFault), "another status");
        assert!(is_reported(Call::ReadChannel, Status::InvalidHandle), "another call");
        assert!(!is_reported(Call::ReadChannel, Status::Okay));
        assert!(!is_reported(Call::MqttReadConnectResponse, Status::ResponseNotPresent), "it may still come");
    }
}
