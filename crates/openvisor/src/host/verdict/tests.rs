use device::fault::{Fault, FaultKind};

use super::*;
use crate::output::exit::Exit;

fn options(until: Option<&str>, fail_on: &[&str]) -> VerdictOptions {
    let regex = |text: &str| Regex::new(text).expect(text);
    VerdictOptions {
        until: until.map(regex),
        fail_on: fail_on.iter().map(|text| regex(text)).collect(),
        ..VerdictOptions::default()
    }
}

fn crash() -> DeviceEvent {
    let fault = Fault {
        kind: FaultKind::Lockup,
        pc: 0,
        lr: 0,
        sp: 0,
        cfsr: 0,
        hfsr: 0,
        mmfar: 0,
        bfar: 0,
        diagnosis: None,
    };
    DeviceEvent::Faulted { fault, restart_in_ms: 1000 }
}

fn code(verdict: &Verdict, ending: Ending) -> Exit {
    verdict.result(ending).err().map_or(Exit::Success, |failure| failure.exit())
}

/// Shows D261.
#[test]
fn a_run_with_until_ends_at_the_line_that_matches() {
    let mut verdict = Verdict::new(&options(Some("^ready \\d+$"), &[]), false);
    verdict.observe_line("not ready 1");
    assert!(!verdict.is_decided());
    for (ending, why) in [
        (Ending::TimedOut, "the run ended"),
        (Ending::Interrupted, "interrupted"),
        (Ending::Replayed, "in the recording"),
    ] {
        assert_eq!(code(&verdict, ending), Exit::Unmet);
        assert!(verdict.result(ending).unwrap_err().to_string().contains(why));
    }
    verdict.observe_line("ready 17\n");
    assert!(verdict.is_decided());
    assert_eq!(code(&verdict, Ending::Decided), Exit::Success);
}

/// Shows D261.
#[test]
fn a_line_that_must_not_appear_decides_the_run_and_is_quoted() {
    let mut verdict = Verdict::new(&options(None, &["panic", "ASSERT"]), false);
    verdict.observe_line("fine");
    assert!(!verdict.is_decided());
    verdict.observe_event(&DeviceEvent::Serial { port: 2, bytes: b"ASSERT x > 0".to_vec() });
    assert!(verdict.is_decided());
    let failure = verdict.result(Ending::Decided).unwrap_err();
    assert_eq!(failure.exit(), Exit::Failed);
    assert_eq!(failure.to_string(), "a line matches --fail-on ASSERT: ASSERT x > 0");
}

/// Shows D260.
#[test]
fn a_crash_decides_the_result_however_the_run_ends_unless_crashes_are_allowed() {
    for ending in [Ending::Interrupted, Ending::TimeOver, Ending::TimedOut, Ending::OutputClosed] {
        let mut verdict = Verdict::new(&options(None, &[]), false);
        verdict.observe_event(&crash());
        assert!(!verdict.is_decided(), "the application restarts");
        verdict.observe_event(&crash());
        assert_eq!(code(&verdict, ending), Exit::Crashed);
        assert!(verdict.result(ending).unwrap_err().to_string().contains("crashed 2 times, first: "));
    }
    let mut allowed = Verdict::new(&VerdictOptions { allow_crashes: true, ..options(None, &[]) }, false);
    allowed.observe_event(&crash());
    assert_eq!(code(&allowed, Ending::TimeOver), Exit::Success);
    let mut awaiting = Verdict::new(&options(Some("ready"), &[]), false);
    awaiting.observe_event(&crash());
    assert!(awaiting.is_decided());
}

/// Shows D107, D261.
#[test]
fn a_factory_test_has_its_own_result() {
    let result = |status: Option<u32>, ending| {
        let mut verdict = Verdict::new(&options(None, &[]), true);
        if let Some(status) = status {
            verdict.observe_event(&DeviceEvent::TestingComplete { status });
            assert!(verdict.is_decided());
        }
        code(&verdict, ending)
    };
    assert_eq!(result(Some(0), Ending::Decided), Exit::Success);
    assert_eq!(result(Some(3), Ending::Decided), Exit::Failed);
    assert_eq!(result(None, Ending::TimeOver), Exit::Failed);
    assert_eq!(result(None, Ending::TimedOut), Exit::Unmet);
}

#[test]
fn a_report_keeps_the_last_lines_of_a_long_log() {
    let mut log = LogTail::default();
    for number in 0..400_000 {
        log.add(&format!("line {number}"));
    }
    let text = log.text();
    assert!(text.starts_with("(earlier lines"), "{}", &text[..40]);
    assert!(text.ends_with("line 399999\n") && text.len() < MAX_LOG + 100);
}
