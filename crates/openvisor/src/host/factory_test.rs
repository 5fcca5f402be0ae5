//! How a run with `--factory-test` ends.

use device::events::DeviceEvent;

use crate::host::observed_device::Observation;
use crate::options::FactoryTestOption;
use crate::output::exit::Failure;

/// The result of the factory test, if `observation` is its end.
pub(crate) fn result(observation: &Observation) -> Option<Result<(), Failure>> {
    match observation {
        Observation::Event(DeviceEvent::TestingComplete { status: 0 }) => Some(Ok(())),
        Observation::Event(DeviceEvent::TestingComplete { status }) => {
            Some(Err(Failure::failed(format!("the factory test failed with status {status}"))))
        }
        _ => None,
    }
}

/// The result of a run that was stopped, of a factory test or not.
pub(crate) fn stopped(option: &FactoryTestOption) -> Result<(), Failure> {
    if option.factory_test {
        return Err(Failure::failed("the factory test was stopped before it called mvTestingComplete"));
    }
    Ok(())
}
