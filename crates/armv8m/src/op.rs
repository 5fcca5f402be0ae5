//! The decoded form of an instruction: an operation and its operands, ready to execute.

/// One decoded instruction. Which fields are used depends on [`Op`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inst {
    /// The operation.
    pub op: Op,
    /// Bytes the instruction takes: 2 or 4.
    pub len: u8,
    /// Destination register (Rd, Rt, RdLo).
    pub d: u8,
    /// First operand register (Rn).
    pub n: u8,
    /// Second operand register (Rm).
    pub m: u8,
    /// Third operand register or sub-operation.
    pub a: u8,
    /// Shift type, addressing mode or another small selector.
    pub s: u8,
    /// Shift amount, width or another small number.
    pub k: u8,
    /// Immediate: a constant, an offset, a register list or an absolute address.
    pub imm: u32,
}

impl Inst {
    /// An entry that is not decoded yet.
    pub(crate) const UNDECODED: Self = Self::of(Op::Undecoded);

    /// A 16-bit instruction with every operand zero.
    pub(crate) const fn of(op: Op) -> Self {
        Self { op, len: 2, d: 0, n: 0, m: 0, a: 0, s: 0, k: 0, imm: 0 }
    }
    /// The same instruction as a 32-bit encoding.
    pub(crate) const fn wide(self) -> Self {
        Self { len: 4, ..self }
    }
    /// With destination register.
    pub(crate) const fn d(self, d: u32) -> Self {
        Self { d: d as u8, ..self }
    }
    /// With first operand register.
    pub(crate) const fn n(self, n: u32) -> Self {
        Self { n: n as u8, ..self }
    }
    /// With second operand register.
    pub(crate) const fn m(self, m: u32) -> Self {
        Self { m: m as u8, ..self }
    }
    /// With third register or sub-operation.
    pub(crate) const fn a(self, a: u32) -> Self {
        Self { a: a as u8, ..self }
    }
    /// With small selector.
    pub(crate) const fn s(self, s: u32) -> Self {
        Self { s: s as u8, ..self }
    }
    /// With small number.
    pub(crate) const fn k(self, k: u32) -> Self {
        Self { k: k as u8, ..self }
    }
    /// With immediate.
    pub(crate) const fn imm(self, imm: u32) -> Self {
        Self { imm, ..self }
    }
}

/// The opcodes of the data-processing encodings, in `Inst::a`.
pub(crate) mod alu {
    pub(crate) const AND: u8 = 0;
    pub(crate) const BIC: u8 = 1;
    pub(crate) const ORR: u8 = 2;
    pub(crate) const ORN: u8 = 3;
    pub(crate) const EOR: u8 = 4;
    pub(crate) const ADD: u8 = 8;
    pub(crate) const ADC: u8 = 10;
    pub(crate) const SBC: u8 = 11;
    pub(crate) const SUB: u8 = 13;
    pub(crate) const RSB: u8 = 14;
}

/// Shift types as encoded, plus RRX, which is encoded as ROR by zero; in `Inst::s`.
pub(crate) mod shift {
    pub(crate) const LSL: u8 = 0;
    pub(crate) const LSR: u8 = 1;
    pub(crate) const ASR: u8 = 2;
    pub(crate) const ROR: u8 = 3;
    pub(crate) const RRX: u8 = 4;
}

/// The effect of an immediate on the carry flag; in `Inst::s` of flag-setting immediates.
pub(crate) mod carry {
    pub(crate) const KEEP: u8 = 0;
    pub(crate) const CLEAR: u8 = 1;
    pub(crate) const SET: u8 = 2;
}

/// What a general load or store transfers; in `Inst::a`.
pub(crate) mod kind {
    pub(crate) const BYTE: u8 = 0;
    pub(crate) const HALF: u8 = 1;
    pub(crate) const WORD: u8 = 2;
    pub(crate) const SIGNED_BYTE: u8 = 4;
    pub(crate) const SIGNED_HALF: u8 = 5;
}

/// The addressing mode of a general load or store; in `Inst::s`.
pub(crate) mod mode {
    /// `[Rn, #imm]`.
    pub(crate) const OFFSET: u8 = 0;
    /// `[Rn, #imm]!`.
    pub(crate) const PRE: u8 = 1;
    /// `[Rn], #imm`.
    pub(crate) const POST: u8 = 2;
    /// `[Rn, Rm, LSL #k]`.
    pub(crate) const REGISTER: u8 = 3;
    /// An absolute address known at decode (`[PC, #imm]`).
    pub(crate) const LITERAL: u8 = 4;
}

/// Every operation the interpreter knows. Register 15 as destination means "discard".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Op {
    Undecoded,
    /// A debugger's breakpoint in place of the instruction.
    Halt,
    Undefined,
    NoCoprocessor,
    Nop,
    // Moves and arithmetic, common forms. A trailing S sets the flags.
    MovImm,
    MovImmS,
    MovReg,
    MovRegS,
    MvnReg,
    MvnRegS,
    MovTop,
    AddImm,
    AddImmS,
    SubImmS,
    RsbImm,
    RsbImmS,
    AndImm,
    OrrImm,
    EorImm,
    AddReg,
    AddRegS,
    SubReg,
    SubRegS,
    CmpImm,
    CmpReg,
    AndReg,
    AndRegS,
    OrrReg,
    OrrRegS,
    EorReg,
    EorRegS,
    BicReg,
    BicRegS,
    AddLsl,
    SubLsl,
    OrrLsl,
    EorLsl,
    // The same in all other forms.
    AluImm,
    AluImmS,
    AluShift,
    AluShiftS,
    SpAluImm,
    SpAluShift,
    MovSp,
    // Shifts.
    LslImm,
    LslImmS,
    LsrImm,
    LsrImmS,
    AsrImm,
    AsrImmS,
    ShiftReg,
    ShiftRegS,
    // Extend, reverse, bit fields, saturation.
    Sxtb,
    Sxth,
    Uxtb,
    Uxth,
    Rev,
    Rev16,
    Revsh,
    Rbit,
    Clz,
    Bfi,
    Bfc,
    Ubfx,
    Sbfx,
    Ssat,
    Usat,
    // Multiply and divide.
    Mul,
    MulS,
    Mla,
    Mls,
    Umull,
    Smull,
    Umlal,
    Smlal,
    Umaal,
    Sdiv,
    Udiv,
    // DSP extension.
    ExtendAdd,
    Parallel,
    SaturatingAdd,
    Sel,
    Pkhbt,
    Pkhtb,
    Usad8,
    SmulHalf,
    SmulWide,
    SmulDual,
    SmlalHalf,
    SmlalDual,
    SmulMost,
    Saturate16,
    // Loads and stores.
    LdrImm,
    LdrbImm,
    LdrhImm,
    LdrsbImm,
    LdrshImm,
    StrImm,
    StrbImm,
    StrhImm,
    LdrReg,
    LdrbReg,
    LdrhReg,
    LdrsbReg,
    LdrshReg,
    StrReg,
    StrbReg,
    StrhReg,
    LdrLit,
    Load,
    Store,
    LoadDual,
    StoreDual,
    Ldm,
    Stm,
    Push,
    Pop,
    LoadOrdered,
    StoreOrdered,
    LoadExclusive,
    StoreExclusive,
    Clrex,
    // Branches.
    B,
    Beq,
    Bne,
    Bcs,
    Bcc,
    Bmi,
    Bpl,
    Bvs,
    Bvc,
    Bhi,
    Bls,
    Bge,
    Blt,
    Bgt,
    Ble,
    Bl,
    Bx,
    Blx,
    Cbz,
    Cbnz,
    TableByte,
    TableHalf,
    MovPc,
    AddPc,
    // System.
    It,
    Svc,
    Bkpt,
    Wfi,
    Wfe,
    Sev,
    Barrier,
    Cps,
    Mrs,
    Msr,
    TestTarget,
    // Floating point.
    FpUndefined,
    FpArithmetic,
    FpMove,
    FpMoveImm,
    FpCompare,
    FpSelect,
    FpConvertHalf,
    FpConvertInt,
    FpConvertFixed,
    FpRoundInt,
    FpMoveCore,
    FpMoveCorePair,
    FpStatus,
    FpLoad,
    FpStore,
    FpLoadMultiple,
    FpStoreMultiple,
}

/// Arithmetic on S registers; in `Inst::a` of [`Op::FpArithmetic`].
pub(crate) mod fp {
    pub(crate) const VMLA: u8 = 0;
    pub(crate) const VMLS: u8 = 1;
    pub(crate) const VNMLS: u8 = 2;
    pub(crate) const VNMLA: u8 = 3;
    pub(crate) const VMUL: u8 = 4;
    pub(crate) const VNMUL: u8 = 5;
    pub(crate) const VADD: u8 = 6;
    pub(crate) const VSUB: u8 = 7;
    pub(crate) const VDIV: u8 = 8;
    pub(crate) const VFNMS: u8 = 10;
    pub(crate) const VFNMA: u8 = 11;
    pub(crate) const VFMA: u8 = 12;
    pub(crate) const VFMS: u8 = 13;
    pub(crate) const VSQRT: u8 = 16;
    pub(crate) const VMAXNM: u8 = 17;
    pub(crate) const VMINNM: u8 = 18;
}
