//! What a shell offers at TAB.

use super::support::fixtures::text;
use super::support::{Processes, within};
use super::{Fixture, LIMIT, SUCCESS};

/// What `openvisor` offers for the last of `words`, as fish asks for it: one candidate a line, with its help.
fn candidates(processes: &Processes, variables: &[(&str, &str)], words: &[&str]) -> Vec<String> {
    let variables = [variables, &[("OPENVISOR_COMPLETE", "fish")]].concat();
    let process = processes.openvisor_with(&variables, &[&["--", "openvisor"], words].concat());
    assert_eq!(process.code(), SUCCESS);
    assert_eq!(process.err.text(), "", "it would be in the middle of the line");
    process.out.text().lines().map(str::to_owned).collect()
}

#[test]
fn devices_accounts_and_limits_are_completed_from_the_data_folder() {
    within(LIMIT, |processes| {
        let fixture = Fixture::new(processes);
        let data = text(&fixture.data);
        let garage = text(&fixture.folder.path().join("garage")).to_owned();
        fixture.run_ok(processes, &["provision", "--name", "garage", "--out", &garage]);
        let other = text(&fixture.folder.path().join("other")).to_owned();
        fixture.run_ok(processes, &["accounts", "add", "plant-2"]);
        fixture.run_ok(processes, &["provision", "--name", "press", "--account", "plant-2", "--out", &other]);
        let names = |found: Vec<String>| -> Vec<String> {
            found.iter().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
        };
        let ask = |words: &[&str]| names(candidates(processes, &[("OPENVISOR_DATA", data)], words));
        assert_eq!(ask(&["devices", "show", ""]), ["kitchen", "garage"]);
        assert_eq!(ask(&["devices", "revoke", "--yes", "ga"]), ["garage"]);
        assert_eq!(ask(&["logs", "stream", "k"]), ["kitchen"]);
        assert_eq!(ask(&["configs", "get", "host", "--device", "k"]), ["kitchen"]);
        assert_eq!(ask(&["devices", "show", "--account", "plant-2", ""]), ["press"]);
        assert_eq!(ask(&["devices", "list", "--account", "pl"]), ["plant-2"]);
        assert_eq!(ask(&["cloud", "--limit", "handshake_t"]), ["handshake_timeout="]);
        let id = ask(&["devices", "show", "UV"]);
        assert_eq!((id.len(), id[0].len()), (2, 34), "{id:?}");
        let by_option = names(candidates(processes, &[], &["devices", "show", "--data", data, ""]));
        assert_eq!(by_option, ["kitchen", "garage"]);
        // Silence without a folder, and where it cannot be read.
        for missing in ["", "/nonexistent", "/proc"] {
            let found = candidates(processes, &[("OPENVISOR_DATA", missing)], &["devices", "show", ""]);
            assert_eq!(names(found), [""; 0], "{missing}");
        }
    });
}

#[test]
fn the_script_for_bash_completes_a_device() {
    within(LIMIT, |processes| {
        let fixture = Fixture::new(processes);
        let folder = std::path::Path::new(env!("CARGO_BIN_EXE_openvisor")).parent().unwrap();
        let script = format!(
            "PATH={}:$PATH; source <(openvisor completions bash); \
             COMP_WORDS=(openvisor devices show ki --data {}); COMP_CWORD=3; \
             _openvisor_values openvisor ki show; echo \"reply ${{COMPREPLY[*]}}\"; complete -p openvisor",
            text(folder),
            text(&fixture.data)
        );
        let bash = processes.tool("bash", ["-c", &script]);
        assert_eq!(bash.code(), SUCCESS, "{}", bash.err.text());
        bash.out.expect("reply kitchen");
        bash.out.expect("-F _openvisor_values openvisor");
    });
}
