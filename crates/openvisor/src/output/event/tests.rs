//! Texts and lines of events.

use abi::channel::ChannelType;
use abi::power::WakeReason;
use cloud::events::{Disconnection, EventKind};
use demo_broker as broker;
use device::debug::refused_call::RefusedCall;
use device::events::DeviceEvent;
use link::connection::ByeReason;
use relay::{ConnectError, Counts, CredentialsError, Deviation, HttpError, Notice, Security};
use serde_json::Value;

use super::{Event, examples};
use crate::output::timeline::Source;

fn text_of<T>(from: T) -> String
where
    Event: From<T>,
{
    Event::from(from).text()
}

/// Shows D335: the bytes of a line of each event.
#[test]
fn every_event_is_written_as_its_example() {
    let events = examples::all();
    let written: String = events.iter().map(examples::line).collect();
    let expected = examples::lines();
    for (written, expected) in written.lines().zip(&expected) {
        assert_eq!(written, expected);
    }
    assert_eq!(written.lines().count(), expected.len(), "{written}");
}

/// Shows D335: no line has a text that says nothing, or several lines in one.
#[test]
fn every_event_has_a_text() {
    for event in examples::all() {
        let lines = event.lines();
        assert!(lines.iter().all(|line| !line.is_empty()), "{event:?}");
        let is_long =
            matches!(event, Event::CrashReport(_) | Event::DisplayChanged { .. } | Event::StepEnded { .. });
        assert!(is_long || !event.text().contains('\n'), "{event:?}");
    }
}

/// Shows D336: the words of events, log and metrics are the same, because one function makes them.
#[test]
fn words_are_those_of_the_metrics_and_documented() {
    let page = include_str!("../../../../../docs/json.md");
    let documented =
        |word: &str| assert!(page.contains(&format!("`{word}`")), "{word} is not in docs/json.md");
    for kind in [ChannelType::OpaqueBytes, ChannelType::Http, ChannelType::ConfigFetch, ChannelType::Mqtt] {
        let Event::ChannelRequested { kind } = (&DeviceEvent::ChannelOpened { channel: kind }).into() else {
            panic!("another event")
        };
        assert!(Counts::TYPES.contains(&kind), "{kind}");
    }
    for deviation in Deviation::ALL {
        documented(deviation.label());
    }
    for code in 0..=9 {
        let reason = ByeReason::from_code(code);
        documented(reason.label());
        let ended = EventKind::Disconnected { reason: Disconnection::Bye(reason) };
        let word = serde_json::to_value(Event::from(&ended)).expect("JSON")["reason"].clone();
        assert_eq!(word, Disconnection::Bye(reason).label());
    }
    for end in [Disconnection::Lost, Disconnection::TimedOut] {
        documented(end.label());
    }
    for error in connect_errors() {
        documented(error.label());
        let notice = Notice::ConnectFailed { channel: 1, host: String::new(), port: 1, error: error.clone() };
        let failed = serde_json::to_value(Event::from(&notice)).expect("JSON");
        assert_eq!(failed["reason"], error.label());
        let notice = Notice::HttpFailed { channel: 1, error: HttpError::Connection(error) };
        assert_eq!(serde_json::to_value(Event::from(&notice)).expect("JSON")["reason"], failed["reason"]);
    }
    for error in [HttpError::InvalidUrl, HttpError::TimedOut, HttpError::Broken, HttpError::TooLarge] {
        documented(error.label());
    }
}

fn connect_errors() -> Vec<ConnectError> {
    use ConnectError as E;
    let (text, names) = (String::new, Vec::new);
    vec![
        E::InvalidParameters,
        E::ControlCharacter,
        E::TlsRequired,
        E::InvalidCredentials(CredentialsError::Mismatch),
        E::Withdrawn,
        E::TooMany,
        E::NotAllowed,
        E::TooManyLookups,
        E::NameNotResolved,
        E::ResolveTimedOut,
        E::Refused,
        E::Unreachable,
        E::Socket,
        E::TimedOut,
        E::TlsTimedOut,
        E::NotTls,
        E::TlsClosed,
        E::UnknownCa,
        E::CertificateExpired,
        E::CertificateNotYetValid,
        E::CertificateName { names: names() },
        E::CertificateAlgorithm(text()),
        E::Certificate(text()),
        E::ClientCertificateRequired,
        E::ClientCertificateRefused(""),
        E::TlsAlert(text()),
        E::Tls(text()),
        E::MqttRefused { version5: true, code: 0x87 },
        E::MqttClosed,
        E::MqttLost,
        E::MqttTimedOut,
    ]
}

/// Shows D335: the filters of the examples in `--help` yield no line without what they are for.
#[test]
fn the_filters_of_the_helps_examples_yield_what_they_say() {
    let lines: Vec<Value> =
        examples::lines().iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    // demo --json | jq -r .text
    assert!(lines.iter().all(|line| line["text"].is_string()));
    // fleet --json | jq 'select(.event == "fleet_progress").publishes_per_second'
    let progress: Vec<_> = lines.iter().filter(|line| line["event"] == "fleet_progress").collect();
    assert!(!progress.is_empty() && progress.iter().all(|line| line["publishes_per_second"].is_number()));
    // logs stream --json | jq -r 'select(.event == "app_log").text'
    assert!(lines.iter().any(|line| line["event"] == "app_log"));
}

/// Shows D342.
#[test]
fn a_device_whose_time_is_slow_has_its_pace_and_the_cause() {
    let line = |scale: &str, polled| {
        let scale = scale.parse().expect("a scale");
        text_of(&DeviceEvent::FellBehind { behind_ms: 9790, elapsed_ms: 11_000, scale, polled })
    };
    let polling = line("1", Some(abi::Call::GetMicroseconds));
    let start = "device time runs at 0.11 of real time: the application calls mvGetMicroseconds in a loop; \
                 after 11.0 s its timers are 9.8 s late";
    assert!(polling.starts_with(start), "{polling}");
    let scaled = line("10", None);
    let start =
        "device time runs at 9.11 of real time instead of 10 (--time-scale): this machine is too slow";
    assert!(scaled.starts_with(start), "{scaled}");
}

#[test]
fn lines_have_a_source_and_a_text() {
    let cases = [
        (DeviceEvent::LinkUp, (Source::Link, "up")),
        (
            DeviceEvent::LinkDown { reason: "unreachable", cause: "refused".into() },
            (Source::Link, "down: refused"),
        ),
        (DeviceEvent::Led { on: true }, (Source::Device, "LED on")),
        (DeviceEvent::SystemLed { enabled: false }, (Source::Device, "application turns the system LED off")),
        (DeviceEvent::SleepsDeeply { wakes_in_ms: 5 }, (Source::Device, "deep sleep for at most 5 ms")),
        (
            DeviceEvent::Started { reason: WakeReason::ColdBoot },
            (Source::Device, "application starts: cold boot"),
        ),
        (
            DeviceEvent::ChannelOpened { channel: ChannelType::Mqtt },
            (Source::Device, "application opens an MQTT channel"),
        ),
        (
            DeviceEvent::UnknownRegister { address: 0x4000_1234 },
            (
                Source::Device,
                "application accesses register 0x40001234, which is not modelled and reads as zero",
            ),
        ),
    ];
    for (event, (source, text)) in cases {
        let event = Event::from(&event);
        assert_eq!((event.source(), event.text().as_str()), (source, text));
    }
}

/// Shows D221.
#[test]
fn a_fetch_names_the_settings_that_are_missing() {
    let text = |keys, missing: &[&str], failed: &[&str], is_too_large| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (missing, failed) = (owned(missing), owned(failed));
        text_of(&EventKind::Notice(Notice::ConfigFetch {
            channel: 1,
            keys,
            missing,
            unavailable: failed,
            is_too_large,
        }))
    };
    assert_eq!(text(5, &[], &[], false), "channel 1: 5 settings found");
    assert_eq!(
        text(5, &["broker-ca (device config)", "password (device secret)"], &[], false),
        "channel 1: 3 of 5 settings found; not set: broker-ca (device config), password (device secret)"
    );
    assert_eq!(
        text(1, &[], &["host"], false),
        "channel 1: 0 of 1 settings found; not readable from the store: host"
    );
    assert!(text(1, &[], &[], true).ends_with("too large for the application's receive buffer"));
}

/// Shows D221, D222: the terms of the header and of link.md, not of the code.
#[test]
fn restarts_disconnections_and_refusals_use_the_headers_terms() {
    let restart = |restart_in_ms| text_of(&DeviceEvent::RestartRequested { restart_in_ms });
    assert_eq!(restart(0), "application restarts: it called mvRestart");
    assert_eq!(restart(700), "application restarts in 700 ms: it called mvRestart");
    let reason = Disconnection::Bye(ByeReason::ShuttingDown);
    let ended = text_of(&EventKind::Disconnected { reason });
    assert_eq!(ended, "device disconnected: the cloud is shutting down");
    let refused = |reason: Option<&str>| {
        text_of(&DeviceEvent::CallRefused(Box::new(RefusedCall {
            call: abi::Call::CloseChannel,
            status: abi::Status::InvalidHandle,
            arguments: "handle=&0x20000000 -> 0x1".into(),
            reason: reason.map(str::to_owned),
        })))
    };
    assert_eq!(
        refused(None),
        "mvCloseChannel(handle=&0x20000000 -> 0x1) refused, INVALIDHANDLE: \
         the handle is 0, was closed, or is of another kind"
    );
    assert_eq!(refused(Some("why")), "mvCloseChannel refused, INVALIDHANDLE: why");
}

/// Shows D206.
#[test]
fn credentials_of_an_address_are_not_shown() {
    let line = |url: &str| {
        let notice = Notice::HttpRequested { channel: 1, method: "GET", url: url.into() };
        text_of(&notice)
    };
    assert_eq!(line("https://a.example/b?token=hush"), "channel 1: GET https://a.example/b?…");
    assert_eq!(line("https://a.example/b"), "channel 1: GET https://a.example/b");
    assert_eq!(line("https://bob:hush@a.example/b"), "channel 1: GET https://…@a.example/b");
    let broker = |host: &str| {
        let (host, security) = (host.into(), Security::Plain);
        let notice = Notice::BrokerConnecting { channel: 1, host, port: 1883, security };
        text_of(&notice)
    };
    assert_eq!(broker("bob:hush@a.example"), "channel 1: connecting to broker …@a.example:1883");
}

/// Shows D190: one cause, and `--allow` where it is about that and only there.
#[test]
fn a_failed_connection_has_its_cause() {
    let line = |cause| {
        let notice = Notice::ConnectFailed { channel: 1, host: "h".into(), port: 1883, error: cause };
        text_of(&notice)
    };
    let cases = [
        (ConnectError::NotAllowed, "the address is not allowed (see --allow)"),
        (ConnectError::Refused, "TCP connection refused; nothing listens on this port"),
        (
            ConnectError::CertificateName { names: vec!["a.example".into()] },
            "the server's certificate is for another name: a.example",
        ),
        (
            ConnectError::MqttRefused { version5: true, code: 0x87 },
            "the broker refused the connection: reason code 0x87 (Not authorized)",
        ),
    ];
    for (cause, text) in cases {
        assert_eq!(line(cause.clone()), format!("channel 1: connection to broker failed: {text}"));
        let notice = Notice::HttpFailed { channel: 1, error: HttpError::Connection(cause) };
        let failed = text_of(&notice);
        assert_eq!(failed, format!("channel 1: HTTP request failed: {text}"));
    }
}

#[test]
fn a_client_that_disappears_is_reported() {
    let gone = broker::Event::Disconnected { client: "c".into(), clean: false };
    let event = Event::of_broker(&gone).expect("an event");
    assert_eq!((event.source(), event.text().as_str()), (Source::Broker, "c is gone without a DISCONNECT"));
}
