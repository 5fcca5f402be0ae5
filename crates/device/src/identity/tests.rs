use std::os::unix::fs::PermissionsExt;

use rcgen::{CertificateParams, DnType, KeyPair};

use super::*;

const ID: &str = "UV0123456789abcdef0123456789abcdef";

/// A folder for one test, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("openvisor-identity-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn certificate(common_name: &str) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
}

fn saved(folder: &Folder) -> (String, String) {
    let (certificate, key) = certificate(ID);
    let id = DeviceId::parse(ID).expect("an id");
    let identity =
        Identity::new(id, certificate.clone(), key.clone(), certificate.clone()).expect("an identity");
    identity.save(&folder.0).expect("saved");
    (certificate, key)
}

fn refusal(folder: &Folder) -> String {
    Identity::load(&folder.0).expect_err("refused").to_string()
}

#[test]
fn an_identity_comes_back_as_it_was_saved() {
    let folder = Folder::new("back");
    let (_, key) = saved(&folder);
    let identity = Identity::load(&folder.0).expect("loaded");
    assert_eq!(identity.device_id().to_string(), ID);
    assert_eq!(identity.certificates().len(), 1);
    assert_eq!(identity.authority(), identity.certificates());
    assert_eq!(identity.key(), PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key"));
}

#[test]
fn the_key_file_is_its_owners_alone_also_when_it_was_there_before() {
    let folder = Folder::new("mode");
    fs::create_dir_all(&folder.0).expect("a folder");
    fs::write(folder.0.join(KEY), "old").expect("written");
    fs::set_permissions(folder.0.join(KEY), fs::Permissions::from_mode(0o644)).expect("set");
    saved(&folder);
    let mode = fs::metadata(folder.0.join(KEY)).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_key_file_others_may_read_is_refused() {
    let folder = Folder::new("open");
    saved(&folder);
    fs::set_permissions(folder.0.join(KEY), fs::Permissions::from_mode(0o640)).expect("set");
    assert!(refusal(&folder).ends_with("(mode 640); make it yours alone: chmod 600"), "{}", refusal(&folder));
}

#[test]
fn a_missing_folder_is_named() {
    let folder = Folder::new("missing");
    assert!(refusal(&folder).contains("openvisor-identity"), "{}", refusal(&folder));
}

#[test]
fn a_wrong_id_is_shown() {
    let folder = Folder::new("id");
    saved(&folder);
    fs::write(folder.0.join(DEVICE_ID), "UV0123\n").expect("written");
    assert!(refusal(&folder).starts_with("device-id contains \"UV0123\\n\"; expected UV and 32"));
}

#[test]
fn an_id_is_exactly_two_letters_and_32_lower_case_digits() {
    assert!(DeviceId::parse(ID).is_some());
    for wrong in ["", "UV", &ID[1..], &ID.to_uppercase(), &ID.replace('0', "g"), &format!("{ID}0")] {
        assert_eq!(DeviceId::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn files_without_their_pem_are_named() {
    for (file, expected) in [
        (CERTIFICATE, "certificate.pem contains no certificate in PEM format"),
        (KEY, "key.pem contains no private key in PEM format"),
        (AUTHORITY, "authority.pem contains no certificate in PEM format"),
    ] {
        let folder = Folder::new(file);
        saved(&folder);
        fs::write(folder.0.join(file), "hello").expect("written");
        assert_eq!(refusal(&folder), expected);
    }
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let folder = Folder::new("other-key");
    saved(&folder);
    let (_, other) = certificate(ID);
    fs::write(folder.0.join(KEY), other).expect("written");
    assert_eq!(refusal(&folder), "key.pem does not belong to certificate.pem");
}

#[test]
fn a_certificate_of_another_device_is_refused() {
    let (certificate, key) = certificate("UVffffffffffffffffffffffffffffffff");
    let id = DeviceId::parse(ID).expect("an id");
    let text = Identity::new(id, certificate.clone(), key, certificate).expect_err("refused").to_string();
    assert_eq!(text, format!("certificate.pem does not name the device in device-id, {ID}"));
}

#[test]
fn the_key_stays_out_of_debug_output() {
    let folder = Folder::new("debug");
    saved(&folder);
    let shown = format!("{:?}", Identity::load(&folder.0).expect("loaded"));
    assert!(!shown.contains("PRIVATE"), "{shown}");
}
