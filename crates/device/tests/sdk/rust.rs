//! Rust applications, built from `sdk/rust` with the toolchain of this project.

use std::path::Path;
use std::process::Command;

use abi::calls::Call;
use device::events::DeviceEvent;
use device::image::Image;
use link::http::HttpResult;

use crate::support::bench::{Bench, DEVICE_ID};
use crate::support::cloud::{HttpAnswer, HttpAsked, Script, place};
use crate::support::relayed::Relayed;

/// Where the images are, in the `sdk` folder.
const IMAGES: &str = "rust/target/thumbv8m.main-none-eabi/release";
/// What hello may have, in bytes of flash.
const HELLO_LIMIT: usize = 6 * 1024;

/// Builds the samples, if they are not up to date, and gives the path of one in the `sdk` folder.
fn image(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/rust");
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--release", "--locked", "--quiet", "--target-dir", "target"]).current_dir(folder);
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        command.env_remove(variable);
    }
    let output = command.output().expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    format!("{IMAGES}/{name}")
}

#[test]
fn hello_says_hello_and_fits_in_6_kib() {
    let path = image("hello");
    let mut bench = Bench::new(&path, Script::default());
    bench.run_to_line(5_000, &format!("hello from {DEVICE_ID}"));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk").join(path);
    let size = Image::load(&file).expect("an image").bytes().len();
    assert!(size <= HELLO_LIMIT, "{size} bytes");
}

/// A cloud with the settings of a broker that sends what is published to the command topic back: an echo of commands.
fn broker() -> Relayed {
    let mut script = Script::default();
    let settings = [
        ("broker-host", "broker.test"),
        ("broker-port", "1883"),
        ("username", "reader"),
        ("publish-topic", "command/device"),
        ("command-topic", "command/device"),
    ];
    for (key, value) in settings {
        script.config.insert((place(true, true), key.to_owned()), value.as_bytes().to_vec());
    }
    Relayed::new(script)
}

/// The system calls and the log of an MQTT sample, until its fifth publish is answered.
fn mqtt(path: &str) -> (Vec<Call>, Vec<String>) {
    let mut bench = Bench::traced(path, broker());
    bench.run_to_line(20_000, "publish 4: requestcompleted, reason 0x00");
    let call = |event: &DeviceEvent| match event {
        DeviceEvent::Called { call, .. } => Some(*call),
        _ => None,
    };
    (bench.events.iter().filter_map(call).collect(), bench.cloud.log)
}

/// Shows M01, M27, M54, M61, M63, M66, M74.
#[test]
fn the_mqtt_sample_in_rust_makes_the_same_system_calls_as_the_one_in_c() {
    let (rust_calls, rust_log) = mqtt(&image("mqtt"));
    let (c_calls, c_log) = mqtt("samples/mqtt/mqtt.elf");
    assert_eq!(rust_log, c_log);
    assert_eq!(rust_calls, c_calls);
    assert!(rust_calls.contains(&Call::MqttAcknowledgeMessage), "the broker's messages were received");
}

/// Shows D295.
#[test]
fn a_panic_is_the_last_line_of_the_log_and_a_crash_with_the_function_that_panicked() {
    let mut bench = Bench::new(&image("panics"), Script::default());
    bench.run_until(5_000, |bench| bench.events.iter().any(|event| matches!(event, DeviceEvent::Crashed(_))));
    let crash = bench.events.iter().find_map(|event| match event {
        DeviceEvent::Crashed(crash) => Some(crash),
        _ => None,
    });
    let frames: Vec<String> =
        crash.expect("a crash").frames.iter().map(|frame| format!("{frame:?}")).collect();
    assert!(frames.iter().any(|frame| frame.contains("open_valve")), "{frames:#?}");
    bench.run_to_line(5_000, "panic at ");
    assert_eq!(
        bench.cloud.log[..5],
        [
            "connected",
            "warning: one valve of 3 is open",
            "error: too hot",
            "debug: 42",
            "panic at tests/panics/src/main.rs:27: index out of bounds: the len is 3 but the index is 8",
        ]
    );
}

fn page(asked: &HttpAsked) -> HttpAnswer {
    assert_eq!((asked.method.as_str(), asked.url.as_str()), ("GET", "https://example.com/"));
    let headers = vec!["content-type: text/plain".to_owned()];
    HttpAnswer { result: HttpResult::Ok, status: 200, headers, body: b"0123456789abcdef".to_vec() }
}

/// Shows N02, N54.
#[test]
fn tasks_of_an_asynchronous_executor_are_woken_by_notifications_and_by_the_clock() {
    let mut bench =
        Bench::with(&image("tasks"), Relayed::new(Script { http: Some(page), ..Script::default() }));
    bench.run_to_line(20_000, "tasks: done");
    assert_eq!(
        bench.cloud.log,
        [
            "tasks: ok, status 200, 16 bytes",
            "tasks: content-type: text/plain",
            "tasks: 0123456789abcdef",
            "tasks: 1 s",
            "tasks: 2 s",
            "tasks: 3 s",
            "tasks: done",
        ]
    );
}
