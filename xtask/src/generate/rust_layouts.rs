//! Structures and enumerations as tables: `crates/abi/src/generated/layouts.rs`.

use super::model::{Enumeration, Model, Structure};
use super::rust::{BIT_SET, each};

/// The types of the tables, and the tables.
pub(super) fn text(model: &Model) -> String {
    let layouts = each(&model.facts.structs, layout);
    let enumerations = each(&model.facts.enums, enumeration);
    format!(
        "//! Structures and enumerations as tables, for those who show what an application passes.

        /// A structure.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Layout {{
            /// The public header's name.
            pub name: &'static str,
            /// Its bytes.
            pub size: u32,
            /// Its fields, in order; those of a version's own structure among them.
            pub members: &'static [Member],
        }}

        /// A field of a structure.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Member {{
            /// Its name.
            pub name: &'static str,
            /// Its C type.
            pub type_name: &'static str,
            /// Its place in the structure, in bytes.
            pub offset: u32,
            /// Its bytes.
            pub size: u32,
        }}

        /// An enumeration.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Enumeration {{
            /// The public header's name.
            pub name: &'static str,
            /// Bytes of a value.
            pub size: u32,
            /// Values are bits that combine.
            pub combine: bool,
            /// Values and their names.
            pub values: &'static [(u32, &'static str)],
        }}

        /// The structure of this name.
        pub fn layout(name: &str) -> Option<&'static Layout> {{
            LAYOUTS.iter().find(|layout| layout.name == name)
        }}

        /// The enumeration of this name.
        pub fn enumeration(name: &str) -> Option<&'static Enumeration> {{
            ENUMERATIONS.iter().find(|enumeration| enumeration.name == name)
        }}

        /// Every structure.
        pub static LAYOUTS: &[Layout] = &[{layouts}];

        /// Every enumeration.
        pub static ENUMERATIONS: &[Enumeration] = &[{enumerations}];
        "
    )
}

fn layout(item: &Structure) -> String {
    let members = each(&item.fields, |field| {
        format!(
            "Member {{ name: {:?}, type_name: {:?}, offset: {}, size: {} }}, ",
            field.name, field.ctype, field.offset, field.size
        )
    });
    format!("Layout {{ name: {:?}, size: {}, members: &[{members}] }},\n", item.name, item.size)
}

fn enumeration(item: &Enumeration) -> String {
    let values: Vec<(&str, u32)> = item.values().collect();
    let values = each(&values, |(name, value)| format!("({value:#x}, {name:?}), "));
    let combine = item.name == BIT_SET;
    format!(
        "Enumeration {{ name: {:?}, size: {}, combine: {combine}, values: &[{values}] }},\n",
        item.name, item.size
    )
}
