//! What a system call costs the application in guest time, and how a program that only polls lets the host sleep (D218,
//! D219).
//!
//! A call that only queries, made from one call site again and again with nothing done in between, may take longer than
//! others. The machine finds such loops by a trial run ([`armv8m::Cpu::begin_trial`]): it lets the application continue
//! with the clock stopped a little in the future, and with the results that the calls will have then. If registers and
//! memory return to their former values, and the first round was as long as the next, the application will poll until
//! then unless something else happens. The trial is rolled back and the call is delayed: it returns at that time, or as
//! soon as an interrupt is about to be taken or an input arrives. If something changes for the application by then, a
//! shorter delay is tried.
//!
//! All of this depends on guest time and recorded inputs alone, so that a replay delays the same calls (D138).

use abi::{Call, Status};
use armv8m::{Bus, BusFault, Cycles, ExternalActivity, Register, Signals, Width};
use kernel::Outcome;
use sansio::{Duration, Instant};

use super::observer::Before;
use super::{Machine, Power};
use crate::board::Board;
use crate::memory_map::{CYCLES_PER_MICRO, ENTRY_PAGE};

/// Cycles that pass for the application in each system call: 2.5 µs. The kernel needs up to 250 instructions of its own
/// for a call (`cargo xtask cost`), which waits for flash make about twice as many cycles on a chip; entering and
/// leaving the secure state, with registers saved, cleared and restored, takes the rest.
pub(super) const CALL_CYCLES: Cycles = 400;

/// Longest delay, in cycles. With the call and the rest of the loop an application sees a change within a millisecond,
/// the resolution at which applications poll (D219).
const MAX_DELAY: Cycles = 900 * CYCLES_PER_MICRO;

/// Greatest scale of the guest's time, as `--time-scale` has it (D141).
const MAX_SCALE: u32 = 1000;

/// Shortest delay that costs less than the calls it saves, in cycles.
const MIN_DELAY: Cycles = 10 * CYCLES_PER_MICRO;

/// How long an application must have been polling before a call is delayed, in cycles.
const MIN_POLLING_TIME: Cycles = 40 * CYCLES_PER_MICRO;

/// Most instructions from one call to the next from the same call site.
const MAX_ROUND: u64 = 4_000;

/// Most instructions of a trial run, and most rounds: a simple loop is recognised after two.
const MAX_TRIAL: u64 = 3 * MAX_ROUND;
const MAX_TRIAL_ROUNDS: u64 = 16;

/// Instructions of a round from which on one trial serves for several delays: trials would cost more than the
/// application.
const LONG_ROUND: u64 = 30;
const TRUSTED_ROUNDS: u32 = 16;

/// Cycles until another trial after one that failed; doubles with each failure, up to [`MAX_BACKOFF`].
const MIN_BACKOFF: Cycles = 100 * CYCLES_PER_MICRO;
const MAX_BACKOFF: Cycles = 12_800 * CYCLES_PER_MICRO;

/// Most calls that found no item that are remembered.
const MAX_ABSENT: usize = 8;

/// A call that only queries, with its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Query {
    call: Call,
    /// Registers that are not arguments of this call are zero.
    arguments: [u32; 4],
}

impl Query {
    fn new(slot: u32, mut registers: [u32; 4]) -> Option<Self> {
        let call = Call::from_slot(slot)?;
        registers[query_arguments(call)?..].fill(0);
        Some(Self { call, arguments: registers })
    }
}

/// A call site: the query, where it returns to, and the stack there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CallSite {
    query: Query,
    lr: u32,
    sp: u32,
}

/// A call whose return is delayed.
pub(super) struct DelayedCall {
    /// The cycle at which it returns at the latest.
    pub until: Cycles,
    query: Query,
    before: Before,
}

/// What is done with a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    /// Execute it now.
    Answer,
    /// Find out by trials of at most this many instructions for how long it may be delayed.
    Try(u64),
    /// DelayedCall it.
    DelayedCall,
}

/// Watches the calls of an application for polling.
#[derive(Debug, Default)]
pub(super) struct Polling {
    /// The call site that begins a round.
    site: Option<CallSite>,
    /// Instructions executed when the call was last made there.
    arrived: u64,
    /// The cycle since which the application has done nothing but poll.
    began: Cycles,
    /// For how many cycles it had, when it last asked.
    polled_for: Cycles,
    /// Since the call was last made there, an exception was taken or the host changed something.
    interrupted: bool,
    /// Instructions of a round that a trial has found to be polling.
    round: u64,
    /// Delays that need no further trial.
    trusted: u32,
    /// The cycle before which there is no further trial, and the next back-off.
    next_trial: Cycles,
    pause: Cycles,
    /// Reads that found nothing since the kernel's last input.
    absent: Vec<Query>,
}

impl Polling {
    /// The application did something other than poll.
    fn on_action(&mut self) {
        (self.site, self.trusted, self.polled_for) = (None, 0, 0);
        self.absent.clear();
    }

    /// The kernel had an input: reads may find an item now.
    pub(super) fn on_kernel_change(&mut self) {
        self.absent.clear();
    }

    /// A query was made at `site`.
    fn on_query(
        &mut self,
        site: CallSite,
        now: Cycles,
        instructions: u64,
        since: ExternalActivity,
    ) -> Decision {
        if since.accessed {
            self.on_action();
        }
        self.interrupted |= since.interrupted;
        let round = instructions.saturating_sub(self.arrived);
        if self.site != Some(site) {
            if self.site.is_none() || round > MAX_ROUND {
                (self.site, self.began, self.trusted) = (Some(site), now, 0);
                self.polled_for = 0;
                (self.arrived, self.interrupted) = (instructions, true);
            }
            return Decision::Answer;
        }
        self.arrived = instructions;
        if round > MAX_ROUND {
            (self.began, self.trusted) = (now, 0);
        }
        self.polled_for = now.saturating_sub(self.began);
        // A round in which an interrupt was handled may have done something because of it.
        if std::mem::take(&mut self.interrupted) || round > MAX_ROUND {
            return Decision::Answer;
        }
        self.decide(now, round)
    }

    fn decide(&mut self, now: Cycles, round: u64) -> Decision {
        if now.saturating_sub(self.began) < MIN_POLLING_TIME {
            return Decision::Answer;
        }
        if self.trusted > 0 && round.abs_diff(self.round) <= self.round / 4 {
            self.trusted -= 1;
            return Decision::DelayedCall;
        }
        if now < self.next_trial {
            return Decision::Answer;
        }
        Decision::Try(MAX_TRIAL.min((round + 4) * MAX_TRIAL_ROUNDS))
    }

    fn on_polling(&mut self, round: u64, is_longest: bool) {
        let is_trusted = round >= LONG_ROUND && is_longest;
        (self.round, self.trusted, self.pause) = (round, if is_trusted { TRUSTED_ROUNDS } else { 0 }, 0);
    }

    fn on_trial_failed(&mut self, now: Cycles) {
        self.pause = (self.pause * 2).clamp(MIN_BACKOFF, MAX_BACKOFF);
        self.next_trial = now + self.pause;
        (self.began, self.trusted) = (now, 0);
    }
}

/// How a trial run ended.
enum Trial {
    /// The application only polls; a round has this many instructions.
    Polls { round: u64 },
    /// It does something else, or is about to.
    Acts,
    /// Something is due before this could be found out.
    Unknown,
}

impl Machine {
    /// Delays a call if it is a query of an application that does nothing but query. Returns whether it did.
    pub(super) fn delay_if_polling(&mut self, slot: u32, arguments: [u32; 4], before: &Before) -> bool {
        let since = self.cpu.take_external_activity();
        let Some(query) = Query::new(slot, arguments) else {
            self.polling.on_action();
            return false;
        };
        if self.cpu.in_handler_mode() || !self.is_free_running() {
            return false;
        }
        let (lr, sp) = (self.cpu.register(Register::LR), self.cpu.register(Register::SP));
        let site = CallSite { query, lr, sp };
        let delay = match self.polling.on_query(site, self.now(), self.instructions(), since) {
            Decision::Answer => None,
            Decision::DelayedCall => Some(self.max_delay()),
            Decision::Try(budget) => self.find_delay(&site, budget),
        };
        let Some(delay) = delay else { return false };
        self.delayed_call = Some(DelayedCall { until: self.now() + delay, query, before: before.clone() });
        true
    }

    /// Finds for how long nothing changes for the application but the answers to what it asks.
    fn find_delay(&mut self, site: &CallSite, budget: Cycles) -> Option<Cycles> {
        let longest = self.max_delay();
        let mut delay = longest;
        loop {
            match self.try_polling(site, delay, budget) {
                Trial::Polls { round } => {
                    self.polling.on_polling(round, delay == longest);
                    return Some(delay);
                }
                Trial::Unknown => return None,
                Trial::Acts if delay == longest && !self.polls_now(site, budget) => {
                    self.polling.on_trial_failed(self.now());
                    return None;
                }
                Trial::Acts => delay /= 2,
            }
            if delay < MIN_DELAY {
                return None;
            }
        }
    }

    /// The call that the application makes in a loop, if it does nothing else.
    pub fn polled_call(&self) -> Option<Call> {
        let site = self.polling.site.filter(|_| self.polling.polled_for >= MIN_POLLING_TIME)?;
        Some(site.query.call)
    }

    /// The longest delay, which is the same by the wall clock whatever the scale of the guest's time (D219): the host's
    /// load is what it saves.
    fn max_delay(&self) -> Cycles {
        MAX_DELAY * u64::from(self.provisioning.poll_scale.clamp(1, MAX_SCALE))
    }

    fn polls_now(&mut self, site: &CallSite, budget: Cycles) -> bool {
        matches!(self.try_polling(site, 0, budget), Trial::Polls { .. })
    }

    /// A call has returned.
    pub(super) fn on_answer(&mut self, slot: u32, arguments: [u32; 4], status: Status) {
        let Some(query) = Query::new(slot, arguments).filter(|query| is_read(query.call)) else { return };
        if status != Status::ResponseNotPresent {
            return self.polling.on_action();
        }
        if !self.polling.absent.contains(&query) && self.polling.absent.len() < MAX_ABSENT {
            self.polling.absent.push(query);
        }
    }

    /// What the kernel did to registers and memory for a call does not count as activity of the application.
    pub(super) fn clear_own_activity(&mut self) {
        let _own = self.cpu.take_external_activity();
    }

    /// An input arrived, or time has changed something: a delayed call returns now.
    pub(super) fn on_external_change(&mut self) {
        self.polling.on_kernel_change();
        self.answer_delayed_call();
    }

    /// Whether a call is still delayed. One that is due is executed.
    pub(super) fn is_call_delayed(&mut self) -> bool {
        let Some(delay) = &self.delayed_call else { return false };
        if self.now() < delay.until && !self.cpu.will_take_interrupt() {
            return true;
        }
        self.answer_delayed_call();
        false
    }

    /// Executes the delayed call, if there is one, at the current time.
    pub(super) fn answer_delayed_call(&mut self) {
        let Some(DelayedCall { query: Query { call, arguments }, before, .. }) = self.delayed_call.take()
        else {
            return;
        };
        let slot = call.slot();
        let Outcome::Status(status) = self.enter_kernel(|kernel, port| kernel.call(port, slot, arguments))
        else {
            return;
        };
        self.trace_return(Some(status));
        self.report_call(&before, status);
        self.on_answer(slot, arguments, status);
        self.cpu.return_from_trap(status.raw());
        self.clear_own_activity();
        self.end_step_over_call();
    }

    /// Lets the application run with the clock stopped `ahead` cycles from now, and rolls that back.
    fn try_polling(&mut self, site: &CallSite, ahead: Cycles, budget: Cycles) -> Trial {
        let due = self.slice_end(u64::MAX).min(self.cpu.next_timeout().unwrap_or(u64::MAX));
        let limit = due.min(self.now() + budget);
        let now = self.kernel_now() + Duration::from_micros(ahead / CYCLES_PER_MICRO);
        if !self.cpu.begin_trial() {
            return Trial::Unknown;
        }
        let began = self.instructions();
        let found = self.run_trial(site, now, limit);
        self.cpu.end_trial();
        // What was rolled back is not part of the next round.
        self.polling.arrived = self.instructions();
        match found {
            Some(round) => Trial::Polls { round },
            None if self.now() >= limit && self.instructions() - began < budget => Trial::Unknown,
            None => Trial::Acts,
        }
    }

    /// Returns the instructions of a round, if the application returns to its former state and each round is like the
    /// first.
    fn run_trial(&mut self, site: &CallSite, now: Instant, limit: Cycles) -> Option<u64> {
        let mut query = site.query;
        let mut arrived = self.instructions();
        let mut first = None;
        loop {
            let status = self.answer_on_trial(query, now)?;
            if !self.cpu.return_on_trial(status.raw()) {
                return None;
            }
            if self.cpu.trial_repeats() {
                return first;
            }
            let budget = limit.checked_sub(self.now()).filter(|budget| *budget > 0)?;
            let address = self.cpu.run_trial(&mut TrialBus { board: &mut self.board }, budget)?;
            let arguments = [0, 1, 2, 3].map(|number| self.cpu.register(Register::R(number)));
            query = Query::new(address - ENTRY_PAGE.start, arguments)?;
            if query == site.query {
                let round = self.instructions() - std::mem::replace(&mut arrived, self.instructions());
                if *first.get_or_insert(round) != round {
                    return None;
                }
            }
        }
    }

    /// The status a call would have now, if it is a query.
    fn answer_on_trial(&mut self, query: Query, now: Instant) -> Option<Status> {
        if is_read(query.call) {
            // Executing it could consume an item. There is none for a read that found none since the last input.
            return self.polling.absent.contains(&query).then_some(Status::ResponseNotPresent);
        }
        let Query { call, arguments } = query;
        let outcome = self.enter_kernel_at(now, |kernel, port| kernel.call(port, call.slot(), arguments));
        if let Outcome::Status(status) = outcome { Some(status) } else { None }
    }

    /// The cycle at which the delayed call returns.
    pub(super) fn delayed_call_due(&self) -> Option<Cycles> {
        let delay = self.delayed_call.as_ref()?;
        (self.power == Power::On).then_some(delay.until)
    }
}

/// The number of arguments of a call that changes nothing but its out-parameters; `None` for every other call. Reads
/// change nothing where there is no item.
pub(super) fn query_arguments(call: Call) -> Option<usize> {
    let asks = matches!(
        call,
        Call::NoOp
            | Call::GetMicroseconds
            | Call::GetWallTime
            | Call::GetNetworkStatus
            | Call::GetNetworkReasons
            | Call::GetChannelClosureReason
            | Call::MqttGetNextReadableDataType
            | Call::GetDeviceId
            | Call::GetSysClk
            | Call::GetHClk
            | Call::GetPClk1
            | Call::GetPClk2
            | Call::GetWakeReason
            | Call::ExternalFlashGetInfo
            | Call::GetWifiConfig
    );
    (asks || is_read(call)).then(|| call.parameters().len().min(4))
}

/// Whether a call consumes an item that has arrived, and changes nothing while it returns `RESPONSENOTPRESENT`: a read
/// that fails leaves everything as it was (D04).
pub(super) fn is_read(call: Call) -> bool {
    matches!(
        call,
        Call::ReadHttpResponseData
            | Call::ReadHttpResponseHeader
            | Call::ReadHttpResponseBody
            | Call::ReadConfigFetchResponseData
            | Call::ReadConfigResponseItem
            | Call::MqttReadConnectResponse
            | Call::MqttReadSubscribeResponse
            | Call::MqttReadUnsubscribeResponse
            | Call::MqttReadPublishResponse
            | Call::MqttReadDisconnectResponse
            | Call::MqttReceiveMessage
            | Call::MqttReceiveLostMessageInfo
    )
}

/// The board during a trial run: registers that can be read without effect can be read, and nothing can be written,
/// because what a peripheral does cannot be rolled back.
struct TrialBus<'a> {
    board: &'a mut Board,
}

impl Bus for TrialBus<'_> {
    fn read(&mut self, address: u32, width: Width, signals: &mut Signals<'_>) -> Result<u32, BusFault> {
        if !self.board.is_steady(address) {
            return Err(BusFault);
        }
        signals.mark_steady();
        self.board.read(address, width.bytes(), signals.cycles()).map_err(|_| BusFault)
    }

    fn write(&mut self, _: u32, _: Width, _: u32, _: &mut Signals<'_>) -> Result<(), BusFault> {
        Err(BusFault)
    }
}
