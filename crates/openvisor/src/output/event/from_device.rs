//! What a device reports, as events.

use std::time::Duration;

use abi::channel::ChannelType;
use abi::power::WakeReason;
use device::debug::backtrace::Frame;
use device::debug::crash::Crash;
use device::debug::refused_call::RefusedCall;
use device::debug::symbols::Site;
use device::events::DeviceEvent;
use device::serial::port_name;

use super::{Call, CrashReport, Event, Hex, StatusRegister};

impl From<&DeviceEvent> for Event {
    fn from(event: &DeviceEvent) -> Self {
        use DeviceEvent as E;
        match event {
            E::LinkConnecting => Self::LinkConnecting,
            E::LinkUp => Self::LinkUp,
            E::LinkDown { reason, cause } => Self::LinkDown { reason, detail: cause.clone() },
            E::Started { reason } => Self::ApplicationStarted { reason: wake_reason(*reason) },
            E::NetworkRequested => Self::NetworkRequested,
            E::NetworkReleased => Self::NetworkReleased,
            E::ChannelOpened { channel } => Self::ChannelRequested { kind: channel_kind(*channel) },
            E::ChannelClosed { channel } => Self::ChannelReleased { kind: channel_kind(*channel) },
            E::Led { on } => Self::LedChanged { on: *on },
            E::Pin { pin, level } => Self::PinChanged { pin: pin.to_string(), high: *level },
            E::LineNotEnabled { line } => Self::LineNotEnabled { line: u32::from(*line) },
            E::CallRefused(refused) => call_refused(refused),
            E::Serial { port, bytes } => {
                Self::SerialLine { port: port_name(*port), line: String::from_utf8_lossy(bytes).into_owned() }
            }
            E::Display { bus, address, picture } => Self::DisplayChanged {
                bus: *bus,
                address: *address,
                digits: Some(picture.digits()).filter(|digits| !digits.contains('?')),
                rows: *picture,
            },
            E::SystemLed { enabled } => Self::SystemLedSwitched { enabled: *enabled },
            E::SleepsDeeply { wakes_in_ms } => Self::DeepSleep { wakes_in_ms: *wakes_in_ms },
            E::RestartRequested { restart_in_ms } => Self::RestartRequested { restart_in_ms: *restart_in_ms },
            E::ResetRequested { restart_in_ms } => Self::ResetRequested { restart_in_ms: *restart_in_ms },
            E::TestLog { text } | E::Logged { text } => Self::app_log(text),
            E::TestingComplete { status } => Self::TestingComplete { passed: *status == 0, status: *status },
            E::UnknownRegister { address } => Self::UnknownRegister { address: Hex(*address) },
            E::Called { call, arguments, status } => Self::SystemCall {
                call: call.name(),
                arguments: arguments.map(Hex),
                status: status.name().to_owned(),
                status_code: status.raw(),
            },
            E::Faulted { fault, restart_in_ms } => Self::ApplicationCrashed {
                detail: fault.to_string(),
                pc: Hex(fault.pc),
                restart_in_ms: *restart_in_ms,
            },
            E::Crashed(crash) => Self::CrashReport(Box::new(report(crash))),
            E::Debugger { attached: true } => Self::DebuggerAttached,
            E::Debugger { attached: false } => Self::DebuggerDetached,
            E::FellBehind { behind_ms, elapsed_ms, scale, polled } => {
                let seconds = |ms: &u64| Duration::from_millis(*ms).as_secs_f64();
                let pace = scale.factor() - seconds(behind_ms) / seconds(elapsed_ms).max(0.001);
                Self::FellBehind {
                    behind_ms: *behind_ms,
                    elapsed_ms: *elapsed_ms,
                    time_scale: scale.to_string(),
                    pace: format!("{pace:.2}"),
                    polled: polled.map(abi::Call::name),
                }
            }
            E::EndReached => Self::DeviceEndReached,
        }
    }
}

fn call_refused(refused: &RefusedCall) -> Event {
    Event::CallRefused {
        call: refused.call.name(),
        status: refused.status.name().to_owned(),
        status_code: refused.status.raw(),
        arguments: refused.arguments.clone(),
        detail: refused.reason.clone().unwrap_or_else(|| refused.meaning().to_owned()),
        is_explained: refused.reason.is_some(),
    }
}

fn report(crash: &Crash) -> CrashReport {
    CrashReport {
        detail: crash.fault.to_string(),
        cfsr: StatusRegister { value: Hex(crash.fault.cfsr), bits: crash.cfsr() },
        hfsr: StatusRegister { value: Hex(crash.fault.hfsr), bits: crash.hfsr() },
        mmfar: crash.mmfar().map(Hex),
        bfar: crash.bfar().map(Hex),
        registers: crash.registers.map(Hex),
        xpsr: Hex(crash.xpsr),
        msp: Hex(crash.msp),
        psp: Hex(crash.psp),
        backtrace: crash.frames.iter().flat_map(calls).collect(),
        lines: crash.lines(),
    }
}

fn calls(frame: &Frame) -> Vec<Call> {
    let call = |site: &Site| {
        let (file, line) = site.line.clone().unzip();
        let function = site.function.clone();
        Call { address: Hex(frame.address), function, file, line, certain: !frame.uncertain }
    };
    frame.sites.iter().map(call).collect()
}

/// The types of channels by the words of the metric `openvisor_channels`.
fn channel_kind(channel: ChannelType) -> &'static str {
    match channel {
        ChannelType::OpaqueBytes => "opaque",
        ChannelType::Http => "http",
        ChannelType::ConfigFetch => "config",
        ChannelType::Mqtt => "mqtt",
    }
}

fn wake_reason(reason: WakeReason) -> &'static str {
    match reason {
        WakeReason::ColdBoot => "cold_boot",
        WakeReason::RemoteMicrovisorRestart => "remote_microvisor_restart",
        WakeReason::RemoteApplicationRestart => "remote_application_restart",
        WakeReason::DebuggerRestart => "debugger_restart",
        WakeReason::MicrovisorCrash => "microvisor_crash",
        WakeReason::MicrovisorWatchdog => "microvisor_watchdog",
        WakeReason::MicrovisorOutOfMemory => "microvisor_out_of_memory",
        WakeReason::MicrovisorError => "microvisor_error",
        WakeReason::ApplicationCrash => "application_crash",
        WakeReason::ApplicationUpdate => "application_update",
        WakeReason::MicrovisorUpdate => "microvisor_update",
        WakeReason::OptionBytes => "option_bytes",
        WakeReason::DeepSleepCheckIn => "deep_sleep_check_in",
        WakeReason::DeepSleepApplication => "deep_sleep_application",
        WakeReason::DeepSleepModem => "deep_sleep_modem",
        WakeReason::DeepSleepApplicationRtc => "deep_sleep_application_rtc",
        WakeReason::DeepSleepOther => "deep_sleep_other",
    }
}
