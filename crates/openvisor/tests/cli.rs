//! The command line as a user meets it: what is printed where, and the exit codes.

mod support;

use std::path::Path;
use std::time::Duration;

use support::fixtures::{SAMPLE, provision, text};
use support::{Process, Processes, within};

const LIMIT: Duration = Duration::from_mins(1);

const SUCCESS: i32 = 0;
const BAD_INPUT: i32 = 2;
const ENVIRONMENT: i32 = 3;

fn run(processes: &Processes, words: &str) -> (i32, String, String) {
    let process = processes.openvisor(words.split_whitespace());
    ended(&process)
}

fn ended(process: &Process) -> (i32, String, String) {
    let code = process.code();
    (code, process.out.text(), process.err.text())
}

#[test]
fn help_is_on_standard_output_and_has_examples() {
    within(LIMIT, |processes| {
        for words in
            ["--help", "demo --help", "run --help", "cloud --help", "provision --help", "device --help"]
        {
            let (code, out, err) = run(processes, words);
            assert_eq!((code, err.as_str()), (SUCCESS, ""), "{words}");
            assert!(out.contains("Example"), "{words}: {out}");
            assert!(!out.contains('\x1b'), "no colour where no terminal reads: {out:?}");
        }
        assert!(run(processes, "--help").1.contains("data folder in use"));
        assert!(run(processes, "--version").1.starts_with("openvisor "));
    });
}

#[test]
fn bad_usage_is_code_2_and_names_the_mistake() {
    within(LIMIT, |processes| {
        for (words, expected) in [
            ("", "Usage: openvisor"),
            ("dmeo", "'demo'"),
            ("demo --second 3", "--seconds"),
            ("run", "<IMAGE>"),
            ("demo --seconds soon", "not a number of seconds"),
        ] {
            let (code, out, err) = run(processes, words);
            assert_eq!((code, out.as_str()), (BAD_INPUT, ""), "{words}");
            assert!(err.contains(expected), "{words}: {err}");
        }
    });
}

fn file(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Initial stack pointer and reset vector, then filler.
fn vectors(stack: u32, reset: u32) -> Vec<u8> {
    let mut image = stack.to_le_bytes().to_vec();
    image.extend(reset.to_le_bytes());
    image.resize(1024, 0xff);
    image
}

#[test]
fn an_invalid_image_is_refused_in_one_line_with_code_2_and_nothing_is_written() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let sample = std::fs::read(SAMPLE).unwrap();
        let own = std::fs::read(env!("CARGO_BIN_EXE_openvisor")).unwrap();
        let with = |at: usize, byte: u8| {
            let mut file = sample.clone();
            file[at] = byte;
            file
        };
        let cases = [
            ("big-endian.elf", with(5, 2), "big-endian"),
            ("x86.elf", with(18, 62), "x86-64"),
            ("object.elf", with(16, 1), "of type 1"),
            ("no-segment.elf", with(44, 0), "has nothing to load"),
            ("outside.elf", with(67, 0x0C), "in application flash"),
            ("text.elf", b"This is a letter, not an application image.".to_vec(), "stack pointer"),
            ("empty.bin", Vec::new(), "is empty"),
            ("short.bin", vec![0; 7], "vector table"),
            ("host.elf", own, "ELF"),
            ("cut.elf", sample[..sample.len() / 2].to_vec(), "cut short"),
            ("header.elf", sample[..40].to_vec(), "ELF"),
            ("large.bin", vec![0; 0x20_0000], "at most"),
            ("stack.bin", vectors(0x1000_0000, 0x0801_0001), "stack pointer 0x10000000"),
            ("reset.bin", vectors(0x2003_0000, 0x2000_0001), "0x20000001"),
        ];
        for (name, bytes, expected) in cases {
            let path = file(folder.path(), name, &bytes);
            let data = folder.path().join("data");
            let (code, out, err) =
                run(processes, &format!("run {path} --seconds 5 --data {}", data.display()));
            assert!(!data.exists(), "{name}");
            assert_eq!((code, out.as_str()), (BAD_INPUT, ""), "{name}: {err}");
            assert!(err.contains(&path) && err.contains(expected), "{name}: {err}");
            assert!(err.lines().count() <= 2, "{name}: {err}");
        }
        let (code, _, err) = run(processes, "run /no/such/image.elf");
        assert_eq!(code, BAD_INPUT);
        assert!(err.contains("/no/such/image.elf"), "{err}");
    });
}

#[test]
fn invalid_settings_are_refused_before_anything_starts() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let binary = file(folder.path(), "key.der", &[0x30, 0x82, 0xff]);
        for (words, expected) in [
            (format!("--config ca=@{binary}"), "hexadecimal"),
            ("--config broker-host".into(), "KEY=VALUE"),
            ("--secret =x".into(), "1 to 100 printable ASCII"),
            ("--secret password=@/no/such/file".into(), "/no/such/file"),
            ("--allow home".into(), "address range"),
        ] {
            let (code, out, err) = run(processes, &format!("run {SAMPLE} {words}"));
            assert_eq!((code, out.as_str()), (BAD_INPUT, ""), "{words}");
            assert!(err.contains(expected), "{words}: {err}");
        }
    });
}

#[test]
fn a_busy_port_is_named_with_code_3() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let (code, out, err) =
            run(processes, &format!("cloud --data {} --listen {address}", folder.path().join("c").display()));
        assert_eq!((code, out.as_str()), (ENVIRONMENT, ""), "{err}");
        assert!(err.contains(&address.to_string()) && err.contains("use"), "{err}");
    });
}

#[test]
fn an_invalid_address_is_bad_input() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("c");
        for address in ["here", "127.0.0.1", "127.0.0.1:99999"] {
            let (code, _, err) =
                run(processes, &format!("cloud --data {} --listen {address}", data.display()));
            assert_eq!(code, BAD_INPUT, "{err}");
            assert!(err.contains("HOST:PORT"), "{err}");
        }
        assert!(!data.exists(), "nothing is made for a command that cannot work");
    });
}

#[test]
fn a_data_folder_of_another_version_or_of_something_else_is_left_alone() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("newer");
        let process = processes.openvisor(["cloud", "--data", text(&data), "--listen", "127.0.0.1:0"]);
        process.out.expect("listening on ");
        process.signal("INT");
        assert_eq!(process.code(), SUCCESS, "{}", process.err.text());
        std::fs::write(data.join("VERSION"), "77\n").unwrap();
        let foreign = folder.path().join("foreign");
        std::fs::create_dir(&foreign).unwrap();
        std::fs::write(foreign.join("letter.txt"), "dear").unwrap();
        for (folder, expected) in [(&data, "77"), (&foreign, "not empty")] {
            for words in [
                format!("cloud --data {} --listen 127.0.0.1:0", folder.display()),
                format!("provision --data {} --out {}/device", folder.display(), folder.display()),
            ] {
                let (code, out, err) = run(processes, &words);
                assert_eq!((code, out.as_str()), (ENVIRONMENT, ""), "{words}: {err}");
                assert!(err.contains(expected) && err.contains(text(folder)), "{words}: {err}");
            }
        }
        assert_eq!(std::fs::read_dir(&foreign).unwrap().count(), 1);
    });
}

#[test]
fn a_data_folder_in_use_is_named_with_code_3() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("cloud");
        let words = format!("cloud --data {} --listen 127.0.0.1:0", data.display());
        let first = processes.openvisor(words.split(' '));
        first.out.expect("listening on ");
        let (code, _, err) = run(processes, &words);
        assert_eq!(code, ENVIRONMENT, "{err}");
        assert!(err.contains("in use") && err.contains(text(&data)), "{err}");
        assert!(first.is_running());
    });
}

#[test]
fn a_device_needs_a_folder_made_by_provision() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("device");
        let words = format!("device {SAMPLE} --cloud 127.0.0.1:9 --data {}", missing.display());
        let (code, _, err) = run(processes, &words);
        assert_eq!(code, BAD_INPUT, "{err}");
        assert!(err.contains(text(&missing)) && err.contains("openvisor provision"), "{err}");
    });
}

#[test]
fn a_provisioned_folder_is_private_and_never_overwritten() {
    within(LIMIT, |processes| {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let cloud = folder.path().join("cloud");
        // No one reads the id: no reason to fail.
        let unread = format!(
            "{} provision --data {} --out {}/unread >&-",
            env!("CARGO_BIN_EXE_openvisor"),
            cloud.display(),
            folder.path().display()
        );
        assert_eq!(processes.tool("sh", ["-c", &unread]).code(), SUCCESS);
        let device = provision(processes, &cloud, folder.path(), "device", &[]);
        let mode = std::fs::metadata(device.join("key.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let key = std::fs::read(device.join("key.pem")).unwrap();
        let (code, _, err) =
            run(processes, &format!("provision --data {} --out {}", cloud.display(), device.display()));
        assert_eq!(code, BAD_INPUT, "{err}");
        assert!(err.contains(text(&device)), "{err}");
        assert_eq!(std::fs::read(device.join("key.pem")).unwrap(), key);
    });
}

#[test]
fn colour_is_for_terminals_without_no_color() {
    within(LIMIT, |processes| {
        let on_a_terminal = |variables: &str| {
            let command = format!("env {variables} {} demo --seconds 0.2", env!("CARGO_BIN_EXE_openvisor"));
            let process = processes.tool("script", ["-qec", &command, "/dev/null"]);
            process.wait();
            process.out.text()
        };
        let coloured = on_a_terminal("-u NO_COLOR TERM=xterm");
        assert!(coloured.contains("\x1b["), "{coloured:?}");
        let plain = on_a_terminal("NO_COLOR=1 TERM=xterm");
        assert!(plain.contains("listening on") && !plain.contains("\x1b["), "{plain:?}");
    });
}

#[test]
fn the_clouds_first_json_line_names_its_address() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("cloud");
        let cloud =
            processes.openvisor(["cloud", "--data", text(&data), "--listen", "127.0.0.1:0", "--json"]);
        let line: serde_json::Value = serde_json::from_str(&cloud.out.expect("listening")).unwrap();
        assert_eq!(line["source"], "cloud");
        assert!(line["text"].as_str().unwrap().starts_with("listening on 127.0.0.1:"));
    });
}
