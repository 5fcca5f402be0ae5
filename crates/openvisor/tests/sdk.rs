//! The SDK away from its folder: `openvisor new`, samples copied out of the tree, and CMake, also in the place of the
//! vendor's SDK. What is built runs on the virtual device.

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use support::fixtures::text;
use support::{Processes, within};

const LIMIT: Duration = Duration::from_mins(4);
const SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk");

/// A program's standard output, after it has ended well.
fn done(processes: &Processes, program: &str, words: &[&str]) -> String {
    let process = processes.tool(program, words);
    let code = process.code();
    assert_eq!(code, 0, "{program} {words:?}\n{}{}", process.out.text(), process.err.text());
    process.out.text()
}

/// Code, standard output and standard error of `openvisor new`.
fn new(processes: &Processes, words: &[&str]) -> (i32, String, String) {
    let process = processes.openvisor(["new"].iter().chain(words));
    (process.code(), process.out.text(), process.err.text())
}

/// Starts an image and waits for each of these lines of its log.
fn logs(processes: &Processes, image: &Path, lines: &[&str]) {
    let run = processes.openvisor(["run", text(image), "--seconds", "60"]);
    for line in lines {
        run.out.expect(line);
    }
    run.kill();
}

fn folder_in(parent: &tempfile::TempDir, name: &str) -> PathBuf {
    parent.path().join(name)
}

#[test]
fn a_new_c_project_is_built_by_make_and_runs() {
    within(LIMIT, |processes| {
        let parent = tempfile::tempdir().unwrap();
        let folder = folder_in(&parent, "first-app");
        let (code, out, err) = new(processes, &[text(&folder)]);
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.contains("openvisor run build/first-app.elf"), "{out}");
        done(processes, "make", &["--silent", "-C", text(&folder)]);
        logs(
            processes,
            &folder.join("build/first-app.elf"),
            &["first-app starts", "connected", "hello from first-app"],
        );
    });
}

#[test]
fn a_new_cpp_project_with_an_sdk_elsewhere_is_built_by_make_and_runs() {
    within(LIMIT, |processes| {
        let parent = tempfile::tempdir().unwrap();
        let folder = folder_in(&parent, "second");
        let (code, out, err) = new(processes, &[text(&folder), "--lang", "cpp", "--sdk", SDK, "--json"]);
        assert_eq!((code, err.as_str()), (0, ""));
        let value: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&value["name"], &value["language"]), (&"second".into(), &"cpp".into()));
        for file in value["files"].as_array().unwrap() {
            assert!(folder.join(file.as_str().unwrap()).is_file(), "{file}");
        }
        assert!(!folder.join("sdk").exists());
        done(processes, "make", &["--silent", "-C", text(&folder)]);
        logs(
            processes,
            &folder.join("build/second.elf"),
            &["second starts", "connected", "hello from second"],
        );
    });
}

#[test]
fn new_projects_are_built_by_cmake_and_run() {
    within(LIMIT, |processes| {
        let parent = tempfile::tempdir().unwrap();
        for language in ["c", "cpp"] {
            let folder = folder_in(&parent, &format!("by-cmake-{language}"));
            assert_eq!(new(processes, &[text(&folder), "--lang", language]).0, 0);
            let build = folder.join("build");
            done(processes, "cmake", &["-S", text(&folder), "-B", text(&build)]);
            done(processes, "cmake", &["--build", text(&build)]);
            assert!(build.join(format!("by-cmake-{language}.bin")).is_file());
            logs(
                processes,
                &build.join(format!("by-cmake-{language}.elf")),
                &["starts", "connected", "hello from by-cmake"],
            );
        }
    });
}

/// The kernel is not part of this repository: OPENVISOR_FREERTOS names its folder, and without it only what the
/// project says about its absence is tested.
#[test]
fn a_new_project_with_freertos_asks_for_the_kernel_and_runs_with_it() {
    within(LIMIT, |processes| {
        let parent = tempfile::tempdir().unwrap();
        let folder = folder_in(&parent, "tasks");
        assert_eq!(new(processes, &[text(&folder), "--freertos"]).0, 0);
        let make = processes.tool("make", ["-C", text(&folder)]);
        assert_eq!(make.code(), 2);
        make.err.expect("no FreeRTOS kernel in FreeRTOS-Kernel: git submodule add");
        let (code, _, err) =
            new(processes, &[text(&folder_in(&parent, "other")), "--freertos", "--lang", "cpp"]);
        assert!(code == 2 && err.contains("in C only"), "{err}");
        let Ok(kernel) = std::env::var("OPENVISOR_FREERTOS") else { return };
        done(processes, "make", &["--silent", "-C", text(&folder), &format!("FREERTOS={kernel}")]);
        let build = folder.join("by-cmake");
        let given = format!("-DFREERTOS={kernel}");
        done(processes, "cmake", &["-S", text(&folder), "-B", text(&build), &given]);
        done(processes, "cmake", &["--build", text(&build)]);
        for image in [folder.join("build/tasks.elf"), build.join("tasks.elf")] {
            logs(processes, &image, &["tasks starts", "connected", "hello from tasks"]);
        }
    });
}

#[test]
fn new_overwrites_nothing_and_says_what_it_needs() {
    within(LIMIT, |processes| {
        let parent = tempfile::tempdir().unwrap();
        let folder = folder_in(&parent, "taken");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("main.c"), "mine").unwrap();
        let (code, out, err) = new(processes, &[text(&folder)]);
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(err.contains("exists and is not empty") && err.contains("nothing is overwritten"), "{err}");
        assert_eq!(std::fs::read_to_string(folder.join("main.c")).unwrap(), "mine");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        let (code, _, err) = new(processes, &[text(&folder_in(&parent, "two words"))]);
        assert!(code == 2 && err.contains("cannot be an application's name"), "{err}");
        let (code, _, err) = new(processes, &[text(&folder_in(&parent, "app")), "--sdk", text(&folder)]);
        assert!(code == 2 && err.contains("it has no CMakeLists.txt"), "{err}");
        assert!(!parent.path().join("app").exists());
    });
}

#[test]
fn samples_copied_out_of_the_tree_are_built_as_they_are() {
    within(LIMIT, |processes| {
        let parent = tempfile::tempdir().unwrap();
        for name in ["mqtt", "logging"] {
            let folder = folder_in(&parent, name);
            done(processes, "cp", &["-r", &format!("{SDK}/samples/{name}"), text(&folder)]);
            done(processes, "make", &["--silent", "-C", text(&folder), &format!("SDK={SDK}")]);
            let built = std::fs::read(folder.join(format!("build/{name}.bin"))).unwrap();
            assert!(built.len() > 4096);
        }
    });
}

/// Shows D293.
#[test]
fn the_sdk_takes_the_place_of_the_vendors_in_a_cmake_project() {
    within(LIMIT, |processes| {
        let parent = tempfile::tempdir().unwrap();
        let build = folder_in(&parent, "build");
        let sdk = Path::new(SDK).canonicalize().unwrap();
        let vendor_sdk = format!("-DVENDOR_SDK={}", text(&sdk));
        done(processes, "cmake", &["-S", &format!("{SDK}/tests/vendor"), "-B", text(&build), &vendor_sdk]);
        done(processes, "cmake", &["--build", text(&build)]);
        let image = build.join("app/vendor_like");
        logs(processes, &image, &["vendor: constructed"]);
    });
}

#[test]
fn a_program_with_newlib_has_a_heap_that_ends_and_prints_to_the_log() {
    within(LIMIT, |processes| {
        let parent = tempfile::tempdir().unwrap();
        let image = folder_in(&parent, "newlib.elf");
        let (include, lib) = (format!("-I{SDK}/include"), format!("{SDK}/lib"));
        let file = |name: &str| format!("{lib}/{name}");
        let words = "-mcpu=cortex-m33 -mthumb -mfloat-abi=soft -fshort-enums -std=c11 -Os -Wall -Wextra -Werror \
                     --specs=nano.specs -nostartfiles -Wl,--gc-sections -Wl,--fatal-warnings -T";
        let [script, start, newlib, entries] = ["app.ld", "startup.c", "newlib.c", "mv_entries.o"].map(file);
        let main = format!("{SDK}/tests/newlib/main.c");
        let files = [&script, &include, &main, &start, &newlib, &entries].map(String::as_str);
        let words: Vec<&str> = words.split_whitespace().chain(files).chain(["-o", text(&image)]).collect();
        done(processes, "arm-none-eabi-gcc", &words);
        logs(processes, &image, &["malloc of 512: refused, given, refused", "again: given", "and an error"]);
    });
}
