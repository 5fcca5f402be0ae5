use bundle::{ConnectivityPolicy, CrashPolicy};

use super::*;

/// The smallest image: a vector table whose reset handler is the one instruction after it, `b .`.
const TINY: [u8; 10] = [0x00, 0x00, 0x08, 0x20, 0x09, 0x00, 0x00, 0x08, 0xFE, 0xE7];

fn bundled(image: &[u8], policies: &Policies) -> Vec<u8> {
    Bundle::write(image, policies, CAPACITY, None).expect("a bundle")
}

fn pauses(minimum_restart_ms: u32, maximum_restart_ms: u32) -> RestartPolicy {
    let crash = CrashPolicy { minimum_restart_ms, maximum_restart_ms, ..CrashPolicy::default() };
    restart(&Policies { crash, ..Policies::default() })
}

#[test]
fn an_image_alone_is_as_in_a_bundle_that_says_nothing() {
    let alone = Application::parse(&TINY, None).expect("an application");
    assert_eq!(Application::parse(&bundled(&TINY, &Policies::default()), None), Ok(alone));
}

/// Shows D24, D73, N16, D151.
#[test]
fn what_a_bundle_says_is_what_the_device_gets() {
    let policies = Policies {
        crash: CrashPolicy { minimum_restart_ms: 20, maximum_restart_ms: 50, ..CrashPolicy::default() },
        connectivity: ConnectivityPolicy { connection_grace_time_sec: 30, minimum_check_in_time_sec: 3600 },
        ..Policies::default()
    };
    let application = Application::parse(&bundled(&TINY, &policies), None).expect("an application");
    assert_eq!(application.image.bytes(), TINY);
    assert_eq!(application.restart, RestartPolicy { minimum_ms: 20, maximum_ms: 50 });
    let policy = Policy { minimum_check_in_time_sec: 3600, connection_grace_time_sec: 30 };
    assert_eq!(application.policy, policy);
}

/// Shows D151.
#[test]
fn a_pause_the_bundle_does_not_say_is_the_default_as_far_as_it_agrees() {
    for (said, minimum_ms, maximum_ms) in [
        ((0, 0), 1000, 60_000),
        ((0, 500), 500, 500),
        ((0, 90_000), 1000, 90_000),
        ((90_000, 0), 90_000, 90_000),
        ((5, 0), 5, 60_000),
        ((5, 5), 5, 5),
    ] {
        assert_eq!(pauses(said.0, said.1), RestartPolicy { minimum_ms, maximum_ms }, "{said:?}");
    }
}

#[test]
fn a_bundle_of_something_else_is_refused_for_what_it_is() {
    let text = Application::parse(&bundled(b"a letter", &Policies::default()), None).expect_err("a letter");
    assert!(
        text.to_string().starts_with("is a bundle of something that has reset vector 0x72657474"),
        "{text}"
    );
    let text = Application::parse(b"PK\x03\x04 and more", None).expect_err("no archive").to_string();
    assert_eq!(text, "is not a valid bundle: the zip archive is cut short or damaged");
}

/// Shows D153.
#[test]
fn where_a_signer_is_named_nothing_else_will_do() {
    let pair = [(); 2].map(|()| rcgen::KeyPair::generate().expect("a key"));
    let [own, other] =
        pair.each_ref().map(|pair| PublicKey::from_pem(pair.public_key_pem().as_bytes()).expect("a key"));
    let key = bundle::SigningKey::from_pem(pair[0].serialize_pem().as_bytes()).expect("a key");
    let signed = Bundle::write(&TINY, &Policies::default(), CAPACITY, Some(&key)).expect("a bundle");
    assert_eq!(Application::parse(&signed, Some(&own)).map(|it| it.signer_id), Ok(Some(own.id())));
    assert_eq!(Application::parse(&signed, None).map(|it| it.signer_id), Ok(Some(own.id())));
    let unsigned = bundled(&TINY, &Policies::default());
    for (file, key, said) in [
        (&signed, &other, "it is signed with key"),
        (&unsigned, &own, "it is not signed"),
        (&TINY.to_vec(), &own, "is not a bundle and has no signature"),
    ] {
        let text = Application::parse(file, Some(key)).expect_err(said).to_string();
        assert!(text.contains(said), "{text}");
    }
}
