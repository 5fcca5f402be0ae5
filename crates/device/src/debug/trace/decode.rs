//! Arguments of system calls as text, by the tables generated from the interface.
//!
//! Nothing that is secret is shown: of user names, passwords, private keys, wills and the values of settings only the
//! length, of a URL neither user nor query ([`text::redacted_url`]), of a header of HTTP only its name.
//!
//! What is read of the application's memory for this can be captured without making text of it, which the device's
//! thread does, and be decoded later, which the thread that writes does: the same code walks through memory in both.

mod types;

use std::cell::{Cell, RefCell};
use std::fmt::{self, Write as _};

use abi::Call;
use abi::layouts::Enumeration;
use types::{Field, Kind, Pointer, Scalar, Shape, Shown, Style, Tables, Target, Type};

use super::Fields;
use super::values::{Values, put_address, put_decimal, put_hexadecimal, put_quoted};

/// Characters shown of a text.
const MAX_CHARACTERS: usize = 64;
/// Bytes read of a text: enough for this many characters.
const MAX_READ: usize = 4 * MAX_CHARACTERS;
/// Bytes of the longest address that is read; of a longer one the length is shown.
const MAX_ADDRESS: u32 = 8192;
/// Bytes of the largest structure.
const MAX_STRUCTURE: usize = 64;
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

/// Reads application memory; false if it is not there.
pub type Memory<'a> = &'a dyn Fn(u32, &mut [u8]) -> bool;

/// What is passed to a call.
pub fn arguments(call: Call, registers: [u32; 4], memory: Memory<'_>) -> Fields {
    let mut values = Values::default();
    Reader::<true>::new(memory, false, &mut values).arguments(call, registers);
    values.fields()
}

/// What a call that was answered has given back.
pub fn results(call: Call, registers: [u32; 4], memory: Memory<'_>) -> Fields {
    let mut values = Values::default();
    Reader::<true>::new(memory, true, &mut values).results(call, registers);
    values.fields()
}

/// Appends to `to` what [`arguments`] reads of `memory`.
pub(crate) fn capture_arguments(call: Call, registers: [u32; 4], memory: Memory<'_>, to: &mut Vec<u8>) {
    capture(memory, to, |memory| {
        Reader::<false>::new(memory, false, &mut Values::default()).arguments(call, registers);
    });
}

/// Appends to `to` what [`results`] reads of `memory`.
pub(crate) fn capture_results(call: Call, registers: [u32; 4], memory: Memory<'_>, to: &mut Vec<u8>) {
    capture(memory, to, |memory| {
        Reader::<false>::new(memory, true, &mut Values::default()).results(call, registers);
    });
}

/// Calls `read` with `memory`, and appends each answer: whether the memory was there, and its bytes.
fn capture(memory: Memory<'_>, to: &mut Vec<u8>, read: impl FnOnce(Memory<'_>)) {
    let to = RefCell::new(to);
    read(&|address, into| {
        let is_there = memory(address, into);
        let mut to = to.borrow_mut();
        to.push(u8::from(is_there));
        if is_there {
            to.extend_from_slice(into);
        }
        is_there
    });
}

/// Appends [`arguments`] of captured memory to `to`.
pub(super) fn put_arguments(call: Call, registers: [u32; 4], captured: &[u8], to: &mut Values) {
    let rest = Cell::new(captured);
    let memory = |_: u32, into: &mut [u8]| replay(&rest, into);
    Reader::<true>::new(&memory, false, to).arguments(call, registers);
}

/// Appends [`results`] of captured memory to `to`.
pub(super) fn put_results(call: Call, registers: [u32; 4], captured: &[u8], to: &mut Values) {
    let rest = Cell::new(captured);
    let memory = |_: u32, into: &mut [u8]| replay(&rest, into);
    Reader::<true>::new(&memory, true, to).results(call, registers);
}

/// [`arguments`] of captured memory.
pub(super) fn captured_arguments(call: Call, registers: [u32; 4], captured: &[u8]) -> Fields {
    let mut values = Values::default();
    put_arguments(call, registers, captured, &mut values);
    values.fields()
}

/// [`results`] of captured memory.
pub(super) fn captured_results(call: Call, registers: [u32; 4], captured: &[u8]) -> Fields {
    let mut values = Values::default();
    put_results(call, registers, captured, &mut values);
    values.fields()
}

/// The next answer that was captured. The same walk asks for the same lengths.
fn replay(rest: &Cell<&[u8]>, into: &mut [u8]) -> bool {
    let Some((1, bytes)) = rest.get().split_first() else {
        rest.set(rest.get().get(1..).unwrap_or_default());
        return false;
    };
    let Some((own, others)) = bytes.split_at_checked(into.len()) else { return false };
    into.copy_from_slice(own);
    rest.set(others);
    true
}

/// Appends a record of a notification centre to `to`.
pub(super) fn put_record(bytes: &[u8; 16], to: &mut Values) {
    let tables = Tables::get();
    let Some(place) = tables.notification else { return };
    let shape = tables.shape(place);
    let mut reader = Reader::<true>::new(&|_, _| false, false, to);
    for field in &shape.members {
        reader.member(shape, field, bytes, 0);
        reader.end_field(field.member.name);
    }
}

/// A record of a notification centre.
pub(super) fn record(bytes: &[u8; 16]) -> Fields {
    let mut values = Values::default();
    put_record(bytes, &mut values);
    values.fields()
}

/// A pointer's type: what it points to, and whether the call only reads there.
pub(crate) fn pointed(type_name: &str) -> Option<(&str, bool)> {
    let target = type_name.strip_suffix('*')?.trim_end();
    Some(match target.strip_prefix("const ") {
        Some(target) => (target, true),
        None => (target, false),
    })
}

/// Walks through what a call's arguments lead to, and shows it if `TEXT` is true.
struct Reader<'a, const TEXT: bool> {
    memory: Memory<'a>,
    tables: &'static Tables,
    /// The call was answered: pointers lead to what it wrote.
    answered: bool,
    /// What was shown.
    out: &'a mut Values,
}

impl<'a, const TEXT: bool> Reader<'a, TEXT> {
    fn new(memory: Memory<'a>, answered: bool, out: &'a mut Values) -> Self {
        Self { memory, tables: Tables::get(), answered, out }
    }

    fn arguments(&mut self, call: Call, registers: [u32; 4]) {
        for (index, argument) in self.tables.arguments(call).iter().enumerate() {
            self.argument(argument.of, registers[index & 3], registers.get(index + 1).copied());
            self.end_field(argument.name);
        }
    }

    fn results(&mut self, call: Call, registers: [u32; 4]) {
        for (argument, value) in self.tables.arguments(call).iter().zip(registers) {
            if let Some(target) = self.result_target(argument.of).filter(|_| value != 0) {
                self.behind(target, value, 0);
                self.end_field(argument.name);
            }
        }
    }

    fn end_field(&mut self, name: &'static str) {
        if TEXT {
            self.out.end(name);
        }
    }

    /// Shows one thing.
    fn put(&mut self, shown: fmt::Arguments<'_>) {
        if TEXT {
            let _ = self.out.text().write_fmt(shown);
        }
    }

    fn put_str(&mut self, shown: &str) {
        if TEXT {
            self.out.text().push_str(shown);
        }
    }

    fn put_pointer(&mut self, address: u32) {
        if TEXT {
            self.out.text().push('&');
            put_address(self.out.text(), address);
        }
    }

    fn argument(&mut self, of: Type, value: u32, following: Option<u32>) {
        let Type::Pointer(Pointer { constant, to }) = of else {
            if let Type::Scalar(scalar) = of {
                self.scalar(scalar, &value.to_le_bytes());
            }
            return;
        };
        if value == 0 {
            return self.put_str("NULL");
        }
        match (to, following) {
            (Target::Bytes, Some(length)) if constant => self.text(value, length),
            (Target::Structure(place), _) if constant => self.structure_at(place, value, 0),
            (Target::Handle(_), _) if !constant => match self.word(value) {
                Some(handle) if handle != 0 => self.put(format_args!("&{value:#010x} ({handle:#x})")),
                _ => self.put_pointer(value),
            },
            _ => self.put_pointer(value),
        }
    }

    /// What an argument leads to, if the call writes there.
    fn result_target(&self, of: Type) -> Option<Target> {
        let Type::Pointer(Pointer { constant, to }) = of else { return None };
        // A structure in the application's memory may contain pointers to out-parameters.
        let has_places =
            matches!(to, Target::Structure(Some(place)) if self.tables.shape(place).has_out_parameters);
        (!constant && !matches!(to, Target::Bytes) || has_places).then_some(to)
    }

    /// What a pointer leads to.
    fn behind(&mut self, target: Target, address: u32, depth: u32) {
        let scalar = match target {
            Target::Structure(place) => return self.structure_at(place, address, depth),
            Target::Handle(scalar) | Target::Scalar(scalar) => scalar,
            Target::Bytes => Scalar { width: 1, style: Style::Decimal },
        };
        let mut bytes = [0; 8];
        let bytes = &mut bytes[..scalar.width.min(8)];
        if (self.memory)(address, bytes) { self.scalar(scalar, bytes) } else { self.unreadable(address) }
    }

    fn structure_at(&mut self, place: Option<usize>, address: u32, depth: u32) {
        let Some(place) = place else { return self.put(format_args!("{address:#010x}")) };
        let shape = self.tables.shape(place);
        let mut bytes = [0; MAX_STRUCTURE];
        let bytes = &mut bytes[..(shape.layout.size as usize).min(MAX_STRUCTURE)];
        if depth >= MAX_DEPTH || !(self.memory)(address, bytes) {
            return self.unreadable(address);
        }
        self.structure(shape, bytes, depth);
    }

    fn structure(&mut self, shape: &'static Shape, bytes: &[u8], depth: u32) {
        match shape.kind {
            Kind::Text => return self.text(word(bytes, 0), word(bytes, 4)),
            Kind::Header => return self.header(word(bytes, 4), word(bytes, 0)),
            Kind::Buffer => return self.buffer(bytes),
            Kind::Plain => {}
        }
        for (index, field) in shape.members.iter().enumerate() {
            self.put_str(if index == 0 { "{" } else { ", " });
            self.put_str(field.member.name);
            self.put_str("=");
            self.member(shape, field, bytes, depth);
        }
        self.put_str("}");
    }

    fn member(&mut self, shape: &'static Shape, field: &'static Field, bytes: &[u8], depth: u32) {
        let from = field.member.offset as usize;
        let Some(own) = bytes.get(from..from + field.member.size as usize) else {
            return self.put(format_args!("?"));
        };
        match field.shown {
            Shown::Length => return self.hidden(field, own),
            Shown::Url => return self.address(own, text::redacted_url),
            Shown::Host => return self.address(own, text::redacted_host),
            Shown::Value => {}
        }
        match field.of {
            Type::Structure(place) => self.structure(self.tables.shape(place), own, depth + 1),
            Type::Pointer(pointer) => self.pointer(shape, bytes, (pointer, word(own, 0)), depth),
            Type::Scalar(scalar) => self.scalar(scalar, own),
        }
    }

    /// A pointer in a structure: an array where the structure counts its elements.
    fn pointer(
        &mut self,
        shape: &'static Shape,
        bytes: &[u8],
        (Pointer { constant, to }, address): (Pointer, u32),
        depth: u32,
    ) {
        if address == 0 {
            return self.put_str("NULL");
        }
        let is_followed = if constant {
            matches!(to, Target::Structure(_))
        } else {
            self.answered && !matches!(to, Target::Bytes)
        };
        match (to, shape.count_at.filter(|_| constant)) {
            _ if !is_followed => self.put_pointer(address),
            (Target::Structure(place), Some(at)) => {
                self.array(place, address, word(bytes, at as usize), depth + 1);
            }
            _ => self.behind(to, address, depth + 1),
        }
    }

    fn array(&mut self, place: Option<usize>, address: u32, count: u32, depth: u32) {
        let size = place.map_or(0, |place| self.tables.shape(place).layout.size);
        for index in 0..count.min(MAX_ELEMENTS) {
            self.put(format_args!("{}", if index == 0 { "[" } else { ", " }));
            self.structure_at(place, address.wrapping_add(index * size), depth);
        }
        if count > MAX_ELEMENTS {
            self.put(format_args!(", … {} more", count - MAX_ELEMENTS));
        }
        self.put(format_args!("{}", if count == 0 { "[]" } else { "]" }));
    }

    /// A buffer for a text. What was written there is shown once the call has returned its length.
    fn buffer(&mut self, bytes: &[u8]) {
        let (data, size, length) = (word(bytes, 0), word(bytes, 4), word(bytes, 8));
        match self.word(length) {
            Some(length) if self.answered => self.text(data, length.min(size)),
            _ => self.put(format_args!("&{data:#010x} of {size} bytes")),
        }
    }

    fn hidden(&mut self, field: &Field, bytes: &[u8]) {
        let is_buffer = matches!(field.of, Type::Structure(place)
            if self.tables.shape(place).kind == Kind::Buffer);
        let length = match is_buffer {
            true if self.answered => self.word(word(bytes, 8)),
            true => return self.buffer(bytes),
            false => Some(word(bytes, 4)),
        };
        match length {
            Some(length) => self.put(format_args!("({length} bytes, not shown)")),
            None => self.put(format_args!("not shown")),
        }
    }

    fn header(&mut self, data: u32, length: u32) {
        let mut bytes = [0; MAX_READ];
        let Some(text) = self.read_text(data, length, &mut bytes) else { return self.unreadable(data) };
        // What is no name and a colon may be all value.
        match text.split_once(':') {
            Some((name, _)) if name.chars().all(is_token) => {
                self.put(format_args!("{name:?} ({length} bytes)"));
            }
            _ => self.put(format_args!("({length} bytes, not shown)")),
        }
    }

    /// An address (URL or host) as `masked` shows it. It is read whole: the end may be all that separates a user name
    /// from a host.
    fn address(&mut self, bytes: &[u8], masked: fn(&str) -> String) {
        let (data, length) = (word(bytes, 0), word(bytes, 4));
        let mut bytes = vec![0; length.min(MAX_ADDRESS) as usize];
        let is_whole = length <= MAX_ADDRESS && (self.memory)(data, &mut bytes);
        if !TEXT {
            return;
        }
        let Some(address) = is_whole.then(|| String::from_utf8(bytes).ok()).flatten() else {
            return self.put(format_args!("{length} bytes at {data:#010x}"));
        };
        let shown = masked(&address);
        match shown.char_indices().nth(MAX_CHARACTERS) {
            Some((end, _)) => self.put(format_args!("{:?}… ({length} bytes)", &shown[..end])),
            None => self.put(format_args!("{shown:?}")),
        }
    }

    /// A text if it is one, else how much it is.
    fn text(&mut self, address: u32, length: u32) {
        if length == 0 {
            return self.put(format_args!("\"\""));
        }
        let mut bytes = [0; MAX_READ];
        match self.read_text(address, length, &mut bytes) {
            _ if !TEXT => {}
            None => self.put(format_args!("{length} bytes at {address:#010x}")),
            Some(text) if length as usize > MAX_READ || text.chars().count() > MAX_CHARACTERS => {
                let end = text.char_indices().nth(MAX_CHARACTERS).map_or(text.len(), |(at, _)| at);
                self.put(format_args!("{:?}… ({length} bytes)", &text[..end]));
            }
            Some(text) => put_quoted(self.out.text(), text),
        }
    }

    /// The beginning of a text; none if it cannot be read or is none.
    fn read_text<'b>(&self, address: u32, length: u32, into: &'b mut [u8; MAX_READ]) -> Option<&'b str> {
        let into = &mut into[..MAX_READ.min(length as usize)];
        if !(self.memory)(address, into) || !TEXT {
            return None;
        }
        match std::str::from_utf8(into) {
            Ok(text) => Some(text),
            // A character may be cut where reading stopped.
            Err(error) if length as usize > MAX_READ && error.valid_up_to() + 4 > into.len() => {
                std::str::from_utf8(&into[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        }
    }

    fn word(&self, address: u32) -> Option<u32> {
        let mut bytes = [0; 4];
        (self.memory)(address, &mut bytes).then(|| u32::from_le_bytes(bytes))
    }

    fn unreadable(&mut self, address: u32) {
        self.put(format_args!("&{address:#010x}, which cannot be read"));
    }

    /// A value that is no structure and no pointer.
    fn scalar(&mut self, scalar: Scalar, bytes: &[u8]) {
        if !TEXT {
            return;
        }
        let used = &bytes[..scalar.width.min(bytes.len())];
        let value = used.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        match scalar.style {
            Style::Decimal => put_decimal(self.out.text(), value),
            Style::Hexadecimal => put_hexadecimal(self.out.text(), value),
            Style::Named(enumeration) => put_named(self.out.text(), enumeration, value as u32),
        }
    }
}

/// Whether `c` may be in a header's name (RFC 9110, 5.6.2), or in white space before the colon.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~ \t".contains(c)
}

/// Appends a value of an enumeration by its name, without what all names have in common.
fn put_named(to: &mut String, enumeration: &Enumeration, value: u32) {
    if let Some((_, name)) = enumeration.values.iter().find(|(own, _)| *own == value) {
        return to.push_str(short(enumeration, name));
    }
    let bits = enumeration.values.iter().filter(|(bit, _)| *bit != 0 && value & bit == *bit);
    let known: u32 = bits.clone().fold(0, |all, (bit, _)| all | bit);
    if enumeration.combine && known == value {
        for (index, (_, name)) in bits.enumerate() {
            to.extend([if index == 0 { "" } else { "|" }, short(enumeration, name)]);
        }
        return;
    }
    put_hexadecimal(to, value.into());
}

/// The name of a value of `enumeration` after `MV_`, that of the enumeration in upper case, and `_`.
fn short<'n>(enumeration: &Enumeration, name: &'n str) -> &'n str {
    let of = enumeration.name.strip_prefix("Mv").unwrap_or(enumeration.name);
    let after = |name: &'n str| {
        let (head, rest) = name.strip_prefix("MV_")?.split_at_checked(of.len())?;
        rest.strip_prefix('_').filter(|_| head.eq_ignore_ascii_case(of))
    };
    after(name).unwrap_or(name)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    u32::from_le_bytes(four.unwrap_or_default())
}
