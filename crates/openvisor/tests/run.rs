//! `openvisor run IMAGE`: the user's image, the user's broker.

mod support;

use std::io::Write;
use std::time::Duration;

use support::fixtures::{COMMANDS, HTTP_SAMPLE, Mosquitto, READINGS, SAMPLE, SAMPLE_BIN, https_server, text};
use support::{Process, Processes, within};

const LIMIT: Duration = Duration::from_mins(2);

fn run(processes: &Processes, image: &str, broker: &Mosquitto, more: &[&str]) -> Process {
    let mut words = vec!["run".to_owned(), image.to_owned()];
    words.extend(broker.settings());
    words.extend(more.iter().map(|&word| word.to_owned()));
    processes.openvisor(words)
}

/// Shows M01, M61, M81, M86, M87.
#[test]
fn an_image_publishes_to_mosquitto_and_obeys_a_command_from_outside() {
    within(LIMIT, |processes| {
        let broker = Mosquitto::start(processes);
        let subscriber = broker.subscriber(processes, "test/#");
        let run = run(processes, SAMPLE, &broker, &[]);
        subscriber.out.expect(&format!("{READINGS} {{\"seq\":0,"));
        run.out.expect("subscribe: ");
        broker.publish(processes, COMMANDS, "echo from outside");
        run.out.expect(&format!("received on {COMMANDS}: echo from outside"));
        broker.log().expect("Received PUBACK from UV");
        subscriber.out.expect(&format!("{READINGS}/echo from outside"));
        broker.publish(processes, COMMANDS, "led on");
        run.err.expect("LED on");
        run.signal("INT");
        assert_eq!(run.code(), 0, "{}", run.err.text());
    });
}

/// Shows M86, M87, D48.
#[test]
fn a_hundred_commands_in_a_row_all_reach_the_application_and_are_acknowledged() {
    within(LIMIT, |processes| {
        let broker = Mosquitto::start(processes);
        let run = run(processes, SAMPLE, &broker, &[]);
        run.out.expect("subscribe: ");
        let publish = format!("seq 100 | mosquitto_pub -p {} -q 1 -t {COMMANDS} -l", broker.port);
        assert_eq!(processes.tool("sh", ["-c", &publish]).code(), 0);
        // More than any table on the way holds, so every acknowledgement has to come back.
        (0..100).fold(0, |from, _| broker.log().expect_after(from, "Received PUBACK from UV").0);
        // The log buffer may be too small for such a burst (D70); the application is not.
        let subscriber = broker.subscriber(processes, "test/readings/echo");
        broker.publish(processes, COMMANDS, "echo after the burst");
        subscriber.out.expect("after the burst");
    });
}

/// Shows N24.
#[test]
fn standard_output_is_the_applications_log_and_nothing_else() {
    within(LIMIT, |processes| {
        let broker = Mosquitto::start(processes);
        let run = run(processes, SAMPLE_BIN, &broker, &["--seconds", "6", "--quiet"]);
        assert_eq!(run.code(), 0, "{}", run.err.text());
        assert_eq!(run.err.text(), "");
        let out = run.out.text();
        assert!(out.starts_with("device UV"), "{out}");
        let heads = ["device ", "network: ", "connecting to ", "connect: ", "subscribe: ", "publish "];
        assert!(out.lines().all(|line| heads.iter().any(|head| line.starts_with(head))), "{out}");
    });
}

#[test]
fn a_named_data_folder_keeps_the_device_and_its_settings() {
    within(LIMIT, |processes| {
        let broker = Mosquitto::start(processes);
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let first = run(processes, SAMPLE, &broker, &["--data", text(&data)]);
        let device = first.out.expect("device UV");
        first.out.expect("connect: ");
        first.signal("INT");
        assert_eq!(first.code(), 0, "{}", first.err.text());
        let again = processes.openvisor(["run", SAMPLE, "--data", text(&data)]);
        assert_eq!(again.out.expect("device UV"), device);
        again.out.expect(&format!("connecting to 127.0.0.1:{}", broker.port));
    });
}

/// Shows N71, D50.
#[test]
fn an_application_whose_broker_is_killed_reconnects_when_it_is_back() {
    within(LIMIT, |processes| {
        let broker = Mosquitto::start(processes);
        let run = run(processes, SAMPLE, &broker, &[]);
        run.out.expect("publish 1: ");
        let port = broker.kill();
        let (lost, _) = run.out.expect_after(0, "channel: lost, ");
        let broker = Mosquitto::start_at(processes, port);
        let subscriber = broker.subscriber(processes, READINGS);
        run.out.expect_after(lost, "subscribe: ");
        subscriber.out.expect(READINGS);
        broker.publish(processes, COMMANDS, "echo still obeying");
        run.out.expect_after(lost, "received on test/commands: echo still obeying");
    });
}

/// Shows M44, M55.
#[test]
fn a_secret_from_a_file_opens_a_broker_with_a_password() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let broker = Mosquitto::with_password(processes, folder.path(), "sensor", "hunter2");
        let secret = |password: &str| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            writeln!(file, "{password}").unwrap();
            file
        };
        for (password, answer) in
            [("hunter2", "connect: requestcompleted, reason 0x00"), ("wrong", "reason 0x87")]
        {
            let file = secret(password);
            let setting = format!("password=@{}", file.path().display());
            let run = run(processes, SAMPLE, &broker, &["--config", "username=sensor", "--secret", &setting]);
            run.out.expect(answer);
            assert!(!run.err.text().contains(password), "a secret is shown");
        }
    });
}

/// Shows M20, M46, M47, M49, M51, D42.
#[test]
fn a_broker_is_reached_by_tls_when_the_application_names_its_authority() {
    within(LIMIT, |processes| {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let broker = Mosquitto::with_tls(processes, folder.path());
        let setting = format!("broker-ca=@{}/ca.hex", folder.path().display());
        let known = run(processes, SAMPLE, &broker, &["--config", &setting]);
        known.out.expect("subscribe: requestcompleted");
        known.out.expect("publish 0: requestcompleted");
        drop(known);
        // With another authority, the application gets the status that names the cause (M20).
        Mosquitto::with_tls(processes, other.path());
        let setting = format!("broker-ca=@{}/ca.hex", other.path().display());
        run(processes, SAMPLE, &broker, &["--config", &setting]).out.expect("connect: unknownca");
    });
}

/// Shows D42.
#[test]
fn a_broker_by_a_public_name_is_led_elsewhere_and_still_has_to_prove_the_name() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let broker = Mosquitto::with_tls(processes, folder.path());
        let ca = format!("broker-ca=@{}/ca.hex", folder.path().display());
        for (name, answer) in
            [("broker.example", "subscribe: requestcompleted"), ("other.example", "connect: ")]
        {
            let resolve = format!("{name}:8883=127.0.0.1:{}", broker.port);
            let (host, ports) = (format!("broker-host={name}"), "broker-port=8883");
            let words = ["--resolve", &resolve, "--config", &host, "--config", ports, "--config", &ca];
            let run = processes.openvisor(["run", SAMPLE].into_iter().chain(words));
            let line = run.out.expect(answer);
            assert_eq!(line.contains("requestcompleted"), name == "broker.example", "{line}");
        }
    });
}

#[test]
fn an_application_of_a_public_host_is_tested_offline() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let port = https_server(folder.path());
        let resolve = format!("example.com:443=127.0.0.1:{port}");
        let ca = folder.path().join("ca.pem");
        let run = processes.openvisor(["run", HTTP_SAMPLE, "--resolve", &resolve, "--cacert", text(&ca)]);
        run.out.expect("http: status 200");
        run.out.expect("body from 0: hello");
        // Without the authority this server is not trusted.
        let run = processes.openvisor(["run", HTTP_SAMPLE, "--resolve", &resolve]);
        run.out.expect("http: no answer");
    });
}

#[test]
fn invalid_destinations_are_refused_before_anything_starts() {
    within(LIMIT, |processes| {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (option, value, expected) in [
            ("--resolve", "example.com=127.0.0.1:1", "HOST:PORT=ADDRESS:PORT"),
            ("--cacert", "/no/such/ca.pem", "/no/such/ca.pem"),
            ("--cacert", text(file.path()), "PEM"),
            ("--account-config", "region", "--account-config needs KEY=VALUE"),
        ] {
            for command in [&["demo"][..], &["run", SAMPLE]] {
                let process = processes.openvisor(command.iter().chain(&[option, value]));
                assert_eq!(process.code(), 2, "{option} {value}");
                assert!(process.err.text().contains(expected), "{}", process.err.text());
                assert_eq!(process.out.text(), "");
            }
        }
    });
}

/// Shows M21, D62.
#[test]
fn an_address_of_the_network_around_is_closed_unless_allowed() {
    within(LIMIT, |processes| {
        let words = "--config broker-host=169.254.7.7 --config broker-port=9 --seconds 20";
        let run = processes.openvisor(["run", SAMPLE].into_iter().chain(words.split(' ')));
        run.err.expect("--allow");
        run.out.expect("connect: socketerror");
    });
}

/// Shows D73.
#[test]
fn an_image_that_crashes_is_reported_and_restarted() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crash.bin");
        // A vector table whose every handler is the one instruction behind it.
        let handler = 0x0800_0041u32.to_le_bytes();
        let mut image = 0x2001_0000u32.to_le_bytes().to_vec();
        (1..16).for_each(|_| image.extend(handler));
        image.extend(0xde00u16.to_le_bytes()); // UDF #0
        std::fs::write(&path, image).unwrap();
        let run = processes.openvisor(["run", text(&path)]);
        let (stopped, line) = run.err.expect_after(0, "application crashed");
        assert!(line.contains("0x08000040"), "where: {line}");
        run.err.expect_after(stopped, "application restarted after a crash");
        run.signal("INT");
        assert_eq!(run.code(), 5);
        assert_eq!(run.out.text(), "");
    });
}

#[test]
fn a_temporary_folder_is_gone_after_ctrl_c() {
    within(LIMIT, |processes| {
        let temporary = tempfile::tempdir().unwrap();
        let run = processes.openvisor_with(&[("TMPDIR", text(temporary.path()))], &["run", SAMPLE]);
        run.out.expect("network: connected");
        assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 1);
        run.signal("INT");
        assert_eq!(run.code(), 0, "{}", run.err.text());
        assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
    });
}

#[test]
fn events_can_be_had_as_json() {
    within(LIMIT, |processes| {
        let run = processes.openvisor(["run", SAMPLE, "--json", "--seconds", "2"]);
        assert_eq!(run.code(), 0);
        let lines: Vec<serde_json::Value> =
            run.err.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.iter().any(|line| line["source"] == "link" && line["text"] == "up"), "{lines:?}");
    });
}
