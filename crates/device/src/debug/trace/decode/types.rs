//! The types of the interface with their names looked up, once: a trace decodes every call of a busy application.

use std::sync::OnceLock;

use abi::layouts::{self, Enumeration, Layout, Member};
use abi::{Call, Parameter};

use super::{SECRET, pointed};

/// Numbers shown in hexadecimal.
const ADDRESSES: [&str; 3] = ["reg", "mask", "xorvalue"];

/// Bytes of one call's slot in the entry page.
const SLOT: usize = 8;

/// A structure.
pub(super) struct Shape {
    /// Its name, size and members.
    pub layout: &'static Layout,
    /// What is special about it.
    pub kind: Kind,
    /// It contains pointers to out-parameters.
    pub has_out_parameters: bool,
    /// Offset of the member that counts the elements of its array.
    pub count_at: Option<u32>,
    /// Its members, in order.
    pub members: Vec<Field>,
}

/// Structures that are shown in a way of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// As its members.
    Plain,
    /// As a text.
    Text,
    /// A header of HTTP: its name only.
    Header,
    /// As a buffer for a text.
    Buffer,
}

/// A member of a structure.
pub(super) struct Field {
    /// Name, offset and size.
    pub member: &'static Member,
    /// How it is shown.
    pub shown: Shown,
    /// Its type.
    pub of: Type,
}

/// How a member is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// Whole.
    Value,
    /// By its length.
    Length,
    /// As a URL without user and query.
    Url,
    /// As a host without a user.
    Host,
}

/// A C type.
#[derive(Clone, Copy)]
pub(super) enum Type {
    /// A number, a handle, a value of an enumeration.
    Scalar(Scalar),
    /// A structure, by its place in [`Tables::shapes`].
    Structure(usize),
    /// A pointer.
    Pointer(Pointer),
}

/// A type that is no structure and no pointer.
#[derive(Clone, Copy)]
pub(super) struct Scalar {
    /// Its bytes.
    pub width: usize,
    /// How it is shown.
    pub style: Style,
}

/// How a number is shown.
#[derive(Clone, Copy)]
pub(super) enum Style {
    /// In decimal.
    Decimal,
    /// In hexadecimal: handles, addresses and what has no meaning of its own.
    Hexadecimal,
    /// By its name.
    Named(&'static Enumeration),
}

/// A pointer.
#[derive(Clone, Copy)]
pub(super) struct Pointer {
    /// The call only reads there.
    pub constant: bool,
    /// What is there.
    pub to: Target,
}

/// What a pointer leads to.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// Bytes, whose number is elsewhere.
    Bytes,
    /// A handle.
    Handle(Scalar),
    /// Another number.
    Scalar(Scalar),
    /// A structure; none if it is not in the interface's tables.
    Structure(Option<usize>),
}

/// An argument of a call.
pub(super) struct Argument {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub of: Type,
}

/// All structures and calls.
pub(super) struct Tables {
    shapes: Vec<Shape>,
    calls: Vec<Vec<Argument>>,
    /// The place of the record of a notification centre.
    pub notification: Option<usize>,
}

impl Tables {
    /// The tables, made at the first use.
    pub(super) fn get() -> &'static Self {
        static TABLES: OnceLock<Tables> = OnceLock::new();
        TABLES.get_or_init(Self::new)
    }

    fn new() -> Self {
        let slots = Call::ALL.iter().map(|call| place(*call) + 1).max().unwrap_or(0);
        let mut calls: Vec<Vec<Argument>> = (0..slots).map(|_| Vec::new()).collect();
        for call in Call::ALL {
            calls[place(call)] = call.parameters().iter().take(4).map(argument).collect();
        }
        let shapes = layouts::LAYOUTS.iter().map(shape).collect();
        Self { shapes, calls, notification: structure("struct MvNotification") }
    }

    /// The arguments of a call.
    pub(super) fn arguments(&self, call: Call) -> &[Argument] {
        &self.calls[place(call)]
    }

    /// A structure.
    pub(super) fn shape(&self, place: usize) -> &Shape {
        &self.shapes[place]
    }
}

fn place(call: Call) -> usize {
    call.slot() as usize / SLOT
}

fn argument(parameter: &Parameter) -> Argument {
    let of = match named(parameter.type_name) {
        Type::Scalar(_) if ADDRESSES.contains(&parameter.name) => {
            Type::Scalar(Scalar { width: 4, style: Style::Hexadecimal })
        }
        of => of,
    };
    Argument { name: parameter.name, of }
}

fn shape(layout: &'static Layout) -> Shape {
    let kind = match layout.name {
        "MvSizedString" => Kind::Text,
        "MvHttpHeader" => Kind::Header,
        "MvSizedStringBuffer" => Kind::Buffer,
        _ => Kind::Plain,
    };
    let count = layout.members.iter().find(|member| member.name.starts_with("num_"));
    Shape {
        layout,
        kind,
        has_out_parameters: layout.members.iter().any(is_out_parameter),
        count_at: count.map(|member| member.offset),
        members: layout.members.iter().map(|member| field(layout, member)).collect(),
    }
}

fn is_out_parameter(member: &Member) -> bool {
    let written = pointed(member.type_name).filter(|(_, constant)| !constant);
    let value = written.is_some_and(|(to, _)| to != "uint8_t" && !to.starts_with("struct "));
    value || member.type_name == "struct MvSizedStringBuffer"
}

fn field(layout: &Layout, member: &'static Member) -> Field {
    let shown = match (layout.name, member.name) {
        named if SECRET.contains(&named) => Shown::Length,
        ("MvHttpRequest", "url") => Shown::Url,
        ("MvMqttConnectRequest", "host") => Shown::Host,
        _ => Shown::Value,
    };
    Field { member, shown, of: named(member.type_name) }
}

/// The type of this name.
pub(super) fn named(type_name: &str) -> Type {
    if let Some((target, constant)) = pointed(type_name) {
        return Type::Pointer(Pointer { constant, to: behind(target) });
    }
    structure(type_name).map_or_else(|| Type::Scalar(scalar(type_name)), Type::Structure)
}

fn behind(target: &str) -> Target {
    match target {
        "uint8_t" => Target::Bytes,
        target if target.starts_with("struct ") => Target::Structure(structure(target)),
        target if target.ends_with("Handle") => Target::Handle(scalar(target)),
        target => Target::Scalar(scalar(target)),
    }
}

fn structure(type_name: &str) -> Option<usize> {
    let name = type_name.strip_prefix("struct ")?;
    layouts::LAYOUTS.iter().position(|layout| layout.name == name)
}

fn scalar(type_name: &str) -> Scalar {
    if let Some(enumeration) = type_name.strip_prefix("enum ").and_then(layouts::enumeration) {
        return Scalar { width: enumeration.size as usize, style: Style::Named(enumeration) };
    }
    let width = match type_name {
        "uint64_t" => 8,
        "uint8_t" => 1,
        "uint16_t" => 2,
        _ => 4,
    };
    let is_number = type_name.starts_with("uint") && !type_name.ends_with('*');
    let style = if is_number { Style::Decimal } else { Style::Hexadecimal };
    Scalar { width, style }
}
