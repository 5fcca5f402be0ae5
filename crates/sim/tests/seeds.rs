//! A few hundred worlds that differ in nothing but their seed.

use sim::world::Report;

const SEEDS: u64 = 60;

/// Runs a share of the seeds; a failure shows its seed, its reason and its last steps.
fn share(first: u64) {
    let mut total = Report::default();
    for seed in first..first + SEEDS {
        match sim::run(seed) {
            Ok(report) => total += report,
            Err(failure) => {
                let last = failure.trace.len().saturating_sub(60);
                panic!(
                    "seed {}: {}\n{}\nall of it: cargo xtask sim --seed {}",
                    failure.seed,
                    failure.message,
                    failure.trace[last..].join("\n"),
                    failure.seed
                );
            }
        }
    }
    let enough = total.completed > 50 * SEEDS && total.repeated > 5 * SEEDS && total.logs > 10 * SEEDS;
    assert!(enough && total.refused > 10 * SEEDS, "too few events to show anything: {total:?}");
}

/// Shows M03, M12, D10, D11, D45, D47, D48, D50, D52, D53, D54.
#[test]
fn whatever_breaks_every_request_has_one_answer_and_nothing_acknowledged_is_lost() {
    share(1);
}

/// Shows M12, D48, D49, D53.
#[test]
fn the_same_of_other_seeds() {
    share(1001);
}

/// Shows M12, D48, D49, D53.
#[test]
fn the_same_of_more_seeds() {
    share(2001);
}

/// Shows M12, D48, D49, D53.
#[test]
fn the_same_of_yet_more_seeds() {
    share(3001);
}

/// A seed's world is the same each time.
#[test]
fn a_seed_gives_the_same_trace_twice() {
    let trace = || {
        let trace = sim::trace::Trace::recording();
        sim::world::World::new(7, trace.clone()).run();
        trace.lines()
    };
    let first = trace();
    assert!(first.len() > 100);
    assert_eq!(first, trace());
}
