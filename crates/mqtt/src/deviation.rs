//! Where a broker departs from MQTT without harm: it is counted, and the connection continues, since after an ended
//! connection the broker would send the same again (D192).
//!
//! What makes the bytes ambiguous, or would break a promise to the application, ends the connection instead: see
//! [`ProtocolError`](crate::ProtocolError).

use core::fmt;

/// A departure from the standard that is tolerated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deviation {
    /// A QoS 1 or 2 message was sent again before its acknowledgement, without DUP (MQTT-3.3.1-1).
    ResentWithoutDup,
    /// Another message has a packet identifier still in use (MQTT-2.2.1-4).
    PacketIdReused,
    /// DUP is set on a QoS 0 message (MQTT-3.3.1-2).
    DupOnQos0,
    /// A QoS 2 message, although no subscription of this client has QoS 2. A stored session may contain one, so it is
    /// not the broker's fault.
    Qos2Message,
    /// A session is present after a clean start (MQTT-3.2.2-2, MQTT-3.2.2-4).
    SessionPresent,
    /// A Maximum QoS other than 0 and 1 (MQTT 5, 3.2.2.3.4).
    MaximumQos,
    /// A message, PUBREL or DISCONNECT before CONNACK (MQTT-3.2.0-1).
    BeforeConnack,
    /// A second CONNACK (MQTT-3.2.0-2).
    SecondConnack,
    /// Reserved flags are set (MQTT-2.1.3-1, MQTT-3.2.2-1).
    ReservedFlags,
    /// Bytes behind the last field of a packet.
    TrailingBytes,
    /// A property that is unknown, misplaced, repeated or out of range (MQTT 5, 2.2.2).
    Property,
    /// A topic alias although none is allowed (MQTT-3.1.2-27).
    TopicAlias,
    /// A wildcard in a topic name (MQTT-3.3.2-2).
    WildcardInTopic,
    /// A packet that has no effect on this client: PINGREQ, DISCONNECT on 3.1.1, PUBREC or PUBCOMP.
    UnexpectedPacket,
    /// A version 5 UNSUBACK without reason codes (MQTT 5, 3.11.3).
    MissingReasonCodes,
    /// A message larger than the Maximum Packet Size (MQTT-3.1.2-24); it is skipped, as on 3.1.1.
    PacketTooLarge,
    /// More unacknowledged messages than the Receive Maximum (MQTT-3.3.4-9).
    ReceiveMaximumExceeded,
}

impl Deviation {
    /// Every deviation, in the order of their counts in [`Deviations`].
    pub const ALL: [Self; 17] = [
        Self::ResentWithoutDup,
        Self::PacketIdReused,
        Self::DupOnQos0,
        Self::Qos2Message,
        Self::SessionPresent,
        Self::MaximumQos,
        Self::BeforeConnack,
        Self::SecondConnack,
        Self::ReservedFlags,
        Self::TrailingBytes,
        Self::Property,
        Self::TopicAlias,
        Self::WildcardInTopic,
        Self::UnexpectedPacket,
        Self::MissingReasonCodes,
        Self::PacketTooLarge,
        Self::ReceiveMaximumExceeded,
    ];

    /// The label of a metric.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ResentWithoutDup => "resent_without_dup",
            Self::PacketIdReused => "packet_id_reused",
            Self::DupOnQos0 => "dup_on_qos0",
            Self::Qos2Message => "qos2_message",
            Self::SessionPresent => "session_present",
            Self::MaximumQos => "maximum_qos",
            Self::BeforeConnack => "before_connack",
            Self::SecondConnack => "second_connack",
            Self::ReservedFlags => "reserved_flags",
            Self::TrailingBytes => "trailing_bytes",
            Self::Property => "property",
            Self::TopicAlias => "topic_alias",
            Self::WildcardInTopic => "wildcard_in_topic",
            Self::UnexpectedPacket => "unexpected_packet",
            Self::MissingReasonCodes => "missing_reason_codes",
            Self::PacketTooLarge => "packet_too_large",
            Self::ReceiveMaximumExceeded => "receive_maximum_exceeded",
        }
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ResentWithoutDup => "a message was sent again without DUP",
            Self::PacketIdReused => "a packet identifier still in use was given to another message",
            Self::DupOnQos0 => "DUP is set on a QoS 0 message",
            Self::Qos2Message => "a QoS 2 message, delivered as QoS 1",
            Self::SessionPresent => "a session is present after a clean start",
            Self::MaximumQos => "a Maximum QoS other than 0 and 1",
            Self::BeforeConnack => "a packet before CONNACK",
            Self::SecondConnack => "a second CONNACK",
            Self::ReservedFlags => "reserved flags are set",
            Self::TrailingBytes => "bytes behind the end of a packet",
            Self::Property => "a property that is unknown, misplaced, repeated or out of range",
            Self::TopicAlias => "a topic alias, although none is allowed",
            Self::WildcardInTopic => "a wildcard in a topic name",
            Self::UnexpectedPacket => "a packet a client has no use for",
            Self::MissingReasonCodes => "an UNSUBACK without reason codes",
            Self::PacketTooLarge => "a message larger than the Maximum Packet Size",
            Self::ReceiveMaximumExceeded => "more unacknowledged messages than the Receive Maximum",
        })
    }
}

/// How often each deviation was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deviations {
    counts: [u16; Deviation::ALL.len()],
}

impl Deviations {
    /// Counts one; a count stays at its maximum.
    pub(crate) fn note(&mut self, deviation: Deviation) {
        let count = &mut self.counts[deviation as usize];
        *count = count.saturating_add(1);
    }

    /// Whether none was seen.
    pub fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    /// Those that were seen, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (Deviation, u16)> {
        Deviation::ALL.into_iter().zip(self.counts).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_deviation_has_its_own_index_and_label() {
        for (index, deviation) in Deviation::ALL.into_iter().enumerate() {
            assert_eq!(deviation as usize, index);
            let same = Deviation::ALL.into_iter().filter(|other| other.label() == deviation.label());
            assert_eq!(same.count(), 1);
        }
    }

    #[test]
    fn counts_do_not_wrap() {
        let mut deviations = Deviations::default();
        (0..70_000).for_each(|_| deviations.note(Deviation::Property));
        assert_eq!(deviations.iter().collect::<alloc::vec::Vec<_>>(), [(Deviation::Property, u16::MAX)]);
    }
}
