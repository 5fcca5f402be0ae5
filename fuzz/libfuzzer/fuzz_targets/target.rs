//! One program for all targets: the environment says which.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static TARGET: LazyLock<String> = LazyLock::new(|| std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target"));

fuzz_target!(|bytes: &[u8]| fuzz::run(&TARGET, bytes));
