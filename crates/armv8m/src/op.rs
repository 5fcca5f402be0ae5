//! The decoded form of an instruction: an operation and its operands, ready to execute.

/// One decoded instruction. Which fields mean something depends on [`Op`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inst {
    /// What to do.
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
    /// An entry nobody has decoded yet.
    pub const UNDECODED: Inst = Inst::of(Op::Undecoded);

    /// A 16-bit instruction with every operand zero.
    pub const fn of(op: Op) -> Inst {
        Inst { op, len: 2, d: 0, n: 0, m: 0, a: 0, s: 0, k: 0, imm: 0 }
    }
    /// The same instruction as a 32-bit encoding.
    pub const fn wide(self) -> Inst {
        Inst { len: 4, ..self }
    }
    /// With destination register.
    pub const fn d(self, d: u32) -> Inst {
        Inst { d: d as u8, ..self }
    }
    /// With first operand register.
    pub const fn n(self, n: u32) -> Inst {
        Inst { n: n as u8, ..self }
    }
    /// With second operand register.
    pub const fn m(self, m: u32) -> Inst {
        Inst { m: m as u8, ..self }
    }
    /// With third register or sub-operation.
    pub const fn a(self, a: u32) -> Inst {
        Inst { a: a as u8, ..self }
    }
    /// With small selector.
    pub const fn s(self, s: u32) -> Inst {
        Inst { s: s as u8, ..self }
    }
    /// With small number.
    pub const fn k(self, k: u32) -> Inst {
        Inst { k: k as u8, ..self }
    }
    /// With immediate.
    pub const fn imm(self, imm: u32) -> Inst {
        Inst { imm, ..self }
    }
}

/// The opcode numbers the data-processing encodings use, kept in `Inst::a`.
pub(crate) mod alu {
    pub const AND: u8 = 0;
    pub const BIC: u8 = 1;
    pub const ORR: u8 = 2;
    pub const ORN: u8 = 3;
    pub const EOR: u8 = 4;
    pub const ADD: u8 = 8;
    pub const ADC: u8 = 10;
    pub const SBC: u8 = 11;
    pub const SUB: u8 = 13;
    pub const RSB: u8 = 14;
}

/// Shift types as encoded, with RRX apart; kept in `Inst::s`.
pub(crate) mod shift {
    pub const LSL: u8 = 0;
    pub const LSR: u8 = 1;
    pub const ASR: u8 = 2;
    pub const ROR: u8 = 3;
    pub const RRX: u8 = 4;
}

/// What an immediate does to the carry flag; kept in `Inst::s` of flag-setting immediates.
pub(crate) mod carry {
    pub const KEEP: u8 = 0;
    pub const CLEAR: u8 = 1;
    pub const SET: u8 = 2;
}

/// What a general load or store moves; kept in `Inst::a`.
pub(crate) mod kind {
    pub const BYTE: u8 = 0;
    pub const HALF: u8 = 1;
    pub const WORD: u8 = 2;
    pub const SIGNED_BYTE: u8 = 4;
    pub const SIGNED_HALF: u8 = 5;
}

/// How a general load or store forms its address; kept in `Inst::s`.
pub(crate) mod mode {
    /// `[Rn, #imm]`.
    pub const OFFSET: u8 = 0;
    /// `[Rn, #imm]!`.
    pub const PRE: u8 = 1;
    /// `[Rn], #imm`.
    pub const POST: u8 = 2;
    /// `[Rn, Rm, LSL #k]`.
    pub const REGISTER: u8 = 3;
    /// An absolute address known at decode (`[PC, #imm]`).
    pub const LITERAL: u8 = 4;
}

/// Every operation the interpreter knows. Register 15 as destination means "discard".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Op {
    Undecoded,
    /// A debugger's breakpoint is here, whatever the instruction is.
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
    // The same, every other form.
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

/// Arithmetic on S registers; kept in `Inst::a` of [`Op::FpArithmetic`].
pub(crate) mod fp {
    pub const VMLA: u8 = 0;
    pub const VMLS: u8 = 1;
    pub const VNMLS: u8 = 2;
    pub const VNMLA: u8 = 3;
    pub const VMUL: u8 = 4;
    pub const VNMUL: u8 = 5;
    pub const VADD: u8 = 6;
    pub const VSUB: u8 = 7;
    pub const VDIV: u8 = 8;
    pub const VFNMS: u8 = 10;
    pub const VFNMA: u8 = 11;
    pub const VFMA: u8 = 12;
    pub const VFMS: u8 = 13;
    pub const VSQRT: u8 = 16;
    pub const VMAXNM: u8 = 17;
    pub const VMINNM: u8 = 18;
}
