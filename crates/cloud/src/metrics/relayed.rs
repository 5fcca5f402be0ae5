//! Metrics of what passes through the relays.

use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Opts};
use relay::{Counts, Deviation};

use super::Builder;

const QOS: [&str; 2] = ["0", "1"];

/// The counts of all relays together.
pub(super) struct Relayed {
    channels: IntGaugeVec,
    channels_opened: IntCounterVec,
    connects: IntCounterVec,
    delayed: IntCounter,
    deviations: IntCounterVec,
    publishes: IntCounterVec,
    delivered: IntCounterVec,
    lost: IntCounter,
    flooded: IntCounter,
    slowed: IntCounter,
}

impl Relayed {
    pub(super) fn new(build: &Builder<'_>) -> Self {
        let channels = Opts::new("openvisor_channels", "Open channels.");
        Self {
            channels: build.add(IntGaugeVec::new(channels, &["type"])),
            channels_opened: build.counters("openvisor_channels_opened_total", "Channels opened.", &["type"]),
            connects: build.counters(
                "openvisor_mqtt_connects_total",
                "Answered connects of applications: accepted, or why not.",
                &["result"],
            ),
            delayed: build.counter(
                "openvisor_mqtt_connects_delayed_total",
                "Connects delayed because earlier ones to the same broker failed.",
            ),
            deviations: build.counters(
                "openvisor_mqtt_deviations_total",
                "Tolerated deviations of brokers from MQTT.",
                &["kind"],
            ),
            publishes: build.counters(
                "openvisor_mqtt_publishes_total",
                "Answered publishes of applications.",
                &["qos", "result"],
            ),
            delivered: build.counters(
                "openvisor_mqtt_messages_delivered_total",
                "Messages delivered to devices.",
                &["qos"],
            ),
            lost: build.counter(
                "openvisor_mqtt_messages_lost_total",
                "Messages lost because they were too large for their application.",
            ),
            flooded: build.counter(
                "openvisor_mqtt_channels_flooded_total",
                "Channels closed because their broker sent too many messages.",
            ),
            slowed: build.counter(
                "openvisor_mqtt_brokers_slowed_total",
                "Times a broker was read more slowly because it sent packets without messages.",
            ),
        }
    }

    pub(super) fn count_connect_failed(&self, cause: &str) {
        add(&self.connects, &[cause], 1);
    }

    pub(super) fn add(&self, counts: &Counts) {
        let Counts {
            opened,
            closed,
            publishes,
            delivered,
            lost,
            connected,
            delayed,
            deviations,
            flooded,
            slowed,
        } = counts;
        for (name, (&opened, &closed)) in Counts::TYPES.iter().zip(opened.iter().zip(closed)) {
            if opened | closed != 0 {
                self.channels_opened.with_label_values(&[name]).inc_by(opened.into());
                self.channels.with_label_values(&[name]).add(i64::from(opened) - i64::from(closed));
            }
        }
        for (qos, results) in QOS.iter().zip(publishes) {
            for (result, &count) in Counts::PUBLISH_RESULTS.iter().zip(results) {
                add(&self.publishes, &[qos, result], count);
            }
        }
        QOS.iter().zip(delivered).for_each(|(qos, &count)| add(&self.delivered, &[qos], count));
        add(&self.connects, &["accepted"], *connected);
        self.delayed.inc_by((*delayed).into());
        for (deviation, &count) in Deviation::ALL.iter().zip(deviations) {
            add(&self.deviations, &[deviation.label()], count);
        }
        self.lost.inc_by((*lost).into());
        self.flooded.inc_by((*flooded).into());
        self.slowed.inc_by((*slowed).into());
    }
}

/// Adds a count unless it is zero, so that a label without events is not shown.
fn add(counters: &IntCounterVec, labels: &[&str], count: u32) {
    if count > 0 {
        counters.with_label_values(labels).inc_by(count.into());
    }
}
