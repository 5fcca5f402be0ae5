//! The device's requests on an MQTT channel.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use link::kind::{to_cloud, to_device};
use link::mqtt::{
    Acknowledge, Connect, FilterCodes, Outcome, Publish, Published, RequestState, Subscribe,
    SubscribeOptions, Topic, TopicRef, Unsubscribe,
};
use link::{Violation, violation};
use mqtt::{ConnectOptions, Filter, RequestError, Version, Will};
use sansio::Instant;

use super::{MqttChannel, SUBSCRIBE, Stage, UNSUBSCRIBE};
use crate::channel::Context;
use crate::limits;
use crate::protocol::{ConnectError, Notice, Security, Settings, Target, TlsOptions};
use crate::reconnects::{Destination, Wait};
use crate::text;

/// Takes a whole item.
pub(super) fn item(
    channel: &mut MqttChannel,
    kind: u8,
    body: &[u8],
    cx: &mut Context<'_>,
) -> Result<(), Violation> {
    match kind {
        to_cloud::TOPIC => topic(channel, body),
        to_cloud::PUBLISH => publish(channel, body, cx),
        to_cloud::CONNECT => connect(channel, body, cx),
        to_cloud::SUBSCRIBE => subscribe(channel, body, cx),
        to_cloud::UNSUBSCRIBE => unsubscribe(channel, body, cx),
        to_cloud::DISCONNECT => {
            disconnect(channel, cx);
            Ok(())
        }
        to_cloud::ACKNOWLEDGE => acknowledge(channel, body),
        _ => Err(violation::WRONG_CHANNEL_TYPE),
    }
}

fn topic(channel: &mut MqttChannel, body: &[u8]) -> Result<(), Violation> {
    let topic = Topic::decode(body)?;
    channel.topics[usize::from(topic.number)] = Some(topic.name.into());
    Ok(())
}

fn connect(channel: &mut MqttChannel, body: &[u8], cx: &mut Context<'_>) -> Result<(), Violation> {
    let request = Connect::decode(body)?;
    if !matches!(channel.stage, Stage::New) {
        cx.answer(to_device::CONNECTED, Outcome { state: RequestState::AlreadyConnected, reason: 0 });
        return Ok(());
    }
    channel.owed.connect = true;
    let (target, options, security) = match wanted(&request, cx.settings) {
        Ok(wanted) => wanted,
        Err(cause) => {
            channel.refuse_connect(cause, cx);
            return Ok(());
        }
    };
    let number = cx.number;
    let (host, port) = (target.host.clone(), target.port);
    cx.notice(|| Notice::BrokerConnecting { channel: number, host, port, security });
    let destination = Destination { host: target.host.clone(), port: target.port };
    let wait = cx.reconnects.wait(&destination, cx.now);
    channel.destination = Some(destination);
    match wait {
        Some(wait) => delay(channel, wait, target, options, cx),
        None => channel.open(target, Box::new(options), cx),
    }
    Ok(())
}

/// Lets a connect wait (D197): it is answered later, not refused.
fn delay(
    channel: &mut MqttChannel,
    wait: Wait,
    target: Target,
    options: ConnectOptions,
    cx: &mut Context<'_>,
) {
    cx.counts.delayed += 1;
    if wait.is_first {
        let (host, port) = (target.host.clone(), target.port);
        let max_delay = cx.settings.reconnect_delay;
        cx.report(Notice::ConnectDelayed { channel: cx.number, host, port, max_delay });
    }
    channel.stage =
        Stage::Waiting { until: wait.until, target: Box::new(target), options: Box::new(options) };
}

/// What a connect asks for, if a broker may be sent it (D46) and the operator allows it (D42).
fn wanted(
    request: &Connect<'_>,
    settings: &Settings,
) -> Result<(Target, ConnectOptions, Security), ConnectError> {
    let head = request.head;
    if has_control_characters(request) {
        return Err(ConnectError::ControlCharacter);
    }
    let host = String::from_utf8(request.host.to_vec()).map_err(|_| ConnectError::InvalidParameters)?;
    if head.out_of_range || host.is_empty() || head.port == 0 {
        return Err(ConnectError::InvalidParameters);
    }
    let (tls, security) = tls(request, head.port, settings);
    if settings.require_tls && tls.is_none() {
        return Err(ConnectError::TlsRequired);
    }
    let options = options(request).ok_or(ConnectError::InvalidParameters)?;
    Ok((Target { host, port: head.port, tls }, options, security))
}

/// The text of a connect is checked for control characters, with which a device could write lines of another protocol, such as
/// those of a mail server, to whatever listens at the address. Password and will payload are binary and are not checked (D185).
fn has_control_characters(request: &Connect<'_>) -> bool {
    let user_name = request.credentials.map(|credentials| credentials.username);
    let will_topic = request.will.map(|will| will.topic);
    let texts = [Some(request.host), Some(request.client_id), user_name, will_topic];
    texts.into_iter().flatten().any(text::has_control_characters)
}

/// The TLS of the connection: as the application gives it, else by the port (D196).
fn tls(request: &Connect<'_>, port: u16, settings: &Settings) -> (Option<TlsOptions>, Security) {
    match &request.tls {
        Some(tls) => {
            let options = TlsOptions {
                authorities: tls.authorities.iter().map(<[u8]>::to_vec).collect(),
                chain: tls.chain.iter().map(<[u8]>::to_vec).collect(),
                key: tls.key.to_vec(),
            };
            (Some(options), Security::Tls)
        }
        None if settings.tls_ports.contains(port) => (Some(TlsOptions::default()), Security::TlsByPort),
        None => (None, Security::Plain),
    }
}

/// What CONNECT is to say; `None` for a value the broker may not be sent (D46).
fn options(request: &Connect<'_>) -> Option<ConnectOptions> {
    let head = request.head;
    let version = if head.version5 { Version::V5 } else { Version::V3_1_1 };
    let options = ConnectOptions {
        username: request.credentials.map(|credentials| credentials.username.to_vec()),
        password: request
            .credentials
            .and_then(|given| (!given.password.is_empty()).then(|| given.password.to_vec())),
        will: match request.will {
            Some(given) => Some(will(given)?),
            None => None,
        },
        keep_alive: u16::try_from(head.keepalive).ok()?,
        clean_start: head.clean_start,
        receive_maximum: limits::RECEIVE_MAXIMUM,
        maximum_packet_size: limits::BROKER_PACKET,
        ..ConnectOptions::new(version, request.client_id)
    };
    // A session that is not used shows now, not after a connection was made, whether the broker may be sent this.
    mqtt::Client::new(&options, mqtt::Limits::default(), Instant::ZERO).ok()?;
    Some(options)
}

fn will(will: link::mqtt::Will<'_>) -> Option<Will> {
    let options = will.options;
    let (topic, payload) = (will.topic.to_vec(), will.payload.to_vec());
    (!options.qos_out_of_range).then_some(Will {
        topic,
        payload,
        qos: u8::from(options.qos1),
        retain: options.retain,
    })
}

fn publish(channel: &mut MqttChannel, body: &[u8], cx: &mut Context<'_>) -> Result<(), Violation> {
    let request = Publish::decode(body)?;
    channel.owed.publishes.occupy(request.slot)?;
    channel.note_qos(request.slot, request.qos1);
    let topic = match request.topic {
        TopicRef::Number(number) => {
            channel.topics[usize::from(number)].as_deref().ok_or(violation::UNKNOWN_TOPIC_NUMBER)?
        }
        TopicRef::Name(name) => name,
    };
    let outcome = match &mut channel.stage {
        Stage::Broker(_) if request.qos_out_of_range => Err(RequestError::Invalid),
        Stage::Broker(broker) => {
            let (slot, qos) = (u32::from(request.slot), u8::from(request.qos1));
            broker.client.publish(slot, topic, request.payload, qos, request.retain)
        }
        _ => Err(RequestError::NotConnected),
    };
    match outcome {
        Ok(()) => cx.published(topic, &request),
        Err(refused) => {
            channel.owed.publishes.release(request.slot)?;
            cx.refused("publish", refused);
            cx.answer_publish(
                request.qos1,
                Published { slot: request.slot, state: state(refused), reason: 0 },
            );
        }
    }
    Ok(())
}

fn subscribe(channel: &mut MqttChannel, body: &[u8], cx: &mut Context<'_>) -> Result<(), Violation> {
    let request = Subscribe::decode(body)?;
    let filters: Option<Vec<Filter<'_>>> =
        request.iter().map(|(options, topic)| filter(options, topic)).collect();
    let outcome = match (&mut channel.stage, &filters) {
        (Stage::Broker(broker), Some(filters)) => broker.client.subscribe(SUBSCRIBE, filters),
        (Stage::Broker(_), None) => Err(RequestError::Invalid),
        _ => Err(RequestError::NotConnected),
    };
    match outcome {
        Ok(()) => {
            channel.owed.subscribe = true;
            cx.subscribing(request.iter().map(|(_, topic)| topic));
        }
        Err(refused) => {
            cx.refused("subscribe", refused);
            cx.answer_codes(to_device::SUBSCRIBED, Some(FilterCodes::failed(state(refused))));
        }
    }
    Ok(())
}

fn filter(options: SubscribeOptions, topic: &[u8]) -> Option<Filter<'_>> {
    let SubscribeOptions { qos, no_local, retain_as_published, retain_handling } = options;
    // Retain handling out of range is the session's to refuse: on 3.1.1 it means nothing (M71).
    let valid = qos != SubscribeOptions::OUT_OF_RANGE;
    valid.then_some(Filter { topic, qos, no_local, retain_as_published, retain_handling })
}

fn unsubscribe(channel: &mut MqttChannel, body: &[u8], cx: &mut Context<'_>) -> Result<(), Violation> {
    let request = Unsubscribe::decode(body)?;
    let topics: Vec<&[u8]> = request.iter().collect();
    let outcome = match &mut channel.stage {
        Stage::Broker(broker) => broker.client.unsubscribe(UNSUBSCRIBE, &topics),
        _ => Err(RequestError::NotConnected),
    };
    match outcome {
        Ok(()) => channel.owed.unsubscribe = true,
        Err(refused) => {
            cx.refused("unsubscribe", refused);
            cx.answer_codes(to_device::UNSUBSCRIBED, Some(FilterCodes::failed(state(refused))));
        }
    }
    Ok(())
}

fn disconnect(channel: &mut MqttChannel, cx: &mut Context<'_>) {
    channel.owed.disconnect = true;
    if matches!(&channel.stage, Stage::Broker(broker) if broker.client.is_closed()) {
        // The broker's end waits to be told, and is the answer to this.
        return channel.tell_all(cx);
    }
    match &mut channel.stage {
        Stage::Broker(broker) if broker.client.is_connected() => broker.disconnect(cx.now),
        // A connect still under way is taken back: it is answered, and so is this.
        Stage::Waiting { .. } | Stage::Opening { .. } | Stage::Broker(_) => {
            channel.refuse_connect(ConnectError::Withdrawn, cx);
        }
        Stage::New | Stage::Over => channel.answer_all(RequestState::NotConnected, cx),
    }
}

/// An acknowledgement for a message of a connection that is over means nothing any more.
fn acknowledge(channel: &mut MqttChannel, body: &[u8]) -> Result<(), Violation> {
    let delivery = Acknowledge::decode(body)?.delivery;
    if let Stage::Broker(broker) = &mut channel.stage {
        let _ = broker.client.acknowledge(delivery.into());
    }
    Ok(())
}

/// What the application is told of a request that was not taken.
fn state(refused: RequestError) -> RequestState {
    match refused {
        RequestError::Invalid | RequestError::Unsupported | RequestError::TooLarge => {
            RequestState::InvalidParameters
        }
        RequestError::NotConnected | RequestError::QueueFull => RequestState::NotConnected,
    }
}
