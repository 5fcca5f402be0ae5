//! An image of tests that end in every way.

#![no_std]
#![no_main]

use openvisor_app::sys::{MV_RESTARTMODE_AUTOAPPLYUPDATE, MV_STATUS_OKAY, MV_STATUS_UNAVAILABLE, mvRestart};
use openvisor_app::{Status, clock, log_line};

openvisor_app::tests! {
    #[test]
    fn passes() {
        log_line!("a line of a test that passes");
    }

    #[test]
    fn panics() {
        log_line!("before the panic");
        assert_eq!(core::hint::black_box(1) + 1, 3, "the sum");
    }

    #[test]
    fn gives_an_error() -> Result<(), Status> {
        Err(MV_STATUS_UNAVAILABLE)
    }

    #[test]
    fn crashes() {
        // SAFETY: none: nothing is at this address, and the fault is what is tested.
        log_line!("{}", unsafe { openvisor_app::processor::read(0x6000_0000) });
    }

    #[test]
    fn waits_for_ever() {
        clock::rest();
    }

    #[test]
    fn starts_again() {
        // SAFETY: a number only.
        let status = unsafe { mvRestart(MV_RESTARTMODE_AUTOAPPLYUPDATE) };
        assert_eq!(status, MV_STATUS_OKAY);
    }

    #[test]
    #[should_panic]
    fn panics_as_it_is_to() {
        panic!("on purpose");
    }

    #[test]
    #[should_panic(expected = "another text")]
    fn panics_with_another_text() {
        panic!("on purpose");
    }

    #[test]
    #[should_panic(expected = "never")]
    fn does_not_panic() {}

    #[test]
    #[ignore = "only on demand"]
    fn is_ignored() {}

    #[test]
    fn logs_much() {
        for line in 0..1000 {
            log_line!("line {line} of many, as long as is usual in an application's log");
        }
    }
}

mod more {
    openvisor_app::test_cases! {
        #[test]
        fn passes_in_a_module() {}
    }
}
