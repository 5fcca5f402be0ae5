//! Which argument of a refused call is to blame, and why, as the device sees it: by the status, the registers, the
//! application's memory and the handles it holds.

use abi::layouts::{self, Layout};
use abi::{Call, Parameter, Status};

use super::handles::Handles;
use crate::debug::trace::decode::{Memory, pointed};
use crate::memory_map::RAM;

/// The alignment of buffers of channels and logs, in bytes, of which their sizes are multiples too (D30, D70).
const BUFFER_UNIT: u32 = 512;
/// The size of a notification record, in bytes.
const RECORD: u32 = 16;
/// The size of the smallest notification buffer, in bytes.
const MIN_NOTIFICATION_BUFFER: u32 = 2 * RECORD;
/// Characters of a device's identifier.
const DEVICE_ID: u32 = 34;
/// The longest configuration key, and the longest log message, in bytes.
const MAX_KEY: u32 = 100;
const MAX_LOG_MESSAGE: u32 = 1024;
/// Most values of structures that are looked at, elements of an array among them, and structures in structures.
const MAX_VALUES: usize = 128;
const MAX_ELEMENTS: u32 = 32;
const MAX_DEPTH: u32 = 4;

/// A call that was refused, and what is known of its context.
#[derive(Clone, Copy)]
pub struct Refusal<'a> {
    /// The call.
    pub call: Call,
    /// r0 to r3.
    pub registers: [u32; 4],
    /// What it answered.
    pub status: Status,
    /// The application's memory.
    pub memory: Memory<'a>,
    /// The handles the application holds.
    pub handles: &'a Handles,
    /// The call that reads the next readable item of the channel, where the wrong one was made.
    pub next_reader: Option<&'static str>,
}

/// An argument, or a member of a structure that one points to.
struct Argument {
    /// Its name, after the names of the structures around it.
    path: String,
    type_name: &'static str,
    value: u32,
    /// It is a member: an address in it is looked at after the arguments.
    is_member: bool,
}

impl Refusal<'_> {
    /// The argument to blame, with its value and what it has to be; `None` where it is not known.
    pub fn reason(&self) -> Option<String> {
        let found = match self.status {
            Status::InvalidBufferAlignment | Status::InvalidBufferSize => self.buffer_errors(),
            Status::InvalidHandle => self.handle_errors(),
            Status::ParameterFault => self.parameter_errors(),
            // The status says whether the bad address was an argument or in a structure (D02).
            Status::LateFault => self.address_errors(true),
            Status::UnsupportedStructureVersion => {
                self.named("version", |value| format!("version is {value}; the only version is 1"))
            }
            Status::InvalidInterrupt => self.interrupt_errors(),
            Status::InvalidVector => vec![format!(
                "the vector of interrupt {} is not in flash or RAM, or VTOR is wrong",
                self.registers[0]
            )],
            Status::UnknownChannelType => {
                self.named("channel_type", |value| format!("channel_type is {value}"))
            }
            Status::PeripheralAccessFault => {
                vec![format!("register {:#010x} cannot be accessed by this call", self.registers[0])]
            }
            Status::LogMessageTooLong => {
                vec![format!("length_bytes is {}, of at most {MAX_LOG_MESSAGE}", self.registers[1] & 0xFFFF)]
            }
            Status::InvalidConfigKey => self.key_errors(),
            Status::WrongDataRequested => {
                let next = |reader| format!("the next item of this channel is one for {reader}");
                self.next_reader.map(next).into_iter().collect()
            }
            _ => Vec::new(),
        };
        (!found.is_empty()).then(|| found.join("; "))
    }

    fn buffer_errors(&self) -> Vec<String> {
        let member = |name| self.member("MvOpenChannelParams", name);
        let buffer = |name: &'static str, length: &'static str| {
            Some(buffer_errors(name, member(name)?, member(length)?))
        };
        match self.call {
            Call::OpenChannel => {
                let both = [buffer("receive_buffer", "receive_buffer_len"), buffer("send_buffer", "send_buffer_len")];
                both.into_iter().flatten().flatten().collect()
            }
            Call::ServerLoggingInit | Call::TestLoggingInit => {
                buffer_errors("buffer", self.registers[0], self.registers[1])
            }
            Call::SetupNotifications => self.named("buffer_size", |size| {
                format!(
                    "buffer_size is {size}; it has to be a multiple of {RECORD}, and {MIN_NOTIFICATION_BUFFER} or more"
                )
            }),
            Call::GetDeviceId => {
                vec![format!("len is {}; it has to be {DEVICE_ID}", self.registers[1])]
            }
            Call::ServerLog | Call::TestLog => vec![format!(
                "the message of {} bytes does not fit into what is free of the log's buffer; messages that were \
                 logged before have not been sent yet",
                self.registers[1] & 0xFFFF
            )],
            _ => self.request_errors(),
        }
    }

    /// A request that is larger than the send buffer, or a response that is larger than the buffers for it.
    fn request_errors(&self) -> Vec<String> {
        let values = self.values();
        let ends =
            |end: &'static str| values.iter().filter(move |one| one.is_member && one.path.ends_with(end));
        // An MQTT or HTTP request consists of its texts; a write has its length in a register.
        let texts: u64 =
            ends(".length").filter(|one| one.type_name == "uint32_t").map(|one| u64::from(one.value)).sum();
        match self.handles.send_buffer(self.registers[0]) {
            Some(size) if self.call.name().contains("Request") || self.call.name().contains("Write") => {
                let length = if texts == 0 { u64::from(self.registers[2]) } else { texts };
                vec![format!(
                    "{length} bytes and their framing do not fit into the channel's send buffer of {size} bytes, or \
                     into what is free of it"
                )]
            }
            _ => ends(".size")
                .map(|one| format!("{} is {}: too small for the item", one.path, one.value))
                .collect(),
        }
    }

    fn handle_errors(&self) -> Vec<String> {
        let wrong = |one: &Argument| {
            let handle = match pointed(one.type_name) {
                Some(_) if one.value == 0 => return None,
                Some(_) => self.word(one.value)?,
                None => one.value,
            };
            let error = self.handles.error(self.call, one.type_name, handle)?;
            Some(format!("{} {error}", one.path))
        };
        let is_handle = |one: &&Argument| {
            // An out-parameter holds no handle yet.
            let is_returned = self.call == Call::OpenChannel && !one.is_member;
            one.type_name.trim_end_matches(" *").ends_with("Handle") && !is_returned
        };
        self.values().iter().filter(is_handle).filter_map(wrong).collect()
    }

    /// Addresses among the arguments, and the values for which the header has no status of their own.
    fn parameter_errors(&self) -> Vec<String> {
        let addresses = self.address_errors(false);
        if !addresses.is_empty() {
            return addresses;
        }
        if matches!(self.call, Call::RequestNetwork | Call::OpenSystemNotification) {
            return self.handle_errors_of_members();
        }
        Vec::new()
    }

    fn handle_errors_of_members(&self) -> Vec<String> {
        let members =
            self.values().into_iter().filter(|one| one.is_member && one.type_name.ends_with("Handle"));
        members
            .filter_map(|one| {
                Some(format!("{} {}", one.path, self.handles.error(self.call, one.type_name, one.value)?))
            })
            .collect()
    }

    /// Addresses that are not the application's. One that is NULL is named only where there is no other: some may be.
    fn address_errors(&self, members: bool) -> Vec<String> {
        let values = self.values();
        let wrong = |null: bool| {
            let errors = values.iter().filter(|one| one.is_member == members && (one.value == 0) == null);
            errors.filter_map(|one| self.address_error(&values, one)).collect::<Vec<_>>()
        };
        let found = wrong(false);
        if found.is_empty() { wrong(true) } else { found }
    }

    fn address_error(&self, values: &[Argument], one: &Argument) -> Option<String> {
        let (target, constant) = pointed(one.type_name)?;
        if one.value == 0 {
            // NULL is allowed where the length beside it is 0.
            let is_empty = length_of(values, one) == Some(0);
            return (!is_empty).then(|| format!("{} is NULL", one.path));
        }
        // An address of bytes is checked for as many as its length says, any other for its structure.
        let own = layouts::layout(target.trim_start_matches("struct ")).map_or(1, |layout| layout.size);
        let length = if target == "uint8_t" { length_of(values, one).unwrap_or(1).max(1) } else { own };
        let last = one.value.checked_add(length - 1);
        let is_there = |address: u32| (self.memory)(address, &mut [0]);
        let is_usable = |address: u32| if constant { is_there(address) } else { RAM.contains(&address) };
        if is_usable(one.value) && last.is_some_and(is_usable) {
            return None;
        }
        let where_to = if constant { "memory" } else { "RAM" };
        let extent = if length > 1 { format!(" with {length} bytes") } else { String::new() };
        Some(format!("{} {:#010x}{extent} is not in the application's {where_to}", one.path, one.value))
    }

    fn interrupt_errors(&self) -> Vec<String> {
        let irq = match self.call {
            Call::SetupNotifications => self.member("MvNotificationSetup", "irq"),
            _ => Some(self.registers[0]),
        };
        let wrong = |irq: u32| match irq {
            3 | 7 | 8 | 10 | 27 => format!("interrupt {irq} belongs to the secure world"),
            126.. => format!("interrupt {irq} does not exist; the last one is 125"),
            _ if self.call == Call::SetupNotifications => {
                format!("interrupt {irq} is in use by another notification centre, or is a fast interrupt")
            }
            _ => format!("interrupt {irq} is not a fast interrupt, or is in use by a notification centre"),
        };
        irq.map(wrong).into_iter().collect()
    }

    fn key_errors(&self) -> Vec<String> {
        let values = self.values();
        let keys = values.iter().filter(|one| one.path.ends_with("key.data"));
        let wrong = |one: &Argument| {
            let length = length_of(&values, one)?;
            let mut bytes = vec![0; length.min(MAX_KEY) as usize];
            let is_read = (self.memory)(one.value, &mut bytes);
            let path = one.path.trim_end_matches(".data");
            match length {
                0 => Some(format!("{path} is empty")),
                length if length > MAX_KEY => {
                    Some(format!("{path} has {length} characters, of at most {MAX_KEY}"))
                }
                _ if is_read && bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) => None,
                _ => Some(format!(
                    "{path} {:?} has characters that are not printable ASCII",
                    String::from_utf8_lossy(&bytes)
                )),
            }
        };
        keys.filter_map(wrong).collect()
    }

    /// What the hint says of the argument or member of this name.
    fn named(&self, name: &str, say: impl Fn(u32) -> String) -> Vec<String> {
        let values = self.values();
        let is_it = |one: &&Argument| one.path == name || one.path.rsplit('.').next() == Some(name);
        values.iter().find(is_it).map(|one| say(one.value)).into_iter().collect()
    }

    /// The word in a member of the structure that r0 points to.
    fn member(&self, structure: &str, name: &str) -> Option<u32> {
        let layout = layouts::layout(structure)?;
        let member = layout.members.iter().find(|known| known.name == name)?;
        self.word(self.registers[0].wrapping_add(member.offset))
    }

    fn word(&self, address: u32) -> Option<u32> {
        let mut bytes = [0; 4];
        (self.memory)(address, &mut bytes).then(|| u32::from_le_bytes(bytes))
    }

    /// The arguments and all members of structures they point to.
    fn values(&self) -> Vec<Argument> {
        let mut values = Vec::new();
        let parameters = self.call.parameters().iter().zip(self.registers);
        let argument = |(Parameter { name, type_name }, value): (&Parameter, u32)| Argument {
            path: (*name).to_owned(),
            type_name,
            value,
            is_member: false,
        };
        values.extend(parameters.map(argument));
        for index in 0..values.len() {
            let Some((target, _)) = pointed(values[index].type_name) else { continue };
            let (address, path) = (values[index].value, String::new());
            self.add_structure(&mut values, target, address, &path, 0);
        }
        values
    }

    fn add_structure(&self, values: &mut Vec<Argument>, target: &str, address: u32, path: &str, depth: u32) {
        let Some(layout) = layouts::layout(target.trim_start_matches("struct ")) else { return };
        if address == 0 || depth > MAX_DEPTH {
            return;
        }
        for member in layout.members {
            let at = address.wrapping_add(member.offset);
            let path =
                if path.is_empty() { member.name.to_owned() } else { format!("{path}.{}", member.name) };
            if member.type_name.starts_with("struct ") && pointed(member.type_name).is_none() {
                self.add_structure(values, member.type_name, at, &path, depth + 1);
                continue;
            }
            let Some(value) = self.scalar(at, member.size) else { return };
            // The application's memory decides how much there is to look at.
            if values.len() == MAX_VALUES {
                return;
            }
            values.push(Argument { path: path.clone(), type_name: member.type_name, value, is_member: true });
            if let Some((target, true)) = pointed(member.type_name) {
                let count = self.count(layout, address);
                self.add_elements(values, target, (value, count), &path, depth + 1);
            }
        }
    }

    fn add_elements(
        &self,
        values: &mut Vec<Argument>,
        target: &str,
        (address, count): (u32, Option<u32>),
        path: &str,
        depth: u32,
    ) {
        let Some(layout) = layouts::layout(target.trim_start_matches("struct ")) else { return };
        for index in 0..count.unwrap_or(1).min(MAX_ELEMENTS) {
            let path = if count.is_some() { format!("{path}[{index}]") } else { path.to_owned() };
            let at = if address == 0 { 0 } else { address.wrapping_add(index * layout.size) };
            self.add_structure(values, target, at, &path, depth);
        }
    }

    /// How many elements the array in this structure has, if it counts them.
    fn count(&self, layout: &Layout, address: u32) -> Option<u32> {
        let count = layout.members.iter().find(|member| member.name.starts_with("num_"))?;
        self.word(address.wrapping_add(count.offset))
    }

    fn scalar(&self, address: u32, size: u32) -> Option<u32> {
        let mut bytes = [0; 4];
        let size = (size as usize).min(bytes.len());
        (self.memory)(address, &mut bytes[..size]).then(|| u32::from_le_bytes(bytes))
    }
}

/// Names of the lengths of buffers and texts.
const LENGTHS: [&str; 4] = ["length", "size", "len", "length_bytes"];

/// The length that stands beside an address: of a text its own, of an argument the one named so.
fn length_of(values: &[Argument], address: &Argument) -> Option<u32> {
    let parent = address.path.rsplit_once('.').map_or("", |(parent, _)| parent);
    let is_it = |one: &&Argument| {
        let (own, name) = one.path.rsplit_once('.').unwrap_or(("", &one.path));
        one.is_member == address.is_member
            && own == parent
            && pointed(one.type_name).is_none()
            && (LENGTHS.contains(&name) || name.strip_suffix("_len") == Some(&address.path))
    };
    values.iter().find(is_it).map(|one| one.value)
}

fn buffer_errors(name: &str, at: u32, length: u32) -> Vec<String> {
    let address = (!at.is_multiple_of(BUFFER_UNIT))
        .then(|| format!("{name} {at:#010x} is not a multiple of {BUFFER_UNIT}"));
    let size = (length == 0 || !length.is_multiple_of(BUFFER_UNIT))
        .then(|| format!("the size of {name}, {length} bytes, is not a multiple of {BUFFER_UNIT}, or is 0"));
    address.into_iter().chain(size).collect()
}

/// What a status means, where no argument can be named.
pub(super) fn meaning(status: Status) -> &'static str {
    match status {
        Status::ParameterFault => {
            "an argument cannot be used, such as an address outside the application's memory"
        }
        Status::InvalidBufferSize => "a buffer has a size that this call does not accept",
        Status::PeripheralAccessFault => "the register cannot be accessed",
        Status::BufferAlreadyInUse => "the buffer overlaps one that the kernel uses already",
        Status::InvalidInterrupt => "the interrupt line cannot be used here",
        Status::InvalidHandle => "the handle is 0, was closed, or is of another kind",
        Status::TooManyNotificationBuffers => "all 32 notification centres are in use",
        Status::InvalidVector => "the handler of the line is not in the application's memory",
        Status::Unavailable => "not possible now, or not in this context",
        Status::UnsupportedStructureVersion => "the only version of the structure is 1",
        Status::TooManyChannels => "all channels, or all handles of this kind, are in use",
        Status::UnknownChannelEndpoint => "this type of channel has no such endpoint",
        Status::UnknownChannelType => "there is no such type of channel",
        Status::RateLimited => "too many of these at once, or in a short time",
        Status::InvalidBufferAlignment => "an address or length is not aligned as this call needs it",
        Status::LateFault => "an address in a structure is not in the application's memory",
        Status::IndexInvalid => "the index is not below the number of items",
        Status::OffsetInvalid => "the offset is beyond the end",
        Status::RequestAlreadySent => "a channel of this type carries one request; open another channel",
        Status::RequestUnsuccessful => "the request failed, and so has no headers and no body to read",
        Status::LogMessageTooLong => "the message has more than 1024 bytes",
        Status::LoggingDisabledByServer => "logging of this device is off; the operator can turn it on",
        Status::TooManyConfigKeys => "more than 32 keys in one fetch",
        Status::UnknownConfigStore => "there is no such store",
        Status::UnknownConfigScope => "there is no such scope",
        Status::InvalidConfigKey => "a key is empty, longer than 100 characters, or not printable ASCII",
        Status::InvalidAuthentication => "give a password or the key of a client certificate, not both",
        Status::WrongDataRequested => {
            "the next item of this channel is of another type; ask mvMqttGetNextReadableDataType first"
        }
        Status::InternalError => "the kernel is in a state it should not be in; this is a bug in openvisor",
        Status::TooManyElements => "a list is longer than this call accepts",
        Status::RequiredElementMissing => "something that the request needs is missing",
        Status::MicrovisorBusy => "the kernel uses the network now",
        Status::AddressOutOfRange => "the range is not in the application's part of the external flash",
        Status::InputTooLong => "a text is longer than this call accepts",
        Status::Okay
        | Status::TimeNotSet
        | Status::ChannelClosed
        | Status::NetworkNotConnected
        | Status::ResponseNotPresent => "normal in operation",
    }
}
