//! The processor's state without its decoded code: everything that instructions and exceptions read and write.

use std::ops::Range;

use crate::Cycles;
use crate::cpu_config::Config;
use crate::debug::DebugState;
use crate::fault::Event;
use crate::fpu::Fpu;
use crate::memory::Memory;
use crate::mpu::Mpu;
use crate::nvic::{NO_PRIORITY, Nvic};
use crate::ppb::CycleCounter;
use crate::scb::Scb;
use crate::systick::SysTick;

/// The condition flags, each in the form that is cheapest to compute: most instructions set flags, few read them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flags {
    /// N is bit 31.
    pub n: u32,
    /// Z is set when this is zero.
    pub z: u32,
    pub c: bool,
    /// V is bit 31.
    pub v: u32,
}

impl Flags {
    /// As in APSR bits 31..28.
    pub(crate) fn bits(self) -> u32 {
        let z = u32::from(self.z == 0);
        self.n & 1 << 31 | z << 30 | u32::from(self.c) << 29 | self.v >> 31 << 28
    }
    pub(crate) fn from_bits(bits: u32) -> Self {
        Self { n: bits, z: !bits & 1 << 30, c: bits & 1 << 29 != 0, v: bits << 3 }
    }
}

/// What the processor is doing between instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sleep {
    Awake,
    ForInterrupt,
    ForEvent,
}

pub(crate) struct Core {
    /// R0 to R14; R13 is the current stack pointer. R15 is scratch: results sent there are discarded.
    pub r: [u32; 16],
    /// The next instruction's address.
    pub pc: u32,
    pub flags: Flags,
    /// ITSTATE as in EPSR; zero outside an IT block.
    pub it: u8,
    /// The register a resumed load/store multiple continues with (EPSR.ICI), zero if none.
    pub ici: u8,
    /// EPSR.T.
    pub thumb: bool,
    pub cycles: Cycles,
    /// The part of `cycles` that the host skipped.
    pub skipped: Cycles,
    /// The hot loop stops when `cycles` reaches this; zero stops it before the next instruction.
    pub until: Cycles,
    pub memory: Memory,

    /// APSR.Q.
    pub q: bool,
    /// APSR.GE.
    pub ge: u8,
    /// IPSR: the current exception, zero in thread mode.
    pub ipsr: u16,
    /// The banked stack pointer that is not in R13.
    pub other_sp: u32,
    /// True when R13 is PSP.
    pub on_psp: bool,
    pub msplim: u32,
    pub psplim: u32,
    /// CONTROL.nPRIV.
    pub unprivileged: bool,
    /// CONTROL.SPSEL as written; handler mode uses MSP whatever its value.
    pub spsel: bool,
    pub primask: bool,
    pub faultmask: bool,
    pub basepri: u8,
    /// The current execution priority, updated by [`Core::update_priority`] (Arm ARM: ExecutionPriority).
    pub execution_priority: i16,

    /// The local exclusive monitor: the tagged address, if the state is exclusive.
    pub monitor: Option<u32>,
    pub event_register: bool,
    pub sleep: Sleep,
    pub nvic: Nvic,
    pub systick: SysTick,
    /// The cycle since which a handler of an interrupt with a reserved enable bit has been active.
    pub reserved_active_since: Option<Cycles>,
    pub scb: Scb,
    pub mpu: Mpu,
    pub fpu: Fpu,
    /// RAM that was decoded and has been written since.
    pub stale_code: Option<Range<u32>>,
    pub reset_requested: bool,
    pub yield_requested: bool,
    pub locked_up: bool,
    /// [`Config::halt_on_hard_fault`].
    pub halt_on_hard_fault: bool,
    /// HardFault was entered and not yet reported to the host, with `halt_on_hard_fault`.
    pub hard_fault_entered: bool,
    /// The MPU was enabled for the first time since reset: literals that were folded into moves may no longer be
    /// readable.
    pub folded_literals_stale: bool,
    pub cycle_counter: CycleCounter,
    /// What a debugger or a tracer has set up.
    pub debug: DebugState,
    /// Something other than instructions on registers and RAM happened, which may not repeat in the same way: see
    /// [`crate::spin`].
    pub external_activity: bool,
    /// An exception was taken or the host changed something since
    /// [`Cpu::take_external_activity`](crate::Cpu::take_external_activity) was last called.
    pub interrupted: bool,
    /// Thread mode accessed something outside registers and memory since then.
    pub accessed: bool,
    /// A trial run is in progress, which will be rolled back: see [`crate::trial`].
    pub on_trial: bool,
}

impl Core {
    pub(crate) fn new(config: &Config, memory: Memory) -> Self {
        Self {
            r: [0; 16],
            pc: 0,
            flags: Flags::default(),
            it: 0,
            ici: 0,
            thumb: true,
            cycles: 0,
            skipped: 0,
            until: 0,
            memory,
            q: false,
            ge: 0,
            ipsr: 0,
            other_sp: 0,
            on_psp: false,
            msplim: 0,
            psplim: 0,
            unprivileged: false,
            spsel: false,
            primask: false,
            faultmask: false,
            basepri: 0,
            execution_priority: NO_PRIORITY,
            monitor: None,
            event_register: false,
            sleep: Sleep::Awake,
            nvic: Nvic::new(config.interrupts, config.priority_bits),
            systick: SysTick::new(config.systick_reference_divider, config.systick_calibration),
            reserved_active_since: None,
            scb: Scb::new(config.vtor),
            mpu: Mpu::default(),
            fpu: Fpu::default(),
            stale_code: None,
            reset_requested: false,
            yield_requested: false,
            locked_up: false,
            halt_on_hard_fault: config.halt_on_hard_fault,
            hard_fault_entered: false,
            folded_literals_stale: false,
            cycle_counter: CycleCounter::default(),
            debug: DebugState::default(),
            external_activity: false,
            interrupted: false,
            accessed: false,
            on_trial: false,
        }
    }

    /// Makes the hot loop stop before the next instruction, so that the run loop services events.
    pub(crate) fn request_service(&mut self) {
        self.until = 0;
    }

    /// Instructions executed: each takes one cycle.
    pub(crate) fn instructions(&self) -> u64 {
        self.cycles - self.skipped
    }

    pub(crate) fn in_handler_mode(&self) -> bool {
        self.ipsr != 0
    }

    /// Whether running code is privileged.
    pub(crate) fn privileged(&self) -> bool {
        self.in_handler_mode() || !self.unprivileged
    }

    /// Reads register `n` of R0 to R14.
    #[inline(always)]
    pub(crate) fn reg(&self, n: u8) -> u32 {
        self.r[(n & 15) as usize]
    }

    /// Writes register `d` of R0 to R12 and R14; 15 discards.
    #[inline(always)]
    pub(crate) fn set_reg(&mut self, d: u8, value: u32) {
        self.r[(d & 15) as usize] = value;
    }

    /// Writes any register but PC. Bits 1..0 of SP are always zero (Arm ARM: RSPCheck).
    pub(crate) fn set_reg_or_sp(&mut self, d: u8, value: u32) {
        self.set_reg(d, if d == 13 { value & !3 } else { value });
    }

    /// The limit of the current stack; zero is no limit.
    pub(crate) fn stack_limit(&self) -> u32 {
        if self.on_psp { self.psplim } else { self.msplim }
    }

    /// Writes SP as instructions do: below the limit is a stack overflow.
    pub(crate) fn move_sp(&mut self, value: u32) -> Result<(), Event> {
        self.check_limit(value)?;
        self.r[13] = value & !3;
        Ok(())
    }

    /// A stack pointer below its limit is a STKOF UsageFault, except at negative priority with CCR.STKOFHFNMIGN.
    pub(crate) fn check_limit(&self, value: u32) -> Result<(), Event> {
        if value < self.stack_limit() && !self.limit_ignored() {
            return Err(Event::STACK_OVERFLOW);
        }
        Ok(())
    }

    /// CCR.STKOFHFNMIGN: HardFault and NMI handlers may run below the limit, so that they can report an overflow.
    pub(crate) fn limit_ignored(&self) -> bool {
        self.scb.ignores_stack_limits() && self.execution_priority < 0
    }

    pub(crate) fn msp(&self) -> u32 {
        if self.on_psp { self.other_sp } else { self.r[13] }
    }
    pub(crate) fn psp(&self) -> u32 {
        if self.on_psp { self.r[13] } else { self.other_sp }
    }
    pub(crate) fn set_msp(&mut self, value: u32) {
        *(if self.on_psp { &mut self.other_sp } else { &mut self.r[13] }) = value & !3;
    }
    pub(crate) fn set_psp(&mut self, value: u32) {
        *(if self.on_psp { &mut self.r[13] } else { &mut self.other_sp }) = value & !3;
    }

    /// Banks R13 so that it is the stack pointer that mode and SPSEL select.
    pub(crate) fn select_stack(&mut self) {
        let psp = self.spsel && !self.in_handler_mode();
        if psp != self.on_psp {
            std::mem::swap(&mut self.r[13], &mut self.other_sp);
            self.on_psp = psp;
        }
    }

    /// CONTROL: FPCA, SPSEL, nPRIV.
    pub(crate) fn control(&self) -> u32 {
        u32::from(self.fpu.active) << 2 | u32::from(self.spsel) << 1 | u32::from(self.unprivileged)
    }

    /// Writes CONTROL as privileged code does.
    pub(crate) fn set_control(&mut self, value: u32) {
        self.unprivileged = value & 1 != 0;
        self.spsel = value & 2 != 0;
        self.fpu.active = value & 4 != 0;
        self.select_stack();
        self.request_service();
    }

    /// APSR: flags, Q and GE.
    pub(crate) fn apsr(&self) -> u32 {
        self.flags.bits() | u32::from(self.q) << 27 | u32::from(self.ge) << 16
    }

    /// EPSR's T, IT and ICI bits.
    pub(crate) fn epsr(&self) -> u32 {
        let it = u32::from(self.it);
        u32::from(self.thumb) << 24 | (it & 3) << 25 | (it >> 2) << 10
    }

    pub(crate) fn xpsr(&self) -> u32 {
        self.apsr() | self.epsr() | u32::from(self.ipsr)
    }

    /// Sets the flags, Q and GE from an xPSR value.
    pub(crate) fn set_apsr(&mut self, value: u32) {
        self.flags = Flags::from_bits(value);
        self.q = value & 1 << 27 != 0;
        self.ge = (value >> 16 & 15) as u8;
    }

    /// Sets T, IT and ICI from an xPSR value. IT[1:0] are bits 26..25, IT[7:2] are bits 15..10.
    pub(crate) fn set_epsr(&mut self, value: u32) {
        self.thumb = value & 1 << 24 != 0;
        self.it = ((value >> 25 & 3) | (value >> 10 & 0x3F) << 2) as u8;
        if !self.thumb {
            self.request_service();
        }
    }

    /// Arm ARM: ConditionHolds. `condition` is 0 to 15, as encoded.
    pub(crate) fn condition_holds(&self, condition: u8) -> bool {
        let f = &self.flags;
        let (n, z, v) = ((f.n as i32) < 0, f.z == 0, (f.v as i32) < 0);
        match condition {
            0 => z,
            1 => !z,
            2 => f.c,
            3 => !f.c,
            4 => n,
            5 => !n,
            6 => v,
            7 => !v,
            8 => f.c && !z,
            9 => !f.c || z,
            10 => n == v,
            11 => n != v,
            12 => !z && n == v,
            13 => z || n != v,
            _ => true,
        }
    }

    /// Advances SysTick to the current cycle, and pends its exception if it expired.
    pub(crate) fn advance_systick(&mut self) {
        if self.systick.advance(self.cycles) {
            self.nvic.pend(crate::nvic::number::SYSTICK);
            self.request_service();
        }
    }
}
