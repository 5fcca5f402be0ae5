//! The DSP extension.
use crate::core::Core;
use crate::op::Inst;
pub(super) fn execute(_core: &mut Core, _i: &Inst) {}
