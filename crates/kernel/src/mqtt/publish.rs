//! Publish, with the topic by alias where it has one.

use abi::Status;
use abi::mqtt::{MqttPublishRequest, MqttPublishResponse};
use link::kind::to_cloud;
use link::mqtt::{PublishHead, TopicHead};

use super::topics::{TopicAliases, TopicName};
use super::{PendingPublish, Readable, Stage, raw_state, string_span};
use crate::channel::Channels;
use crate::limits::MAX_PUBLISHES;
use crate::memory::{Memory, OutParam, Phase as _, Span, read_struct};
use crate::outbox::{Outbox, Outgoing, Sink as _};
use crate::port::Port;

/// `mvMqttRequestPublish`.
pub(crate) fn request(
    channels: &mut Channels,
    port: &mut Port<'_>,
    handle: u32,
    request: u32,
) -> Result<(), Status> {
    let request: MqttPublishRequest = read_struct(port.memory, request).early()?;
    let topic = string_span(request.topic).late()?;
    let payload = string_span(request.payload).late()?;
    let mut name = TopicName::NONE;
    name.read(port.memory, topic).late()?;
    let (core, mqtt) = channels.mqtt(handle)?;
    core.require_connected()?;
    let alias = mqtt.topics.find(&name);
    let mut publishes = (0..).zip(&mut mqtt.publishes);
    let free = publishes.find(|(_, publish)| publish.stage == Stage::Idle);
    let (slot, publish) = free.ok_or(Status::RateLimited)?;
    let head = PublishHead {
        slot,
        qos1: request.desired_qos == 1,
        retain: request.retain != 0,
        // Only reported, because the cloud validates MQTT and answers `INVALIDPARAMETERS` (D46).
        qos_out_of_range: request.desired_qos > 1,
        topic: TopicHead::Name(topic.length()),
    };
    let strings = [topic, payload];
    (publish.stage, publish.correlation) = (Stage::InFlight, request.correlation_id);
    let put = put(&mut mqtt.topics, &mut core.outbox, port.memory, head.flags(), strings, &name, alias);
    put.inspect_err(|_| *publish = PendingPublish::IDLE)
}

/// `mvMqttReadPublishResponse`.
pub(crate) fn read_response(
    channels: &mut Channels,
    port: &mut Port<'_>,
    handle: u32,
    to: u32,
) -> Result<(), Status> {
    let to = OutParam::check(port.memory, to).early()?;
    let (core, mqtt) = channels.mqtt(handle)?;
    let Some(&Readable::Publish(slot)) = mqtt.readable.front() else {
        return Err(mqtt.status_when_unreadable(core));
    };
    let publish = &mut mqtt.publishes[usize::from(slot) % MAX_PUBLISHES];
    let PendingPublish { correlation, state, reason, .. } = *publish;
    let response = MqttPublishResponse {
        request_state: raw_state(state),
        correlation_id: correlation,
        reason_code: reason,
    };
    to.write(port.memory, response.to_bytes()).early()?;
    *publish = PendingPublish::IDLE;
    mqtt.readable.drop_first();
    Ok(())
}

/// Puts a publish into the send ring: its topic by alias if it has one or can be assigned one, else by name.
fn put(
    topics: &mut TopicAliases,
    outbox: &mut Outbox,
    memory: &mut dyn Memory,
    flags: u8,
    [topic, payload]: [Span; 2],
    name: &TopicName,
    alias: Option<u8>,
) -> Result<(), Status> {
    if let Some(alias) = alias {
        return put_aliased(outbox, memory, PublishHead::numbered(flags, alias), payload, false);
    }
    let Some(alias) = topics.available_for(name) else {
        return put_named(outbox, memory, flags, topic, payload);
    };
    put_aliased(outbox, memory, PublishHead::numbered(flags, alias), payload, true)?;
    topics.assign(name);
    Ok(())
}

/// Puts a `PUBLISH` into the send ring, its topic by name.
fn put_named(
    outbox: &mut Outbox,
    memory: &mut dyn Memory,
    flags: u8,
    topic: Span,
    payload: Span,
) -> Result<(), Status> {
    let mut head = [0; PublishHead::MAX];
    let count = PublishHead::named(flags, topic.length(), &mut head);
    // Each string lies inside the memory map, so the sum cannot overflow.
    let left = count as u32 + topic.length() + payload.length();
    outbox.put_sized(memory, Outgoing { kind: to_cloud::PUBLISH, needs_alias: false, left }, |draft| {
        draft.bytes(&head[..count])?;
        draft.span(topic)?;
        draft.span(payload)
    })
}

/// Puts a `PUBLISH` into the send ring, its topic by alias.
#[allow(clippy::inline_always, reason = "part of a call whose instructions are budgeted")]
#[inline(always)]
fn put_aliased(
    outbox: &mut Outbox,
    memory: &mut dyn Memory,
    head: [u8; 2],
    payload: Span,
    needs_alias: bool,
) -> Result<(), Status> {
    let left = head.len() as u32 + payload.length();
    outbox.put_sized(memory, Outgoing { kind: to_cloud::PUBLISH, needs_alias, left }, |draft| {
        draft.bytes(&head)?;
        draft.span(payload)
    })
}
