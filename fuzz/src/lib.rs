//! Hostile bytes for everything that reads bytes.
//!
//! A *target* is a function that does what its bytes say and panics when a check fails. The same targets run
//!
//! * as ordinary tests: the committed corpus, and a bounded number of mutations of it from a fixed seed ([`mutation`]);
//! * without a bound, by `cargo xtask fuzz [TARGET] [--seconds N]`: with libFuzzer, which is guided by what the code
//!   does with its bytes, where a nightly toolchain is installed (`fuzz/libfuzzer`), otherwise with the same
//!   mutations.
//!
//! Terms are defined in `docs/glossary.md`.

mod board;
mod bundle;
mod certificate;
mod gdb;
mod http_response;
mod image;
mod kernel_calls;
mod link_cloud;
mod link_device;
mod link_ends;
mod mqtt_session;
pub mod mutation;
mod peripherals;
mod proxy_header;
mod recording;
mod relay_device;
mod source;
mod symbols;

/// One target.
pub struct Target {
    /// Its name, also of its corpus' folder.
    pub name: &'static str,
    /// Runs it on an input.
    pub run: fn(&[u8]),
    /// Mutations that an ordinary test tries.
    pub tries: u32,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "kernel_calls", run: kernel_calls::run, tries: 15_000 },
    Target { name: "link_device", run: link_device::run, tries: 60_000 },
    Target { name: "link_cloud", run: link_cloud::run, tries: 60_000 },
    Target { name: "relay_device", run: relay_device::run, tries: 15_000 },
    Target { name: "mqtt_session", run: mqtt_session::run, tries: 60_000 },
    Target { name: "bundle", run: bundle::run, tries: 30_000 },
    Target { name: "image", run: image::run, tries: 30_000 },
    Target { name: "recording", run: recording::run, tries: 6_000 },
    Target { name: "gdb", run: gdb::run, tries: 1_000 },
    Target { name: "symbols", run: symbols::run, tries: 20_000 },
    Target { name: "certificate", run: certificate::run, tries: 60_000 },
    Target { name: "http_response", run: http_response::run, tries: 8_000 },
    Target { name: "proxy_header", run: proxy_header::run, tries: 20_000 },
    Target { name: "peripherals", run: peripherals::run, tries: 10_000 },
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Runs a target on an input, for libFuzzer.
///
/// # Panics
/// When a check fails.
pub fn run(name: &str, bytes: &[u8]) {
    (target(name).expect("a target").run)(bytes);
}
