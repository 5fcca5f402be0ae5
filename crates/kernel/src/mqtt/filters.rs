//! Subscribe and unsubscribe: up to eight filters, one request of each in flight (M67, D45).

use abi::Status;
use abi::mqtt::{MqttSubscribeRequest, MqttSubscribeResponse, MqttSubscription, MqttUnsubscribeRequest};
use abi::notifications::EventType;
use abi::strings::SizedString;
use link::kind::to_cloud;
use link::mqtt::{RequestState, SubscribeOptions};

use super::{Filters, Mqtt, Readable, Stage, raw, string};
use crate::Kernel;
use crate::limits::MAX_FILTERS;
use crate::memory::{Memory, MemoryFault, Output, Phase as _, Span, structure};
use crate::outbox::{self, Body, Sink};
use crate::port::Port;

/// The filters of a request; each with its options in a subscribe.
struct Request {
    filters: [(Option<SubscribeOptions>, Span); MAX_FILTERS],
    count: usize,
    is_too_long: bool,
}

impl Request {
    /// Reads `count` elements of `size` bytes with `read`, unless they are more than may be asked at once: then none.
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

impl Body for Request {
    fn encode(&self, sink: &mut dyn Sink) -> Result<(), MemoryFault> {
        for (options, filter) in &self.filters[..self.count] {
            if let Some(options) = options {
                sink.bytes(&[options.code()])?;
            }
            outbox::string(sink, *filter)?;
        }
        Ok(())
    }
}

/// One element of a subscribe request.
fn subscription(memory: &dyn Memory, at: u32) -> Result<(Option<SubscribeOptions>, Span), MemoryFault> {
    let subscription: MqttSubscription = structure(memory, at)?;
    let carried = |value: u32, most: u32| {
        if value > most { SubscribeOptions::OUT_OF_RANGE } else { value as u8 }
    };
    let options = SubscribeOptions {
        qos: carried(subscription.desired_qos, 1),
        no_local: subscription.nl != 0,
        retain_as_published: subscription.rap != 0,
        retain_handling: carried(subscription.rh, 2),
    };
    Ok((Some(options), string(subscription.topic)?))
}

/// One element of an unsubscribe request.
fn topic(memory: &dyn Memory, at: u32) -> Result<(Option<SubscribeOptions>, Span), MemoryFault> {
    Ok((None, string(structure(memory, at)?)?))
}

/// Which of the two requests.
#[derive(Clone, Copy)]
enum Which {
    Subscribe,
    Unsubscribe,
}

impl Which {
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

    fn of(self, mqtt: &mut Mqtt) -> &mut Filters {
        match self {
            Self::Subscribe => &mut mqtt.subscribe,
            Self::Unsubscribe => &mut mqtt.unsubscribe,
        }
    }
}

/// Where the application wants the parts of a response; each was writable when it was checked.
struct ResponseOutputs {
    state: Output<4>,
    correlation: Output<4>,
    codes: Span,
    /// Room in codes, not bytes (D40).
    room: u32,
    length: Output<4>,
}

impl ResponseOutputs {
    fn claim(memory: &dyn Memory, response: &MqttSubscribeResponse) -> Result<Self, MemoryFault> {
        let bytes = response.reason_codes_size.checked_mul(4).ok_or(MemoryFault)?;
        Ok(Self {
            state: Output::claim(memory, response.request_state)?,
            correlation: Output::claim(memory, response.correlation_id)?,
            codes: Span::writable(response.reason_codes, bytes)?,
            room: response.reason_codes_size,
            length: Output::claim(memory, response.reason_codes_len)?,
        })
    }

    fn put(&self, memory: &mut dyn Memory, answer: &Filters) -> Result<(), MemoryFault> {
        self.state.put_u32(memory, raw(answer.state))?;
        self.correlation.put_u32(memory, answer.correlation)?;
        for (index, code) in (0..).zip(&answer.codes[..usize::from(answer.count)]) {
            memory.write(self.codes.at(4 * index), &u32::from(*code).to_le_bytes())?;
        }
        self.length.put_u32(memory, u32::from(answer.count))
    }
}

impl Kernel {
    /// `mvMqttRequestSubscribe`. The array itself is an early claim, what it points to a late one (D02).
    pub(crate) fn mqtt_request_subscribe(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        request: u32,
    ) -> Result<(), Status> {
        let request: MqttSubscribeRequest = structure(port.memory, request).early()?;
        let (count, size) = (request.num_subscriptions, MqttSubscription::SIZE);
        let array = Span::array(request.subscriptions, count, size as u32).early()?;
        let filters = Request::read(array, count, size, |at| subscription(port.memory, at)).late()?;
        self.request_filters(port, handle, Which::Subscribe, request.correlation_id, &filters)
    }

    /// `mvMqttRequestUnsubscribe`.
    pub(crate) fn mqtt_request_unsubscribe(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        request: u32,
    ) -> Result<(), Status> {
        let request: MqttUnsubscribeRequest = structure(port.memory, request).early()?;
        let (count, size) = (request.num_topics, SizedString::SIZE);
        let array = Span::array(request.topics, count, size as u32).early()?;
        let filters = Request::read(array, count, size, |at| topic(port.memory, at)).late()?;
        self.request_filters(port, handle, Which::Unsubscribe, request.correlation_id, &filters)
    }

    /// `mvMqttReadSubscribeResponse`.
    pub(crate) fn mqtt_read_subscribe_response(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        response: u32,
    ) -> Result<(), Status> {
        self.read_filters(port, handle, Which::Subscribe, response)
    }

    /// `mvMqttReadUnsubscribeResponse`; the structure has the layout of the subscribe response.
    pub(crate) fn mqtt_read_unsubscribe_response(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        response: u32,
    ) -> Result<(), Status> {
        self.read_filters(port, handle, Which::Unsubscribe, response)
    }

    fn request_filters(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        which: Which,
        correlation: u32,
        request: &Request,
    ) -> Result<(), Status> {
        let (base, mqtt) = self.channels.mqtt(handle)?;
        base.connected()?;
        if which.of(mqtt).stage != Stage::Idle {
            return Err(Status::RateLimited);
        }
        if request.is_too_long {
            return Err(Status::TooManyElements);
        }
        *which.of(mqtt) = if request.count == 0 {
            // Nothing to ask the broker: the answer is the kernel's own (D82).
            mqtt.readable.push(which.readable());
            self.notifications.post(port, base.to, EventType::ChannelDataReadable);
            let state = RequestState::InvalidParameters;
            Filters { stage: Stage::Answered, state, ..Filters::asked(correlation, 0) }
        } else {
            base.outbox.put(port.memory, which.kind(), request)?;
            Filters::asked(correlation, request.count as u8)
        };
        Ok(())
    }

    fn read_filters(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        which: Which,
        response: u32,
    ) -> Result<(), Status> {
        let response: MqttSubscribeResponse = structure(port.memory, response).early()?;
        let outputs = ResponseOutputs::claim(port.memory, &response).late()?;
        let (base, mqtt) = self.channels.mqtt(handle)?;
        if mqtt.readable.front() != Some(&which.readable()) {
            return Err(mqtt.not_readable(base));
        }
        let answer = *which.of(mqtt);
        if u32::from(answer.count) > outputs.room {
            return Err(Status::InvalidBufferSize);
        }
        outputs.put(port.memory, &answer).late()?;
        *which.of(mqtt) = Filters::IDLE;
        mqtt.readable.drop_first();
        Ok(())
    }
}
