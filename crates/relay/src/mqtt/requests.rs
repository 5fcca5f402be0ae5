//! Publishes, subscribes and unsubscribes of an application, from the request on the link to its response.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::mem;

use link::kind::to_device;
use link::mqtt::{
    FilterCodes, Publish, PublishSlots, Published, RequestState, Subscribe, SubscribeOptions, Topic,
    TopicRef, Unsubscribe,
};
use link::{TOPIC_NUMBERS, Violation, violation};
use mqtt::{Filter, RequestError, reason};

use super::stage::Stage;
use crate::context::Context;
use crate::protocol::Notice;

/// The tokens of requests other than publishes, whose tokens are their slots.
const SUBSCRIBE: u32 = 100;
const UNSUBSCRIBE: u32 = 101;

/// The requests in flight, remembered because each gets exactly one response, whatever its outcome (M12).
#[derive(Default)]
pub(super) struct Requests {
    topics: TopicNames,
    publishes: PublishSlots,
    /// For each publish slot, whether the publish in it has QoS 1: a bit mask.
    qos1: u16,
    is_subscribing: bool,
    is_unsubscribing: bool,
}

impl Requests {
    /// Whether a response is pending.
    pub(super) fn are_pending(&self) -> bool {
        self.publishes.iter().next().is_some() || self.is_subscribing || self.is_unsubscribing
    }

    /// Bytes of topic names in memory.
    pub(super) fn topic_bytes(&self) -> usize {
        self.topics.bytes()
    }

    /// The device gives a topic a number, under which it publishes from now on.
    pub(super) fn on_topic(&mut self, body: &[u8]) -> Result<(), Violation> {
        self.topics.define(&Topic::decode(body)?);
        Ok(())
    }

    /// The device requests a publish.
    pub(super) fn on_publish(
        &mut self,
        body: &[u8],
        stage: &mut Stage,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        let request = Publish::decode(body)?;
        // Before anything that may refuse the publish: a slot that is in use is the device's violation.
        self.publishes.occupy(request.slot)?;
        self.note_qos(request.slot, request.qos1);
        let topic = self.topics.resolve(request.topic)?;
        match publish(&request, topic, stage) {
            Ok(()) => report_publish(topic, &request, cx),
            Err(error) => {
                // Free before the response is sent, after which the device may use it again.
                self.publishes.release(request.slot)?;
                report_refused_publish(topic, error, cx);
                let state = state_of(error);
                respond_publish(request.qos1, Published { slot: request.slot, state, reason: 0 }, cx);
            }
        }
        Ok(())
    }

    /// The device requests a subscribe.
    pub(super) fn on_subscribe(
        &mut self,
        body: &[u8],
        stage: &mut Stage,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        let request = Subscribe::decode(body)?;
        let filters: Option<Vec<Filter<'_>>> =
            request.iter().map(|(options, topic)| filter(options, topic)).collect();
        let outcome = stage
            .client()
            .and_then(|client| client.subscribe(SUBSCRIBE, &filters.ok_or(RequestError::Invalid)?));
        match outcome {
            Ok(()) => {
                self.is_subscribing = true;
                report_subscribe(request.iter().map(|(_, topic)| topic), cx);
            }
            Err(error) => {
                report_refusal("subscribe", error, cx);
                respond_codes(to_device::SUBSCRIBED, Some(FilterCodes::failed(state_of(error))), cx);
            }
        }
        Ok(())
    }

    /// The device requests an unsubscribe.
    pub(super) fn on_unsubscribe(
        &mut self,
        body: &[u8],
        stage: &mut Stage,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        let request = Unsubscribe::decode(body)?;
        let topics: Vec<&[u8]> = request.iter().collect();
        match stage.client().and_then(|client| client.unsubscribe(UNSUBSCRIBE, &topics)) {
            Ok(()) => self.is_unsubscribing = true,
            Err(error) => {
                report_refusal("unsubscribe", error, cx);
                respond_codes(to_device::UNSUBSCRIBED, Some(FilterCodes::failed(state_of(error))), cx);
            }
        }
        Ok(())
    }

    /// A publish is complete.
    pub(super) fn on_published(&mut self, token: u32, reason_code: u8, cx: &mut Context<'_>) {
        let slot = token as u8;
        if self.publishes.release(slot).is_ok() {
            // With an error code the broker did not accept the message, and "completed" would say that it did (M64).
            let is_accepted = reason_code < reason::UNSPECIFIED_ERROR;
            let state = if is_accepted { RequestState::Completed } else { RequestState::InvalidParameters };
            respond_publish(
                self.has_qos1(slot),
                Published { slot, state, reason: u32::from(reason_code) },
                cx,
            );
        }
    }

    /// The broker has answered the subscribe.
    pub(super) fn on_subscribed(&mut self, reason_codes: &[u8], cx: &mut Context<'_>) {
        // An answer that is not awaited belongs to a request that has been answered otherwise.
        if mem::take(&mut self.is_subscribing) {
            respond_codes(to_device::SUBSCRIBED, FilterCodes::completed(reason_codes), cx);
        }
    }

    /// The broker has answered the unsubscribe.
    pub(super) fn on_unsubscribed(&mut self, reason_codes: &[u8], cx: &mut Context<'_>) {
        if mem::take(&mut self.is_unsubscribing) {
            respond_codes(to_device::UNSUBSCRIBED, FilterCodes::completed(reason_codes), cx);
        }
    }

    /// Responds to everything in flight with this state (M12).
    pub(super) fn fail_all(&mut self, state: RequestState, cx: &mut Context<'_>) {
        for slot in mem::take(&mut self.publishes).iter() {
            respond_publish(self.has_qos1(slot), Published { slot, state, reason: 0 }, cx);
        }
        if mem::take(&mut self.is_subscribing) {
            respond_codes(to_device::SUBSCRIBED, Some(FilterCodes::failed(state)), cx);
        }
        if mem::take(&mut self.is_unsubscribing) {
            respond_codes(to_device::UNSUBSCRIBED, Some(FilterCodes::failed(state)), cx);
        }
    }

    fn has_qos1(&self, slot: u8) -> bool {
        self.qos1 >> slot & 1 == 1
    }

    fn note_qos(&mut self, slot: u8, qos1: bool) {
        self.qos1 = self.qos1 & !(1 << slot) | u16::from(qos1) << slot;
    }
}

/// The topics the device has given numbers.
#[derive(Default)]
struct TopicNames {
    names: [Option<Box<[u8]>>; TOPIC_NUMBERS as usize],
}

impl TopicNames {
    fn define(&mut self, topic: &Topic<'_>) {
        // A number may be given to another topic; the publishes before have been resolved already.
        self.names[usize::from(topic.number)] = Some(topic.name.into());
    }

    fn resolve<'a>(&'a self, topic: TopicRef<'a>) -> Result<&'a [u8], Violation> {
        match topic {
            TopicRef::Number(number) => {
                self.names[usize::from(number)].as_deref().ok_or(violation::UNKNOWN_TOPIC_NUMBER)
            }
            TopicRef::Name(name) => Ok(name),
        }
    }

    fn bytes(&self) -> usize {
        self.names.iter().flatten().map(|name| name.len()).sum()
    }
}

fn publish(request: &Publish<'_>, topic: &[u8], stage: &mut Stage) -> Result<(), RequestError> {
    let client = stage.client()?;
    if request.qos_out_of_range {
        return Err(RequestError::Invalid);
    }
    client.publish(request.slot.into(), topic, request.payload, request.qos1.into(), request.retain)
}

fn filter(options: SubscribeOptions, topic: &[u8]) -> Option<Filter<'_>> {
    let SubscribeOptions { qos, no_local, retain_as_published, retain_handling } = options;
    // The client checks the retain handling: on 3.1.1 it has no meaning and cannot be wrong (M71).
    let is_valid = qos != SubscribeOptions::OUT_OF_RANGE;
    is_valid.then_some(Filter { topic, qos, no_local, retain_as_published, retain_handling })
}

/// The state in the response to a request that was refused.
fn state_of(error: RequestError) -> RequestState {
    match error {
        RequestError::Invalid | RequestError::Unsupported | RequestError::TooLarge => {
            RequestState::InvalidParameters
        }
        RequestError::NotConnected | RequestError::QueueFull => RequestState::NotConnected,
    }
}

fn respond_publish(qos1: bool, published: Published, cx: &mut Context<'_>) {
    cx.counts().note_published(qos1, published);
    let mut body = [0; Published::MAX];
    let length = published.encode(&mut body);
    cx.respond(to_device::PUBLISHED, &body[..length]);
}

/// `None`: more codes than a request can have filters, which no sound broker sends.
fn respond_codes(kind: u8, codes: Option<FilterCodes>, cx: &mut Context<'_>) {
    let codes = codes.unwrap_or(FilterCodes::failed(RequestState::InvalidParameters));
    let mut body = [0; FilterCodes::MAX];
    let length = codes.encode(&mut body);
    cx.respond(kind, &body[..length]);
}

fn report_publish(topic: &[u8], request: &Publish<'_>, cx: &mut Context<'_>) {
    let (length, qos) = (request.payload.len(), u8::from(request.qos1));
    cx.notice(|channel| Notice::Published { channel, topic: lossy(topic), length, qos });
}

fn report_subscribe<'a>(topics: impl Iterator<Item = &'a [u8]>, cx: &mut Context<'_>) {
    cx.notice(|channel| {
        let filters: Vec<String> = topics.map(lossy).collect();
        Notice::Subscribing { channel, filters: filters.join(", ") }
    });
}

fn report_refusal(request: &'static str, error: RequestError, cx: &mut Context<'_>) {
    cx.notice(|channel| Notice::RequestRefused { channel, request, reason: error.to_string() });
}

/// Most characters of a topic in the report of a refusal.
const MAX_TOPIC_CHARACTERS: usize = 100;

/// Names the topic, because an application may publish to many.
fn report_refused_publish(topic: &[u8], error: RequestError, cx: &mut Context<'_>) {
    cx.notice(|channel| {
        let why = match error {
            RequestError::Invalid if topic.is_empty() => "a topic to publish to cannot be empty".into(),
            RequestError::Invalid if topic.iter().any(|byte| b"+#".contains(byte)) => {
                "a topic to publish to has no wildcards".into()
            }
            _ => error.to_string(),
        };
        let topic: String = lossy(topic).chars().take(MAX_TOPIC_CHARACTERS).collect();
        Notice::RequestRefused {
            channel,
            request: "publish",
            reason: alloc::format!("topic {topic:?}: {why}"),
        }
    });
}

/// Bytes from a device as text for timelines.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
