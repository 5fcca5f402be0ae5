//! What `{:?}` prints ends up in logs sooner or later: no secret may be in it.

use device::Input;
use device::entropy::Seed;
use device::identity::{DeviceId, Identity};
use device::machine::{DebuggerInput, Provisioning, RestartPolicy};
use device::recording::Header;
use device::storage::Storage;
use kernel::{ExternalFlash, Wifi};
use rcgen::{CertificateParams, DnType, KeyPair};

const ID: &str = "UV0123456789abcdef0123456789abcdef";
const SECRET: &[u8] = b"correct horse battery staple";

/// Whether `shown` has the bytes in it, as text or as a list of numbers.
fn shows(shown: &str, bytes: &[u8]) -> bool {
    let list = format!("{:?}", &bytes[..8]);
    shown.contains(&*String::from_utf8_lossy(bytes)) || shown.contains(list.trim_matches(['[', ']']))
}

fn identity() -> (Identity, KeyPair) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, ID);
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    let id = DeviceId::parse(ID).expect("an id");
    let identity = Identity::new(id, certificate.clone(), key.serialize_pem(), certificate);
    (identity.expect("an identity"), key)
}

#[test]
fn a_private_key_is_not_printed() {
    let (identity, key) = identity();
    let shown = format!("{identity:?} {identity:#?}");
    assert!(shown.contains(ID), "{shown}");
    let pem = key.serialize_pem();
    let body = pem.lines().nth(1).expect("a line of base64");
    assert!(!shown.contains(body) && !shows(&shown, &key.serialize_der()), "{shown}");
}

#[test]
fn a_seed_is_not_printed_because_handles_follow_from_it() {
    let seed = Seed(std::array::from_fn(|at| at as u8 + 100));
    let header = Header {
        device_id: DeviceId::parse(ID).expect("an id"),
        image: [0; 32],
        seed,
        restart: RestartPolicy::default(),
        policy: kernel::Policy::default(),
        factory_test: false,
        free_clock: false,
        poll_scale: 1,
        wifi: Some((b"home".to_vec(), true)),
        flash: SECRET.to_vec(),
        wiring: Vec::new(),
    };
    let shown = format!("{seed:?} {header:?} {header:#?}");
    assert!(!shows(&shown, &seed.0) && !shows(&shown, SECRET), "{shown}");
}

#[test]
fn what_an_application_has_stored_is_not_printed() {
    let mut storage = Storage::default();
    assert!(storage.wifi.store(b"home", SECRET));
    storage.flash.program(0, SECRET).expect("programmed");
    let provisioning = Provisioning { storage, ..Provisioning::default() };
    let shown = format!("{provisioning:?} {provisioning:#?}");
    assert!(!shows(&shown, SECRET), "{shown}");
}

#[test]
fn bytes_of_inputs_are_not_printed() {
    let written = DebuggerInput::WriteMemory { address: 0x2000_0000, bytes: SECRET.into() };
    for input in [
        Input::Received(SECRET.into()),
        Input::Serial { port: 1, bytes: SECRET.into() },
        Input::Debugger(written),
    ] {
        let shown = format!("{input:?}");
        assert!(!shows(&shown, SECRET) && shown.contains("28 bytes"), "{shown}");
    }
}
