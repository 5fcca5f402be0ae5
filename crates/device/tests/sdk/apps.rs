//! Each test application, until it says that it is through: its claims about itself must all hold.

use device::events::DeviceEvent;
use link::http::HttpResult;

use crate::support::bench::Bench;
use crate::support::cloud::{HttpAnswer, HttpAsked, Script, place};

/// A page that says hi, whoever asks.
fn hi(_: &HttpAsked) -> HttpAnswer {
    HttpAnswer { result: HttpResult::Ok, status: 200, headers: Vec::new(), body: b"hi".to_vec() }
}

/// What the applications expect of the cloud.
fn script() -> Script {
    let mut script = Script { http: Some(hi), ..Script::default() };
    script.config.insert((place(true, true), "answer".to_owned()), b"42".to_vec());
    script
}

fn start(name: &str) -> Bench {
    Bench::new(&format!("tests/apps/{name}/{name}.elf"), script())
}

/// Lets the application come to its end; `least` claims must have been made, and all must hold.
fn finish(bench: &mut Bench, least: usize) {
    bench.run_until(120_000, |bench| bench.line("END ").is_some() || bench.line("FAIL ").is_some());
    let faults = bench.events.iter().filter(|event| matches!(event, DeviceEvent::Faulted { .. }));
    assert_eq!(faults.count(), 0, "{:?}", bench.events);
    assert_eq!(bench.line("FAIL "), None, "{:#?}", bench.cloud.log);
    let passed = bench.cloud.log.iter().filter(|line| line.starts_with("PASS ")).count();
    assert!(passed >= least, "{passed} claims: {:#?}", bench.cloud.log);
    assert_eq!(bench.line("END ").expect("the end"), format!("END {passed} claims, 0 failures"));
}

/// Shows N39, N40, N41, N79, D10, D11.
#[test]
fn a_handler_that_takes_one_record_an_interrupt_sees_each_once_and_in_order() {
    finish(&mut start("one_record"), 20);
}

/// Shows N37, N38, N39, N43, D10, D11.
#[test]
fn a_program_that_polls_with_its_line_disabled_finds_each_record_at_once() {
    finish(&mut start("polled"), 10);
}
