//! Exception state: pending, active, enabled, priorities, for internal exceptions and external interrupts alike (Arm
//! ARM: NVIC registers).

use crate::cpu_config::Config;

/// Exception numbers.
pub(crate) mod number {
    pub(crate) const NMI: u16 = 2;
    pub(crate) const HARD_FAULT: u16 = 3;
    pub(crate) const MEM_MANAGE: u16 = 4;
    pub(crate) const BUS_FAULT: u16 = 5;
    pub(crate) const USAGE_FAULT: u16 = 6;
    pub(crate) const SVCALL: u16 = 11;
    pub(crate) const DEBUG_MONITOR: u16 = 12;
    pub(crate) const PENDSV: u16 = 14;
    pub(crate) const SYSTICK: u16 = 15;
    /// The first external interrupt.
    pub(crate) const EXTERNAL: u16 = 16;
}

/// The execution priority of thread mode with nothing active or masked: below every exception.
pub(crate) const NO_PRIORITY: i16 = 256;

const WORDS: usize = Config::MAX_INTERRUPTS as usize / 32 + 1;

/// A set of exception numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExceptionSet([u32; WORDS]);

impl ExceptionSet {
    pub(crate) fn contains(&self, number: u16) -> bool {
        self.0[number as usize / 32] & (1 << (number % 32)) != 0
    }
    pub(crate) fn insert(&mut self, number: u16) {
        self.0[number as usize / 32] |= 1 << (number % 32);
    }
    pub(crate) fn remove(&mut self, number: u16) {
        self.0[number as usize / 32] &= !(1 << (number % 32));
    }
    pub(crate) fn set(&mut self, number: u16, member: bool) {
        if member { self.insert(number) } else { self.remove(number) }
    }
    fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.intersection(self)
    }
    /// Whether `number` is the only member.
    pub(crate) fn only(&self, number: u16) -> bool {
        self.iter().eq([number])
    }
    /// Members of both sets, ascending.
    fn intersection<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = u16> + 'a {
        self.0.iter().zip(&other.0).enumerate().flat_map(|(word, (a, b))| Ones(a & b, word as u16 * 32))
    }
    /// The bits of external interrupts from `32 * word` on, as in the NVIC's registers. Interrupt 0 is exception 16, so
    /// each register spans two words of the set.
    fn external(&self, word: usize) -> u32 {
        let high = self.0.get(word + 1).copied().unwrap_or(0);
        self.0[word] >> 16 | high << 16
    }
}

/// Iterates over the positions of the set bits of a word, plus a base.
struct Ones(u32, u16);

impl Iterator for Ones {
    type Item = u16;
    fn next(&mut self) -> Option<u16> {
        let at = (self.0 != 0).then(|| self.0.trailing_zeros() as u16)?;
        self.0 &= self.0 - 1;
        Some(self.1 + at)
    }
}

/// A pending exception and its priority.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingException {
    pub number: u16,
    /// The priority with its subpriority bits: those order pending exceptions but do not pre-empt.
    pub priority: i16,
}

/// The state of every exception.
#[derive(Clone, Debug)]
pub(crate) struct Nvic {
    pub pending: ExceptionSet,
    pub active: ExceptionSet,
    pub enabled: ExceptionSet,
    level: ExceptionSet,
    /// Interrupts whose enable bit is reserved for the host: the application's writes to it are ignored.
    reserved: ExceptionSet,
    priority: Vec<u8>,
    interrupts: u16,
    priority_mask: u8,
    /// AIRCR.PRIGROUP.
    pub prigroup: u8,
    /// An interrupt became pending since this was last cleared: an event for WFE with SCR.SEVONPEND.
    pub newly_pending: bool,
}

impl Nvic {
    pub(crate) fn new(interrupts: u16, priority_bits: u8) -> Self {
        let interrupts = interrupts.min(Config::MAX_INTERRUPTS);
        let mut nvic = Self {
            pending: ExceptionSet::default(),
            active: ExceptionSet::default(),
            enabled: ExceptionSet::default(),
            level: ExceptionSet::default(),
            reserved: ExceptionSet::default(),
            priority: vec![0; (number::EXTERNAL + interrupts) as usize],
            interrupts,
            priority_mask: !(0xFFu16 >> priority_bits.clamp(3, 8)) as u8,
            prigroup: 0,
            newly_pending: false,
        };
        nvic.reset();
        nvic
    }

    /// Resets the state. The levels of the lines are inputs, so a line that is high pends again.
    pub(crate) fn reset(&mut self) {
        self.pending = ExceptionSet::default();
        self.active = ExceptionSet::default();
        self.enabled = ExceptionSet::default();
        self.reserved = ExceptionSet::default();
        for always in [number::NMI, number::HARD_FAULT, number::SVCALL, number::PENDSV, number::SYSTICK] {
            self.enabled.insert(always);
        }
        self.enabled.insert(number::DEBUG_MONITOR);
        self.priority.fill(0);
        self.prigroup = 0;
        let high: Vec<u16> = self.level.iter().collect();
        for line in high {
            self.pending.insert(line);
        }
    }

    pub(crate) fn interrupts(&self) -> u16 {
        self.interrupts
    }

    /// The exception number of external interrupt `irq`, if it is configured.
    pub(crate) fn external(&self, irq: u16) -> Option<u16> {
        (irq < self.interrupts).then(|| irq + number::EXTERNAL)
    }

    pub(crate) fn pend(&mut self, number: u16) {
        self.newly_pending |= !self.pending.contains(number);
        self.pending.insert(number);
    }

    pub(crate) fn pend_irq(&mut self, irq: u16) {
        if let Some(number) = self.external(irq) {
            self.pend(number);
        }
    }

    /// Clears the pending state. A line that is still high pends again at once, or, while its handler is active, when
    /// that returns.
    pub(crate) fn unpend(&mut self, number: u16) {
        if !self.level.contains(number) || self.active.contains(number) {
            self.pending.remove(number);
        }
    }

    /// A rising edge pends even while the handler is active; a high level pends again when the handler returns.
    pub(crate) fn set_level(&mut self, irq: u16, high: bool) {
        let Some(number) = self.external(irq) else { return };
        let was = self.level.contains(number);
        self.level.set(number, high);
        if high && !was {
            self.pend(number);
        }
    }

    /// The exception is taken: pending becomes active.
    pub(crate) fn activate(&mut self, number: u16) {
        self.pending.remove(number);
        self.active.insert(number);
    }

    /// The handler returned; a line that is still high pends again.
    pub(crate) fn deactivate(&mut self, number: u16) {
        self.active.remove(number);
        if self.level.contains(number) {
            self.pend(number);
        }
    }

    /// The priority of an exception: -3 for Reset, -2 for NMI, -1 for HardFault, else the priority byte.
    pub(crate) fn priority(&self, number: u16) -> i16 {
        match number {
            1 => -3,
            number::NMI => -2,
            number::HARD_FAULT => -1,
            _ => self.priority.get(number as usize).map_or(NO_PRIORITY, |&p| i16::from(p)),
        }
    }

    /// The group priority, which decides pre-emption: the bits above AIRCR.PRIGROUP.
    pub(crate) fn group(&self, priority: i16) -> i16 {
        if priority < 0 { priority } else { priority & !((2i16 << self.prigroup) - 1) }
    }

    /// The highest priority of all active exceptions, without masks. An exception that was pre-empted counts too, since
    /// its priority byte may have been changed meanwhile.
    pub(crate) fn active_priority(&self) -> i16 {
        self.active.iter().map(|n| self.group(self.priority(n))).min().unwrap_or(NO_PRIORITY)
    }

    /// The pending and enabled exception of highest priority; of equal ones, that with the lowest number.
    pub(crate) fn highest_pending(&self) -> Option<PendingException> {
        self.pending
            .intersection(&self.enabled)
            .map(|number| PendingException { number, priority: self.priority(number) })
            .min_by_key(|c| c.priority)
    }

    /// Whether any external interrupt is pending.
    pub(crate) fn external_pending(&self) -> bool {
        self.pending.iter().any(|n| n >= number::EXTERNAL)
    }

    /// Reads a priority byte by exception number.
    pub(crate) fn priority_byte(&self, number: u16) -> u8 {
        self.priority.get(number as usize).copied().unwrap_or(0)
    }

    /// Writes a priority byte; bits that are not implemented stay zero.
    pub(crate) fn set_priority_byte(&mut self, number: u16, value: u8) {
        let mask = self.priority_mask;
        if let Some(byte) = self.priority.get_mut(number as usize) {
            *byte = value & mask;
        }
    }

    /// The implemented bits of BASEPRI and of priority bytes.
    pub(crate) fn priority_mask(&self) -> u8 {
        self.priority_mask
    }

    /// Reads an NVIC register at `offset` from 0xE000E100, by word.
    pub(crate) fn read(&self, offset: u32) -> u32 {
        let word = (offset / 4 % 16) as usize;
        match offset {
            // ISER, ICER
            0x000..0x040 | 0x080..0x0C0 => self.enabled.external(word),
            // ISPR, ICPR
            0x100..0x140 | 0x180..0x1C0 => self.pending.external(word),
            // IABR
            0x200..0x240 => self.active.external(word),
            // IPR
            0x300..0x4F0 => self.read_priorities(offset as u16 - 0x300),
            _ => 0,
        }
    }

    /// Writes an NVIC register at `offset` from 0xE000E100, by word.
    pub(crate) fn write(&mut self, offset: u32, value: u32) {
        let first = (offset / 4 % 16) as u16 * 32;
        match offset {
            // ISER, ICER, ISPR, ICPR: ones set or clear, zeros have no effect.
            0x000..0x040 => self.for_each_irq(first, value, |nvic, n| nvic.enable(n, true)),
            0x080..0x0C0 => self.for_each_irq(first, value, |nvic, n| nvic.enable(n, false)),
            0x100..0x140 => self.for_each_irq(first, value, Self::pend),
            0x180..0x1C0 => self.for_each_irq(first, value, Self::unpend),
            _ => {}
        }
    }

    /// The application enables or disables an interrupt, unless the enable bit is reserved.
    fn enable(&mut self, number: u16, enabled: bool) {
        if !self.reserved.contains(number) {
            self.enabled.set(number, enabled);
        }
    }

    /// Reserves an interrupt's enable bit for the host, or releases it.
    pub(crate) fn reserve(&mut self, number: u16, reserved: bool) {
        self.reserved.set(number, reserved);
    }

    /// Whether an interrupt's enable bit is reserved for the host.
    pub(crate) fn is_reserved(&self, number: u16) -> bool {
        self.reserved.contains(number)
    }

    /// Whether a handler of an interrupt with a reserved enable bit is active.
    pub(crate) fn any_reserved_active(&self) -> bool {
        self.active.intersection(&self.reserved).next().is_some()
    }

    fn for_each_irq(&mut self, first: u16, bits: u32, act: impl Fn(&mut Self, u16)) {
        for irq in Ones(bits, first) {
            if let Some(number) = self.external(irq) {
                act(self, number);
            }
        }
    }

    fn read_priorities(&self, irq: u16) -> u32 {
        u32::from_le_bytes([0, 1, 2, 3].map(|i| self.priority_byte(number::EXTERNAL + (irq & !3) + i)))
    }
}
