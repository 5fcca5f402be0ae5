//! The one dispatch: a line a call, in the order of the slots' topics. Each call reads, acts and writes in its own file.

use abi::memory::RETIRED_SLOTS;
use abi::{Call, Status};

use crate::port::Clock;
use crate::{Kernel, Outcome, Port, device, power, time, wifi};

impl Kernel {
    /// One system call: `slot` is the branch's offset into the entry page, `args` are r0 to r3. A slot without a call,
    /// or an address within one, is the application's fault (D07).
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
        let done = match call {
            // Those that do not simply return to the caller.
            Call::PowerSave => return self.power_save(port, a),
            Call::DeepSleep => return self.deep_sleep(port, a),
            Call::Restart => return self.restart(port, a),
            Call::TestingComplete => return self.testing_complete(a),

            Call::NoOp => Ok(()),

            Call::SetupNotifications => self.setup_notifications(port, a, b),
            Call::CloseNotifications => self.close_notifications(port, a),
            Call::TempTriggerNotification => self.trigger_notification(port, a, b, c),
            Call::OpenSystemNotification => self.open_system_notification(port, a, b),
            Call::CloseSystemNotification => self.close_system_notification(port, a),

            Call::RequestNetwork => self.request_network(port, a, b),
            Call::ReleaseNetwork => self.release_network(port, a),
            Call::GetNetworkStatus => self.network_status(port, a, b),
            Call::GetNetworkReasons => self.network_reasons(port, a, b),

            Call::OpenChannel => self.open_channel(port, a, b),
            Call::CloseChannel => self.close_channel(port, a),
            Call::GetChannelClosureReason => self.closure_reason(port, a, b),

            Call::WriteChannel => self.write_channel(port, a, b, c, d),
            Call::WriteChannelStream => self.write_channel_stream(port, a, b, c, d),
            Call::ReadChannel => self.read_channel(port, a, b, c),
            Call::ReadChannelComplete => self.read_channel_complete(port, a, b),

            Call::SendHttpRequest => self.send_http_request(port, a, b),
            Call::ReadHttpResponseData => self.read_http_response(port, a, b),
            Call::ReadHttpResponseHeader => self.read_http_header(port, a, b, c, d),
            Call::ReadHttpResponseBody => self.read_http_body(port, a, b, c, d),

            Call::SendConfigFetchRequest => self.send_config_fetch(port, a, b),
            Call::ReadConfigFetchResponseData => self.read_config_response(port, a, b),
            Call::ReadConfigResponseItem => self.read_config_item(port, a, b),

            Call::MqttGetNextReadableDataType => self.mqtt_next_readable(port, a, b),
            Call::MqttRequestConnect => self.mqtt_request_connect(port, a, b),
            Call::MqttReadConnectResponse => self.mqtt_read_connect_response(port, a, b),
            Call::MqttRequestSubscribe => self.mqtt_request_subscribe(port, a, b),
            Call::MqttReadSubscribeResponse => self.mqtt_read_subscribe_response(port, a, b),
            Call::MqttRequestUnsubscribe => self.mqtt_request_unsubscribe(port, a, b),
            Call::MqttReadUnsubscribeResponse => self.mqtt_read_unsubscribe_response(port, a, b),
            Call::MqttRequestPublish => self.mqtt_request_publish(port, a, b),
            Call::MqttReadPublishResponse => self.mqtt_read_publish_response(port, a, b),
            Call::MqttReceiveMessage => self.mqtt_receive_message(port, a, b),
            Call::MqttReceiveLostMessageInfo => self.mqtt_receive_lost_message(port, a, b),
            Call::MqttAcknowledgeMessage => self.mqtt_acknowledge(a, b),
            Call::MqttRequestDisconnect => self.mqtt_request_disconnect(port, a),
            Call::MqttReadDisconnectResponse => self.mqtt_read_disconnect_response(port, a, b),

            Call::ServerLoggingInit => self.server_logging_init(a, b),
            Call::ServerLog => self.server_log(port, a, b),

            Call::GetMicroseconds => time::microseconds(port, a),
            Call::GetWallTime => self.wall_time(port, a),

            Call::GetDeviceId => self.device_id(port, a, b),
            Call::GetSysClk => device::clock_hz(port, Clock::System, a),
            Call::GetHClk => device::clock_hz(port, Clock::Ahb, a),
            Call::GetPClk1 => device::clock_hz(port, Clock::Apb1, a),
            Call::GetPClk2 => device::clock_hz(port, Clock::Apb2, a),
            Call::PeriphPeek32 => device::peek(port, a, b),
            Call::PeriphPoke32 => device::poke(port, a, b, c),

            Call::GetWakeReason => self.wake_reason(port, a),
            Call::SystemLedEnable => power::system_led(port, a),

            Call::SetFastInterrupt => self.set_fast_interrupt(port, a),
            Call::ClearFastInterrupt => self.clear_fast_interrupt(port, a),
            Call::EnableFastInterrupt => self.enable_fast_interrupt(port, a),
            Call::DisableFastInterrupt => self.disable_fast_interrupt(port, a),
            Call::EnableAllFastInterrupts => {
                self.enable_all_fast_interrupts(port);
                Ok(())
            }
            Call::DisableAllFastInterrupts => {
                self.disable_all_fast_interrupts(port);
                Ok(())
            }

            Call::ExternalFlashOpen => self.flash_open(port, a),
            Call::ExternalFlashClose => self.flash_close(port, a),
            Call::ExternalFlashGetInfo => self.flash_info(port, a, b),
            Call::ExternalFlashReadBlocking => self.flash_read(port, a, b, c, d),
            Call::ExternalFlashWriteBlocking => self.flash_write(port, a, b, c, d),
            Call::ExternalFlashEraseBlocking => self.flash_erase(port, a, b, c),

            Call::SetWifiConfig => wifi::store_config(port, a),
            Call::GetWifiConfig => wifi::stored_config(port, a),

            Call::TestLoggingInit => self.test_logging_init(a, b),
            Call::TestLog => self.test_log(port, a, b),
        };
        done.map(|()| Outcome::Status(Status::Okay))
    }
}
