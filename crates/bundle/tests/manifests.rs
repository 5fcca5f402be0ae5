//! Manifests, byte by byte, and what is signed.

mod support;

use bundle::{Bundle, Connectivity, Crash, Debug, KeyError, Policies, PublicKey, Room, SigningKey, Update};
use support::{FLASH, File, Layer, bundle, field, manifest, number, zip};

const ROOM: Room = Room { internal_flash: FLASH as u32, external_flash: 4 << 20 };

/// The layer of [`MANIFEST`].
const IMAGE: &[u8] = b"Openvisor";

/// An `AppBody` written by hand from the format's table; the two hashes are `sha256sum`'s.
#[rustfmt::skip]
const BODY: [u8; 97] = [
    0x0A, 0x4C, // layers: 76 bytes
    0x0A, 0x06, // AppLayerReference.target
    0x0A, 0x04, // AppLayerRegion.internal_flash
    0x10, 0x80, 0x80, 0x40, // size 0x100000; the start is 0 and left out, as is encrypted_with_key_id
    0x1A, 0x20, // fetch_hash: of "Openvisor"
    0xB7, 0x96, 0xD8, 0x0F, 0x12, 0xB4, 0x3F, 0x1C, 0xA0, 0xA3, 0x5A, 0x57, 0x0A, 0x52, 0x4C, 0xE5,
    0x49, 0xE1, 0x1F, 0x6F, 0x28, 0xAF, 0x10, 0x6E, 0x83, 0x27, 0xB9, 0x2C, 0xDF, 0x83, 0xE3, 0x61,
    0x22, 0x20, // measurement_hash: of the same and 1048567 bytes 0xFF
    0x0A, 0x0A, 0x0C, 0xD9, 0x07, 0x1C, 0x77, 0x65, 0x72, 0x24, 0xC0, 0xD8, 0xC8, 0x2B, 0xD6, 0xFF,
    0xBB, 0x15, 0xBB, 0x67, 0x60, 0xA3, 0x8A, 0xF7, 0xFC, 0x42, 0xE6, 0x2E, 0x1A, 0x1E, 0x9A, 0x53,
    0x12, 0x00, // debug: nothing
    0x1A, 0x06, 0x08, 0xF4, 0x03, 0x10, 0x90, 0x4E, // crash: minimum_restart_ms 500, maximum_restart_ms 10000
    0x22, 0x00, // update: nothing
    0x2A, 0x05, 0x08, 0x1E, 0x10, 0x90, 0x1C, // connectivity: grace 30 s, check-in 3600 s
];

/// The public half of a key openssl made.
const PUBLIC: &[u8] = b"\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEVKVZEkLDGXEmWwiewFx9my7x2ZE4
kilnUdnJo7fDsbAXDYLsb0iTaR4Ti+iXr6SaVGzh8J3uiyOZ+V2S0r+Ptw==
-----END PUBLIC KEY-----
";

/// Openssl's signature over `twlo-mv-manifest-v1`, a zero byte and [`BODY`], as r and s.
#[rustfmt::skip]
const SIGNATURE: [u8; 64] = [
    0x29, 0xDA, 0x5D, 0x8E, 0x45, 0xE0, 0xE5, 0xD2, 0xCB, 0xE3, 0x7D, 0x57, 0x47, 0x83, 0x74, 0xC8,
    0x2A, 0x72, 0x3F, 0x71, 0xD0, 0x94, 0x10, 0xC9, 0xB4, 0x63, 0xBD, 0x43, 0x27, 0x91, 0xA9, 0x37,
    0x95, 0x2B, 0x99, 0x39, 0x2D, 0xC1, 0xD9, 0x82, 0xB3, 0x20, 0x69, 0x45, 0x2E, 0xD0, 0xA1, 0x23,
    0xFF, 0xAC, 0xBF, 0x36, 0xFB, 0x3A, 0x7A, 0x25, 0xE6, 0x5F, 0x53, 0xFA, 0xC0, 0x23, 0x42, 0xF9,
];

/// The first eight bytes of `sha256sum` over two zero bytes and the key's point.
const SIGNER: u64 = 0x0c90_b22e_7a88_b19d;

fn policies() -> Policies {
    Policies {
        crash: Crash { minimum_restart_ms: 500, maximum_restart_ms: 10_000, ..Crash::default() },
        connectivity: Connectivity { connection_grace_time_sec: 30, minimum_check_in_time_sec: 3600 },
        ..Policies::default()
    }
}

fn with_manifest(manifest: &[u8]) -> Vec<u8> {
    zip(&[File::layer(IMAGE), File::stored("manifest", manifest)])
}

fn unsigned() -> Vec<u8> {
    field(2, &BODY)
}

fn signed(signer: u64, signature: &[u8]) -> Vec<u8> {
    with_manifest(&[number(1, signer), field(2, &BODY), field(3, signature)].concat())
}

#[test]
fn a_manifest_in_bytes_is_read() {
    let bundle = Bundle::read(&with_manifest(&unsigned()), ROOM).expect("a bundle");
    assert_eq!(bundle.policies(), &policies());
    assert_eq!((bundle.image().region.start, bundle.image().region.size), (0, 0x10_0000));
}

#[test]
fn what_is_written_is_that_manifest_in_bytes() {
    let file = Bundle::write(IMAGE, &policies(), ROOM, None).expect("written");
    let bundle = Bundle::read(&file, ROOM).expect("read");
    assert_eq!(unsigned()[..2], [0x12, 0x61], "it begins with field 2");
    assert_eq!(bundle.manifest_hash()[..], support::sha256(&unsigned()));
}

#[test]
fn everything_a_policy_says_goes_there_and_back() {
    let said = Policies {
        debug: Debug { debuggable: true, auth_pubkey: [&[4][..], &[7; 64]].concat() },
        crash: Crash {
            minimum_restart_ms: 1,
            maximum_restart_ms: u32::MAX,
            report_pubkey: vec![9; 32],
            include_stack_bytes: 4096,
        },
        update: Update { maximum_politeness_time_sec: 60, minimum_kernel_version: 3 },
        connectivity: Connectivity { connection_grace_time_sec: u32::MAX, minimum_check_in_time_sec: 1 },
    };
    let file = Bundle::write(IMAGE, &said, ROOM, None).expect("written");
    assert_eq!(Bundle::read(&file, ROOM).expect("read").policies(), &said);
}

#[test]
fn fields_of_a_later_version_are_passed_over() {
    let later = [field(12, b"new"), number(13, 7)].concat();
    assert!(Bundle::read(&bundle(IMAGE, &later), ROOM).is_ok());
}

#[test]
fn a_signature_by_openssl_is_good_and_only_over_these_bytes() {
    let key = PublicKey::from_pem(PUBLIC).expect("a key");
    assert_eq!(key.id(), SIGNER);
    let good = Bundle::read(&signed(SIGNER, &SIGNATURE), ROOM).expect("a bundle");
    assert_eq!((good.signer_id(), good.verify(&key)), (Some(SIGNER), Ok(())));
    let mut changed = SIGNATURE;
    changed[63] ^= 1;
    let bad = Bundle::read(&signed(SIGNER, &changed), ROOM).expect("a bundle").verify(&key);
    assert!(bad.expect_err("wrong").to_string().contains("signature is wrong"));
    let other = Bundle::read(&signed(1, &SIGNATURE), ROOM).expect("a bundle").verify(&key);
    assert!(other.expect_err("another").to_string().contains("signed with key 0000000000000001, not"));
    let none = Bundle::read(&with_manifest(&unsigned()), ROOM).expect("a bundle").verify(&key);
    assert!(none.expect_err("unsigned").to_string().contains("is not signed"));
}

#[test]
fn half_a_signature_is_none() {
    for file in [signed(SIGNER, &SIGNATURE[..63]), signed(SIGNER, &[]), signed(0, &SIGNATURE)] {
        let told = Bundle::read(&file, ROOM).expect_err("refused").to_string();
        assert!(told.contains("signature is incomplete"), "{told}");
    }
}

#[test]
fn what_our_own_key_signs_is_good_by_its_public_half() {
    let pair = rcgen::KeyPair::generate().expect("a key");
    let key = SigningKey::from_pem(pair.serialize_pem().as_bytes()).expect("a key");
    let file = Bundle::write(IMAGE, &policies(), ROOM, Some(&key)).expect("written");
    let public = PublicKey::from_pem(pair.public_key_pem().as_bytes()).expect("a key");
    assert_eq!(public, key.public());
    assert_eq!(Bundle::read(&file, ROOM).expect("read").verify(&public), Ok(()));
}

#[test]
fn what_is_no_key_on_the_curve_is_refused() {
    assert_eq!(PublicKey::from_pem(b"a letter"), Err(KeyError::NoPublicKey));
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    assert_eq!(PublicKey::from_pem(other.public_key_pem().as_bytes()), Err(KeyError::OtherKind));
    assert_eq!(SigningKey::from_pem(other.serialize_pem().as_bytes()).err(), Some(KeyError::OtherKind));
    assert_eq!(SigningKey::from_pem(PUBLIC).err(), Some(KeyError::NoPrivateKey));
}

/// Shows D151.
#[test]
fn policies_that_cannot_be_are_refused() {
    for (policies, said) in [
        (field(2, &field(2, &[4; 64])), "debugging key of 64 bytes"),
        (field(2, &field(2, &[2; 65])), "debugging key of 65 bytes"),
        (field(3, &[number(1, 11), number(2, 10)].concat()), "11 ms, is longer than its longest, 10 ms"),
        (field(5, &[0xFF]), "cannot be read"),
    ] {
        let told = Bundle::read(&bundle(IMAGE, &policies), ROOM).expect_err(said).to_string();
        assert!(told.contains(said), "{told}");
    }
    assert!(
        Bundle::read(&bundle(IMAGE, &field(3, &number(1, 11))), ROOM).is_ok(),
        "no longest pause is said"
    );
}

#[test]
fn a_manifest_of_something_else_is_refused() {
    for (manifest, said) in [
        (b"a letter".to_vec(), "cannot be read"),
        (Vec::new(), "is empty"),
        (field(1, b"of another type"), "cannot be read"),
        (field(2, &field(1, b"\xFF")), "cannot be read"),
    ] {
        let told = Bundle::read(&with_manifest(&manifest), ROOM).expect_err(said).to_string();
        assert!(told.contains(said), "{told}");
        assert!(!told.contains('\n'), "{told}");
    }
    assert!(Bundle::read(&with_manifest(&manifest(&[Layer::image(IMAGE)], &[])), ROOM).is_ok());
}
