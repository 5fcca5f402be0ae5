//! Who gets what.

use super::*;

fn message(topic: &str, payload: &str) -> Message {
    Message {
        topic: topic.into(),
        payload: payload.into(),
        qos: 1,
        retain: false,
        properties: Vec::new(),
        expires: None,
        identifiers: Vec::new(),
    }
}

fn wanted(filter: &str) -> Subscription {
    Subscription {
        filter: filter.into(),
        qos: 1,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::Send,
        identifier: None,
    }
}

fn delivered(registration: &mut Registration) -> Vec<Message> {
    std::iter::from_fn(|| registration.messages.messages.try_recv().ok()).collect()
}

#[test]
fn a_message_goes_once_to_each_client_that_asked_at_the_lower_qos_of_the_two() {
    let mut hub = Hub::default();
    let mut low = hub.register("low");
    let mut both = hub.register("both");
    let mut none = hub.register("none");
    hub.subscribe("low", Subscription { qos: 0, ..wanted("a/#") });
    hub.subscribe("both", Subscription { qos: 0, ..wanted("#") });
    hub.subscribe("both", wanted("a/+"));
    hub.publish("none", &message("a/b", "x"));
    assert_eq!(delivered(&mut low), [Message { qos: 0, ..message("a/b", "x") }]);
    assert_eq!(delivered(&mut both), [message("a/b", "x")]);
    assert_eq!(delivered(&mut none), []);
}

/// Shows M41, M42.
#[test]
fn the_retained_message_meets_a_new_subscriber_and_an_empty_one_removes_it() {
    let mut hub = Hub::default();
    let mut registration = hub.register("c");
    hub.publish("p", &Message { retain: true, ..message("a", "1") });
    hub.publish("p", &Message { retain: true, ..message("a", "2") });
    hub.subscribe("c", wanted("a"));
    assert_eq!(delivered(&mut registration), [Message { retain: true, ..message("a", "2") }]);
    hub.subscribe("c", Subscription { retain_handling: RetainHandling::SendIfNew, ..wanted("a") });
    assert_eq!(delivered(&mut registration), [], "a subscription that existed");
    hub.publish("p", &Message { retain: true, ..message("a", "") });
    delivered(&mut registration);
    hub.subscribe("c", wanted("a"));
    assert_eq!(delivered(&mut registration), []);
}

#[test]
fn retain_is_shown_to_a_live_subscriber_only_if_it_asked() {
    let mut hub = Hub::default();
    let mut registration = hub.register("c");
    hub.subscribe("c", wanted("a"));
    hub.publish("p", &Message { retain: true, ..message("a", "1") });
    hub.subscribe("c", Subscription { retain_as_published: true, ..wanted("a") });
    hub.publish("p", &Message { retain: true, ..message("a", "2") });
    let shown: Vec<_> = delivered(&mut registration).iter().map(|message| message.retain).collect();
    assert_eq!(shown, [false, true, true], "live, then the retained one on subscribing again, then live");
}

#[test]
fn no_local_keeps_a_clients_own_messages_away() {
    let mut hub = Hub::default();
    let mut registration = hub.register("c");
    hub.subscribe("c", Subscription { no_local: true, ..wanted("a") });
    hub.publish("c", &message("a", "own"));
    hub.publish("d", &message("a", "other"));
    assert_eq!(delivered(&mut registration), [message("a", "other")]);
}

#[test]
fn the_newer_connection_replaces_the_older_and_outlives_its_leaving() {
    let mut hub = Hub::default();
    let mut older = hub.register("c");
    let mut newer = hub.register("c");
    assert_eq!(older.lost.try_recv(), Ok(()));
    hub.unregister("c", older.number);
    assert!(hub.subscribe("c", wanted("a")));
    hub.publish("p", &message("a", "x"));
    assert_eq!(delivered(&mut newer).len(), 1);
}

#[test]
fn a_client_that_does_not_keep_up_is_let_go_and_the_others_are_not() {
    let mut hub = Hub::default();
    let mut slow = hub.register("slow");
    let mut quick = hub.register("quick");
    hub.subscribe("slow", wanted("#"));
    hub.subscribe("quick", wanted("#"));
    for _ in 0..=MAX_WAITING {
        hub.publish("p", &message("a", "x"));
        assert_eq!(delivered(&mut quick).len(), 1);
    }
    assert_eq!(slow.messages.messages.len(), MAX_WAITING);
    assert_eq!(slow.lost.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    assert!(!hub.subscribe("slow", wanted("b")), "it is gone");
}

#[test]
fn unsubscribing_ends_a_subscription_once() {
    let mut hub = Hub::default();
    let mut registration = hub.register("c");
    hub.subscribe("c", wanted("a"));
    assert!(hub.unsubscribe("c", "a"));
    assert!(!hub.unsubscribe("c", "a"));
    hub.publish("p", &message("a", "x"));
    assert_eq!(delivered(&mut registration), []);
}

#[test]
fn subscriptions_and_retained_topics_are_bounded() {
    let mut hub = Hub::default();
    let _registration = hub.register("c");
    for index in 0..MAX_SUBSCRIPTIONS {
        assert!(hub.subscribe("c", wanted(&index.to_string())));
    }
    assert!(!hub.subscribe("c", wanted("one more")));
    assert!(hub.subscribe("c", wanted("0")), "an old one may be renewed");
    for index in 0..=MAX_RETAINED {
        hub.publish("p", &Message { retain: true, ..message(&index.to_string(), "x") });
    }
    assert_eq!(hub.retained.len(), MAX_RETAINED);
}
