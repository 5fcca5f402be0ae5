//! `openvisor new`: a folder with an application that builds and runs.

mod arguments;
mod rust;

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::output::exit::Failure;
use crate::output::print::print_result;
use crate::output::timeline::printable;
use arguments::Language;
pub(super) use arguments::NewArguments;

/// Where a project keeps its copy of the SDK.
const SDK_FOLDER: &str = "sdk";
/// Longest name; it is also a file's name and a log line's part.
const LONGEST_NAME: usize = 64;

macro_rules! sdk_files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/", $path)))),*]
    };
}
use sdk_files;

/// What an application in C or C++ needs of the SDK: path in its folder, content.
const SDK: &[(&str, &[u8])] = sdk_files![
    "CMakeLists.txt",
    "openvisor-config.cmake",
    "toolchain.cmake",
    "include/mv_syscalls.h",
    "lib/app.ld",
    "lib/cplusplus.cpp",
    "lib/memory.c",
    "lib/mv_entries.o",
    "lib/mv_names.c",
    "lib/mv_names.h",
    "lib/newlib.c",
    "lib/startup.c",
    "samples/sample.mk",
];

/// Files of every project in C or C++: path in its folder, template.
const COMMON: &[(&str, &str)] = &[
    (".vscode/tasks.json", include_str!("new/templates/tasks.json")),
    (".vscode/launch.json", include_str!("new/templates/launch.json")),
    (".github/workflows/build.yml", include_str!("new/templates/ci.yml")),
    (".gitignore", include_str!("new/templates/gitignore")),
    ("README.md", include_str!("new/templates/README.md")),
];

/// How a project is built.
const BUILD: &[(&str, &str)] = &[
    ("Makefile", include_str!("new/templates/Makefile")),
    ("CMakeLists.txt", include_str!("new/templates/CMakeLists.txt")),
];

/// The same with FreeRTOS, and its settings.
const BUILD_FREERTOS: &[(&str, &str)] = &[
    ("Makefile", include_str!("new/templates/freertos/Makefile")),
    ("CMakeLists.txt", include_str!("new/templates/freertos/CMakeLists.txt")),
    ("FreeRTOSConfig.h", include_str!("new/templates/freertos/FreeRTOSConfig.h")),
];

/// Checks everything before it creates anything.
pub(super) fn run(arguments: &NewArguments) -> Result<(), Failure> {
    let folder = &arguments.folder;
    check_freertos(arguments)?;
    let name = name(folder)?;
    if arguments.lang == Language::Rust {
        rust::check_name(&name)?;
    }
    check_free(folder)?;
    let sdk = arguments.sdk.as_deref().map(|sdk| checked_sdk(sdk, arguments.lang)).transpose()?;
    let files = match arguments.lang {
        Language::Rust => rust::files(&name, sdk.as_deref()),
        Language::C | Language::Cpp => files(&name, arguments, sdk.as_deref()),
    };
    for (path, content) in &files {
        write(&folder.join(path), content)?;
    }
    let text = || {
        let shown = printable(&folder.display().to_string());
        format!(
            "created {shown} ({} files)\n\nnext:\n  cd {shown}\n  {}",
            files.len(),
            next(&name, arguments)
        )
    };
    let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    print_result(arguments.json, text, || {
        json!({
            "folder": folder.display().to_string(),
            "name": name,
            "language": arguments.lang.name(),
            "freertos": arguments.freertos,
            "sdk": sdk.as_ref().map_or(SDK_FOLDER.to_owned(), |sdk| sdk.display().to_string()),
            "files": paths,
        })
    });
    Ok(())
}

/// The commands that build and run the project.
fn next(name: &str, arguments: &NewArguments) -> String {
    if arguments.lang == Language::Rust {
        return "cargo run\n  cargo test".to_owned();
    }
    let kernel = "git init && git submodule add https://github.com/FreeRTOS/FreeRTOS-Kernel\n  ";
    format!("{}make\n  openvisor run build/{name}.elf", if arguments.freertos { kernel } else { "" })
}

fn check_freertos(arguments: &NewArguments) -> Result<(), Failure> {
    if !arguments.freertos {
        return Ok(());
    }
    match arguments.lang {
        Language::C => Ok(()),
        Language::Cpp => {
            Err(Failure::bad_input("--freertos: there is a template in C only").hint("add --lang c"))
        }
        Language::Rust => Err(Failure::bad_input("--freertos: FreeRTOS is a kernel for C").hint(
            "add --lang c; tasks in Rust are async functions, as sdk/rust/samples/tasks shows with embassy-executor",
        )),
    }
}

/// The application's name, which make, CMake and C strings take as it is.
fn name(folder: &Path) -> Result<String, Failure> {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let usable = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter))
        && name.len() <= LONGEST_NAME;
    if usable {
        return Ok(name);
    }
    let shown = printable(&folder.display().to_string());
    Err(Failure::bad_input(format!("{shown}: the folder's name cannot be an application's name")).hint(format!(
        "use a letter, then letters, digits, `-` and `_`, at most {LONGEST_NAME} in all, for example: openvisor new my-app"
    )))
}

/// An empty folder is as good as none; anything in it might be overwritten.
fn check_free(folder: &Path) -> Result<(), Failure> {
    let shown = printable(&folder.display().to_string());
    match std::fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::bad_input(format!("{shown} exists and is not empty"))
            .hint("choose another name; nothing is overwritten")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::bad_input(format!("{shown}: {error}"))),
    }
}

/// The SDK's folder as an absolute path, if it is one that the project can build with.
fn checked_sdk(folder: &Path, language: Language) -> Result<PathBuf, Failure> {
    let shown = printable(&folder.display().to_string());
    let absolute =
        folder.canonicalize().map_err(|error| Failure::bad_input(format!("--sdk {shown}: {error}")))?;
    let needed = if language == Language::Rust { rust::SDK } else { SDK };
    if let Some((missing, _)) = needed.iter().find(|(path, _)| !absolute.join(path).is_file()) {
        return Err(Failure::bad_input(format!("--sdk {shown}: no SDK, it has no {missing}"))
            .hint("it is the folder `sdk` of Openvisor's sources; without --sdk the project gets a copy"));
    }
    if language == Language::Rust {
        return rust::check_sdk_path(&shown, &absolute).map(|()| absolute);
    }
    // make splits words at spaces, and both make and CMake expand `$`.
    let text = absolute.display().to_string();
    if text.contains(|letter: char| letter.is_whitespace() || "$#\"\\;:".contains(letter)) {
        return Err(Failure::bad_input(format!(
            "--sdk {shown}: make cannot use a path with spaces or one of $ # \" \\ ; :"
        ))
        .hint("leave --sdk out: the project gets a copy of the SDK"));
    }
    Ok(absolute)
}

/// The files of a project in C or C++: path, content.
fn files(name: &str, arguments: &NewArguments, sdk: Option<&Path>) -> Vec<(String, Vec<u8>)> {
    let (extension, languages, main) = match arguments.lang {
        Language::C if arguments.freertos => ("c", "C", include_str!("new/templates/freertos/main.c")),
        Language::C => ("c", "C", include_str!("new/templates/main.c")),
        Language::Cpp | Language::Rust => ("cpp", "C CXX", include_str!("new/templates/main.cpp")),
    };
    let build = if arguments.freertos { BUILD_FREERTOS } else { BUILD };
    let outside = sdk.map(|sdk| sdk.display().to_string());
    let copied = outside.is_none();
    let fill = |template: &str| {
        template
            .replace("{name}", name)
            .replace("{extension}", extension)
            .replace("{languages}", languages)
            .replace("{sdk}", outside.as_deref().unwrap_or(SDK_FOLDER))
            .replace("{cmake_sdk}", outside.as_deref().unwrap_or("${CMAKE_CURRENT_SOURCE_DIR}/sdk"))
            .replace(
                "{ci_sdk}",
                if copied { "" } else { " SDK=sdk # with a copy of the SDK, or a submodule" },
            )
            .replace(
                "{sdk_row}",
                if copied { "| `sdk/` | the SDK: header, start-up code, linker script |\n" } else { "" },
            )
            .into_bytes()
    };
    let mut files = vec![(format!("main.{extension}"), fill(main))];
    files.extend(build.iter().chain(COMMON).map(|(path, template)| ((*path).to_owned(), fill(template))));
    if copied {
        files.extend(SDK.iter().map(|(path, content)| (format!("{SDK_FOLDER}/{path}"), content.to_vec())));
    }
    files
}

/// Writes a file that does not exist yet.
fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let created = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path)?;
        std::io::Write::write_all(&mut file, content)
    });
    created.map_err(|error| {
        Failure::environment(format!("cannot write {}: {error}", printable(&path.display().to_string())))
    })
}
