//! Text from outside, made safe to show.
//!
//! Devices, brokers, servers and files choose text that a person reads in a terminal or a log shipper reads from a
//! file. Every output of the product passes it through [`escape`] or, inside JSON, [`escape_json`]; [`Escaping`] does
//! so for everything that is written to a log, so that no call site can forget it. Addresses are shown by
//! [`masked_url`] and [`masked_host`], without what is often a credential.
//!
//! Terms are defined in `docs/glossary.md`.

mod escape;
mod url;
mod writer;

pub use escape::{escape, escape_json, json_string};
pub use url::{masked_host, masked_url};
pub use writer::{Escaping, Form};
