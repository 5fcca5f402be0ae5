//! Applications in Rust: `cargo run` and `cargo test` with the program as their runner, and `openvisor new --lang
//! rust`.

mod support;

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use support::fixtures::text;
use support::{Process, Processes, within};

/// Long enough for cold builds on two slow cores.
const LIMIT: Duration = Duration::from_mins(10);
const SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk");

/// Cargo in a folder, with the program on its path.
fn cargo(folder: &Path, words: &[&str]) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_openvisor"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = [program.parent().unwrap().to_owned()].into_iter().chain(std::env::split_paths(&path));
    let mut command = Command::new(env!("CARGO"));
    command.args(words).current_dir(folder).env("PATH", std::env::join_paths(folders).unwrap());
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR"] {
        command.env_remove(variable);
    }
    command.output().expect("cargo starts")
}

/// Standard output of cargo, after it has ended well.
fn done(folder: &Path, words: &[&str]) -> String {
    let output = cargo(folder, words);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{words:?}\n{out}\n{err}");
    out.into_owned()
}

/// Each line is among those of the text.
fn contains_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "{line}\n{text}");
    }
}

/// Shows D351.
#[test]
fn a_new_rust_project_is_tested_and_runs_by_cargo_alone() {
    within(LIMIT, |processes| {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("green-house");
        let new = processes.openvisor(["new", text(&folder), "--lang", "rust", "--json"]);
        assert_eq!((new.code(), new.err.text()), (0, String::new()));
        let value: Value = serde_json::from_str(&new.out.text()).unwrap();
        assert_eq!((&value["name"], &value["language"]), (&"green-house".into(), &"rust".into()));
        let run =
            ["run", "--offline", "--quiet", "--", "--until", "hello from green-house", "--timeout", "60"];
        contains_lines(&done(&folder, &run), &["green-house starts", "connected", "hello from green-house"]);
        let tested = done(&folder, &["test", "--offline", "--quiet"]);
        let results = [
            "test the_clock_is_right ... ignored, takes a second",
            "test the_led_is_off_at_first_and_can_be_turned_on ... ok",
            "test the_network_connects ... ok",
        ];
        contains_lines(&tested, &results);
    });
}

#[test]
fn a_new_rust_project_may_use_an_sdk_elsewhere() {
    within(LIMIT, |processes| {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("elsewhere");
        let new = processes.openvisor(["new", text(&folder), "--lang", "rust", "--sdk", SDK]);
        assert_eq!(new.code(), 0, "{}", new.err.text());
        assert!(!folder.join("sdk").exists());
        done(&folder, &["check", "--offline", "--quiet", "--all-targets"]);
        done(&folder, &["fmt", "--check"]);
    });
}

#[test]
fn a_rust_project_that_cannot_be_is_refused() {
    within(LIMIT, |processes| {
        let parent = tempfile::tempdir().unwrap();
        let refused = |name: &str, words: &[&str], why: &str| {
            let folder = parent.path().join(name);
            let words = ["new", text(&folder), "--lang", "rust"].into_iter().chain(words.iter().copied());
            let new = processes.openvisor(words);
            assert_eq!(new.code(), 2);
            assert!(new.err.text().contains(why), "{}", new.err.text());
            assert!(!folder.exists());
        };
        refused("tasks", &["--freertos"], "FreeRTOS is a kernel for C");
        refused("core", &[], "a Rust crate cannot have this name");
        refused("app", &["--sdk", text(parent.path())], "it has no rust/Cargo.toml");
    });
}

/// Shows D350.
#[test]
fn cargo_test_runs_the_tests_of_the_sdk_on_the_virtual_device() {
    within(LIMIT, |_| {
        let folder = Path::new(SDK).join("rust");
        let tested = done(&folder, &["test", "--locked", "--quiet"]);
        let results = [
            "test the_device_has_an_identifier ... ok",
            "test an_index_out_of_bounds_panics - should panic ... ok",
            "test settings::tests::half_a_byte_is_refused_and_so_is_another_digit ... ok",
            "test publisher::tests::the_temperature_stays_in_its_range_and_moves_by_steps ... ok",
            "test a_task_is_woken_by_the_clock ... ok",
            "test a_channel_owns_its_buffers_until_it_is_dropped ... ok",
            "test a_key_that_is_not_set_is_not_found ... ok",
        ];
        contains_lines(&tested, &results);
    });
}

/// The image of tests that end in every way.
fn verdicts() -> String {
    let folder = Path::new(SDK).join("rust");
    done(&folder, &["build", "--release", "--locked", "--quiet", "--package", "verdicts"]);
    text(&folder.join("target/thumbv8m.main-none-eabi/release/verdicts")).to_owned()
}

fn run(processes: &Processes, image: &str, words: &[&str]) -> Process {
    processes.openvisor(["run", image].into_iter().chain(words.iter().copied()))
}

/// Shows D350.
#[test]
fn each_test_of_an_image_has_its_own_start_and_result() {
    within(LIMIT, |processes| {
        let image = verdicts();
        let folder = tempfile::tempdir().unwrap();
        let report = folder.path().join("tests.xml");
        let tested = run(processes, &image, &["--device-seconds", "2", "--junit", text(&report)]);
        assert_eq!(tested.code(), 1);
        let out = tested.out.text();
        let lines = [
            "running 12 tests",
            "test crashes ... FAILED",
            "test does_not_panic - should panic ... FAILED",
            "test gives_an_error ... FAILED",
            "test is_ignored ... ignored, only on demand",
            "test logs_much ... ok",
            "test more::passes_in_a_module ... ok",
            "test panics ... FAILED",
            "test panics_as_it_is_to - should panic ... ok",
            "test panics_with_another_text - should panic ... FAILED",
            "test passes ... ok",
            "test starts_again ... FAILED",
            "test waits_for_ever ... FAILED",
            "the test did not panic",
            "the panic's message should have contained: another text",
            "still running after 2 s of the device's clock (--device-seconds)",
            "---- panics stdout ----",
            "before the panic",
        ];
        contains_lines(&out, &lines);
        for part in [
            "Error: unavailable (0x",
            "assertion `left == right` failed: the sum",
            " panics at ",
            "called mvRestart",
        ] {
            assert!(out.contains(part), "{part}\n{out}");
        }
        assert!(
            out.contains("test result: FAILED. 4 passed; 7 failed; 1 ignored; 0 measured; 0 filtered out")
        );
        assert!(!out.contains("a line of a test that passes"), "{out}");
        tested.err.expect("7 of 12 tests failed");
        let report = std::fs::read_to_string(report).unwrap();
        let report = roxmltree::Document::parse(&report).unwrap();
        let suite = report.descendants().find(|node| node.has_tag_name("testsuite")).unwrap();
        let counts = ["tests", "failures", "errors", "skipped"].map(|name| suite.attribute(name).unwrap());
        assert_eq!(counts, ["12", "7", "0", "1"]);
    });
}

/// Shows D350.
#[test]
fn tests_of_an_image_are_listed_and_selected_as_rusts_own() {
    within(LIMIT, |processes| {
        let image = verdicts();
        let listed = |words: &[&str]| {
            let list = run(processes, &image, &[&["--list"], words].concat());
            assert_eq!(list.code(), 0, "{}", list.err.text());
            list.out.text()
        };
        let all = listed(&[]);
        assert!(all.starts_with("crashes: test\n") && all.ends_with("\n\n12 tests, 0 benchmarks\n"), "{all}");
        assert_eq!(listed(&["--ignored", "--format", "terse"]), "is_ignored: test\n");
        assert_eq!(
            listed(&["passes", "--format", "terse"]),
            "more::passes_in_a_module: test\npasses: test\n"
        );
        assert_eq!(listed(&["passes", "--exact", "-q"]), "passes: test\n");
        assert_eq!(listed(&["passes", "--skip", "module", "-q"]), "passes: test\n");
        let one = run(processes, &image, &["passes", "--exact", "--nocapture", "--test-threads", "1"]);
        assert_eq!(one.code(), 0, "{}", one.err.text());
        contains_lines(
            &one.out.text(),
            &["running 1 test", "a line of a test that passes", "test passes ... ok"],
        );
        assert!(one.out.text().contains("ok. 1 passed; 0 failed; 0 ignored; 0 measured; 11 filtered out"));
        let json = run(processes, &image, &["passes", "panics", "--exact", "--json"]);
        assert_eq!(json.code(), 1);
        let values: Vec<Value> =
            json.out.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let results: Vec<_> = values.iter().map(|value| (&value["event"], &value["result"])).collect();
        assert_eq!(results[0], (&"test_result".into(), &"failed".into()));
        assert_eq!((&values[1]["name"], &values[1]["result"]), (&"passes".into(), &"passed".into()));
        assert_eq!((&values[2]["passed"], &values[2]["failed"]), (&1.into(), &1.into()));
    });
}

#[test]
fn options_that_do_not_suit_an_image_of_tests_or_one_without_are_refused() {
    within(LIMIT, |processes| {
        let image = verdicts();
        let refused = |image: &str, words: &[&str], why: &str| {
            let refused = run(processes, image, words);
            assert_eq!(refused.code(), 2);
            assert!(refused.err.text().contains(why), "{}", refused.err.text());
        };
        refused(&image, &["--until", "x"], "--until cannot be used with an image of tests");
        refused(&image, &["passes", "--gdb", "0"], "--gdb is for one test, and 2 would run");
        refused(support::fixtures::SAMPLE, &["passes"], "passes is for images of tests");
        refused(support::fixtures::SAMPLE, &["--list"], "--list is for images of tests");
    });
}
