//! Makes text from outside safe to show.
//!
//! Devices, brokers, servers and files contain text that is shown in a terminal or read by a log shipper, and that
//! could control the terminal or forge a line of the log. Every output of the product passes it through [`escape`] or,
//! inside JSON, [`escape_json`]. For logs, [`EscapingWriter`] does so for every line, so that no call site can forget
//! it. Addresses are shown by [`redacted_url`] and [`redacted_host`], without what may be a credential.
//!
//! Terms are defined in `docs/glossary.md`.

mod escape;
mod url;
mod writer;

pub use escape::{escape, escape_json, json_string};
pub use url::{redacted_host, redacted_url};
pub use writer::{EscapingWriter, LineFormat};
