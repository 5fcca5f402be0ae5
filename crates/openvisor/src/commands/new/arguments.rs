//! The arguments of `openvisor new`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Args)]
#[command(after_help = "\
The folder gets a program that runs as it is, tasks and a launch file for Visual Studio Code (with \
Cortex-Debug), a CI workflow, and a copy of the SDK, so that it builds anywhere. A program in C or C++ is built \
with arm-none-eabi-gcc by a Makefile or a CMakeLists.txt; one in Rust by cargo, whose configuration makes \
`cargo run` and `cargo test` use the virtual device. With --sdk the project refers to an SDK elsewhere instead. \
Nothing that exists is overwritten.

Examples:
  openvisor new blinker
  cd blinker && make && openvisor run build/blinker.elf

  openvisor new greenhouse --lang rust
  cd greenhouse && cargo run

  openvisor new tasks --freertos
  cd tasks && git init && git submodule add https://github.com/FreeRTOS/FreeRTOS-Kernel && make run

  openvisor new ./work/sensor --lang cpp --sdk /opt/openvisor/sdk
  cd work/sensor && cmake -B build && cmake --build build")]
pub(crate) struct NewArguments {
    /// The folder to create; its name is the application's name
    pub(crate) folder: PathBuf,
    /// The language
    #[arg(long, value_enum, default_value_t = Language::C)]
    pub(crate) lang: Language,
    /// Two tasks with FreeRTOS, whose kernel the project expects in its folder FreeRTOS-Kernel; needs newlib, and C
    #[arg(long)]
    pub(crate) freertos: bool,
    /// Build with the SDK in this folder instead of a copy of it
    #[arg(long, value_name = "DIR")]
    pub(crate) sdk: Option<PathBuf>,
    /// Write one JSON object instead of text: the folder and its files
    #[arg(long)]
    pub(crate) json: bool,
}

/// Languages with a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// C11
    C,
    /// C++17, without exceptions, run-time types and heap
    Cpp,
    /// Rust, without the standard library
    Rust,
}

impl Language {
    /// Its name as a value of `--lang`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::C => "c",
            Self::Cpp => "cpp",
            Self::Rust => "rust",
        }
    }
}
