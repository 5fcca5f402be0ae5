//! Paho's interoperability tests: Python programs, each test in a process and at a broker of its own.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use demo_broker::Broker;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::table::Outcome;

/// The programs with tests, by protocol version.
const PROGRAMS: [(&str, &str); 2] = [("v3.1.1", "client_test.py"), ("v5", "client_test5.py")];
/// A test waits most of its time; several run at once.
const AT_ONCE: usize = 4;
const LIMIT: Duration = Duration::from_mins(3);
/// Runs one test of a program of the suite: the programs themselves always run all, and one of them passes its own
/// options on to the test runner, which does not know them.
const LAUNCHER: &str = "\
import os, runpy, sys, unittest
script, port, test = sys.argv[1:]
main = unittest.main
unittest.main = lambda *rest, **more: main(argv=[script, 'Test.' + test])
sys.argv = [script, '--port', port]
sys.path.insert(0, os.path.dirname(os.path.abspath(script)))
runpy.run_path(script, run_name='__main__')
";

/// Runs all tests of both programs; `only` keeps those whose name contains it.
pub(crate) async fn run(folder: &Path, only: Option<&str>) -> Result<Vec<Outcome>, String> {
    let mut waiting = Vec::new();
    for (version, program) in PROGRAMS {
        let path = folder.join(program);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            format!("{}: {error}; --path must be a checkout of the suite", path.display())
        })?;
        let tests = tests_in(&text).map(|test| (format!("{version} / {test}"), program, test));
        waiting.extend(tests.filter(|(name, ..)| only.is_none_or(|text| name.contains(text))));
    }
    if waiting.is_empty() {
        return Err("no tests".into());
    }
    waiting.reverse();
    let (total, mut running, mut outcomes) = (waiting.len(), JoinSet::new(), Vec::new());
    loop {
        while running.len() < AT_ONCE
            && let Some((case, program, test)) = waiting.pop()
        {
            running.spawn(run_test(folder.to_path_buf(), case, program, test));
        }
        let Some(ended) = running.join_next().await else { break };
        let outcome = ended.map_err(|error| error.to_string())??;
        let how = if outcome.difference.is_none() { "agrees" } else { "differs" };
        eprintln!("Paho tests: {} of {total}, {} {how}", outcomes.len() + 1, outcome.case);
        outcomes.push(outcome);
    }
    outcomes.sort_by(|one, other| one.case.cmp(&other.case));
    Ok(outcomes)
}

/// The test methods a program defines.
fn tests_in(text: &str) -> impl Iterator<Item = String> {
    let names = text.lines().filter_map(|line| line.trim_start().strip_prefix("def ")?.split_once("(self)"));
    names.map(|(name, _)| name.to_owned()).filter(|name| name.starts_with("test"))
}

/// Runs one test. One that differs is run once more: some wait for a fixed time for what has no fixed time.
async fn run_test(
    folder: PathBuf,
    case: String,
    program: &'static str,
    test: String,
) -> Result<Outcome, String> {
    let mut difference = try_test(&folder, program, &test).await?;
    if difference.is_some() {
        difference = try_test(&folder, program, &test).await?;
    }
    Ok(Outcome { case, difference })
}

async fn try_test(folder: &Path, program: &str, test: &str) -> Result<Option<String>, String> {
    let broker = Broker::start(Arc::new(|_| ())).await.map_err(|error| format!("broker: {error}"))?;
    let mut command = Command::new("python3");
    command.args(["-c", LAUNCHER, program]).arg(broker.address().port().to_string()).arg(test);
    command.current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    let difference = match timeout(LIMIT, command.output()).await {
        Err(_) => Some(format!("not finished after {} s", LIMIT.as_secs())),
        Ok(Err(error)) => return Err(format!("python3: {error}")),
        Ok(Ok(output)) => (!output.status.success()).then(|| reason(&output)),
    };
    broker.stop().await;
    Ok(difference)
}

/// The first line that says why a test failed.
fn reason(output: &Output) -> String {
    let text = [&output.stderr[..], &output.stdout].concat();
    let text = String::from_utf8_lossy(&text);
    let is_error = |line: &&str| line.split(':').next().is_some_and(|word| word.trim().ends_with("Error"));
    text.lines().find(is_error).or(text.lines().last()).unwrap_or("no output").trim().to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn test_methods_are_found_by_name() {
        let text = "class Test:\n    def testBasic(self):\n    def helper(self):\n  def test_will (x):\n\tdef test_a(self):\n";
        assert_eq!(super::tests_in(text).collect::<Vec<_>>(), ["testBasic", "test_a"]);
    }
}
