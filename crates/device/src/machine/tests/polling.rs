//! What system calls cost in guest time, and programs that ask again and again.

use super::*;

const SECOND: u64 = 1000 * MILLISECOND;
const GET_NETWORK_REASONS: u32 = 0x0C1F_E0C9;
const READ_HTTP_RESPONSE: u32 = 0x0C1F_E119;
const SERVER_LOG: u32 = 0x0C1F_E129;

/// Instructions executed in a second of guest time, from the first one on.
fn instructions_in_a_second(machine: &mut Machine) -> u64 {
    let (end, before) = (machine.now() + SECOND, machine.instructions());
    run_until(machine, end);
    machine.instructions() - before
}

/// Reads the clock again and again, doing `between` each time.
fn asking(between: impl Fn(&mut Program)) -> Program {
    let mut program = Program::new();
    let top = program.here();
    program.add(mov32(0, RESULT)).call(GET_MICROSECONDS);
    between(&mut program);
    program.add([0x2F01]).bne(top).add(b_self());
    program
}

/// Shows D218.
#[test]
fn a_call_takes_the_application_2500_ns() {
    assert_eq!(CALL_CYCLES, 5 * CYCLES_PER_MICRO / 2);
    let mut asking = machine(&asking(|program| {
        program.add([0x3601]); // adds r6, #1
    }));
    // A round has some ten instructions: it is the calls that take the time.
    run_until(&mut asking, MILLISECOND);
    let rounds = asking.cpu.register(Register::R(6));
    assert!((350..=400).contains(&rounds), "{rounds} calls in a millisecond");
}

/// Shows D219.
#[test]
fn an_application_that_only_asks_what_time_it_is_costs_hardly_more_than_one_that_waits() {
    let mut machine = machine(&asking(|_| {}));
    run_until(&mut machine, 100 * MILLISECOND);
    let instructions = instructions_in_a_second(&mut machine);
    assert!((5_000..40_000).contains(&instructions), "{instructions}: about a thousand rounds a second");
}

/// The answer is kept, compared, and worked upon in registers and memory.
///
/// Shows D219.
#[test]
fn what_follows_from_the_answer_is_no_obstacle() {
    let mut machine = machine(&asking(|program| {
        program.add(mov32(1, RESULT)).add(ldr(2, 1, 0)).add(ldr(3, 1, 0x20)); // the time, and the one before
        program.add(str_(2, 1, 0x20)).add(str_(3, 1, 0x24));
        program.add([0x1AD3]).add(str_(3, 1, 0x28)); // subs r3, r2, r3
        program.add(mov32(0, RESULT + 0x30)).add(mov32(1, RESULT + 0x34)).call(GET_NETWORK_REASONS);
    }));
    run_until(&mut machine, 100 * MILLISECOND);
    let instructions = instructions_in_a_second(&mut machine);
    assert!(instructions < 150_000, "{instructions}");
    assert!(ram(&machine, RESULT + 0x28) <= 1000, "microseconds between two rounds");
}

/// Shows D219.
#[test]
fn an_application_that_counts_between_its_questions_is_not_held_up() {
    let mut machine = machine(&asking(|program| {
        program.add([0x3601]);
    }));
    run_until(&mut machine, SECOND);
    let rounds = machine.cpu.register(Register::R(6));
    assert!(rounds > 350_000, "{rounds} rounds in a second");
}

/// Shows D219.
#[test]
fn an_application_that_acts_between_its_questions_is_not_held_up() {
    for acts in 0..3 {
        let mut machine = machine(&asking(|program| {
            let _one_of = match acts {
                0 => program.add(mov32(1, 0x4000_0000)).add(ldr(2, 1, 0x24)), // a timer's counter
                1 => program.add(mov32(1, 0xE000_E100)).add(ldr(2, 1, 0)),    // NVIC_ISER0
                _ => program.add(mov32(0, RESULT)).add(movs(1, 4)).call(SERVER_LOG),
            };
        }));
        run_until(&mut machine, 100 * MILLISECOND);
        let before = machine.instructions();
        run_until(&mut machine, 200 * MILLISECOND);
        let instructions = machine.instructions() - before;
        assert!(instructions > 200_000, "{acts}: {instructions}");
    }
}

/// Shows D219.
#[test]
fn a_read_that_finds_nothing_only_asks_and_one_that_fails_otherwise_does_not_count() {
    let mut machine = machine(&asking(|program| {
        program.add(mov32(0, 77)).add(mov32(1, RESULT + 0x40)).call(READ_HTTP_RESPONSE); // no such handle
    }));
    run_until(&mut machine, 100 * MILLISECOND);
    assert!(instructions_in_a_second(&mut machine) > 1_000_000);
}

/// Shows D219.
#[test]
fn an_interrupt_is_taken_at_its_cycle_while_a_call_is_held() {
    let mut program = Program::new();
    program.add(mov32(0, 0x4000_1000)); // TIM6 as a millisecond tick, whose handler counts
    for [offset, value] in [[0x28, 159], [0x2C, 999], [0x14, 1], [0x10, 0], [0x0C, 1], [0, 1]] {
        program.add(mov32(1, value.into())).add(str_(1, 0, offset));
    }
    program.add(mov32(0, 0xE000_E104)).add(mov32(1, 1 << 17)).add(str_(1, 0, 0));
    let top = program.here();
    program.add(mov32(0, RESULT)).call(GET_MICROSECONDS).add([0x2F01]).bne(top).add(b_self());
    program.handler(16 + 49);
    program.add(mov32(0, 0x4000_1000)).add(movs(1, 0)).add(str_(1, 0, 0x10));
    program.add(mov32(2, RESULT)).add(ldr(1, 2, 0x10)).add([0x3101]).add(str_(1, 2, 0x10)).add([0x4770]);
    let mut machine = machine(&program);
    run_until(&mut machine, SECOND);
    let ticks = ram(&machine, RESULT + 0x10);
    assert!((999..=1000).contains(&ticks), "{ticks}");
    let instructions = instructions_in_a_second(&mut machine);
    assert!(instructions < 150_000, "{instructions}");
}

/// Shows D219, D138.
#[test]
fn into_how_many_runs_the_time_is_cut_makes_no_difference() {
    let program = asking(|program| {
        program.add(mov32(1, RESULT)).add(ldr(2, 1, 0)).add(str_(2, 1, 0x20));
    });
    let after = |piece: u64| {
        let mut machine = machine(&program);
        while machine.now() < SECOND / 4 {
            if machine.run(piece.min(SECOND / 4 - machine.now())) == RunResult::Idle {
                machine.pass_time(machine.now().saturating_add(piece));
            }
        }
        // To a moment that all of them reach alike.
        run_until(&mut machine, SECOND / 2);
        let registers = [0, 1, 2, 3, 6, 13, 14, 15].map(|number| machine.cpu.register(Register::R(number)));
        (machine.now(), machine.instructions(), registers, ram(&machine, RESULT))
    };
    let expected = after(u64::MAX);
    for piece in [97, 1003, 4000, 160_000] {
        assert_eq!(after(piece), expected, "in pieces of {piece} cycles");
    }
}

/// Shows D219: what arrives from outside is seen at once, however long the call would have been held.
#[test]
fn a_call_that_is_held_answers_when_something_arrives() {
    let mut machine = machine(&asking(|_| {}));
    run_until(&mut machine, 100 * MILLISECOND);
    while machine.run(1) != RunResult::Idle {}
    let due = machine.next_event().expect("the call's answer");
    assert!(due > machine.now() + 100, "it is held");
    machine.pass_time(machine.now() + 50);
    machine.handle(&Input::LinkConnecting).expect("accepted");
    assert_eq!(machine.run(1), RunResult::Busy, "it has answered");
    assert!(machine.now() < due);
}

/// Shows D220.
#[test]
fn the_kernels_clock_can_be_put_forward_and_the_applications_timers_stay() {
    let mut machine = machine(&asking(|_| {}));
    run_until(&mut machine, 10 * MILLISECOND);
    machine.handle(&Input::TimeSkipped(60 * SECOND)).expect("accepted");
    run_until(&mut machine, 12 * MILLISECOND);
    let micros = ram(&machine, RESULT);
    assert!((60_010_000..=60_012_000).contains(&micros), "{micros}");
    assert!(machine.now() < 13 * MILLISECOND);
}

/// Shows D219, D141.
#[test]
fn with_scaled_time_a_polling_application_costs_no_more_by_the_wall_clock() {
    let program = asking(|_| {});
    let cost = |poll_scale| {
        let provisioning = Provisioning { poll_scale, ..Provisioning::default() };
        let mut machine = Machine::with_provisioning(settings(&program), provisioning);
        run_until(&mut machine, 100 * MILLISECOND);
        instructions_in_a_second(&mut machine)
    };
    let (unscaled, scaled) = (cost(0), cost(100));
    assert!(scaled * 50 < unscaled, "{unscaled} instructions a second, and {scaled} with a scale of 100");
}
