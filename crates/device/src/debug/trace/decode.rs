//! Arguments of system calls as text, by the tables generated from the interface.
//!
//! Nothing that is secret is shown: of user names, passwords, private keys, wills and the values of settings only the
//! length, of a URL neither user nor query ([`text::redacted_url`]), of a header of HTTP only its name.

use abi::layouts::{self, Layout, Member};
use abi::{Call, Parameter};

use super::Fields;

/// Characters shown of a text.
const MAX_CHARACTERS: usize = 64;
/// Bytes read of a text: enough for this many characters.
const MAX_READ: u32 = 4 * MAX_CHARACTERS as u32;
/// Bytes of the longest address that is read; of a longer one the length is shown.
const MAX_ADDRESS: u32 = 8192;
/// Elements shown of an array.
const MAX_ELEMENTS: u32 = 4;
/// Structures within structures that are followed.
const MAX_DEPTH: u32 = 5;

/// Fields of which only the length is shown.
pub(super) const SECRET: [(&str, &str); 7] = [
    // Some services take a token for the user's name.
    ("MvUsernamePassword", "username"),
    ("MvUsernamePassword", "password"),
    // Set once beside the credentials, and seen by others only after the device has disconnected.
    ("MvMqttWill", "payload"),
    ("MvOwnTlsCertificateChain", "key"),
    ("MvWifiConfig", "wifi_password"),
    ("MvHttpRequest", "body"),
    // What a configuration fetch has brought: it may come from the store of secrets.
    ("MvConfigResponseReadItemParams", "buf"),
];

/// Numbers shown in hexadecimal.
const ADDRESSES: [&str; 3] = ["reg", "mask", "xorvalue"];

/// Reads application memory; false if it is not there.
pub type Memory<'a> = &'a dyn Fn(u32, &mut [u8]) -> bool;

/// What is passed to a call.
pub fn arguments(call: Call, registers: [u32; 4], memory: Memory<'_>) -> Fields {
    let parameters = call.parameters();
    let reader = Reader { memory, answered: false };
    let field = |(index, parameter): (usize, &Parameter)| {
        let following = parameters.get(index + 1).zip(registers.get(index + 1));
        (parameter.name, reader.argument(parameter, registers[index & 3], following))
    };
    parameters.iter().enumerate().take(4).map(field).collect()
}

/// What a call that was answered has given back.
pub fn results(call: Call, registers: [u32; 4], memory: Memory<'_>) -> Fields {
    let reader = Reader { memory, answered: true };
    let field =
        |(parameter, value): (&Parameter, u32)| Some((parameter.name, reader.result(parameter, value)?));
    call.parameters().iter().zip(registers).filter_map(field).collect()
}

/// A record of a notification centre.
pub fn record(bytes: &[u8; 16]) -> Fields {
    let reader = Reader { memory: &|_, _| false, answered: false };
    let Some(layout) = layouts::layout("MvNotification") else { return Vec::new() };
    let member = |member: &'static Member| (member.name, reader.member(layout, member, bytes, 0));
    layout.members.iter().map(member).collect()
}

/// A pointer's type: what it points to, and whether the call only reads there.
pub(crate) fn pointed(type_name: &str) -> Option<(&str, bool)> {
    let target = type_name.strip_suffix('*')?.trim_end();
    Some(match target.strip_prefix("const ") {
        Some(target) => (target, true),
        None => (target, false),
    })
}

struct Reader<'a> {
    memory: Memory<'a>,
    /// The call was answered: pointers lead to what it wrote.
    answered: bool,
}

impl Reader<'_> {
    fn argument(&self, parameter: &Parameter, value: u32, following: Option<(&Parameter, &u32)>) -> String {
        let Some((target, constant)) = pointed(parameter.type_name) else {
            let is_address = ADDRESSES.contains(&parameter.name);
            let type_name = if is_address { "address" } else { parameter.type_name };
            return scalar(type_name, &value.to_le_bytes());
        };
        if value == 0 {
            return "NULL".into();
        }
        match (target, constant, following) {
            ("uint8_t", true, Some((_, length))) => self.text(value, *length),
            (target, true, _) if target.starts_with("struct ") => self.structure_at(target, value, 0),
            (target, false, _) if target.ends_with("Handle") => match self.word(value) {
                Some(handle) if handle != 0 => format!("&{value:#010x} ({handle:#x})"),
                _ => format!("&{value:#010x}"),
            },
            _ => format!("&{value:#010x}"),
        }
    }

    fn result(&self, parameter: &Parameter, value: u32) -> Option<String> {
        let (target, constant) = pointed(parameter.type_name)?;
        let shown = !constant && value != 0 && target != "uint8_t";
        // A structure in the application's memory may contain pointers to out-parameters.
        let places = value != 0 && has_out_parameters(target);
        (shown || places).then(|| self.behind(target, value, 0))
    }

    /// What a pointer leads to.
    fn behind(&self, target: &str, address: u32, depth: u32) -> String {
        if target.starts_with("struct ") {
            return self.structure_at(target, address, depth);
        }
        let mut bytes = [0; 8];
        let bytes = &mut bytes[..width(target)];
        if (self.memory)(address, bytes) { scalar(target, bytes) } else { unreadable(address) }
    }

    fn structure_at(&self, target: &str, address: u32, depth: u32) -> String {
        let Some(layout) = layouts::layout(target.trim_start_matches("struct ")) else {
            return format!("{address:#010x}");
        };
        let mut bytes = vec![0; layout.size as usize];
        if depth >= MAX_DEPTH || !(self.memory)(address, &mut bytes) {
            return unreadable(address);
        }
        self.structure(layout, &bytes, depth)
    }

    fn structure(&self, layout: &'static Layout, bytes: &[u8], depth: u32) -> String {
        match layout.name {
            "MvSizedString" => return self.text(word(bytes, 0), word(bytes, 4)),
            "MvHttpHeader" => return self.header(word(bytes, 4), word(bytes, 0)),
            "MvSizedStringBuffer" => return self.buffer(bytes),
            _ => {}
        }
        let member =
            |one: &'static Member| format!("{}={}", one.name, self.member(layout, one, bytes, depth));
        let members: Vec<String> = layout.members.iter().map(member).collect();
        format!("{{{}}}", members.join(", "))
    }

    fn member(&self, layout: &'static Layout, member: &'static Member, bytes: &[u8], depth: u32) -> String {
        let from = member.offset as usize;
        let Some(own) = bytes.get(from..from + member.size as usize) else { return "?".into() };
        if SECRET.contains(&(layout.name, member.name)) {
            return self.hidden(member, own);
        }
        if (layout.name, member.name) == ("MvHttpRequest", "url") {
            return self.address(own, text::redacted_url);
        }
        if (layout.name, member.name) == ("MvMqttConnectRequest", "host") {
            return self.address(own, text::redacted_host);
        }
        if let Some(nested) = layouts::layout(member.type_name.trim_start_matches("struct ")) {
            return self.structure(nested, own, depth + 1);
        }
        match pointed(member.type_name) {
            Some((target, constant)) => self.pointer(layout, bytes, (target, constant, word(own, 0)), depth),
            None => scalar(member.type_name, own),
        }
    }

    /// A pointer in a structure: an array where the structure counts its elements.
    fn pointer(
        &self,
        layout: &'static Layout,
        bytes: &[u8],
        (target, constant, address): (&str, bool, u32),
        depth: u32,
    ) -> String {
        if address == 0 {
            return "NULL".into();
        }
        let followed =
            if constant { target.starts_with("struct ") } else { self.answered && target != "uint8_t" };
        if !followed {
            return format!("&{address:#010x}");
        }
        let counts = layout.members.iter().find(|member| member.name.starts_with("num_"));
        match counts.filter(|_| constant) {
            Some(count) => self.array(target, address, word(bytes, count.offset as usize), depth + 1),
            None => self.behind(target, address, depth + 1),
        }
    }

    fn array(&self, target: &str, address: u32, count: u32, depth: u32) -> String {
        let size = layouts::layout(target.trim_start_matches("struct ")).map_or(0, |layout| layout.size);
        let element = |index: u32| address.wrapping_add(index * size);
        let shown = (0..count.min(MAX_ELEMENTS)).map(|index| self.behind(target, element(index), depth));
        let mut elements: Vec<String> = shown.collect();
        if count > MAX_ELEMENTS {
            elements.push(format!("… {} more", count - MAX_ELEMENTS));
        }
        format!("[{}]", elements.join(", "))
    }

    /// A buffer for a text. What was written there is shown once the call has returned its length.
    fn buffer(&self, bytes: &[u8]) -> String {
        let (data, size, length) = (word(bytes, 0), word(bytes, 4), word(bytes, 8));
        match self.word(length) {
            Some(length) if self.answered => self.text(data, length.min(size)),
            _ => format!("&{data:#010x} of {size} bytes"),
        }
    }

    fn hidden(&self, member: &Member, bytes: &[u8]) -> String {
        let length = match member.type_name {
            "struct MvSizedStringBuffer" if self.answered => self.word(word(bytes, 8)),
            "struct MvSizedStringBuffer" => return self.buffer(bytes),
            _ => Some(word(bytes, 4)),
        };
        length.map_or_else(|| "not shown".into(), |length| format!("({length} bytes, not shown)"))
    }

    fn header(&self, data: u32, length: u32) -> String {
        let Some(text) = self.read_text(data, length) else { return unreadable(data) };
        // What is no name and a colon may be all value.
        match text.split_once(':') {
            Some((name, _)) if name.chars().all(is_token) => format!("{name:?} ({length} bytes)"),
            _ => format!("({length} bytes, not shown)"),
        }
    }

    /// An address (URL or host) as `masked` shows it. It is read whole: the end may be all that separates a user name
    /// from a host.
    fn address(&self, bytes: &[u8], masked: fn(&str) -> String) -> String {
        let (data, length) = (word(bytes, 0), word(bytes, 4));
        let mut bytes = vec![0; length.min(MAX_ADDRESS) as usize];
        let is_whole = length <= MAX_ADDRESS && (self.memory)(data, &mut bytes);
        let Some(address) = is_whole.then(|| String::from_utf8(bytes).ok()).flatten() else {
            return format!("{length} bytes at {data:#010x}");
        };
        let shown = masked(&address);
        match shown.char_indices().nth(MAX_CHARACTERS) {
            Some((end, _)) => format!("{:?}… ({length} bytes)", &shown[..end]),
            None => format!("{shown:?}"),
        }
    }

    /// A text if it is one, else how much it is.
    fn text(&self, address: u32, length: u32) -> String {
        if length == 0 {
            return "\"\"".into();
        }
        match self.read_text(address, length) {
            None => format!("{length} bytes at {address:#010x}"),
            Some(text) if length > MAX_READ || text.chars().count() > MAX_CHARACTERS => {
                let start: String = text.chars().take(MAX_CHARACTERS).collect();
                format!("{start:?}… ({length} bytes)")
            }
            Some(text) => format!("{text:?}"),
        }
    }

    /// The beginning of a text; none if it cannot be read or is none.
    fn read_text(&self, address: u32, length: u32) -> Option<String> {
        let mut bytes = vec![0; length.min(MAX_READ) as usize];
        if !(self.memory)(address, &mut bytes) {
            return None;
        }
        match std::str::from_utf8(&bytes) {
            Ok(text) => Some(text.to_owned()),
            // A character may be cut where reading stopped.
            Err(error) if length > MAX_READ && error.valid_up_to() + 4 > bytes.len() => {
                bytes.truncate(error.valid_up_to());
                String::from_utf8(bytes).ok()
            }
            Err(_) => None,
        }
    }

    fn word(&self, address: u32) -> Option<u32> {
        let mut bytes = [0; 4];
        (self.memory)(address, &mut bytes).then(|| u32::from_le_bytes(bytes))
    }
}

/// Whether `c` may be in a header's name (RFC 9110, 5.6.2), or in white space before the colon.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~ \t".contains(c)
}

/// Whether a structure contains pointers to out-parameters.
fn has_out_parameters(target: &str) -> bool {
    let is_place = |member: &Member| {
        let written = pointed(member.type_name).filter(|(_, constant)| !constant);
        let value = written.is_some_and(|(to, _)| to != "uint8_t" && !to.starts_with("struct "));
        value || member.type_name == "struct MvSizedStringBuffer"
    };
    let layout = layouts::layout(target.trim_start_matches("struct "));
    target.starts_with("struct ") && layout.is_some_and(|layout| layout.members.iter().any(is_place))
}

fn unreadable(address: u32) -> String {
    format!("&{address:#010x}, which cannot be read")
}

/// Bytes of a type that is no structure.
fn width(type_name: &str) -> usize {
    match type_name {
        "uint64_t" => 8,
        "uint8_t" => 1,
        "uint16_t" => 2,
        other => {
            let name = other.trim_start_matches("enum ");
            layouts::enumeration(name).map_or(4, |enumeration| enumeration.size as usize)
        }
    }
}

/// A value that is no structure and no pointer.
fn scalar(type_name: &str, bytes: &[u8]) -> String {
    let used = &bytes[..width(type_name).min(bytes.len())];
    let value = used.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    if let Some(name) = type_name.strip_prefix("enum ") {
        return named(name, value as u32);
    }
    // Handles, addresses and what has no meaning of its own.
    let is_number = type_name.starts_with("uint");
    if is_number { value.to_string() } else { format!("{value:#x}") }
}

/// A value of an enumeration by its name, without what all names have in common.
fn named(name: &str, value: u32) -> String {
    let Some(enumeration) = layouts::enumeration(name) else { return value.to_string() };
    let prefix = format!("MV_{}_", name.trim_start_matches("Mv").to_uppercase());
    let short = |name: &str| name.trim_start_matches(&prefix).to_owned();
    if let Some((_, name)) = enumeration.values.iter().find(|(own, _)| *own == value) {
        return short(name);
    }
    let bits = enumeration.values.iter().filter(|(bit, _)| *bit != 0 && value & bit == *bit);
    let known: u32 = bits.clone().fold(0, |all, (bit, _)| all | bit);
    if enumeration.combine && known == value {
        return bits.map(|(_, name)| short(name)).collect::<Vec<_>>().join("|");
    }
    format!("{value:#x}")
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    u32::from_le_bytes(four.unwrap_or_default())
}
