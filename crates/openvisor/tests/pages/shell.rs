//! A reader's terminals: one in which the commands of a page are typed, and others for what keeps running.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::markdown::{self, Kind, Part, Terminal};
use super::output::compare;

/// Longest time of one command. Reached only if a test fails.
const LIMIT: Duration = Duration::from_mins(2);
/// Longest time of a command in another terminal until it is ready, and from Ctrl-C to its end.
const BACKGROUND_LIMIT: Duration = Duration::from_secs(30);

/// Ports that pages name. Each page gets free ones in their place, so that pages and other tests can run side by side.
const PORTS: &[u16] = &[1883, 7883, 7884, 7885, 8001];
/// What uses the port 8001 without naming it.
const GDB_WAIT: &str = "--gdb-wait";

/// The database that pages name. Each page gets one of a server of the tests in its place.
const DATABASE: &str = "postgres://openvisor@db.example.com/openvisor";

/// Runs one command in the state that the one before left: folder and variables.
const STEP: &str = r#"
if test -e "$PAGE_STATE/variables"; then . "$PAGE_STATE/variables"; cd "$(cat "$PAGE_STATE/folder")"; fi
set -o pipefail
eval "$PAGE_COMMAND"
code=$?
if test "$PAGE_TERMINAL" = first; then
    pwd > "$PAGE_STATE/folder"
    unset PAGE_COMMAND PAGE_TERMINAL
    export -p > "$PAGE_STATE/variables"
fi
exit $code
"#;

pub(crate) struct Session {
    temporary: tempfile::TempDir,
    clone: PathBuf,
    ports: Vec<(u16, u16)>,
    database: std::cell::OnceCell<test_postgres::Database>,
    others: Vec<Other>,
    steps: usize,
}

/// A command in another terminal.
struct Other {
    name: String,
    child: Child,
    output: PathBuf,
}

impl Drop for Other {
    fn drop(&mut self) {
        signal(&self.child, "KILL");
        let _ = self.child.wait();
    }
}

impl Session {
    /// A folder that looks like a clone, beside an empty home. What commands write into subfolders of the clone is
    /// written into the repository, so pages write into folders of their own.
    pub(crate) fn new(page: &str, root: &Path) -> Self {
        let temporary = tempfile::Builder::new().prefix("pages-").tempdir().unwrap();
        let clone = temporary.path().join("openvisor");
        for folder in ["openvisor", "home", "tmp", "bin", "state"] {
            std::fs::create_dir(temporary.path().join(folder)).unwrap();
        }
        for entry in std::fs::read_dir(root).unwrap() {
            let name = entry.unwrap().file_name();
            if name != "target" && name != ".git" {
                std::os::unix::fs::symlink(root.join(&name), clone.join(&name)).unwrap();
            }
        }
        let program = temporary.path().join("bin/openvisor");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_openvisor"), program).unwrap();
        println!("{page} in {}", clone.display());
        let ports = PORTS.iter().map(|port| (*port, free_port())).collect();
        Self {
            temporary,
            clone,
            ports,
            database: std::cell::OnceCell::default(),
            others: Vec::new(),
            steps: 0,
        }
    }

    /// Does what a part of the page says.
    pub(crate) fn perform(&mut self, part: &Part) -> Result<(), String> {
        match &part.kind {
            Kind::NotRun { .. } => Ok(()),
            Kind::Interrupt { name, exit } => self.interrupt(name.as_deref(), *exit),
            Kind::File { name, text } => {
                std::fs::write(self.folder().join(name), text).map_err(|error| format!("{name}: {error}"))
            }
            Kind::Patch { text } => self.patch(text),
            Kind::Script { text, exit, terminal: None } => {
                self.foreground(&format!("set -e\n{text}"), *exit, None)
            }
            Kind::Script { text, terminal: Some(terminal), .. } => self.background(text, terminal, None),
            Kind::Console { commands, exit, terminal } => self.console(commands, *exit, terminal.as_ref()),
        }
    }

    fn console(
        &mut self,
        commands: &[markdown::Command],
        exit: i32,
        terminal: Option<&Terminal>,
    ) -> Result<(), String> {
        let Some((last, before)) = commands.split_last() else { return Ok(()) };
        for command in before {
            self.foreground(&command.text, 0, command.output.as_deref())?;
        }
        let output = last.output.as_deref();
        match terminal {
            None => self.foreground(&last.text, exit, output),
            Some(terminal) => self.background(&last.text, terminal, output),
        }
    }

    fn patch(&mut self, text: &str) -> Result<(), String> {
        std::fs::write(self.temporary.path().join("state/patch"), text).map_err(|error| error.to_string())?;
        self.foreground("git apply -p0 --unidiff-zero \"$PAGE_STATE/patch\"", 0, None)
    }

    /// The folder that the last command left.
    fn folder(&self) -> PathBuf {
        let saved = std::fs::read_to_string(self.temporary.path().join("state/folder"));
        saved.map_or_else(|_| self.clone.clone(), |folder| PathBuf::from(folder.trim_end()))
    }

    fn foreground(&mut self, command: &str, exit: i32, expected: Option<&str>) -> Result<(), String> {
        let (mut child, output) = self.start(command, true);
        let status = wait(&mut child, LIMIT);
        // Nothing that a command started in its own terminal outlives it.
        signal(&child, "KILL");
        let printed = self.printed(&output);
        println!("$ {command}\n{printed}");
        let status = status.ok_or_else(|| format!("{command}\nnot finished after {LIMIT:?}\n{printed}"))?;
        if status.code() != Some(exit) {
            return Err(format!("{command}\nended with {status}, expected exit code {exit}\n{printed}"));
        }
        expected.map_or(Ok(()), |expected| compare(expected, &printed))
    }

    fn background(&mut self, command: &str, terminal: &Terminal, shown: Option<&str>) -> Result<(), String> {
        let Terminal { name, ready } = terminal;
        let (child, output) = self.start(command, false);
        self.others.push(Other { name: name.clone(), child, output: output.clone() });
        let begun = Instant::now();
        while !self.printed(&output).contains(ready) {
            let ended =
                self.others.last_mut().is_some_and(|other| !matches!(other.child.try_wait(), Ok(None)));
            if ended || begun.elapsed() > BACKGROUND_LIMIT {
                return Err(format!("{command}\ndid not print `{ready}`\n{}", self.printed(&output)));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        println!("[{name}] $ {command}\n{}", self.printed(&output));
        shown.map_or(Ok(()), |shown| compare(shown, &self.printed(&output)))
    }

    /// Ctrl-C in one of the other terminals, or in all of them, the last one first.
    fn interrupt(&mut self, name: Option<&str>, exit: i32) -> Result<(), String> {
        let is_meant = |other: &Other| name.is_none_or(|name| other.name == name);
        if name.is_some() && !self.others.iter().any(is_meant) {
            return Err(format!("no terminal is called {}", name.unwrap_or_default()));
        }
        while let Some(at) = self.others.iter().rposition(is_meant) {
            let mut other = self.others.remove(at);
            signal(&other.child, "INT");
            let status = wait(&mut other.child, BACKGROUND_LIMIT);
            let printed = self.printed(&other.output);
            println!("[{}] ^C\n{printed}", other.name);
            if status.and_then(|status| status.code()) != Some(exit) {
                return Err(format!("Ctrl-C in the terminal {}: {status:?}\n{printed}", other.name));
            }
        }
        Ok(())
    }

    /// The end of a page: nothing keeps running.
    pub(crate) fn end(mut self) -> Result<(), String> {
        self.interrupt(None, 0)
    }

    /// Starts a shell as the leader of a process group, with one file for standard output and standard error. With
    /// `is_first` the next command continues where this one ends.
    fn start(&mut self, command: &str, is_first: bool) -> (Child, PathBuf) {
        self.steps += 1;
        let folder = self.temporary.path();
        let path = folder.join(format!("state/output-{}", self.steps));
        let output = File::create(&path).unwrap();
        let mut shell = Command::new("bash");
        shell.args(["--noprofile", "--norc", "-c", STEP]).current_dir(&self.clone).process_group(0);
        shell.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        shell.env_clear().envs(tools_of_rust()).env("LANG", "C.UTF-8").env("TERM", "dumb");
        shell.env("PATH", format!("{}:{}", folder.join("bin").display(), path_of_programs()));
        shell.env("HOME", folder.join("home")).env("TMPDIR", folder.join("tmp"));
        shell.env("PAGE_STATE", folder.join("state")).env("PAGE_COMMAND", self.with_free_ports(command));
        shell.env("PAGE_TERMINAL", if is_first { "first" } else { "other" });
        (shell.spawn().unwrap_or_else(|error| panic!("bash: {error}")), path)
    }

    fn with_free_ports(&self, command: &str) -> String {
        let named = self.ports.iter().fold(command.to_owned(), |text, (shown, free)| {
            replace_number(&text, &shown.to_string(), &free.to_string())
        });
        let gdb = self.ports.iter().find(|(shown, _)| *shown == 8001).map_or(0, |(_, free)| *free);
        let named = named.replace(GDB_WAIT, &format!("{GDB_WAIT} --gdb {gdb}"));
        if !named.contains(DATABASE) {
            return named;
        }
        named.replace(DATABASE, &self.database.get_or_init(test_postgres::shared).url())
    }

    /// What a command has printed so far, with the ports of the page, and as if the clone were in the home.
    fn printed(&self, output: &Path) -> String {
        let bytes = std::fs::read(output).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).replace(&*self.temporary.path().to_string_lossy(), "~");
        self.ports
            .iter()
            .fold(text, |text, (shown, free)| replace_number(&text, &free.to_string(), &shown.to_string()))
    }
}

/// Replaces a number that is not part of a longer one.
fn replace_number(text: &str, number: &str, with: &str) -> String {
    let pattern = regex_lite::Regex::new(&format!(r"\b{number}\b")).unwrap();
    pattern.replace_all(text, with).into_owned()
}

/// Where cargo and rustup keep what they need: not in the home of the page's reader, which is empty.
fn tools_of_rust() -> impl Iterator<Item = (&'static str, PathBuf)> {
    [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")].into_iter().filter_map(|(variable, folder)| {
        let set = std::env::var_os(variable).map(PathBuf::from);
        let default = || Some(PathBuf::from(std::env::var_os("HOME")?).join(folder));
        Some((variable, set.or_else(default)?))
    })
}

/// Debian installs mosquitto in a folder that only root has in PATH.
fn path_of_programs() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/usr/local/sbin:/usr/bin:/bin")
}

/// `None`: not ended within the limit; it is killed.
fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    signal(child, "KILL");
    let _ = child.wait();
    None
}

/// To the process and all that it started.
fn signal(child: &Child, name: &str) {
    let group = format!("-{}", child.id());
    let mut kill = Command::new("kill");
    let _ = kill.args([&format!("-{name}"), "--", &group]).stderr(Stdio::null()).status();
}

/// A port of loopback that was free a moment ago.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
