//! Each test application, until it says that it is through: its claims about itself must all hold.

use device::events::DeviceEvent;
use device::fault::Fault;
use link::channel::ChannelType;
use link::http::HttpResult;

use crate::support::bench::{Bench, MILLISECOND};
use crate::support::cloud::{HttpAnswer, HttpAsked, Script, place};
use crate::support::end::CloudEnd;
use crate::support::relayed::Relayed;

/// A page that says hi to every request.
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

/// The same with the cloud's real core.
fn start_relayed(name: &str) -> Bench<Relayed> {
    Bench::with(&format!("tests/apps/{name}/{name}.elf"), Relayed::new(script()))
}

/// Runs the application to its end; at least `least` claims must have been made, and all must be true.
fn finish<C: CloudEnd>(bench: &mut Bench<C>, least: usize) {
    bench.run_until(30_000, |bench| bench.line("END ").is_some() || bench.line("FAIL ").is_some());
    let faults = bench.events.iter().filter(|event| matches!(event, DeviceEvent::Faulted { .. }));
    assert_eq!(faults.count(), 0, "{:?}", bench.events);
    assert_eq!(bench.line("FAIL "), None, "{:#?}", bench.cloud.log());
    let passed = bench.cloud.log().iter().filter(|line| line.starts_with("PASS ")).count();
    assert!(passed >= least, "{passed} claims: {:#?}", bench.cloud.log());
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

/// Shows N31, M03, M12, D11, D12, D13, D14, D21, D50.
#[test]
fn handlers_that_know_only_some_event_types_meet_no_other() {
    finish(&mut start("strict_types"), 60);
}

/// Shows N31, M03, M12, D11, D12, D13, D14, D21, D48, D50.
#[test]
fn handlers_that_know_only_some_event_types_meet_no_other_from_the_real_relay() {
    finish(&mut start_relayed("strict_types"), 60);
}

/// Shows N31, N51, N66, N67, N68, N71, N74, N75, N77, N79, N80, D12, D14, D21, D31.
#[test]
fn a_centre_shared_by_network_http_and_configuration_distinguishes_them_by_tag() {
    lose_and_regain(&mut start("shared_centre"));
}

/// Shows N31, N51, N66, N67, N68, N71, N74, N75, N77, N79, N80, D12, D14, D21, D31.
#[test]
fn a_centre_shared_by_network_http_and_configuration_does_so_with_the_real_relay() {
    lose_and_regain(&mut start_relayed("shared_centre"));
}

fn lose_and_regain<C: CloudEnd>(bench: &mut Bench<C>) {
    bench.run_to_line(20_000, "READY to lose the link");
    bench.unplug();
    bench.run_for(2000);
    bench.plug();
    finish(bench, 60);
}

/// Shows M09, M12, M18, N62, N63, N65, N66, N71, N72, D31, D53, D87.
#[test]
fn requests_under_way_when_the_link_is_cut_are_answered_before_the_loss_is_reported() {
    let mut bench = start("cut_in_flight");
    bench.run_to_line(20_000, "READY to be ignored");
    bench.cloud.script.silent = vec![ChannelType::Mqtt.code()];
    bench.run_to_line(20_000, "READY to be cut off");
    bench.unplug();
    bench.run_for(2000);
    bench.plug();
    finish(&mut bench, 50);
}

/// Shows M03, M12, M69, D11, D12.
#[test]
fn a_handler_held_back_by_long_critical_sections_gets_every_event_afterwards() {
    finish(&mut start("delayed"), 40);
}

/// The same through the cloud's real core: requests in a burst, answers and messages at once.
///
/// Shows M03, M12, M61, M64, M69, D11, D12, D48.
#[test]
fn a_handler_held_back_gets_every_event_of_the_real_relay() {
    let mut bench = start_relayed("delayed");
    finish(&mut bench, 40);
    assert_eq!(bench.cloud.targets, [("broker.test".to_owned(), 1883)]);
}

/// Shows M03, M69, D11, D12.
#[test]
fn a_queue_of_sixteen_events_loses_none_in_a_burst_of_messages() {
    let mut bench = start("burst");
    bench.run_to_line(20_000, "READY for a burst");
    for number in 0..120 {
        bench.cloud.message("loop", number.to_string().as_bytes());
    }
    finish(&mut bench, 10);
}

/// Shows N02, N31, M03, M12, D11, D12, D14.
#[test]
fn tasks_of_a_pre_emptive_scheduler_share_the_calls_and_miss_no_event() {
    finish(&mut start("scheduler"), 100);
}

/// Shows N02, N31, M03, M12, D11, D12, D14.
#[test]
fn tasks_of_a_pre_emptive_scheduler_miss_no_event_of_the_real_relay() {
    finish(&mut start_relayed("scheduler"), 100);
}

/// Shows M03, M12, D11, D12, D14.
#[test]
fn no_event_is_missed_at_any_pace_of_the_link() {
    for pace in [MILLISECOND / 50, MILLISECOND / 7, 3 * MILLISECOND, 11 * MILLISECOND] {
        for name in ["one_record", "strict_types", "scheduler"] {
            let mut bench = start_relayed(name);
            bench.pace = pace;
            finish(&mut bench, 20);
        }
    }
}

/// A record that waits is written when its line's pend was taken (D11), not when something else next wakes the device.
/// The sample sleeps between its handler's runs, with a tick every 10 ms: twenty records must not take twenty ticks.
#[test]
fn records_that_wait_do_not_wait_for_a_sleeping_processors_next_tick() {
    let mut bench = Bench::new("samples/interrupts/interrupts.elf", script());
    bench.run_to_line(5000, "interrupts: networkstatuschanged");
    let start = bench.machine.now();
    bench.run_to_line(5000, "interrupts: 20 of 20");
    let took = (bench.machine.now() - start) / MILLISECOND;
    assert!(took <= 30, "{took} ms");
}

/// Instructions in a second of guest time while the application waits, from `milliseconds` after it has said that it
/// does.
fn instructions_a_second(bench: &mut Bench, waits: &str) -> u64 {
    bench.run_to_line(20_000, waits);
    bench.run_for(50);
    let before = bench.machine.machine().instructions();
    bench.run_for(1000);
    bench.machine.machine().instructions() - before
}

/// Shows D218, D219.
#[test]
fn a_program_that_asks_again_and_again_executes_little_and_misses_no_moment() {
    let mut bench = start("watching");
    for (waits, most) in [
        ("BEGIN a moment", 100_000),
        ("BEGIN a clock", 200_000),
        ("BEGIN several questions", 100_000),
        ("BEGIN a change", 100_000),
    ] {
        let instructions = instructions_a_second(&mut bench, waits);
        assert!(instructions < most, "{waits}: {instructions} instructions in a second");
    }
    bench.unplug();
    let cut = bench.machine.now() / (MILLISECOND / 1000);
    bench.plug();
    finish(&mut bench, 10);
    let seen = bench.line("DONE a change at ").expect("it was seen").rsplit(' ').next().expect("a word");
    let late = seen.parse::<u64>().expect("microseconds") - cut;
    assert!(late <= 1000, "seen {late} µs after it happened");
    let instructions = instructions_a_second(&mut bench, "BEGIN for ever");
    assert!(instructions < 200_000, "a clock: {instructions} instructions in a second");
}

/// Shows D290.
#[test]
fn constructors_run_before_main_in_order_and_after_the_initial_values() {
    finish(&mut start("constructors"), 12);
}

/// Shows D291.
#[test]
fn a_stack_that_grows_too_far_is_a_stack_overflow_before_it_overwrites_a_variable() {
    let mut bench = start("recursion");
    bench.run_until(30_000, |bench| bench.line("END ").is_some());
    let faults: Vec<_> = bench.events.iter().filter_map(fault_of).collect();
    let [fault] = faults[..] else { panic!("{:?}", bench.events) };
    assert_eq!(fault.cfsr, 1 << 20, "{fault}: STKOF and nothing else");
    assert_eq!(bench.line("END "), Some("END 2 claims, 0 failures"), "{:#?}", bench.cloud.log());
}

fn fault_of(event: &DeviceEvent) -> Option<Fault> {
    if let DeviceEvent::Faulted { fault, .. } = event { Some(*fault) } else { None }
}
