//! `openvisor run IMAGE`: the user's image, the user's broker.

mod support;

use std::time::Duration;

use support::world::{COMMANDS, Mosquitto, READINGS, SAMPLE, SAMPLE_BIN, text};
use support::{Process, Stage, within};

const LIMIT: Duration = Duration::from_mins(2);

fn run(stage: &Stage, image: &str, broker: &Mosquitto, more: &[&str]) -> Process {
    let mut words = vec!["run".to_owned(), image.to_owned()];
    words.extend(broker.settings());
    words.extend(more.iter().map(|&word| word.to_owned()));
    stage.openvisor(words)
}

/// Shows M01, M61, M81, M87.
#[test]
fn an_image_publishes_to_mosquitto_and_obeys_a_command_from_outside() {
    within(LIMIT, |stage| {
        let broker = Mosquitto::start(stage);
        let witness = broker.witness(stage, "test/#");
        let run = run(stage, SAMPLE, &broker, &[]);
        witness.out.expect(&format!("{READINGS} {{\"seq\":0,"));
        run.out.expect("subscribe: ");
        broker.publish(stage, COMMANDS, "echo from outside");
        run.out.expect(&format!("received on {COMMANDS}: echo from outside"));
        witness.out.expect(&format!("{READINGS}/echo from outside"));
        broker.publish(stage, COMMANDS, "led on");
        run.err.expect("LED on");
        run.signal("INT");
        assert_eq!(run.code(), 0, "{}", run.err.text());
    });
}

/// Shows N24.
#[test]
fn standard_output_is_the_applications_log_and_nothing_else() {
    within(LIMIT, |stage| {
        let broker = Mosquitto::start(stage);
        let run = run(stage, SAMPLE_BIN, &broker, &["--seconds", "6", "--quiet"]);
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
    within(LIMIT, |stage| {
        let broker = Mosquitto::start(stage);
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let first = run(stage, SAMPLE, &broker, &["--data", text(&data)]);
        let device = first.out.expect("device UV");
        first.out.expect("connect: ");
        first.signal("INT");
        assert_eq!(first.code(), 0, "{}", first.err.text());
        let again = stage.openvisor(["run", SAMPLE, "--data", text(&data)]);
        assert_eq!(again.out.expect("device UV"), device);
        again.out.expect(&format!("connecting to 127.0.0.1:{}", broker.port));
    });
}

/// Shows N51, N66, N71, D50.
#[test]
fn an_application_whose_broker_is_killed_connects_anew_when_it_is_back() {
    within(LIMIT, |stage| {
        let broker = Mosquitto::start(stage);
        let run = run(stage, SAMPLE, &broker, &[]);
        run.out.expect("publish 1: ");
        let port = broker.kill();
        let (lost, _) = run.out.expect_after(0, "channel: lost, ");
        let broker = Mosquitto::start_at(stage, port);
        let witness = broker.witness(stage, READINGS);
        run.out.expect_after(lost, "subscribe: ");
        witness.out.expect(READINGS);
        broker.publish(stage, COMMANDS, "echo still obeying");
        run.out.expect_after(lost, "received on test/commands: echo still obeying");
    });
}
