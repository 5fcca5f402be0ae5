//! A real debugger at a real image: `gdb-multiarch` in batch mode, and as development environments drive it. Crashes
//! and traces as they are shown.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use support::fixtures::{CloudProcess, DEBUGGED, Mosquitto, SAMPLE, provision, text};
use support::{Process, Processes, within};

const LIMIT: Duration = Duration::from_mins(2);

/// A device that waits for a debugger, or has run into its fault already.
fn debugged(processes: &Processes, wait: bool) -> (Process, String) {
    let mut words = vec!["run", DEBUGGED, "--gdb", "0"];
    words.extend(wait.then_some("--gdb-wait"));
    let run = processes.openvisor(words);
    let line = run.err.expect("GDB server listening on 127.0.0.1:");
    assert!(line.starts_with("GDB server"), "{line}");
    let address = line.trim_start_matches("GDB server listening on ").to_owned();
    if !wait {
        run.err.expect("application crashed");
    }
    (run, address)
}

/// What gdb answers to `commands`, after it has connected by `connect`.
fn gdb(processes: &Processes, connect: &str, commands: &[&str]) -> String {
    // One stream, so that what it says stays in order; the sources are named from the repository's root.
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let mut words = vec!["-c", "exec gdb-multiarch \"$@\" 2>&1", "gdb", "-batch", "-nx", "-cd", root];
    words.extend(["-ex", "set pagination off", "-ex", connect]);
    words.extend(commands.iter().flat_map(|command| ["-ex", command]));
    words.push(DEBUGGED);
    let gdb = processes.tool("sh", words);
    let code = gdb.code();
    let output = gdb.out.text();
    assert_eq!(code, 0, "{output}");
    output
}

/// Asserts that all of `parts` are in `output`, in this order.
fn in_order(output: &str, parts: &[&str]) {
    let mut rest = output;
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} is missing, or too early, in\n{output}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn gdb_stops_at_functions_steps_finishes_and_watches() {
    within(LIMIT, |processes| {
        let (_run, address) = debugged(processes, true);
        let connect = format!("target remote {address}");
        let output = gdb(
            processes,
            &connect,
            &[
                "break doubled",
                "continue",
                "bt",
                "watch total",
                "continue",
                "delete",
                "next",
                "next",
                "finish",
            ],
        );
        in_order(
            &output,
            &[
                "Reset_Handler ()",
                "Breakpoint 1, doubled (value=value@entry=1) at main.c:",
                "#1 ",
                "in next_round (round=round@entry=1)",
                "#2 ",
                "in main ()",
                "Hardware watchpoint 2: total",
                "Old value = 0",
                "New value = 1",
                // Over a system call, which is one line and no code of the application.
                "mvNoOp",
                "return 2 * value",
                "Value returned is",
            ],
        );
    });
}

#[test]
fn gdb_reads_and_writes_registers_and_memory_and_calls_functions() {
    within(LIMIT, |processes| {
        let (_run, address) = debugged(processes, true);
        let connect = format!("target remote {address}");
        let output = gdb(
            processes,
            &connect,
            &[
                "break doubled",
                "continue",
                "print $msp == $sp && $psp == 0 && $primask == 0 && $basepri == 0 && $faultmask == 0 && $control == 0",
                "set var total = 70",
                "print total",
                "set $r3 = 0x1234",
                "print/x $r3",
                "set $d1 = 2.5",
                "print $d1",
                "delete",
                "print doubled(21)",
                "print total",
                "x/2i doubled",
            ],
        );
        in_order(&output, &["= 1\n", "= 70\n", "= 0x1234\n", "= 2.5\n", "= 42\n", "= 91\n", "<doubled>:"]);
    });
}

/// Shows D292.
#[test]
fn gdb_stops_at_a_system_call_by_its_name() {
    within(LIMIT, |processes| {
        let (_run, address) = debugged(processes, true);
        // Also when the breakpoint is set before there is a device.
        let connect = "break mvNoOp";
        let target = format!("target remote {address}");
        let output = gdb(
            processes,
            connect,
            &[
                &target,
                "continue",
                "bt",
                "delete",
                "tbreak mvServerLog",
                "continue",
                "bt 2",
                "info symbol $pc",
            ],
        );
        in_order(
            &output,
            &[
                "Breakpoint 1, 0x0c1fe0d8 in mvNoOp ()",
                "#0 ",
                "mvNoOp ()",
                "#1 ",
                "in doubled (value=value@entry=1) at main.c:",
                "Temporary breakpoint 2, 0x0c1fe128 in mvServerLog ()",
                "#1 ",
                "in log_line (",
                "mvServerLog in section .mv_entries",
            ],
        );
    });
}

#[test]
fn gdb_sees_a_handler_and_what_it_interrupted() {
    within(LIMIT, |processes| {
        let (_run, address) = debugged(processes, true);
        let connect = format!("target remote {address}");
        let output =
            gdb(processes, &connect, &["tbreak SysTick_Handler", "continue", "bt", "info registers xpsr"]);
        in_order(&output, &["SysTick_Handler () at main.c", "<signal handler called>", "in main ()", "0f "]);
    });
}

/// Shows D134.
#[test]
fn gdb_is_shown_a_fault_where_it_happened() {
    within(LIMIT, |processes| {
        let (run, address) = debugged(processes, true);
        let connect = format!("target extended-remote {address}");
        let output = gdb(
            processes,
            &connect,
            &["continue", "bt", "print *from", "monitor fault", "tbreak main", "continue", "print total"],
        );
        in_order(
            &output,
            &[
                "Program received signal SIGBUS",
                "read_word (from=from@entry=0x60000000) at main.c:",
                "in fail (result=result@entry=35)",
                "in main ()",
                "Cannot access memory",
                "read or write at 0x60000000",
                "Temporary breakpoint 1, main ()",
                "= 0\n",
            ],
        );
        run.err.expect("debugger detached");
    });
}

/// A recording of a run of the application that is debugged, up to its crash.
fn recorded_crash(processes: &Processes, folder: &Path) -> PathBuf {
    let file = folder.join("crash.ovrec");
    let run = processes.openvisor(["run", DEBUGGED, "--until", "not logged", "--record", text(&file)]);
    assert_eq!(run.code(), 5, "{}", run.err.text());
    file
}

/// Shows D340.
#[test]
fn gdb_stops_in_a_replay_up_to_its_crash_and_the_replay_is_exact() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let file = recorded_crash(processes, folder.path());
        // Conditions of the recorded run do not end the replay while someone looks.
        let words = ["run", DEBUGGED, "--replay", text(&file), "--gdb", "0", "--until", "not logged"];
        let replay = processes.openvisor(words);
        let line = replay.err.expect("GDB server listening on 127.0.0.1:");
        let address = line.trim_start_matches("GDB server listening on ").to_owned();
        let connect = format!("target remote {address}");
        let commands = [
            "break doubled",
            "continue",
            "bt",
            "watch total",
            "continue",
            "delete",
            "next",
            "stepi",
            "x/4xb &total",
            "set var total = 70",
            "monitor reset halt",
            "monitor status",
            "continue",
            "bt",
            "monitor fault",
            "continue",
            "print total > 0",
            "info registers pc",
        ];
        let output = gdb(processes, &connect, &commands);
        let expected = [
            "Breakpoint 1, doubled (value=value@entry=1) at main.c:",
            "in main ()",
            "Hardware watchpoint 2: total",
            "New value = 1",
            "Cannot access memory",
            "this is a replay: it cannot be restarted by the debugger",
            "A replay: it runs as fast as it goes",
            "Program received signal SIGBUS",
            "read_word (from=from@entry=0x60000000) at main.c:",
            "in main ()",
            "read or write at 0x60000000",
            "No more reverse-execution history.",
            "= 1\n",
        ];
        in_order(&output, &expected);
        assert_eq!(replay.code(), 5, "{}", replay.err.text());
        let timeline = replay.err.text();
        let expected = [
            "the replay waits for a debugger",
            "debugger attached",
            "refused to the debugger: this is a replay: memory cannot be changed",
            "application crashed",
            "the recording ends here; the replay ends when the debugger detaches",
            "debugger detached",
            "replayed exactly",
        ];
        in_order(&timeline, &expected);
    });
}

/// Shows D340.
#[test]
fn a_recorded_debugging_session_is_replayed_without_another_debugger() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("session.ovrec");
        let words = ["run", DEBUGGED, "--gdb", "0", "--gdb-wait", "--record", text(&file)];
        let run = processes.openvisor(words);
        let line = run.err.expect("GDB server listening on 127.0.0.1:");
        let address = line.trim_start_matches("GDB server listening on ").to_owned();
        gdb(processes, &format!("target remote {address}"), &["break doubled", "continue"]);
        run.err.expect("debugger detached");
        run.signal("INT");
        run.code();
        let replay = processes.openvisor(["run", DEBUGGED, "--replay", text(&file), "--gdb", "0"]);
        assert_eq!(replay.code(), 2);
        assert!(replay.err.text().contains("contains what a debugger did"), "{}", replay.err.text());
    });
}

/// Shows D134.
#[test]
fn gdb_loads_an_image_and_starts_it_over_and_over() {
    within(LIMIT, |processes| {
        let (_run, address) = debugged(processes, false);
        let connect = format!("target extended-remote {address}");
        let output =
            gdb(processes, &connect, &["load", "monitor reset halt", "tbreak main", "run", "bt", "kill"]);
        in_order(
            &output,
            &["Start address", "is halted at its first instruction", "Temporary breakpoint 1, main ()"],
        );
        let output = gdb(processes, &connect, &["break doubled", "run", "print total"]);
        in_order(&output, &["Breakpoint 1, doubled (value=value@entry=1)", "= 0\n"]);
    });
}

/// Shows D134, D208, D210.
#[test]
fn gdb_stops_at_run_compares_sections_and_writes_with_any_width() {
    within(LIMIT, |processes| {
        let (_run, address) = debugged(processes, true);
        let connect = format!("target extended-remote {address}");
        let commands = [
            "compare-sections",
            "run",
            "print $pc == &Reset_Handler",
            "set *(unsigned char *)0xE000E42D = 0x40",
            "print/x *(unsigned *)0xE000E42C",
            "set *(unsigned short *)0x42020414 = 0x1234",
            "set {unsigned char[6]}0x42020414 = {1, 2, 0, 0, 4, 0}",
            "print/x *(unsigned *)0x42020414",
            "print/x *(unsigned *)0xE000EDF0",
            "maintenance packet qC,nonsense",
            "print 6 * 7",
        ];
        let output = gdb(processes, &connect, &commands);
        in_order(
            &output,
            &[
                "Section .isr_vector, range 0x8000000",
                "matched",
                "SIGTRAP",
                "= 1",
                "= 0x4000",
                "= 0x205",
                "= 0x30003",
                "= 42",
            ],
        );
        assert!(!output.contains("MIS-MATCHED") && !output.contains("Cannot access"), "{output}");
    });
}

/// The order in which an editor's debugger with an "external" server sends its commands.
#[test]
fn an_editor_drives_gdb_by_its_machine_interface() {
    within(LIMIT, |processes| {
        let (_run, address) = debugged(processes, false);
        let mut editor = Editor::start();
        for (command, answer) in [
            ("-gdb-set mi-async on", "^done"),
            ("-enable-pretty-printing", "^done"),
            (&format!("-target-select extended-remote {address}"), "^connected"),
            ("-interpreter-exec console \"monitor reset halt\"", "^done"),
            ("-interpreter-exec console \"monitor arm semihosting enable\"", "^done"),
            ("-target-download", "^done,address="),
            ("-interpreter-exec console \"monitor reset halt\"", "^done"),
            ("-break-insert -h doubled", "^done,bkpt="),
            ("-exec-continue", "*stopped,reason=\"breakpoint-hit\""),
            ("-stack-list-frames --thread 1", "func=\"next_round\""),
            ("-var-create - * total", "value=\"0\""),
            ("-exec-next", "*stopped,reason=\"end-stepping-range\""),
            ("-exec-finish", "*stopped,reason=\"function-finished\""),
            ("-break-delete", "^done"),
            ("-exec-continue", "signal-name=\"SIGBUS\""),
            ("-target-detach", "^done"),
        ] {
            editor.send(command, answer);
        }
    });
}

/// An editor's end of gdb.
struct Editor {
    gdb: std::process::Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Editor {
    fn start() -> Self {
        let mut command = Command::new("gdb-multiarch");
        command.args(["-q", "-nx", "-i=mi2", DEBUGGED]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut gdb = command.spawn().expect("gdb-multiarch is installed");
        let output = BufReader::new(gdb.stdout.take().expect("a pipe"));
        Self { gdb, output }
    }

    /// Sends a command and waits for a line that holds `answer`.
    fn send(&mut self, command: &str, answer: &str) {
        writeln!(self.gdb.stdin.as_mut().expect("a pipe"), "{command}").expect("sent");
        let mut lines = String::new();
        loop {
            let from = lines.len();
            assert_ne!(self.output.read_line(&mut lines).expect("a line"), 0, "{command}: {lines}");
            let line = &lines[from..];
            eprint!("gdb: {line}");
            assert!(!line.starts_with("^error"), "{command}: {line}");
            if line.contains(answer) {
                return;
            }
        }
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.gdb.kill();
        let _ = self.gdb.wait();
    }
}

/// What the debugger writes, where it stops and how it steps is in the recording: the replay needs no debugger.
///
/// Shows D140.
#[test]
fn a_debugging_session_is_recorded_and_replayed_exactly() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("cloud");
        CloudProcess::start(processes, &data, "127.0.0.1:0").process.kill();
        let identity = provision(processes, &data, folder.path(), "device", &[]);
        let file = folder.path().join("run.ovrec");
        let words = ["device", DEBUGGED, "--cloud", "127.0.0.1:1", "--data", text(&identity)];
        let more = ["--record", text(&file), "--gdb", "0", "--gdb-wait", "--show", "none"];
        let device = processes.openvisor(words.iter().chain(&more));
        let line = device.out.expect("GDB server listening on 127.0.0.1:");
        let address = line.rsplit(' ').next().expect("an address").to_owned();
        let commands = [
            "break doubled",
            "continue",
            "set var total = 1000",
            "set var $r0 = 7",
            "stepi",
            "x/2xw 0xE0042000",
            "finish",
            "delete",
            "print total",
            "detach",
        ];
        let output = gdb(processes, &format!("target remote {address}"), &commands);
        in_order(&output, &["Breakpoint 1, doubled", "Value returned is $", "= 14", "= 1007"]);
        device.out.expect("application crashed");
        device.signal("INT");
        assert_eq!(device.code(), 5, "{}", device.err.text());
        let replay = processes.openvisor(["device", DEBUGGED, "--replay", text(&file)]);
        assert_eq!(replay.code(), 5, "{} {}", replay.out.text(), replay.err.text());
        assert!(replay.out.text().contains("application crashed"), "{}", replay.out.text());
    });
}

#[test]
fn ctrl_c_ends_a_device_that_a_debugger_has_stopped() {
    within(LIMIT, |processes| {
        let (run, _) = debugged(processes, true);
        run.signal("INT");
        assert_eq!(run.code(), 0, "{}", run.err.text());
    });
}

#[test]
fn an_invalid_address_is_refused_before_anything_starts() {
    within(LIMIT, |processes| {
        for (address, code, message) in [
            ("0.0.0.0:0", 2, "--gdb-exposed"),
            ("nonsense", 2, "neither a port"),
            ("192.0.2.1:8001", 2, "other machines"),
        ] {
            let run = processes.openvisor(["run", DEBUGGED, "--gdb", address]);
            assert_eq!(run.code(), code);
            assert!(run.err.text().contains(message), "{}", run.err.text());
        }
    });
}

#[test]
fn a_crash_is_shown_with_its_calls_and_lines() {
    within(LIMIT, |processes| {
        let run = processes.openvisor(["run", DEBUGGED]);
        run.err.expect("PRECISERR BFARVALID");
        run.err.expect("backtrace:");
        let output = run.err.expect("read_word at sdk/tests/apps/debugged/main.c:");
        assert!(output.contains("#0  0x0800"), "{output}");
        run.err.expect("fail at sdk/tests/apps/debugged/main.c:");
        run.err.expect("main at sdk/tests/apps/debugged/main.c:");
    });
}

/// Shows D136, D137.
#[test]
fn a_trace_is_written_as_text_and_for_perfetto_and_is_whole_after_ctrl_c() {
    within(LIMIT, |processes| {
        let broker = Mosquitto::start(processes);
        let folder = tempfile::tempdir().unwrap();
        let [text, events] = ["trace.txt", "trace.json"].map(|name| folder.path().join(name));
        let mut words = vec!["run".to_owned(), SAMPLE.to_owned()];
        words.extend(broker.settings());
        for file in [&text, &events] {
            words.extend(["--trace".to_owned(), file.to_str().unwrap().to_owned()]);
        }
        let credentials = ["--config", "username=somebody", "--secret", "password=HUNTER2"];
        words.extend(credentials.map(str::to_owned));
        let run = processes.openvisor(words);
        run.out.expect("publish 1: ");
        run.signal("INT");
        assert_eq!(run.code(), 0, "{}", run.err.text());
        let text = std::fs::read_to_string(text).unwrap();
        in_order(
            &text,
            &[
                "application starts: reason=MV_WAKEREASON_COLDBOOT",
                "mvServerLoggingInit(",
                "mvRequestNetwork(params={version=1,",
                "mvOpenChannel(params={version=1,",
                "mvMqttRequestConnect(handle=0x",
                "host=\"127.0.0.1\"",
                "mvMqttRequestPublish(",
                "topic=\"",
                ") = OKAY",
            ],
        );
        // The link may be up before the application asks for it, or after.
        in_order(&text, &["link         connecting", "link         up"]);
        in_order(&text, &["notification: line=", "> interrupt ", "< interrupt "]);
        let output = std::fs::read_to_string(events).unwrap();
        let events: serde_json::Value = serde_json::from_str(&output).expect("JSON, to its end");
        let events = events["traceEvents"].as_array().expect("a list");
        let calls = events.iter().filter(|event| event["ph"] == "X" && event["tid"] == 1);
        assert!(calls.clone().count() > 10);
        assert!(calls.clone().all(|event| event["ts"].is_number() && event["dur"].is_number()));
        let is_tick = |event: &serde_json::Value| {
            event["name"].as_str().is_some_and(|name| name.starts_with("SysTick"))
        };
        assert!(events.iter().any(|event| is_tick(event) && event["tid"] == 2));
        assert!(text.contains("username=(8 bytes, not shown), password=(7 bytes, not shown)"), "{text}");
        assert!(!text.contains("HUNTER2") && !output.contains("HUNTER2"));
    });
}
