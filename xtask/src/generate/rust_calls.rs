//! The Rust side of the calls: `crates/abi/src/generated/calls.rs`.

use std::fmt::Write as _;

use super::model::{Call, Model};
use super::names;
use super::rust::{doc, each};

/// The `Call` enum and its tables.
pub(super) fn text(model: &Model) -> Result<String, String> {
    let calls = &model.facts.calls;
    let mut text = String::from(
        "//! The calls: slot, name, parameters and documented errors of each.

        use super::status::Status;

        /// A parameter as the public header declares it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Parameter {
            /// Its name.
            pub name: &'static str,
            /// Its C type.
            pub type_name: &'static str,
        }

        /// A system call. Arguments come in r0 to r3 in the order of the parameters; the status goes back in r0.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Call {\n",
    );
    for call in calls {
        text.push_str(&call_doc(model, call));
        let _ = writeln!(text, "{},", names::bare(&call.name));
    }
    text.push_str("}\n\n");
    text.push_str(&implementation(calls)?);
    Ok(text)
}

fn call_doc(model: &Model, call: &Call) -> String {
    let mut text = doc("///", &format!("`{}`. {}", call.name, model.call_doc(&call.name)));
    if !call.params.is_empty() {
        text.push_str("///\n");
    }
    for parameter in &call.params {
        let meaning = model.parameter_doc(call, &parameter.name);
        text.push_str(&item(&format!("`{}` (`{}`): {meaning}", parameter.name, parameter.ctype)));
    }
    text
}

/// A list item whose later lines are indented under it.
fn item(text: &str) -> String {
    doc("///  ", text).replacen("///   ", "/// - ", 1)
}

fn implementation(calls: &[Call]) -> Result<String, String> {
    let all = each(calls, |call| format!("Self::{}, ", names::bare(&call.name)));
    let from =
        each(calls, |call| format!("{:#05x} => Some(Self::{}),\n", call.slot, names::bare(&call.name)));
    let slots = each(calls, |call| format!("Self::{} => {:#05x},\n", names::bare(&call.name), call.slot));
    let public = each(calls, |call| format!("Self::{} => \"{}\",\n", names::bare(&call.name), call.name));
    let parameters = each(calls, parameters);
    let errors = calls.iter().map(errors).collect::<Result<String, String>>()?;
    let count = calls.len();
    Ok(format!(
        "impl Call {{
            /// Every call, in the order of their slots.
            pub const ALL: [Self; {count}] = [{all}];

            /// The call entered at this offset in the page; `None` for a retired, unassigned or unaligned one.
            pub const fn from_slot(slot: u32) -> Option<Self> {{
                match slot {{ {from} _ => None }}
            }}

            /// The offset of the call's entry in the page, in bytes.
            pub const fn slot(self) -> u32 {{
                match self {{ {slots} }}
            }}

            /// The public header's name.
            pub const fn name(self) -> &'static str {{
                match self {{ {public} }}
            }}

            /// The parameters, in order.
            pub const fn parameters(self) -> &'static [Parameter] {{
                match self {{ {parameters} }}
            }}

            /// The errors the public header lists for the call. It may return others: see `docs/spec/decisions.md`.
            pub const fn documented_errors(self) -> &'static [Status] {{
                match self {{ {errors} }}
            }}
        }}"
    ))
}

fn parameters(call: &Call) -> String {
    let list = each(&call.params, |parameter| {
        format!("Parameter {{ name: {:?}, type_name: {:?} }}, ", parameter.name, parameter.ctype)
    });
    format!("Self::{} => &[{list}],\n", names::bare(&call.name))
}

fn errors(call: &Call) -> Result<String, String> {
    let mut list = String::new();
    for status in &call.documented_errors {
        let _ = write!(list, "Status::{}, ", names::camel(status)?);
    }
    Ok(format!("Self::{} => &[{list}],\n", names::bare(&call.name)))
}
