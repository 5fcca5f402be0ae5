//! What a project in Rust consists of.

use std::path::Path;

use super::{SDK_FOLDER, sdk_files};
use crate::output::exit::Failure;

/// What an application needs of the SDK: path in its folder, content. Of the workspace's own file see [`workspace`].
pub(super) const SDK: &[(&str, &[u8])] = sdk_files![
    "rust/Cargo.toml",
    "rust/openvisor-app/Cargo.toml",
    "rust/openvisor-app/build.rs",
    "rust/openvisor-app/openvisor.ld",
    "rust/openvisor-app/src/centre.rs",
    "rust/openvisor-app/src/channel.rs",
    "rust/openvisor-app/src/clock.rs",
    "rust/openvisor-app/src/config.rs",
    "rust/openvisor-app/src/device.rs",
    "rust/openvisor-app/src/executor.rs",
    "rust/openvisor-app/src/http.rs",
    "rust/openvisor-app/src/lib.rs",
    "rust/openvisor-app/src/lines.rs",
    "rust/openvisor-app/src/logging.rs",
    "rust/openvisor-app/src/mqtt.rs",
    "rust/openvisor-app/src/network.rs",
    "rust/openvisor-app/src/panic.rs",
    "rust/openvisor-app/src/processor.rs",
    "rust/openvisor-app/src/start.rs",
    "rust/openvisor-app/src/testing.rs",
    "rust/openvisor-sys/Cargo.toml",
    "rust/openvisor-sys/src/generated.rs",
    "rust/openvisor-sys/src/generated/channel.rs",
    "rust/openvisor-sys/src/generated/config.rs",
    "rust/openvisor-sys/src/generated/device.rs",
    "rust/openvisor-sys/src/generated/flash.rs",
    "rust/openvisor-sys/src/generated/http.rs",
    "rust/openvisor-sys/src/generated/interrupts.rs",
    "rust/openvisor-sys/src/generated/logging.rs",
    "rust/openvisor-sys/src/generated/mqtt.rs",
    "rust/openvisor-sys/src/generated/network.rs",
    "rust/openvisor-sys/src/generated/notifications.rs",
    "rust/openvisor-sys/src/generated/power.rs",
    "rust/openvisor-sys/src/generated/status.rs",
    "rust/openvisor-sys/src/generated/strings.rs",
    "rust/openvisor-sys/src/generated/testing.rs",
    "rust/openvisor-sys/src/generated/time.rs",
    "rust/openvisor-sys/src/generated/wifi.rs",
    "rust/openvisor-sys/src/lib.rs",
];

/// Members of the SDK's workspace that a project gets no copy of.
const NOT_COPIED: &str = ", \"samples/*\", \"tests/*\"";

/// The project's files: path in its folder, template.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("templates/rust/Cargo.toml")),
    (".cargo/config.toml", include_str!("templates/rust/config.toml")),
    ("rust-toolchain.toml", include_str!("templates/rust/rust-toolchain.toml")),
    ("src/main.rs", include_str!("templates/rust/main.rs")),
    ("src/lib.rs", include_str!("templates/rust/lib.rs")),
    ("src/led.rs", include_str!("templates/rust/led.rs")),
    ("tests/device.rs", include_str!("templates/rust/device.rs")),
    (".vscode/tasks.json", include_str!("templates/rust/tasks.json")),
    (".vscode/launch.json", include_str!("templates/rust/launch.json")),
    (".github/workflows/build.yml", include_str!("templates/rust/ci.yml")),
    (".gitignore", include_str!("templates/rust/gitignore")),
    ("README.md", include_str!("templates/rust/README.md")),
];

/// The toolchain that this repository is built with.
const TOOLCHAIN: &str = include_str!("../../../../../rust-toolchain.toml");

/// Names that a crate cannot have beside the language and the crates it uses.
const RESERVED: &str = "abstract alloc as async await become box break const continue core crate do dyn else enum extern \
                        false final fn for gen if impl in let log loop macro match mod move mut openvisor-app \
                        openvisor-sys openvisor_app openvisor_sys override priv proc_macro pub ref return self Self \
                        static std struct super test trait true try type typeof unsafe unsized use virtual where while \
                        yield device critical-section critical_section";

/// Refuses a name that cargo or the language would refuse later.
pub(super) fn check_name(name: &str) -> Result<(), Failure> {
    if RESERVED.split_whitespace().any(|reserved| reserved == name) {
        return Err(Failure::bad_input(format!("{name}: a Rust crate cannot have this name"))
            .hint("choose another one, for example: openvisor new my-app --lang rust"));
    }
    Ok(())
}

/// Refuses a path that a TOML file cannot have between quotation marks.
pub(super) fn check_sdk_path(shown: &str, absolute: &Path) -> Result<(), Failure> {
    let is_plain =
        absolute.to_str().is_some_and(|path| !path.contains(|c: char| c.is_control() || "\"\\".contains(c)));
    if is_plain {
        return Ok(());
    }
    Err(Failure::bad_input(format!("--sdk {shown}: Cargo.toml cannot contain a path with one of \" \\"))
        .hint("leave --sdk out: the project gets a copy of the SDK"))
}

/// The project's files: path, content. Without `sdk`, a folder elsewhere, they include a copy of the SDK.
pub(super) fn files(name: &str, sdk: Option<&Path>) -> Vec<(String, Vec<u8>)> {
    let outside = sdk.map(|sdk| sdk.display().to_string());
    let comment = match outside {
        Some(_) => {
            "The SDK is the folder `sdk` of Openvisor's sources; `openvisor new` without --sdk makes a copy of it."
        }
        None => "The copy of the SDK in this folder; replace it by that of a newer `openvisor new`.",
    };
    let ci_sdk = outside.as_deref().map_or(String::new(), |sdk| {
        format!("      # Cargo.toml names the SDK by its path, {sdk}: make it one that exists here, too.\n")
    });
    let sdk_row = if outside.is_none() {
        "| `sdk/rust/` | the SDK: `openvisor-app` and `openvisor-sys` |\n"
    } else {
        ""
    };
    let fill = |template: &str| {
        template
            .replace("{name}", name)
            .replace("{crate}", &name.replace('-', "_"))
            .replace("{channel}", channel())
            .replace("{sdk_comment}", comment)
            .replace("{sdk}", outside.as_deref().unwrap_or(SDK_FOLDER))
            .replace("{ci_sdk}", &ci_sdk)
            .replace("{sdk_row}", sdk_row)
            .into_bytes()
    };
    let mut files: Vec<_> =
        FILES.iter().map(|(path, template)| ((*path).to_owned(), fill(template))).collect();
    if outside.is_none() {
        let copies =
            SDK.iter().map(|(path, content)| (format!("{SDK_FOLDER}/{path}"), copied(path, content)));
        files.extend(copies);
    }
    files
}

fn copied(path: &str, content: &[u8]) -> Vec<u8> {
    if path == "rust/Cargo.toml" { workspace(content) } else { content.to_vec() }
}

/// The SDK's workspace with the members that are copied: cargo refuses one that names members that do not exist.
fn workspace(content: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(content).replace(NOT_COPIED, "").into_bytes()
}

/// The version of Rust.
fn channel() -> &'static str {
    TOOLCHAIN.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap_or("stable").trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copied_workspace_has_only_what_is_copied() {
        let (_, content) = SDK[0];
        let text = String::from_utf8(workspace(content)).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let members: Vec<_> = table["workspace"]["members"].as_array().unwrap().iter().collect();
        assert_eq!(members.len(), 2);
        for member in members {
            let manifest = format!("rust/{}/Cargo.toml", member.as_str().unwrap());
            assert!(SDK.iter().any(|(path, _)| *path == manifest), "{manifest}");
        }
    }

    #[test]
    fn every_source_file_of_the_sdk_is_copied() {
        let sdk = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk"));
        for folder in ["openvisor-app/src", "openvisor-sys/src", "openvisor-sys/src/generated"] {
            let folder = format!("rust/{folder}");
            for entry in std::fs::read_dir(sdk.join(&folder)).unwrap() {
                let path = format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap());
                assert!(sdk.join(&path).is_dir() || SDK.iter().any(|(copied, _)| *copied == path), "{path}");
            }
        }
        assert!(channel().starts_with("1."));
    }
}
