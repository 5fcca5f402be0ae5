//! How a run with `--factory-test` ends.

use device::events::DeviceEvent;

use crate::host::observed_device::Told;
use crate::output::exit::Failure;

/// The result of the factory test, if `told` is its end.
pub(crate) fn result(told: &Told) -> Option<Result<(), Failure>> {
    match told {
        Told::Event(DeviceEvent::TestingComplete { status: 0 }) => Some(Ok(())),
        Told::Event(DeviceEvent::TestingComplete { status }) => {
            Some(Err(Failure::not_happened(format!("the factory test has failed with status {status}"))))
        }
        _ => None,
    }
}

/// The result of a run that was stopped, of a factory test or not.
pub(crate) fn stopped(is_factory_test: bool) -> Result<(), Failure> {
    if is_factory_test {
        return Err(Failure::not_happened("the factory test was stopped before it called mvTestingComplete"));
    }
    Ok(())
}
