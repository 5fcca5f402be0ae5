//! Names as programmers wrote them, from those of the linker.

use std::fmt::{self, Write};

use rustc_demangle::try_demangle;

/// Most bytes of a name: a mangled one of some hundred bytes may expand to gigabytes.
const MAX_NAME: usize = 512;

/// A name of Rust or C++ as in the source, without hashes; any other as it is.
pub(super) fn demangled(name: &str) -> String {
    let rust = |out: &mut Bounded| Some(write!(out, "{:#}", try_demangle(name).ok()?));
    let cpp = |out: &mut Bounded| {
        let symbol = cpp_demangle::Symbol::new(name).ok()?;
        Some(symbol.structured_demangle(out, &cpp_demangle::DemangleOptions::default()))
    };
    let demangled = bounded(rust).or_else(|| bounded(cpp)).filter(|name| !name.is_empty());
    demangled.or_else(|| bounded(|out| Some(out.write_str(name)))).unwrap_or_default()
}

struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_NAME - self.0.len();
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        let end = (0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        self.0.push_str(&text[..end]);
        // What writes is to stop here.
        Err(fmt::Error)
    }
}

/// What `write` writes, as far as there is room; none if it has nothing to write.
fn bounded(write: impl FnOnce(&mut Bounded) -> Option<fmt::Result>) -> Option<String> {
    let mut out = Bounded(String::new());
    if write(&mut out)?.is_err() && !out.0.is_empty() {
        out.0.push('…');
    }
    Some(out.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D212.
    #[test]
    fn names_of_rust_and_cpp_are_those_of_the_source() {
        for (linked, written) in [
            ("main", "main"),
            ("_ZN3net6Socket4sendEPKcj", "net::Socket::send(char const*, unsigned int)"),
            ("_Z3addIiET_S0_S0_", "int add<int>(int, int)"),
            ("_ZN4core9panicking5panic17h0123456789abcdefE", "core::panicking::panic"),
            ("_RNvCs1234_7mycrate3foo", "mycrate::foo"),
            ("_ZZZ", "_ZZZ"),
            ("", ""),
        ] {
            assert_eq!(demangled(linked), written);
        }
    }

    /// Shows D212.
    #[test]
    fn a_name_that_is_halted_for_a_very_long_one_is_cut() {
        // Each level names the one before twice.
        let mut name = "_Z1f1AIiiE".to_owned();
        for level in 0..40 {
            let _ =
                write!(name, "1BIS{0}_S{0}_E", if level == 0 { String::new() } else { base36(level - 1) });
        }
        assert!(demangled(&name).len() <= MAX_NAME + '…'.len_utf8());
        assert!(demangled(&"x".repeat(1 << 20)).len() <= MAX_NAME + '…'.len_utf8());
    }

    fn base36(number: u32) -> String {
        char::from_digit(number % 36, 36)
            .map(|digit| digit.to_ascii_uppercase().to_string())
            .unwrap_or_default()
    }
}
