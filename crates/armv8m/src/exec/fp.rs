//! Floating-point instructions.
use crate::bus::Bus;
use crate::core::Core;
use crate::fault::Event;
use crate::op::Inst;
pub(super) fn execute(_core: &mut Core, _bus: &mut dyn Bus, _i: &Inst) -> Result<(), Event> {
    Err(Event::UNDEFINED)
}
