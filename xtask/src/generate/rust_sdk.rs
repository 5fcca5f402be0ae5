//! The interface as a Rust application links it: `sdk/rust/openvisor-sys/src/generated/*.rs`.
//!
//! The vendor's names, as in the C header. A value of an enumeration is a number with constants beside it and no Rust
//! `enum`, because the hypervisor may learn values that the application does not know.

use std::fmt::Write as _;

use super::GeneratedFile;
use super::model::{Call, Enumeration, Field, Model, Structure, Topic};
use super::rust::{BANNER, doc, each, formatted};

const FOLDER: &str = "sdk/rust/openvisor-sys/src/generated";
/// Set in the address of a Thumb function.
const THUMB: u32 = 1;

/// A file per topic, and the module that lists them.
pub(super) fn files(model: &Model) -> Result<Vec<GeneratedFile>, String> {
    let mut files = vec![file(FOLDER, &index_text(model))?];
    for topic in &model.texts.topics {
        files.push(file(&format!("{FOLDER}/{}", topic.name), &topic_text(model, topic))?);
    }
    Ok(files)
}

fn file(stem: &str, text: &str) -> Result<GeneratedFile, String> {
    Ok(GeneratedFile::text(format!("{stem}.rs"), formatted(&format!("{BANNER}{text}"))?))
}

fn index_text(model: &Model) -> String {
    let mut text = String::from("//! The interface: one module per topic, all of it at the top.\n\n");
    for topic in &model.texts.topics {
        let _ = writeln!(text, "mod {};", topic.name);
    }
    for topic in &model.texts.topics {
        let _ = writeln!(text, "pub use {}::*;", topic.name);
    }
    for (name, meaning) in &model.texts.handle {
        let meaning = meaning.as_str().expect("abi-docs.toml gives a handle's text as a string");
        let _ = write!(text, "\n{}pub type {name} = u32;\n", doc("///", meaning));
    }
    text
}

fn topic_text(model: &Model, topic: &Topic) -> String {
    let mut text = format!("{}\n", doc("//!", &format!("{}. {}", topic.title, topic.doc)));
    let calls: Vec<&Call> = topic.calls.iter().filter_map(|name| model.call(name)).collect();
    let structures: Vec<&Structure> = topic.types.iter().filter_map(|name| model.structure(name)).collect();
    let foreign = !calls.is_empty() || structures.iter().flat_map(|item| &item.fields).any(is_named);
    if foreign {
        text.push_str("use super::*;\n");
    }
    for name in &topic.types {
        text.push('\n');
        if let Some(item) = model.enumeration(name) {
            text.push_str(&enumeration(model, item));
        } else if let Some(item) = model.structure(name) {
            text.push_str(&structure(model, item));
        }
    }
    for call in calls {
        text.push('\n');
        text.push_str(&function(model, call));
    }
    text
}

/// Whether the field's type has a name of this interface.
fn is_named(field: &Field) -> bool {
    field.ctype.contains("Mv")
}

fn enumeration(model: &Model, item: &Enumeration) -> String {
    let name = &item.name;
    let raw = if item.size == 1 { "u8" } else { "u32" };
    let mut text = doc("///", model.enum_doc(name));
    let _ = writeln!(
        text,
        "#[derive(Clone, Copy, PartialEq, Eq, Hash)]\n#[repr(transparent)]\npub struct {name}(pub {raw});\n"
    );
    let mut names = String::new();
    for (value, number) in item.values() {
        text.push_str(&doc("///", model.value_doc(item, value)));
        let _ = writeln!(text, "pub const {value}: {name} = {name}({number:#x});");
        let word = value.trim_start_matches(&item.prefix()).to_lowercase();
        let _ = writeln!(names, "{value} => \"{word}\",");
    }
    let _ = writeln!(
        text,
        "\nimpl {name} {{
            /// The value's name in lower case without the prefix, or `unknown`; the same as `mv_names.h` has.
            #[inline(never)]
            pub const fn name(self) -> &'static str {{
                match self {{ {names} _ => \"unknown\" }}
            }}
        }}

        impl core::fmt::Debug for {name} {{
            fn fmt(&self, to: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {{
                write!(to, \"{{}} ({{:#x}})\", self.name(), self.0)
            }}
        }}

        const _: () = assert!(size_of::<{name}>() == {});",
        item.size
    );
    text
}

fn structure(model: &Model, item: &Structure) -> String {
    let name = &item.name;
    if item.versioned == 0 {
        let fields = fields(model, item, |_| true);
        return structure_text(name, model.struct_doc(name), &fields) + &layout(item);
    }
    let version = fields(model, item, |field| field.name == "version");
    let rest = fields(model, item, |field| field.name != "version");
    let inner = structure_text(&format!("{name}V1"), &format!("What version 1 of [`{name}`] holds."), &rest);
    let fields = format!("{version}/// Everything else, as version 1 has it.\npub v1: {name}V1,\n");
    inner + &structure_text(name, model.struct_doc(name), &fields) + &layout(item)
}

fn structure_text(name: &str, text: &str, fields: &str) -> String {
    format!(
        "{}#[derive(Clone, Copy, Debug)]\n#[repr(C)]\npub struct {name} {{\n{fields}}}\n\n",
        doc("///", text)
    )
}

fn fields(model: &Model, item: &Structure, wanted: impl Fn(&Field) -> bool) -> String {
    item.fields.iter().filter(|field| wanted(field)).fold(String::new(), |mut text, field| {
        text.push_str(&doc("///", model.field_doc(item, &field.name)));
        let _ = writeln!(text, "pub {}: {},", field.name, rust_type(&field.ctype));
        text
    })
}

/// The layout, asserted where pointers are as wide as the device's.
fn layout(item: &Structure) -> String {
    let name = &item.name;
    let offsets = each(&item.fields, |field| {
        let inside = item.versioned > 0 && field.name != "version";
        let path = if inside { format!("v1.{}", field.name) } else { field.name.clone() };
        format!("assert!(core::mem::offset_of!({name}, {path}) == {});\n", field.offset)
    });
    format!(
        "#[cfg(target_pointer_width = \"32\")]
        const _: () = {{
            assert!(size_of::<{name}>() == {});
            {offsets}
        }};\n",
        item.size
    )
}

fn function(model: &Model, call: &Call) -> String {
    let list: Vec<String> = call
        .params
        .iter()
        .map(|parameter| format!("{}: {}", identifier(&parameter.name), rust_type(&parameter.ctype)))
        .collect();
    let types: Vec<String> = call.params.iter().map(|parameter| rust_type(&parameter.ctype)).collect();
    let names: Vec<&str> = call.params.iter().map(|parameter| identifier(&parameter.name)).collect();
    let address = (model.facts.memory.entry_page + call.slot) | THUMB;
    format!(
        "{}#[inline(always)]
        pub unsafe fn {}({}) -> MvStatus {{
            type Entry = unsafe extern \"C\" fn({}) -> MvStatus;
            // SAFETY: the hypervisor has this call at this address, with this signature.
            let entry = unsafe {{ core::mem::transmute::<*const (), Entry>(core::ptr::without_provenance({address:#010x})) }};
            // SAFETY: the caller keeps the conditions in this function's documentation.
            unsafe {{ entry({}) }}
        }}\n",
        call_doc(model, call),
        call.name,
        list.join(", "),
        types.join(", "),
        names.join(", ")
    )
}

fn call_doc(model: &Model, call: &Call) -> String {
    let mut text = doc("///", model.call_doc(&call.name));
    for parameter in &call.params {
        text.push_str("///\n");
        text.push_str(&doc(
            "///",
            &format!("`{}`: {}", parameter.name, model.parameter_doc(call, &parameter.name)),
        ));
    }
    if !call.documented_errors.is_empty() {
        text.push_str("///\n/// # Statuses\n");
    }
    for status in &call.documented_errors {
        text.push_str("///\n");
        text.push_str(&doc("///", &format!("[`MV_STATUS_{status}`]: {}", model.error_doc(call, status))));
    }
    text.push_str(
        "///
        /// # Safety
        ///
        /// To be called on a device only. Pointers must be valid for what the text above says is read or written, and
        /// memory that the call lends to the hypervisor must stay unused for as long as it is lent.\n",
    );
    text
}

/// A parameter's name, where it is no word of Rust's.
fn identifier(name: &str) -> &str {
    if name == "type" { "r#type" } else { name }
}

/// `const struct MvHttpHeader *` becomes `*const MvHttpHeader`.
fn rust_type(ctype: &str) -> String {
    if let Some(target) = ctype.strip_suffix('*') {
        let target = target.trim_end();
        return match target.strip_prefix("const ") {
            Some(target) => format!("*const {}", rust_type(target)),
            None => format!("*mut {}", rust_type(target)),
        };
    }
    let bare = ctype.trim_start_matches("struct ").trim_start_matches("enum ");
    match bare {
        "uint8_t" => "u8",
        "uint16_t" => "u16",
        "uint32_t" => "u32",
        "uint64_t" => "u64",
        named => named,
    }
    .to_owned()
}
