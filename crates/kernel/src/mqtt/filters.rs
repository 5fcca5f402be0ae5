//! Subscribe and unsubscribe: up to eight filters each (M67), and one request of each in flight (D45).

use abi::Status;
use abi::mqtt::{MqttSubscribeRequest, MqttSubscribeResponse, MqttSubscription, MqttUnsubscribeRequest};
use abi::notifications::EventType;
use abi::strings::SizedString;
use link::kind::to_cloud;
use link::mqtt::{RequestState, SubscribeOptions};

use super::{Mqtt, PendingFilters, Readable, Stage, raw_state, string_span};
use crate::channel::Channels;
use crate::limits::MAX_FILTERS;
use crate::memory::{Memory, MemoryFault, OutParam, Phase as _, Span, read_struct};
use crate::notifications::Notifications;
use crate::outbox::{Body, Sink, encode_string};
use crate::port::Port;

/// The filters of a request, with their options in a subscribe.
struct FilterList {
    filters: [(Option<SubscribeOptions>, Span); MAX_FILTERS],
    count: usize,
    is_too_long: bool,
}

impl FilterList {
    /// Reads `count` elements of `size` bytes with `read`; none if they are more than one request can have.
    fn read(
        array: Span,
        count: u32,
        size: usize,
        read: impl Fn(u32) -> Result<(Option<SubscribeOptions>, Span), MemoryFault>,
    ) -> Result<Self, MemoryFault> {
        let is_too_long = count as usize > MAX_FILTERS;
        let count = if is_too_long { 0 } else { count as usize };
        let mut filters = [(None, Span::default()); MAX_FILTERS];
        for (index, filter) in (0..).zip(&mut filters[..count]) {
            *filter = read(array.at(index * size as u32))?;
        }
        Ok(Self { filters, count, is_too_long })
    }
}

impl Body for FilterList {
    fn encode(&self, sink: &mut dyn Sink) -> Result<(), MemoryFault> {
        for (options, filter) in &self.filters[..self.count] {
            if let Some(options) = options {
                sink.bytes(&[options.code()])?;
            }
            encode_string(sink, *filter)?;
        }
        Ok(())
    }
}

/// One element of a subscribe request.
fn read_subscription(memory: &dyn Memory, at: u32) -> Result<(Option<SubscribeOptions>, Span), MemoryFault> {
    let subscription: MqttSubscription = read_struct(memory, at)?;
    // The link carries out-of-range values as such, because it is the cloud that answers them (D46).
    let in_range = |value: u32, most: u32| {
        if value > most { SubscribeOptions::OUT_OF_RANGE } else { value as u8 }
    };
    let options = SubscribeOptions {
        qos: in_range(subscription.desired_qos, 1),
        no_local: subscription.nl != 0,
        retain_as_published: subscription.rap != 0,
        retain_handling: in_range(subscription.rh, 2),
    };
    Ok((Some(options), string_span(subscription.topic)?))
}

/// One element of an unsubscribe request.
fn read_topic(memory: &dyn Memory, at: u32) -> Result<(Option<SubscribeOptions>, Span), MemoryFault> {
    Ok((None, string_span(read_struct(memory, at)?)?))
}

/// Which of the two requests.
#[derive(Clone, Copy)]
enum Operation {
    Subscribe,
    Unsubscribe,
}

impl Operation {
    fn kind(self) -> u8 {
        match self {
            Self::Subscribe => to_cloud::SUBSCRIBE,
            Self::Unsubscribe => to_cloud::UNSUBSCRIBE,
        }
    }

    fn readable(self) -> Readable {
        match self {
            Self::Subscribe => Readable::Subscribe,
            Self::Unsubscribe => Readable::Unsubscribe,
        }
    }

    fn pending(self, mqtt: &mut Mqtt) -> &mut PendingFilters {
        match self {
            Self::Subscribe => &mut mqtt.subscribe,
            Self::Unsubscribe => &mut mqtt.unsubscribe,
        }
    }
}

/// Where the parts of a response go.
struct ResponseOutParams {
    state: OutParam<4>,
    correlation: OutParam<4>,
    codes: Span,
    /// Size of the array in codes, not in bytes, as the public guide shows it (D40).
    max_codes: u32,
    length: OutParam<4>,
}

impl ResponseOutParams {
    fn check(memory: &dyn Memory, response: &MqttSubscribeResponse) -> Result<Self, MemoryFault> {
        // A count whose size overflows cannot be an array in memory.
        let bytes = response.reason_codes_size.checked_mul(4).ok_or(MemoryFault)?;
        Ok(Self {
            state: OutParam::check(memory, response.request_state)?,
            correlation: OutParam::check(memory, response.correlation_id)?,
            codes: Span::writable(response.reason_codes, bytes)?,
            max_codes: response.reason_codes_size,
            length: OutParam::check(memory, response.reason_codes_len)?,
        })
    }

    fn write(&self, memory: &mut dyn Memory, answer: &PendingFilters) -> Result<(), MemoryFault> {
        self.state.write_u32(memory, raw_state(answer.state))?;
        self.correlation.write_u32(memory, answer.correlation)?;
        for (index, code) in (0..).zip(&answer.codes[..usize::from(answer.count)]) {
            memory.write(self.codes.at(4 * index), &u32::from(*code).to_le_bytes())?;
        }
        // Last, so that a fault before it leaves the application no length to believe.
        self.length.write_u32(memory, u32::from(answer.count))
    }
}

/// `mvMqttRequestSubscribe`. The array's own pointer counts as an argument, what it points to does not (D02).
pub(crate) fn request_subscribe(
    channels: &mut Channels,
    notifications: &mut Notifications,
    port: &mut Port<'_>,
    handle: u32,
    request: u32,
) -> Result<(), Status> {
    let request: MqttSubscribeRequest = read_struct(port.memory, request).early()?;
    let (count, size) = (request.num_subscriptions, MqttSubscription::SIZE);
    let array = Span::array(request.subscriptions, count, size as u32).early()?;
    let filters = FilterList::read(array, count, size, |at| read_subscription(port.memory, at)).late()?;
    send(channels, notifications, port, handle, Operation::Subscribe, request.correlation_id, &filters)
}

/// `mvMqttRequestUnsubscribe`.
pub(crate) fn request_unsubscribe(
    channels: &mut Channels,
    notifications: &mut Notifications,
    port: &mut Port<'_>,
    handle: u32,
    request: u32,
) -> Result<(), Status> {
    let request: MqttUnsubscribeRequest = read_struct(port.memory, request).early()?;
    let (count, size) = (request.num_topics, SizedString::SIZE);
    let array = Span::array(request.topics, count, size as u32).early()?;
    let filters = FilterList::read(array, count, size, |at| read_topic(port.memory, at)).late()?;
    send(channels, notifications, port, handle, Operation::Unsubscribe, request.correlation_id, &filters)
}

/// `mvMqttReadSubscribeResponse`.
pub(crate) fn read_subscribe_response(
    channels: &mut Channels,
    port: &mut Port<'_>,
    handle: u32,
    response: u32,
) -> Result<(), Status> {
    read_response(channels, port, handle, Operation::Subscribe, response)
}

/// `mvMqttReadUnsubscribeResponse`; its structure has the layout of the subscribe response.
pub(crate) fn read_unsubscribe_response(
    channels: &mut Channels,
    port: &mut Port<'_>,
    handle: u32,
    response: u32,
) -> Result<(), Status> {
    read_response(channels, port, handle, Operation::Unsubscribe, response)
}

fn send(
    channels: &mut Channels,
    notifications: &mut Notifications,
    port: &mut Port<'_>,
    handle: u32,
    operation: Operation,
    correlation: u32,
    filters: &FilterList,
) -> Result<(), Status> {
    let (core, mqtt) = channels.mqtt(handle)?;
    core.require_connected()?;
    // One at a time, its response included: the slot has room for one (M67, D80).
    if operation.pending(mqtt).stage != Stage::Idle {
        return Err(Status::RateLimited);
    }
    if filters.is_too_long {
        return Err(Status::TooManyElements);
    }
    *operation.pending(mqtt) = if filters.count == 0 {
        // MQTT has no such packet, and no status refuses it: the response is the kernel's (D82).
        mqtt.readable.push(operation.readable());
        notifications.post(port, core.target, EventType::ChannelDataReadable);
        let state = RequestState::InvalidParameters;
        PendingFilters { stage: Stage::Answered, state, ..PendingFilters::in_flight(correlation, 0) }
    } else {
        core.outbox.put(port.memory, operation.kind(), filters)?;
        PendingFilters::in_flight(correlation, filters.count as u8)
    };
    Ok(())
}

fn read_response(
    channels: &mut Channels,
    port: &mut Port<'_>,
    handle: u32,
    operation: Operation,
    response: u32,
) -> Result<(), Status> {
    let response: MqttSubscribeResponse = read_struct(port.memory, response).early()?;
    let to = ResponseOutParams::check(port.memory, &response).late()?;
    let (core, mqtt) = channels.mqtt(handle)?;
    if mqtt.readable.front() != Some(&operation.readable()) {
        return Err(mqtt.status_when_unreadable(core));
    }
    let pending = *operation.pending(mqtt);
    // Before anything is written: the response stays readable with a larger array (D04).
    if u32::from(pending.count) > to.max_codes {
        return Err(Status::InvalidBufferSize);
    }
    to.write(port.memory, &pending).late()?;
    *operation.pending(mqtt) = PendingFilters::IDLE;
    mqtt.readable.drop_first();
    Ok(())
}
