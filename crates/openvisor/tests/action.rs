//! The steps of the GitHub action (`action.yml`), executed as a runner would.

mod support;

use std::path::Path;
use std::process::Command;

use support::fixtures::{DEBUGGED, SAMPLE, text};

const ACTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../action.yml");

/// A step of the action: its variables and its script.
struct Step {
    variables: Vec<(String, String)>,
    script: String,
}

/// The step with this name, as far as the action's own format goes: a block of `NAME: ${{ ... }}` under `env`, and a
/// script under `run`.
fn step(name: &str) -> Step {
    let text = std::fs::read_to_string(ACTION).unwrap();
    let (_, step) = text.split_once(&format!("- name: {name}\n")).expect("the step");
    let step = step.split("    - name: ").next().expect("its text");
    let (head, script) = step.split_once("      run: |\n").expect("a script");
    let (_, variables) = head.split_once("      env:\n").expect("variables");
    let pair = |line: &str| {
        let (name, value) = line.trim().split_once(": ").expect("a variable");
        (name.to_owned(), value.to_owned())
    };
    Step { variables: variables.lines().map(pair).collect(), script: script.to_owned() }
}

/// Runs the second step with these inputs, and returns its exit code and standard error.
fn run(inputs: &[(&str, &str)]) -> (Option<i32>, String) {
    let step = step("Run the application");
    let mut command = Command::new("bash");
    // The flags of a runner's `shell: bash`.
    command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", &step.script]);
    for (name, value) in step.variables {
        let given = inputs.iter().find(|(input, _)| value == format!("${{{{ inputs.{input} }}}}"));
        let known = value == "${{ github.action_path }}" || given.is_some();
        assert!(known, "{name}: {value}");
        command.env(name, given.map_or("/nowhere", |(_, value)| value));
    }
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into())
}

fn action(image: &str, options: &str, junit: &Path) -> (Option<i32>, String) {
    let openvisor = env!("CARGO_BIN_EXE_openvisor");
    let inputs = [
        ("openvisor", openvisor),
        ("profile", "release"),
        ("image", image),
        ("options", options),
        ("junit", text(junit)),
    ];
    run(&inputs)
}

/// Shows D260, D262.
#[test]
fn the_action_passes_fails_and_reports_as_the_application_does() {
    let folder = tempfile::tempdir().unwrap();
    let junit = folder.path().join("a report.xml");
    let (code, err) = action(SAMPLE, "--until\nnetwork: connected\n--timeout\n30\n", &junit);
    assert_eq!(code, Some(0), "{err}");
    assert!(std::fs::read_to_string(&junit).unwrap().contains("failures=\"0\""));
    let (code, err) = action(DEBUGGED, "--device-seconds\n0.5\n", &junit);
    assert_eq!(code, Some(5), "{err}");
    assert!(std::fs::read_to_string(&junit).unwrap().contains("failures=\"1\""));
    let (code, err) = action(SAMPLE, "--device-seconds\n0.1", &junit);
    assert_eq!(code, Some(0), "{err}");
    let (code, err) = action(SAMPLE, "", Path::new("/nowhere/report.xml"));
    assert_eq!(code, Some(2), "{err}");
}
