//! Core crates are not able to do I/O, read a clock or draw random numbers: without `std` the compiler enforces it.

use super::Violation;
use crate::workspace::read;

/// The crates without I/O.
pub(crate) const CORE: &[&str] = &["abi", "kernel", "link", "mqtt", "relay", "sansio"];

pub(super) fn check() -> Vec<Violation> {
    let missing = CORE.iter().filter_map(|name| {
        let path = format!("crates/{name}/src/lib.rs");
        let text = read(&path).unwrap_or_default();
        let line = missing_attribute(&text)?;
        Some(Violation::new(&path, None, format!("a core crate must have the line {line}")))
    });
    missing.collect()
}

fn missing_attribute(text: &str) -> Option<&'static str> {
    ["#![no_std]", "#![forbid(unsafe_code)]"].into_iter().find(|line| !text.contains(line))
}

#[cfg(test)]
mod tests {
    use super::missing_attribute;

    #[test]
    fn a_core_crate_is_no_std_and_forbids_unsafe_code() {
        assert_eq!(missing_attribute("#![no_std]\n#![forbid(unsafe_code)]\n"), None);
        assert_eq!(missing_attribute("#![no_std]\n"), Some("#![forbid(unsafe_code)]"));
        assert_eq!(missing_attribute(""), Some("#![no_std]"));
    }
}
