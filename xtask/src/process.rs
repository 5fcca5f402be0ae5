//! Running other programs, each with a time limit.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The result of a program that ended or reached its time limit.
pub(crate) struct Ended {
    /// True when it exited with status 0 within its limit.
    pub success: bool,
    /// The exit status, or that the limit was reached.
    pub how: String,
    /// Standard output and error together, when they were captured.
    pub output: String,
}

/// Runs a program on this terminal.
///
/// # Errors
/// Names the command that failed, and how.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<(), String> {
    let shown = shown(command);
    println!("$ {shown}");
    let child = start(command)?;
    let ended = wait(child, limit, None);
    if ended.success { Ok(()) } else { Err(format!("{shown}: {}", ended.how)) }
}

/// Runs a program and captures what it prints.
pub(crate) fn capture(command: &mut Command, limit: Duration) -> Result<Ended, String> {
    let (mut reader, writer) = std::io::pipe().map_err(|error| error.to_string())?;
    let second = writer.try_clone().map_err(|error| error.to_string())?;
    command.stdin(Stdio::null()).stdout(writer).stderr(second);
    let child = start(command)?;
    // The command owns the pipe's writing ends; the reader sees the end of the pipe only once they are closed.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let reading = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = reader.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    Ok(wait(child, limit, Some(reading)))
}

/// Whether a program of this name is installed.
pub(crate) fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let extra = ["/usr/sbin", "/usr/local/sbin"].map(std::path::PathBuf::from);
    std::env::split_paths(&path).chain(extra).any(|folder| folder.join(program).is_file())
}

/// The command line as a person would type it.
fn shown(command: &Command) -> String {
    let parts = std::iter::once(command.get_program()).chain(command.get_args());
    parts.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Starts a program in a process group of its own, so that its children can be ended with it.
fn start(command: &mut Command) -> Result<Child, String> {
    let shown = shown(command);
    command.process_group(0).spawn().map_err(|error| format!("{shown}: {error}"))
}

fn wait(mut child: Child, limit: Duration, reading: Option<std::thread::JoinHandle<String>>) -> Ended {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_millis(1);
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(pause),
            _ => break None,
        }
        pause = (pause * 2).min(Duration::from_millis(50));
    };
    if status.is_none() {
        end_group(&mut child);
    }
    let output = reading.map(|thread| thread.join().unwrap_or_default()).unwrap_or_default();
    let success = status.is_some_and(|status| status.success());
    let how = status.map_or_else(|| format!("not finished after {} s", limit.as_secs()), |s| s.to_string());
    Ended { success, how, output }
}

/// Ends a program that reached its limit, and its children.
fn end_group(child: &mut Child) {
    let group = format!("-{}", child.id());
    let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
    let _ = child.wait();
}
