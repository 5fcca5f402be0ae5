//! The steps of the GitHub action (`action.yml`), executed as a runner does: by bash, with the inputs and their
//! defaults, and with the files for outputs and for the summary.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use support::fixtures::{DEBUGGED, SAMPLE, text};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/samples/http/http.test.toml");

/// A step of the action.
struct Step {
    /// Empty if it has none.
    id: String,
    variables: Vec<(String, String)>,
    script: String,
}

/// The action, as far as its own format goes: blocks of `name: value`, indented by two more than what they belong to,
/// and scripts under `run: |`.
struct Action {
    /// Defaults of the inputs; `None` for one that is required.
    inputs: BTreeMap<String, Option<String>>,
    outputs: BTreeMap<String, String>,
    steps: Vec<Step>,
}

impl Action {
    fn read() -> Self {
        let text = std::fs::read_to_string(format!("{ROOT}/action.yml")).unwrap();
        let section = |name: &str| block(&text, name).expect("the section");
        let steps = section("runs").split("    - name: ").skip(1).map(Step::parse).collect();
        Self {
            inputs: entries(&section("inputs"), "default").collect(),
            outputs: entries(&section("outputs"), "value")
                .map(|(name, value)| (name, value.expect("a value")))
                .collect(),
            steps,
        }
    }
}

impl Step {
    fn parse(text: &str) -> Self {
        let (head, script) = text.split_once("      run: |\n").expect("a script");
        let (_, variables) = head.split_once("      env:\n").expect("variables");
        let variables = variables.lines().filter_map(|line| line.trim().split_once(": "));
        let id = head.lines().find_map(|line| line.trim().strip_prefix("id: ")).unwrap_or_default();
        assert!(head.contains("shell: bash\n"), "{head}");
        Self {
            id: id.to_owned(),
            variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            script: script.to_owned(),
        }
    }
}

/// What is indented under `name:`.
fn block(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("\n{name}:\n"))?;
    Some(rest.split_inclusive('\n').take_while(|line| line.starts_with([' ', '\n'])).collect())
}

/// The entries of a block, each with the value of one of its keys.
fn entries<'a>(block: &'a str, key: &'a str) -> impl Iterator<Item = (String, Option<String>)> + 'a {
    let names = block.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.map(move |name| {
        let (_, rest) = block.split_once(&format!("{name}\n")).expect("the entry");
        let mut lines = rest.lines().take_while(|line| line.starts_with("    "));
        let value = lines.find_map(|line| line.trim().strip_prefix(&format!("{key}: ")).map(str::to_owned));
        let value = value.map(|value| value.trim_matches('"').to_owned());
        (name.trim().trim_end_matches(':').to_owned(), value)
    })
}

/// How a run of the action ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    err: String,
    outputs: BTreeMap<String, String>,
    summary: String,
}

/// Runs the action with these inputs in a folder of its own, with these further variables.
fn run(inputs: &[(&str, &str)], variables: &[(&str, &str)]) -> Ended {
    let action = Action::read();
    let folder = tempfile::tempdir().unwrap();
    let summary = folder.path().join("summary");
    std::fs::write(&summary, "").unwrap();
    for (name, _) in inputs {
        assert!(action.inputs.contains_key(*name), "an input of the action: {name}");
    }
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    values.insert("github.action_path".into(), ROOT.into());
    for (name, default) in &action.inputs {
        let given = inputs.iter().find(|(input, _)| input == name).map(|(_, value)| (*value).to_owned());
        values.insert(format!("inputs.{name}"), given.or_else(|| default.clone()).expect("a required input"));
    }
    let mut ended =
        Ended { code: Some(0), err: String::new(), outputs: BTreeMap::new(), summary: String::new() };
    for step in &action.steps {
        let outputs = folder.path().join("outputs");
        std::fs::write(&outputs, "").unwrap();
        let mut command = Command::new("bash");
        // The flags of a runner's `shell: bash`.
        command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", &step.script]);
        command.current_dir(folder.path()).envs(variables.iter().copied());
        command.env("GITHUB_OUTPUT", &outputs).env("GITHUB_STEP_SUMMARY", &summary);
        for (name, value) in &step.variables {
            command.env(name, evaluated(value, &values));
        }
        let output = command.output().unwrap();
        for line in std::fs::read_to_string(&outputs).unwrap().lines() {
            let (name, value) = line.split_once('=').expect("an output");
            values.insert(format!("steps.{}.outputs.{name}", step.id), value.to_owned());
        }
        ended.code = output.status.code();
        ended.err += &String::from_utf8_lossy(&output.stderr);
        if ended.code != Some(0) {
            break;
        }
    }
    ended.outputs =
        action.outputs.iter().map(|(name, value)| (name.clone(), evaluated(value, &values))).collect();
    ended.summary = std::fs::read_to_string(&summary).unwrap();
    ended
}

/// An expression of the runner: one value, empty if no step has set it.
fn evaluated(expression: &str, values: &BTreeMap<String, String>) -> String {
    let name = expression.strip_prefix("${{ ").and_then(|rest| rest.strip_suffix(" }}"));
    let name = name.unwrap_or_else(|| panic!("an expression: {expression}"));
    let is_known = values.contains_key(name) || name.starts_with("steps.");
    assert!(is_known, "a value of the runner: {name}");
    values.get(name).cloned().unwrap_or_default()
}

fn action(image: &str, options: &str, junit: &Path) -> Ended {
    let openvisor = env!("CARGO_BIN_EXE_openvisor");
    run(&[("openvisor", openvisor), ("image", image), ("options", options), ("junit", text(junit))], &[])
}

/// Shows D260, D262, D349.
#[test]
fn the_action_passes_fails_and_reports_as_the_application_does() {
    let folder = tempfile::tempdir().unwrap();
    let junit = folder.path().join("a report.xml");
    let passed = action(SAMPLE, "--until\nnetwork: connected\n--timeout\n30\n", &junit);
    assert_eq!(passed.code, Some(0), "{passed:?}");
    assert!(std::fs::read_to_string(&junit).unwrap().contains("failures=\"0\""));
    assert_eq!(passed.outputs["exit-code"], "0");
    assert_eq!(
        (passed.outputs["junit"].as_str(), passed.outputs["openvisor"].as_str()),
        (text(&junit), env!("CARGO_BIN_EXE_openvisor"))
    );
    assert!(passed.summary.ends_with(": **passed**, exit code 0\n"), "{passed:?}");
    let crashed = action(DEBUGGED, "--device-seconds\n0.5\n", &junit);
    assert_eq!((crashed.code, crashed.outputs["exit-code"].as_str()), (Some(5), "5"), "{crashed:?}");
    assert!(crashed.summary.ends_with(": **failed**, exit code 5\n"), "{crashed:?}");
    assert!(std::fs::read_to_string(&junit).unwrap().contains("failures=\"1\""));
    let refused = action(SAMPLE, "", Path::new("/nowhere/report.xml"));
    assert_eq!(refused.code, Some(2), "{refused:?}");
}

/// Shows D349.
#[test]
fn the_action_runs_test_scripts_and_refuses_to_guess() {
    let openvisor = ("openvisor", env!("CARGO_BIN_EXE_openvisor"));
    let tested = run(&[openvisor, ("scripts", SCRIPT)], &[]);
    assert_eq!((tested.code, tested.outputs["junit"].as_str()), (Some(0), "openvisor.xml"), "{tested:?}");
    let both = run(&[openvisor, ("scripts", SCRIPT), ("image", SAMPLE)], &[]);
    assert_eq!(both.code, Some(2), "{both:?}");
    let nothing = run(&[openvisor], &[]);
    assert_eq!(nothing.code, Some(2), "{nothing:?}");
}

/// Shows D349. It compiles openvisor, so that only `cargo xtask check action` runs it.
#[test]
#[ignore = "compiles openvisor: cargo xtask check action"]
fn the_action_builds_openvisor_with_cargo() {
    let target = Path::new(env!("CARGO_BIN_EXE_openvisor")).ancestors().nth(2).unwrap();
    let inputs = [("profile", "dev"), ("scripts", SCRIPT)];
    let built = run(&inputs, &[("CARGO_TARGET_DIR", text(target))]);
    assert_eq!(built.code, Some(0), "{built:?}");
    let program = target.join("debug/openvisor");
    assert_eq!(built.outputs["openvisor"], text(&program));
}
