//! The dispatch of system calls: a line a call, in the order of the slots' topics.
//!
//! Each line names the function of the call and the tables it may read or change. The function reads its arguments,
//! acts and writes its results, in its topic's own file.

use abi::memory::RETIRED_SLOTS;
use abi::{Call, Status};

use crate::channel::calls as channel;
use crate::config::calls as config;
use crate::http::calls as http;
use crate::logging::calls as logging;
use crate::mqtt::{connect, filters, messages, publish};
use crate::network::calls as network;
use crate::notifications::calls as notifications;
use crate::opaque::calls as opaque;
use crate::port::{Clock, Port};
use crate::{Kernel, Outcome, device, flash, interrupts, power, system, time, wifi};

impl Kernel {
    /// Executes a system call: `slot` is the branch's offset into the call page, `args` are r0 to r3. A slot without a
    /// call, or an address inside one, is an application fault, as any other wild branch is. The retired slot answers
    /// `UNAVAILABLE`, because applications built against old headers may still call it (D07).
    pub fn call(&mut self, port: &mut Port<'_>, slot: u32, args: [u32; 4]) -> Outcome {
        match Call::from_slot(slot) {
            Some(call) => self.dispatch(port, call, args).unwrap_or_else(Outcome::Status),
            None if RETIRED_SLOTS.contains(&slot) => Outcome::Status(Status::Unavailable),
            None => Outcome::Fault,
        }
    }

    #[allow(clippy::too_many_lines, reason = "a line a call, and there are seventy-one")]
    fn dispatch(&mut self, port: &mut Port<'_>, call: Call, args: [u32; 4]) -> Result<Outcome, Status> {
        let [a, b, c, d] = args;
        // The tables by their own names, so that a line has room to name those its call may touch.
        let Self { boot, handles, notifications: centres, network: net, link, channels, .. } = self;
        let Self { logging: log, test_logging: test_log, clock, system_events: events, .. } = self;
        let Self { fast_interrupts: fast, flash: flash_handles, .. } = self;
        let done = match call {
            // Those that do not simply return to the caller.
            Call::PowerSave => return power::save(net, clock.is_set(), port, a),
            Call::DeepSleep => return power::deep_sleep(net, clock.is_set(), port, a),
            Call::Restart => return power::restart(net, port, a),
            Call::TestingComplete => return power::testing_complete(boot, a),

            Call::NoOp => Ok(()),

            Call::SetupNotifications => {
                notifications::setup(centres, handles, fast, channels, [log, test_log], port, a, b)
            }
            Call::CloseNotifications => notifications::close(centres, port, a),
            Call::TempTriggerNotification => notifications::trigger(centres, port, a, b, c),
            Call::OpenSystemNotification => system::open(events, handles, centres, port, a, b),
            Call::CloseSystemNotification => system::close(events, port, a),

            Call::RequestNetwork => network::request(net, handles, centres, port, a, b)
                .map(|target| self.network_requested(port, target)),
            Call::ReleaseNetwork => {
                network::release(net, port, a).map(|handle| self.network_released(port, handle))
            }
            Call::GetNetworkStatus => network::status(net, clock.is_set(), port, a, b),
            Call::GetNetworkReasons => network::reasons(net, clock.is_set(), port, a, b),

            Call::OpenChannel => {
                channel::open(channels, link, handles, centres, net, [log, test_log], port, a, b)
            }
            Call::CloseChannel => channel::close(channels, link, port, a),
            Call::GetChannelClosureReason => channel::closure_reason(channels, port, a, b),

            Call::WriteChannel => opaque::write(channels, port, a, b, c, d),
            Call::WriteChannelStream => opaque::write_stream(channels, port, a, b, c, d),
            Call::ReadChannel => opaque::read(channels, port, a, b, c),
            Call::ReadChannelComplete => opaque::read_complete(channels, link, centres, port, a, b),

            Call::SendHttpRequest => http::send(channels, port, a, b),
            Call::ReadHttpResponseData => http::read_response(channels, port, a, b),
            Call::ReadHttpResponseHeader => http::read_header(channels, port, a, b, c, d),
            Call::ReadHttpResponseBody => http::read_body(channels, port, a, b, c, d),

            Call::SendConfigFetchRequest => config::send(channels, centres, port, a, b),
            Call::ReadConfigFetchResponseData => config::read_response(channels, port, a, b),
            Call::ReadConfigResponseItem => config::read_item(channels, port, a, b),

            Call::MqttGetNextReadableDataType => messages::next_readable(channels, port, a, b),
            Call::MqttRequestConnect => connect::request_connect(channels, port, a, b),
            Call::MqttReadConnectResponse => connect::read_connect_response(channels, port, a, b),
            Call::MqttRequestSubscribe => filters::request_subscribe(channels, centres, port, a, b),
            Call::MqttReadSubscribeResponse => filters::read_subscribe_response(channels, port, a, b),
            Call::MqttRequestUnsubscribe => filters::request_unsubscribe(channels, centres, port, a, b),
            Call::MqttReadUnsubscribeResponse => filters::read_unsubscribe_response(channels, port, a, b),
            Call::MqttRequestPublish => publish::request(channels, port, a, b),
            Call::MqttReadPublishResponse => publish::read_response(channels, port, a, b),
            Call::MqttReceiveMessage => messages::receive(channels, link, centres, port, a, b),
            Call::MqttReceiveLostMessageInfo => messages::receive_lost(channels, link, centres, port, a, b),
            Call::MqttAcknowledgeMessage => messages::acknowledge(channels, a, b),
            Call::MqttRequestDisconnect => connect::request_disconnect(channels, port, a),
            Call::MqttReadDisconnectResponse => connect::read_disconnect_response(channels, port, a, b),

            Call::ServerLoggingInit => logging::init(log, test_log, centres, channels, a, b),
            Call::ServerLog => logging::post(log, port, a, b),

            Call::GetMicroseconds => time::microseconds(port, a),
            Call::GetWallTime => time::wall_time(clock, port, a),

            Call::GetDeviceId => device::id(boot, port, a, b),
            Call::GetSysClk => device::clock_hz(port, Clock::System, a),
            Call::GetHClk => device::clock_hz(port, Clock::Ahb, a),
            Call::GetPClk1 => device::clock_hz(port, Clock::Apb1, a),
            Call::GetPClk2 => device::clock_hz(port, Clock::Apb2, a),
            Call::PeriphPeek32 => device::peek(port, a, b),
            Call::PeriphPoke32 => device::poke(port, a, b, c),

            Call::GetWakeReason => power::wake_reason(boot, port, a),
            Call::SystemLedEnable => power::system_led(port, a),

            Call::SetFastInterrupt => interrupts::set(fast, centres, port, a),
            Call::ClearFastInterrupt => interrupts::clear(fast, port, a),
            Call::EnableFastInterrupt => interrupts::enable(fast, port, a),
            Call::DisableFastInterrupt => interrupts::disable(fast, port, a),
            Call::EnableAllFastInterrupts => interrupts::mask_all(fast, port, false),
            Call::DisableAllFastInterrupts => interrupts::mask_all(fast, port, true),

            Call::ExternalFlashOpen => flash::open(flash_handles, handles, port, a),
            Call::ExternalFlashClose => flash::close(flash_handles, port, a),
            Call::ExternalFlashGetInfo => flash::info(flash_handles, port, a, b),
            Call::ExternalFlashReadBlocking => flash::read(flash_handles, port, a, b, c, d),
            Call::ExternalFlashWriteBlocking => flash::write(flash_handles, port, a, b, c, d),
            Call::ExternalFlashEraseBlocking => flash::erase(flash_handles, port, a, b, c),

            Call::SetWifiConfig => wifi::set_config(port, a),
            Call::GetWifiConfig => wifi::config(port, a),

            Call::TestLoggingInit => logging::init_test(test_log, log, boot, centres, channels, a, b),
            Call::TestLog => logging::post(test_log, port, a, b),
        };
        done.map(|()| Outcome::Status(Status::Okay))
    }
}
