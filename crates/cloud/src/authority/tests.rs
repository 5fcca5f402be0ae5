use tempfile::tempdir;
use tokio_rustls::rustls::pki_types::{ServerName, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, client::WebPkiServerVerifier};

use super::*;
use crate::connector::provider;

fn roots(authority: &Authority) -> std::sync::Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone()).expect("a certificate");
    roots.into()
}

/// Whether a device that trusts `authority` takes `certificate` for `host`.
fn is_server(authority: &Authority, certificate: &CertificateDer<'_>, host: &str) -> bool {
    use tokio_rustls::rustls::client::danger::ServerCertVerifier as _;
    let verifier =
        WebPkiServerVerifier::builder_with_provider(roots(authority), provider()).build().expect("one");
    let name = ServerName::try_from(host.to_owned()).expect("a name");
    verifier.verify_server_cert(certificate, &[], &name, &[], UnixTime::now()).is_ok()
}

/// Whether a cloud of `authority` takes `certificate` for a device's.
fn is_device(authority: &Authority, certificate: &CertificateDer<'_>) -> bool {
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots(authority), provider()).build().expect("one");
    verifier.verify_client_cert(certificate, &[], UnixTime::now()).is_ok()
}

#[test]
fn a_server_certificate_is_good_for_its_names_and_addresses_only() {
    let authority = Authority::generate();
    let hosts = ["cloud.example".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let server = authority.issue_server(&hosts).expect("names");
    for host in ["cloud.example", "127.0.0.1", "::1"] {
        assert!(is_server(&authority, &server.chain[0], host), "{host}");
    }
    assert!(!is_server(&authority, &server.chain[0], "other.example"));
    assert!(!is_server(&Authority::generate(), &server.chain[0], "cloud.example"));
}

#[test]
fn a_device_certificate_is_a_devices_and_not_a_clouds() {
    let authority = Authority::generate();
    let device = authority.issue_device(DeviceId::random());
    assert!(is_device(&authority, &device.certificate_der));
    assert!(!is_device(&Authority::generate(), &device.certificate_der));
    let server = authority.issue_server(&["cloud.example".to_owned()]).expect("names");
    assert!(!is_device(&authority, &server.chain[0]));
}

#[test]
fn an_authority_read_back_signs_what_its_certificate_verifies() {
    let first = Authority::generate();
    let again = Authority::from_pem(first.certificate_pem(), &first.key_pem()).expect("read back");
    let device = again.issue_device(DeviceId::random());
    assert!(is_device(&first, &device.certificate_der));
}

#[test]
fn what_is_no_host_gets_no_certificate() {
    let authority = Authority::generate();
    for host in ["", "two words", "häuser.example", "*"] {
        assert!(authority.issue_server(&[host.to_owned()]).is_err(), "{host}");
    }
}

#[test]
fn an_identity_is_saved_as_the_four_files_a_device_reads() {
    use std::os::unix::fs::PermissionsExt as _;
    let authority = Authority::generate();
    let identity = authority.issue_device(DeviceId::random());
    let parent = tempdir().expect("a folder");
    let folder = parent.path().join("device");
    identity.save(&folder).expect("saved");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("there");
    assert_eq!(DeviceId::parse(read("device-id").trim()), Some(identity.device_id));
    assert_eq!(read("authority.pem"), authority.certificate_pem());
    assert!(read("certificate.pem").starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(read("key.pem").starts_with("-----BEGIN PRIVATE KEY-----"));
    let mode = std::fs::metadata(folder.join("key.pem")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!format!("{identity:?}").contains("PRIVATE"));
}
