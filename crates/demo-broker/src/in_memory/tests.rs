use super::*;
use crate::Login;

/// CONNECT of MQTT 3.1.1 with a clean session, client id and, if there is one, a will on `gone`.
fn connect(id: &str, has_will: bool) -> Vec<u8> {
    let mut body = b"\x00\x04MQTT\x04".to_vec();
    body.extend([if has_will { 0b110 } else { 0b010 }, 0, 0]);
    let mut text = |text: &str| {
        body.extend((text.len() as u16).to_be_bytes());
        body.extend(text.as_bytes());
    };
    text(id);
    if has_will {
        text("gone");
        text(id);
    }
    [&[0x10, body.len() as u8][..], &body].concat()
}

fn subscribe(filter: &str, qos: u8) -> Vec<u8> {
    let length = filter.len() as u8;
    [&[0x82, length + 5, 0, 7, 0, length][..], filter.as_bytes(), &[qos]].concat()
}

fn actions(broker: &mut InMemoryBroker) -> Vec<Action> {
    std::iter::from_fn(|| broker.poll()).collect()
}

/// A broker with a client on connection 1 that subscribes to everything with QoS 1.
fn subscribed() -> InMemoryBroker {
    let mut broker = InMemoryBroker::default();
    broker.connected(1);
    broker.receive(1, &connect("a", false));
    broker.receive(1, &subscribe("#", 1));
    let sent = actions(&mut broker);
    assert_eq!(sent[0], Action::Send(1, vec![0x20, 2, 0, 0]));
    assert_eq!(sent.last(), Some(&Action::Send(1, vec![0x90, 3, 0, 7, 1])));
    broker
}

#[test]
fn messages_reach_subscribers_within_their_window_and_continue_with_acknowledgements() {
    let mut broker = subscribed();
    for number in 0..=u8::try_from(crate::MAX_IN_FLIGHT).expect("a small window") {
        broker.publish("t", &[number], 1, false);
    }
    let delivered = actions(&mut broker);
    assert_eq!(delivered.len(), usize::from(crate::MAX_IN_FLIGHT));
    assert_eq!(delivered[0], Action::Send(1, vec![0x32, 6, 0, 1, b't', 0, 1, 0]));
    broker.receive(1, &[0x40, 2, 0, 1]);
    let last = crate::MAX_IN_FLIGHT as u8;
    assert_eq!(actions(&mut broker), [Action::Send(1, vec![0x32, 6, 0, 1, b't', 0, last + 1, last])]);
}

#[test]
fn a_lost_client_leaves_its_will_and_a_stopped_broker_nothing() {
    let mut broker = subscribed();
    broker.connected(2);
    broker.receive(2, &connect("b", true));
    actions(&mut broker);
    broker.disconnected(2);
    let lost = actions(&mut broker);
    assert_eq!(lost[0], Action::Send(1, b"\x30\x07\x00\x04goneb".to_vec()));
    assert_eq!(lost.last(), Some(&Action::Report(Event::Disconnected { client: "b".into(), clean: false })));
    broker.publish("kept", b"x", 0, true);
    broker.stop();
    assert!(actions(&mut broker).contains(&Action::Close(1)));
    broker.connected(3);
    broker.receive(3, &connect("a", false));
    broker.receive(3, &subscribe("#", 1));
    assert_eq!(actions(&mut broker).last(), Some(&Action::Send(3, vec![0x90, 3, 0, 7, 1])));
}

#[test]
fn what_breaks_a_rule_of_mqtt_ends_the_connection() {
    let mut broker = subscribed();
    broker.receive(1, &[0x00, 0]);
    let ended = actions(&mut broker);
    assert!(matches!(&ended[0], Action::Report(Event::Refused { .. })), "{ended:?}");
    assert_eq!(ended[1], Action::Close(1));
    broker.receive(1, &subscribe("#", 1));
    assert_eq!(broker.poll(), None);
}

/// CONNECT of MQTT 5 with client id `a`, user name `u` and password `p`.
const CONNECT_WITH_LOGIN: &[u8] = b"\x10\x14\x00\x04MQTT\x05\xc2\0\0\0\x00\x01a\x00\x01u\x00\x01p";

/// Shows D346.
#[test]
fn a_broker_refuses_with_the_codes_of_the_version_and_accepts_the_right_password() {
    let login = |password: &[u8]| Some(Login { user_name: "u".into(), password: password.to_vec() });
    let refused = |requirements: Requirements, connect: &[u8]| {
        let mut broker = InMemoryBroker::default();
        broker.require(requirements);
        broker.connected(1);
        broker.receive(1, connect);
        let sent = actions(&mut broker);
        let Action::Send(1, connack) = &sent[0] else { panic!("a CONNACK") };
        assert_eq!(sent.contains(&Action::Close(1)), connack[3] != 0);
        connack[3]
    };
    let not_authorized = *crate::REFUSALS.iter().find(|refusal| refusal.reason == 0x87).expect("known");
    let always = || Requirements { refusal: Some(not_authorized), login: None };
    assert_eq!(refused(always(), CONNECT_WITH_LOGIN), 0x87);
    assert_eq!(refused(always(), &connect("a", false)), 5);
    let needs = |password| Requirements { refusal: None, login: login(password) };
    assert_eq!(refused(needs(b"p"), CONNECT_WITH_LOGIN), 0);
    assert_eq!(refused(needs(b"q"), CONNECT_WITH_LOGIN), 0x86);
    assert_eq!(refused(needs(b"p"), &connect("a", false)), 4);
}
