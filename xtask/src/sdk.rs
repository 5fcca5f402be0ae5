//! `cargo xtask sdk`: builds the images of the `sdk` folder, and checks the header with every installed compiler.
//!
//! The committed images are for users without an Arm compiler. With the compiler that built them the result must be
//! identical byte for byte; with another one they are only built, and a line reports that the comparison was skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, check_flag, workspace};

/// Folders of programs: each subfolder with a Makefile is one, with its image.
const PROGRAMS: &[&str] = &["sdk/samples", "sdk/tests/apps"];
/// Beside each image: the compiler that made it.
const COMPILER_NOTE: &str = "compiler.txt";
const ARM_GCC: &str = "arm-none-eabi-gcc";
const ARM_GXX: &str = "arm-none-eabi-g++";
const ARM_TARGET: &[&str] = &["-mcpu=cortex-m33", "-mthumb", "-mfloat-abi=soft", "-fshort-enums"];
const STRICT: &[&str] = &["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Isdk/include"];

/// Compilations of the header: compiler, target flags, standard, source.
const HEADER_CHECKS: &[(&str, &[&str], &str, &str)] = &[
    ("gcc", &[], "-std=c99", "sdk/tests/header.c"),
    ("gcc", &[], "-std=c11", "sdk/tests/header.c"),
    ("g++", &[], "-std=c++17", "sdk/tests/header.cpp"),
    (ARM_GCC, ARM_TARGET, "-std=c99", "sdk/tests/header.c"),
    (ARM_GCC, ARM_TARGET, "-std=c11", "sdk/tests/header.c"),
    (ARM_GXX, ARM_TARGET, "-std=c++17", "sdk/tests/header.cpp"),
];

/// Builds the programs' images into their folders; with `--check` checks header, shared code and images instead.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    if check_flag(arguments)? {
        check_header()?;
        run_shared_tests()?;
        return each_program(check);
    }
    each_program(renew)
}

fn check_header() -> Outcome {
    for (compiler, target, standard, source) in HEADER_CHECKS {
        if version(compiler).is_none() {
            println!("sdk: skipped {source} {standard}: {compiler} is not installed");
            continue;
        }
        let mut command = Command::new(compiler);
        command.args(*target).arg(standard).args(STRICT).args(["-fsyntax-only", source]);
        finish(&mut command)?;
        println!("sdk: {compiler} {standard} accepts the header");
    }
    Ok(())
}

/// Code that the samples share and that needs no device is tested on this machine.
fn run_shared_tests() -> Outcome {
    if version("gcc").is_none() {
        println!("sdk: skipped the tests of shared code: gcc is not installed");
        return Ok(());
    }
    let folder = build_folder("tests");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let program = folder.join("text_test");
    let sources = ["sdk/tests/text_test.c", "sdk/samples/common/text.c"];
    let mut compile = Command::new("gcc");
    compile.arg("-std=c11").args(STRICT).arg("-Isdk/samples/common").args(sources).arg("-o").arg(&program);
    finish(&mut compile)?;
    finish(&mut Command::new(&program))
}

fn each_program(work: fn(&Program, &str) -> Outcome) -> Outcome {
    let Some(compiler) = version(ARM_GCC) else {
        println!("sdk: skipped the images: {ARM_GCC} is not installed");
        return Ok(());
    };
    for program in programs()? {
        work(&program, &compiler)?;
    }
    Ok(())
}

/// Builds a program and puts image and compiler note where they are committed.
fn renew(program: &Program, compiler: &str) -> Outcome {
    let built = build(program)?;
    for name in program.images() {
        let to = program.committed(&name);
        std::fs::copy(built.join(&name), &to).map_err(|error| format!("{}: {error}", to.display()))?;
    }
    let note = program.committed(COMPILER_NOTE);
    std::fs::write(&note, format!("{compiler}\n")).map_err(|error| format!("{}: {error}", note.display()))?;
    println!("sdk: {} built by {compiler}", program.name);
    Ok(())
}

/// Builds a program, and compares if the compiler is the one that built what is committed.
fn check(program: &Program, compiler: &str) -> Outcome {
    let built = build(program)?;
    let (folder, name) = (&program.folder, &program.name);
    let note = workspace::read(&format!("{folder}/{COMPILER_NOTE}"))?;
    if note.trim_end() != compiler {
        println!(
            "sdk: {name} builds; comparison skipped: committed images are by `{}`, installed is `{compiler}`",
            note.trim_end()
        );
        return Ok(());
    }
    for image in program.images() {
        if contents(&built.join(&image))? != contents(&program.committed(&image))? {
            return Err(format!("{folder}/{image} is stale, run `cargo xtask sdk`"));
        }
    }
    println!("sdk: {name} matches its sources");
    Ok(())
}

/// Builds in an empty folder, so that nothing from an earlier build affects the result.
fn build(program: &Program) -> Result<PathBuf, String> {
    let folder = build_folder(&program.name);
    let _ = std::fs::remove_dir_all(&folder);
    let mut command = Command::new("make");
    command.arg("--silent").arg("--directory").arg(&program.folder);
    command.arg(format!("OUT={}", folder.display()));
    finish(&mut command)?;
    Ok(folder)
}

/// A sample or a test application.
struct Program {
    name: String,
    /// From the workspace's root.
    folder: String,
}

impl Program {
    /// The ELF file is always committed, the raw binary only for some programs.
    fn images(&self) -> Vec<String> {
        let [elf, bin] = ["elf", "bin"].map(|kind| format!("{}.{kind}", self.name));
        if self.committed(&bin).is_file() { vec![elf, bin] } else { vec![elf] }
    }

    fn committed(&self, name: &str) -> PathBuf {
        workspace::root().join(&self.folder).join(name)
    }
}

fn build_folder(name: &str) -> PathBuf {
    workspace::root().join("target/sdk").join(name)
}

/// Every program, folder by folder, by name.
fn programs() -> Result<Vec<Program>, String> {
    let mut found = Vec::new();
    for folder in PROGRAMS {
        let names = names_with_makefile(folder)?;
        found.extend(names.into_iter().map(|name| Program { folder: format!("{folder}/{name}"), name }));
    }
    Ok(found)
}

fn names_with_makefile(folder: &str) -> Result<Vec<String>, String> {
    let path = workspace::root().join(folder);
    let entries = std::fs::read_dir(&path).map_err(|error| format!("{folder}: {error}"))?;
    let with_makefile = entries.flatten().filter(|entry| entry.path().join("Makefile").is_file());
    let mut names: Vec<String> =
        with_makefile.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

/// The first line of a compiler's `--version`; `None` if it is not installed.
fn version(compiler: &str) -> Option<String> {
    let output = Command::new(compiler).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(str::to_owned)
}

fn finish(command: &mut Command) -> Outcome {
    let name = command.get_program().to_string_lossy().into_owned();
    let status =
        command.current_dir(workspace::root()).status().map_err(|error| format!("{name}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name}: {status}")) }
}

fn contents(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}
