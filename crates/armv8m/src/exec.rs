//! Execution of decoded instructions: the dispatch, with the instructions that are short or frequent. Instruction
//! groups have their own files.
//!
//! `execute` is inlined into the hot loop. What it calls is `inline(never)` unless it is frequent, so that the loop
//! stays small enough to keep its state in registers.

pub(crate) mod alu;
mod branch;
mod dsp;
mod fp;
mod memory;
mod multiply;
mod system;

use crate::bus::Bus;
use crate::debug::HaltCause;
use crate::fault::{Event, cfsr};
use crate::op::{Inst, Op};
use crate::state::Core;

/// Executes one instruction. `core.pc` is already the next instruction's address.
#[inline(always)]
#[allow(clippy::too_many_lines, reason = "the one dispatch of instructions: an operation a line")]
pub(crate) fn execute(core: &mut Core, bus: &mut dyn Bus, i: &Inst) -> Result<(), Event> {
    match i.op {
        Op::Undecoded => return Err(Event::Undecoded),
        Op::Halt => return Err(Event::Halt(HaltCause::Breakpoint)),
        Op::Undefined => return Err(Event::UNDEFINED),
        Op::NoCoprocessor => return Err(Event::usage(cfsr::NOCP)),
        Op::Nop => {}

        Op::MovImm => core.set_reg(i.d, i.imm),
        Op::MovImmS => {
            core.set_carry(i.s);
            core.set_logical(i.d, i.imm);
        }
        Op::MovReg => core.set_reg(i.d, core.reg(i.m)),
        Op::MovRegS => core.set_logical(i.d, core.reg(i.m)),
        Op::MvnReg => core.set_reg(i.d, !core.reg(i.m)),
        Op::MvnRegS => core.set_logical(i.d, !core.reg(i.m)),
        Op::MovTop => core.set_reg(i.d, core.reg(i.d) & 0xFFFF | i.imm),
        Op::AddImm => core.set_reg(i.d, core.reg(i.n).wrapping_add(i.imm)),
        Op::AddImmS => {
            let sum = core.add_flags(core.reg(i.n), i.imm);
            core.set_reg(i.d, sum);
        }
        Op::SubImmS => {
            let difference = core.subtract_flags(core.reg(i.n), i.imm);
            core.set_reg(i.d, difference);
        }
        Op::CmpImm => _ = core.subtract_flags(core.reg(i.n), i.imm),
        Op::CmpReg => _ = core.subtract_flags(core.reg(i.n), core.reg(i.m)),
        Op::RsbImm => core.set_reg(i.d, i.imm.wrapping_sub(core.reg(i.n))),
        Op::RsbImmS => {
            let difference = core.subtract_flags(i.imm, core.reg(i.n));
            core.set_reg(i.d, difference);
        }
        Op::AndImm => core.set_reg(i.d, core.reg(i.n) & i.imm),
        Op::OrrImm => core.set_reg(i.d, core.reg(i.n) | i.imm),
        Op::EorImm => core.set_reg(i.d, core.reg(i.n) ^ i.imm),
        Op::AddReg => core.set_reg(i.d, core.reg(i.n).wrapping_add(core.reg(i.m))),
        Op::AddRegS => {
            let sum = core.add_flags(core.reg(i.n), core.reg(i.m));
            core.set_reg(i.d, sum);
        }
        Op::SubReg => core.set_reg(i.d, core.reg(i.n).wrapping_sub(core.reg(i.m))),
        Op::SubRegS => {
            let difference = core.subtract_flags(core.reg(i.n), core.reg(i.m));
            core.set_reg(i.d, difference);
        }
        Op::AndReg => core.set_reg(i.d, core.reg(i.n) & core.reg(i.m)),
        Op::AndRegS => core.set_logical(i.d, core.reg(i.n) & core.reg(i.m)),
        Op::OrrReg => core.set_reg(i.d, core.reg(i.n) | core.reg(i.m)),
        Op::OrrRegS => core.set_logical(i.d, core.reg(i.n) | core.reg(i.m)),
        Op::EorReg => core.set_reg(i.d, core.reg(i.n) ^ core.reg(i.m)),
        Op::EorRegS => core.set_logical(i.d, core.reg(i.n) ^ core.reg(i.m)),
        Op::BicReg => core.set_reg(i.d, core.reg(i.n) & !core.reg(i.m)),
        Op::BicRegS => core.set_logical(i.d, core.reg(i.n) & !core.reg(i.m)),
        Op::AddLsl => core.set_reg(i.d, core.reg(i.n).wrapping_add(core.left(i))),
        Op::SubLsl => core.set_reg(i.d, core.reg(i.n).wrapping_sub(core.left(i))),
        Op::OrrLsl => core.set_reg(i.d, core.reg(i.n) | core.left(i)),
        Op::EorLsl => core.set_reg(i.d, core.reg(i.n) ^ core.left(i)),
        Op::AluImm => core.alu_immediate(i),
        Op::AluImmS => core.alu_immediate_flags(i),
        Op::AluShift => core.alu_shifted(i),
        Op::AluShiftS => core.alu_shifted_flags(i),
        Op::SpAluImm | Op::SpAluShift | Op::MovSp => return core.stack_arithmetic(i),

        // The masks of amounts change no value: they save the compiler's overflow check.
        Op::LslImm => core.set_reg(i.d, core.left(i)),
        Op::LslImmS => {
            // The amount is 1 to 31: LSLS by zero is decoded as MOVS.
            let value = core.reg(i.m);
            core.flags.c = value >> (32 - u32::from(i.k)) & 1 != 0;
            core.set_logical(i.d, value << (i.k & 31));
        }
        // An amount of 32 is allowed, hence 64 bits.
        Op::LsrImm => core.set_reg(i.d, (u64::from(core.reg(i.m)) >> (i.k & 63)) as u32),
        Op::LsrImmS => {
            // Shifted by one bit less, the last bit shifted out, which is the carry, is the lowest bit.
            let value = u64::from(core.reg(i.m)) << 1 >> (i.k & 63);
            core.flags.c = value & 1 != 0;
            core.set_logical(i.d, (value >> 1) as u32);
        }
        Op::AsrImm => core.set_reg(i.d, (i64::from(core.reg(i.m) as i32) >> (i.k & 63)) as u32),
        Op::AsrImmS => {
            let value = i64::from(core.reg(i.m) as i32) << 1 >> (i.k & 63);
            core.flags.c = value & 1 != 0;
            core.set_logical(i.d, (value >> 1) as u32);
        }
        Op::ShiftReg => core.shift_register(i),
        Op::ShiftRegS => core.shift_register_flags(i),

        Op::Sxtb => core.set_reg(i.d, core.reg(i.m) as i8 as u32),
        Op::Sxth => core.set_reg(i.d, core.reg(i.m) as i16 as u32),
        Op::Uxtb => core.set_reg(i.d, core.reg(i.m) & 0xFF),
        Op::Uxth => core.set_reg(i.d, core.reg(i.m) & 0xFFFF),
        Op::Rev => core.set_reg(i.d, core.reg(i.m).swap_bytes()),
        // Reversing the word also swaps its halves; the rotation swaps them back.
        Op::Rev16 => core.set_reg(i.d, core.reg(i.m).swap_bytes().rotate_left(16)),
        Op::Revsh => core.set_reg(i.d, (core.reg(i.m) as u16).swap_bytes() as i16 as u32),
        Op::Rbit => core.set_reg(i.d, core.reg(i.m).reverse_bits()),
        Op::Clz => core.set_reg(i.d, core.reg(i.m).leading_zeros()),
        Op::Bfi => {
            let mask = i.imm << (i.k & 31);
            let value = core.reg(i.n) << (i.k & 31);
            core.set_reg(i.d, core.reg(i.d) & !mask | value & mask);
        }
        Op::Bfc => core.set_reg(i.d, core.reg(i.d) & !(i.imm << (i.k & 31))),
        Op::Ubfx => core.set_reg(i.d, core.reg(i.n) >> (i.k & 31) & i.imm),
        Op::Sbfx => {
            // The field is moved to the top and back, so that the arithmetic shift copies its sign.
            let spare = 32 - u32::from(i.a);
            let value = core.reg(i.n) >> (i.k & 31) & i.imm;
            core.set_reg(i.d, (((value << (spare & 31)) as i32) >> (spare & 31)) as u32);
        }
        Op::Ssat => core.saturate_signed(i),
        Op::Usat => core.saturate_unsigned(i),

        Op::Mul => core.set_reg(i.d, core.reg(i.n).wrapping_mul(core.reg(i.m))),
        Op::MulS => core.set_logical(i.d, core.reg(i.n).wrapping_mul(core.reg(i.m))),
        Op::Mla => {
            let product = core.reg(i.n).wrapping_mul(core.reg(i.m));
            core.set_reg(i.d, core.reg(i.a).wrapping_add(product));
        }
        Op::Mls => {
            let product = core.reg(i.n).wrapping_mul(core.reg(i.m));
            core.set_reg(i.d, core.reg(i.a).wrapping_sub(product));
        }
        Op::Umull | Op::Smull | Op::Umlal | Op::Smlal | Op::Umaal => core.long_multiply(i),
        Op::Sdiv => return core.divide_signed(i),
        Op::Udiv => return core.divide_unsigned(i),

        Op::ExtendAdd
        | Op::Parallel
        | Op::SaturatingAdd
        | Op::Sel
        | Op::Pkhbt
        | Op::Pkhtb
        | Op::Usad8
        | Op::SmulHalf
        | Op::SmulWide
        | Op::SmulDual
        | Op::SmlalHalf
        | Op::SmlalDual
        | Op::SmulMost
        | Op::Saturate16 => dsp::execute(core, i),

        Op::LdrImm => {
            let value = core.read_word(bus, core.offset(i))?;
            core.set_reg(i.d, value);
        }
        Op::LdrbImm => {
            let value = core.read_byte(bus, core.offset(i))?;
            core.set_reg(i.d, value);
        }
        Op::LdrhImm => {
            let value = core.read_half(bus, core.offset(i))?;
            core.set_reg(i.d, value);
        }
        Op::LdrsbImm => {
            let value = core.read_byte(bus, core.offset(i))?;
            core.set_reg(i.d, value as i8 as u32);
        }
        Op::LdrshImm => {
            let value = core.read_half(bus, core.offset(i))?;
            core.set_reg(i.d, value as i16 as u32);
        }
        Op::StrImm => core.write_word(bus, core.offset(i), core.reg(i.d))?,
        Op::StrbImm => core.write_byte(bus, core.offset(i), core.reg(i.d))?,
        Op::StrhImm => core.write_half(bus, core.offset(i), core.reg(i.d))?,
        Op::LdrReg => {
            let value = core.read_word(bus, core.indexed(i))?;
            core.set_reg(i.d, value);
        }
        Op::LdrbReg => {
            let value = core.read_byte(bus, core.indexed(i))?;
            core.set_reg(i.d, value);
        }
        Op::LdrhReg => {
            let value = core.read_half(bus, core.indexed(i))?;
            core.set_reg(i.d, value);
        }
        Op::LdrsbReg => {
            let value = core.read_byte(bus, core.indexed(i))?;
            core.set_reg(i.d, value as i8 as u32);
        }
        Op::LdrshReg => {
            let value = core.read_half(bus, core.indexed(i))?;
            core.set_reg(i.d, value as i16 as u32);
        }
        Op::StrReg => core.write_word(bus, core.indexed(i), core.reg(i.d))?,
        Op::StrbReg => core.write_byte(bus, core.indexed(i), core.reg(i.d))?,
        Op::StrhReg => core.write_half(bus, core.indexed(i), core.reg(i.d))?,
        Op::LdrLit => {
            let value = core.read_word(bus, i.imm)?;
            core.set_reg(i.d, value);
        }
        Op::Load => return core.load(bus, i),
        Op::Store => return core.store(bus, i),
        Op::LoadDual => return core.load_dual(bus, i),
        Op::StoreDual => return core.store_dual(bus, i),
        Op::Ldm => return core.load_multiple(bus, i),
        Op::Stm => return core.store_multiple(bus, i),
        Op::Push => return core.push(bus, i),
        Op::Pop => return core.pop(bus, i),
        Op::LoadOrdered | Op::StoreOrdered | Op::LoadExclusive | Op::StoreExclusive => {
            return core.ordered(bus, i);
        }
        Op::Clrex => core.monitor = None,

        // Targets are absolute: decoding has added PC, so that a branch taken is one move.
        Op::B => core.pc = i.imm,
        // Z is set when its word is zero, N and V are bit 31 of theirs (see `Flags`).
        Op::Beq => core.branch_if(core.flags.z == 0, i),
        Op::Bne => core.branch_if(core.flags.z != 0, i),
        Op::Bcs => core.branch_if(core.flags.c, i),
        Op::Bcc => core.branch_if(!core.flags.c, i),
        Op::Bmi => core.branch_if((core.flags.n as i32) < 0, i),
        Op::Bpl => core.branch_if((core.flags.n as i32) >= 0, i),
        Op::Bvs => core.branch_if((core.flags.v as i32) < 0, i),
        Op::Bvc => core.branch_if((core.flags.v as i32) >= 0, i),
        Op::Bhi => core.branch_if(core.flags.c && core.flags.z != 0, i),
        Op::Bls => core.branch_if(!core.flags.c || core.flags.z == 0, i),
        Op::Bge => core.branch_if(core.greater_or_equal(), i),
        Op::Blt => core.branch_if(!core.greater_or_equal(), i),
        Op::Bgt => core.branch_if(core.flags.z != 0 && core.greater_or_equal(), i),
        Op::Ble => core.branch_if(core.flags.z == 0 || !core.greater_or_equal(), i),
        Op::Bl => {
            // Bit 0 of a return address is the Thumb state to return to.
            core.r[14] = core.pc | 1;
            core.pc = i.imm;
        }
        Op::Bx => return core.branch_exchange(core.reg(i.m)),
        Op::Blx => {
            // Rm may be LR, so it is read first.
            let target = core.reg(i.m);
            core.r[14] = core.pc | 1;
            core.branch_state(target);
        }
        Op::Cbz => core.branch_if(core.reg(i.n) == 0, i),
        Op::Cbnz => core.branch_if(core.reg(i.n) != 0, i),
        Op::TableByte | Op::TableHalf => return core.table_branch(bus, i),
        // MOV and ADD to PC are no interworking branches: bit 0 is ignored (Arm ARM: ALUWritePC).
        Op::MovPc => core.pc = core.reg(i.m) & !1,
        Op::AddPc => core.pc = i.imm.wrapping_add(core.reg(i.m)) & !1,

        // ITSTATE now describes the next instruction; its fetch advances it.
        Op::It => core.it = i.imm as u8,
        Op::Svc => return Err(Event::SupervisorCall),
        Op::Bkpt => return Err(Event::Breakpoint(i.imm as u8)),
        Op::Barrier => {}
        Op::Wfi | Op::Wfe | Op::Sev | Op::Cps | Op::Mrs | Op::Msr | Op::TestTarget => {
            system::execute(core, i);
        }

        Op::FpUndefined
        | Op::FpArithmetic
        | Op::FpMove
        | Op::FpMoveImm
        | Op::FpCompare
        | Op::FpSelect
        | Op::FpConvertHalf
        | Op::FpConvertInt
        | Op::FpConvertFixed
        | Op::FpRoundInt
        | Op::FpMoveCore
        | Op::FpMoveCorePair
        | Op::FpStatus
        | Op::FpLoad
        | Op::FpStore
        | Op::FpLoadMultiple
        | Op::FpStoreMultiple => return fp::execute(core, bus, i),
    }
    Ok(())
}

impl Core {
    /// `Rn + imm`.
    #[inline(always)]
    fn offset(&self, i: &Inst) -> u32 {
        self.reg(i.n).wrapping_add(i.imm)
    }
    /// `Rn + (Rm << k)`.
    #[inline(always)]
    fn indexed(&self, i: &Inst) -> u32 {
        self.reg(i.n).wrapping_add(self.left(i))
    }
    /// `Rm << k`.
    #[inline(always)]
    fn left(&self, i: &Inst) -> u32 {
        self.reg(i.m) << (i.k & 31)
    }
    #[inline(always)]
    fn branch_if(&mut self, taken: bool, i: &Inst) {
        if taken {
            self.pc = i.imm;
        }
    }
    #[inline(always)]
    fn greater_or_equal(&self) -> bool {
        ((self.flags.n ^ self.flags.v) as i32) >= 0
    }
}
