//! Processes of the end-to-end tests: started, read line by line, and killed by their handle.

#![allow(dead_code, reason = "each test file uses its part of this")]

pub(crate) mod fixtures;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, mpsc};
use std::time::{Duration, Instant};

/// Longest wait for one expected line or event. Reached only if a test fails.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// All processes that a test has started. They are killed when the test ends, in whatever way.
#[derive(Clone)]
pub(crate) struct Processes {
    children: Arc<Mutex<Vec<Arc<Mutex<Child>>>>>,
    /// For the product's temporary folders, which a killed process cannot remove.
    temporary: Arc<tempfile::TempDir>,
}

/// Runs a test with a time limit.
pub(crate) fn within(limit: Duration, test: impl FnOnce(&Processes) + Send + 'static) {
    let temporary = Arc::new(tempfile::tempdir().unwrap());
    let processes = Processes { children: Arc::default(), temporary };
    let (done, ended) = mpsc::channel();
    let processes_of_test = processes.clone();
    let body = std::thread::spawn(move || {
        test(&processes_of_test);
        let _ = done.send(());
    });
    let result = ended.recv_timeout(limit);
    processes.clear();
    match result {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("still running after {limit:?}"),
        _ => {
            if let Err(panic) = body.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

impl Processes {
    /// Starts openvisor.
    pub(crate) fn openvisor<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_openvisor"));
        command.args(arguments).env("TMPDIR", self.temporary.path());
        self.start("openvisor", command)
    }

    /// Starts openvisor with environment variables.
    pub(crate) fn openvisor_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_openvisor"));
        command.args(arguments).envs(variables.iter().copied());
        self.start("openvisor", command)
    }

    /// Starts openvisor with full pipes, which are not read, as standard output, standard error, or both. The test sees
    /// such a stream as empty.
    pub(crate) fn unread(
        &self,
        arguments: &[&str],
        out: Option<&FullPipe>,
        err: Option<&FullPipe>,
    ) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_openvisor"));
        command.args(arguments).env("TMPDIR", self.temporary.path());
        let to = |pipe: Option<&FullPipe>| pipe.map_or_else(Stdio::piped, FullPipe::stdio);
        command.stdout(to(out)).stderr(to(err));
        self.spawn("openvisor", command)
    }

    /// Starts an installed program.
    pub(crate) fn tool<S: AsRef<OsStr>>(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Process {
        let mut command = Command::new(tool_path(name));
        command.args(arguments).env("TMPDIR", self.temporary.path());
        self.start(name, command)
    }

    fn start(&self, name: &str, mut command: Command) -> Process {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.spawn(name, command)
    }

    fn spawn(&self, name: &str, mut command: Command) -> Process {
        let mut child = command.stdin(Stdio::null()).spawn().unwrap_or_else(|error| {
            panic!("cannot start {name}: {error}; the tests need the package mosquitto-clients and mosquitto")
        });
        let out = child.stdout.take().map(|stream| Lines::of(name, "", stream));
        let err = child.stderr.take().map(|stream| Lines::of(name, "! ", stream));
        let unread = || Lines::of(name, "", std::io::empty());
        let (out, err) = (out.unwrap_or_else(unread), err.unwrap_or_else(unread));
        let child = Arc::new(Mutex::new(child));
        self.children.lock().unwrap().push(child.clone());
        Process { name: name.into(), child, out, err }
    }

    fn clear(&self) {
        for child in self.children.lock().unwrap().drain(..) {
            end(&child);
        }
    }
}

fn end(child: &Mutex<Child>) {
    let mut child = child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let _ = child.kill();
    let _ = child.wait();
}

/// Debian installs the broker in a folder that only root has in PATH.
fn tool_path(name: &str) -> PathBuf {
    let folders = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"];
    let found = folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| name.into())
}

/// A full pipe: the next write to it blocks.
pub(crate) struct FullPipe {
    reader: PipeReader,
    writer: PipeWriter,
    content: usize,
}

impl FullPipe {
    /// Fills a pipe.
    pub(crate) fn new() -> Self {
        use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
        let (reader, mut writer) = std::io::pipe().unwrap();
        let flags = fcntl_getfl(&writer).unwrap();
        fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
        let mut content = 0;
        while let Ok(count) = writer.write(&[b'.'; 4096]) {
            content += count;
        }
        while writer.write(b".").is_ok() {
            content += 1;
        }
        fcntl_setfl(&writer, flags).unwrap();
        Self { reader, writer, content }
    }

    fn stdio(&self) -> Stdio {
        self.writer.try_clone().unwrap().into()
    }

    /// Reads until all writers are gone, and returns what was written after it was filled.
    pub(crate) fn read_to_end(self) -> String {
        let Self { mut reader, writer, content } = self;
        drop(writer);
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        String::from_utf8(all.split_off(content)).unwrap()
    }
}

/// A running process and all it has written so far.
pub(crate) struct Process {
    name: String,
    child: Arc<Mutex<Child>>,
    /// Its standard output.
    pub out: Lines,
    /// Its standard error.
    pub err: Lines,
}

impl Drop for Process {
    fn drop(&mut self) {
        end(&self.child);
    }
}

impl Process {
    /// Kills it, as `kill -9` does.
    pub(crate) fn kill(&self) {
        end(&self.child);
    }

    /// Sends a signal by name, such as `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.lock().unwrap().id().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end.
    pub(crate) fn wait(&self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.lock().unwrap().try_wait().unwrap() {
                self.out.wait_for_end();
                self.err.wait_for_end();
                return status;
            }
            assert!(
                start.elapsed() < TIMEOUT * 2,
                "{} does not end\n{}{}",
                self.name,
                self.out.text(),
                self.err.text()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for its end and answers the exit code.
    pub(crate) fn code(&self) -> i32 {
        self.wait().code().unwrap_or(-1)
    }

    /// Waits until SIGTERM no longer ends it by itself: before that, a test has nothing to show.
    pub(crate) fn wait_for_handler(&self) {
        const TERM: u64 = 1 << (15 - 1);
        let status = format!("/proc/{}/status", self.child.lock().unwrap().id());
        let start = Instant::now();
        loop {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            if caught.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & TERM != 0) {
                return;
            }
            assert!(self.is_running() && start.elapsed() < TIMEOUT, "{} handles no signal", self.name);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether it has not ended.
    pub(crate) fn is_running(&self) -> bool {
        self.child.lock().unwrap().try_wait().unwrap().is_none()
    }
}

/// The lines of one stream, as they come.
#[derive(Clone)]
pub(crate) struct Lines(Arc<(Mutex<Written>, Condvar)>, String);

#[derive(Default)]
struct Written {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn of(name: &str, mark: &str, stream: impl Read + Send + 'static) -> Self {
        let lines = Self(Arc::default(), name.into());
        let (writer, name, mark) = (lines.clone(), name.to_owned(), mark.to_owned());
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                eprintln!("{mark}{name}: {text}");
                writer.change(|written| written.lines.push(text));
                line.clear();
            }
            writer.change(|written| written.ended = true);
        });
        lines
    }

    fn change(&self, change: impl FnOnce(&mut Written)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        self.0.0.lock().unwrap().lines.iter().flat_map(|line| [line, "\n"]).collect()
    }

    /// The number of lines so far.
    pub(crate) fn count(&self) -> usize {
        self.0.0.lock().unwrap().lines.len()
    }

    /// Waits for a line that contains `text`, and answers it.
    pub(crate) fn expect(&self, text: &str) -> String {
        self.expect_after(0, text).1
    }

    /// The same among the lines from number `from` on; answers also the number of the line after it.
    pub(crate) fn expect_after(&self, from: usize, text: &str) -> (usize, String) {
        let start = Instant::now();
        let mut written = self.0.0.lock().unwrap();
        loop {
            let found = written.lines.iter().enumerate().skip(from).find(|(_, line)| line.contains(text));
            if let Some((number, line)) = found {
                return (number + 1, line.clone());
            }
            let all = written.lines.join("\n");
            assert!(
                !written.ended,
                "{} ended without {text:?} after line {from}; its output:\n{all}",
                self.1
            );
            assert!(
                start.elapsed() < TIMEOUT,
                "{} does not print {text:?} after line {from}; its output:\n{all}",
                self.1
            );
            written = self.wait_a_little(written);
        }
    }

    fn wait_for_end(&self) {
        let start = Instant::now();
        let mut written = self.0.0.lock().unwrap();
        while !written.ended && start.elapsed() < TIMEOUT {
            written = self.wait_a_little(written);
        }
    }

    fn wait_a_little<'a>(&self, guard: MutexGuard<'a, Written>) -> MutexGuard<'a, Written> {
        self.0.1.wait_timeout(guard, Duration::from_millis(100)).unwrap().0
    }
}

/// A loopback port that was free a moment ago, for programs that cannot choose one themselves.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Waits until something listens on a loopback port.
pub(crate) fn wait_for_port(port: u16) {
    let start = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(start.elapsed() < TIMEOUT, "nothing listens on port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
