//! The examples do what they say.

#[path = "../examples/loopback.rs"]
#[allow(dead_code, reason = "its `main` prints what `run` returns")]
mod loopback;

#[test]
fn what_passes_through_a_relay_is_printed_in_order() {
    let lines = loopback::run();
    let expected = [
        "relay: a device, boot 1",
        "relay → device: welcome",
        "device → relay: CONNECT, 28 bytes",
        "relay: open a connection to broker.example:1883",
        "relay → broker: 22 bytes",
        "broker → relay: 4 bytes",
        "relay → device: connect completed",
        "device → relay: PUBLISH, 22 bytes",
        "relay → broker: 26 bytes",
        "broker → relay: 4 bytes",
        "relay → device: publish completed",
    ];
    assert_eq!(lines, expected);
}
