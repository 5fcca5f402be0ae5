//! Types that contain keys or passwords do not derive `Debug`: one `debug!(?value)` would write the key to a log.

use serde::Deserialize;

use super::Violation;
use super::source::Source;

/// The table `[secrets]`.
#[derive(Deserialize)]
pub(super) struct Secrets {
    /// Names of types, wherever they are defined.
    types: Vec<String>,
}

pub(super) fn check(secrets: &Secrets, sources: &[Source]) -> Vec<Violation> {
    let rust = sources.iter().filter(|source| source.has_extension("rs"));
    let found = rust.flat_map(|source| {
        let derived = deriving_debug(&source.text).into_iter();
        let secret = derived.filter(|(_, name)| secrets.types.iter().any(|secret| secret == name));
        secret.map(|(line, name)| {
            let message = format!("`{name}` contains a secret: write `impl Debug` by hand, without it");
            Violation::new(&source.path, Some(line), message)
        })
    });
    found.collect()
}

/// Types with `Debug` among their derives, and the lines they are defined in.
fn deriving_debug(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut derives_debug = false;
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if line.starts_with("#[derive(") {
            derives_debug |=
                line.split(|character: char| !character.is_alphanumeric()).any(|word| word == "Debug");
        } else if let Some(name) = type_name(line)
            && core::mem::take(&mut derives_debug)
        {
            found.push((index + 1, name));
        }
    }
    found
}

/// The name in `pub(crate) struct Name<'a> {`.
fn type_name(line: &str) -> Option<&str> {
    let rest =
        line.strip_prefix("pub").map_or(line, |rest| rest.split_once(' ').map_or("", |(_, rest)| rest));
    let rest = rest.strip_prefix("struct ").or_else(|| rest.strip_prefix("enum "))?;
    rest.split(|character: char| !character.is_alphanumeric() && character != '_').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derive_counts_for_the_type_below_it() {
        let text = "#[derive(Clone, Debug)]\n/// A key.\npub(crate) struct Key<'a> {\n}\n\n#[derive(Clone)]\nenum Other {}\n\
            #[derive(PartialEq)]\n#[derive(Debug)]\npub struct Third(u8);\n";
        assert_eq!(deriving_debug(text), [(3, "Key"), (10, "Third")]);
    }

    #[test]
    fn only_the_listed_types_are_violations() {
        let secrets = Secrets { types: vec!["Key".into()] };
        let text = "#[derive(Debug)]\nstruct Key;\n#[derive(Debug)]\nstruct KeyLength;\n".to_owned();
        let found = check(&secrets, &[Source::new("k.rs", text)]);
        assert_eq!(found.len(), 1);
        assert!(found[0].shown().starts_with("k.rs:2: `Key` contains a secret"), "{}", found[0].shown());
    }
}
