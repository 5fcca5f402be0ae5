//! The cloud's own certificate authority. It issues the certificates of devices and of the cloud, and no other
//! authority is trusted between them.
//!
//! Keys are P-256. Certificates do not expire: a device in the field has no one to renew its certificate. A certificate
//! counts only while the store lists it, so a device that is removed, or given a new identity, is refused.

use std::net::IpAddr;
use std::path::Path;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use ring::digest::{SHA256, digest};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::files::{FileError, PRIVATE_FILE, create_private_folder, write_new};
use crate::id::DeviceId;

/// Common name of every cloud's authority. Devices trust the certificate, not the name.
const AUTHORITY_NAME: &str = "Openvisor device authority";

/// Common name of a cloud's own certificate; devices check its alternative names.
const CLOUD_NAME: &str = "Openvisor cloud";

/// Why an authority or one of its certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The certificate file does not contain a certificate.
    #[error("no certificate in PEM form")]
    Certificate,
    /// The key file does not contain a key this cloud can sign with.
    #[error("no P-256 private key in PEM form")]
    Key,
    /// Certificate and key do not match.
    #[error("the key does not belong to the certificate")]
    Mismatch,
    /// Not a host name that a certificate can contain.
    #[error("`{0}` is not a host name or an address")]
    Host(String),
}

/// The authority: its certificate and its private key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
    certificate: CertificateDer<'static>,
}

/// A certificate and its key, for the listener.
pub struct ServerCertificate {
    /// The certificate, and those of its issuers.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub key: PrivateKeyDer<'static>,
}

/// The identity of a device: its certificate and key, and the authority it trusts.
pub struct Identity {
    /// The device's id, the common name of its certificate.
    pub device_id: DeviceId,
    /// The device's certificate, PEM.
    pub certificate: String,
    /// Its private key, PKCS#8 in PEM. The cloud stores no copy.
    pub key: String,
    /// The authority's certificate, PEM.
    pub authority: String,
    /// The device's certificate, DER.
    pub certificate_der: CertificateDer<'static>,
}

/// The files of an identity. The last one is written last, so its presence says that the others are complete.
const FILES: [&str; 4] = ["key.pem", "certificate.pem", "authority.pem", "device-id"];

/// SHA-256 of a certificate. The store has the fingerprint of each device's valid one.
pub type Fingerprint = [u8; 32];

impl Authority {
    /// Generates an authority with a new key.
    pub(crate) fn generate() -> Self {
        let key = new_key();
        let certificate = authority_params().self_signed(&key).expect("fixed parameters");
        Self {
            certificate_pem: certificate.pem(),
            certificate: certificate.der().clone(),
            issuer: Issuer::new(authority_params(), key),
        }
    }

    /// Reads an authority from its certificate and key in PEM.
    pub(crate) fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Self, AuthorityError> {
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(|_| AuthorityError::Certificate)?;
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(key_pem, &rcgen::PKCS_ECDSA_P256_SHA256)
            .map_err(|_| AuthorityError::Key)?;
        if !is_part_of(key.public_key_raw(), &certificate) {
            return Err(AuthorityError::Mismatch);
        }
        let issuer = Issuer::new(authority_params(), key);
        Ok(Self { issuer, certificate_pem: certificate_pem.to_owned(), certificate })
    }

    /// Issues a certificate for the cloud itself. Its key is not stored: it lives as long as the process.
    ///
    /// # Errors
    /// [`AuthorityError::Host`] for a name that a certificate cannot contain.
    pub fn issue_server(&self, hosts: &[String]) -> Result<ServerCertificate, AuthorityError> {
        let mut params = end_entity_params(CLOUD_NAME, ExtendedKeyUsagePurpose::ServerAuth);
        params.subject_alt_names =
            hosts.iter().map(|host| alternative_name(host)).collect::<Result<_, _>>()?;
        let (certificate, key) = self.issue(&params);
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok(ServerCertificate { chain: vec![certificate.der().clone()], key: key.into() })
    }

    /// Issues a new identity for a device.
    pub fn issue_device(&self, device_id: DeviceId) -> Identity {
        let params = end_entity_params(device_id.as_str(), ExtendedKeyUsagePurpose::ClientAuth);
        let (certificate, key) = self.issue(&params);
        Identity {
            device_id,
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            authority: self.certificate_pem.clone(),
            certificate_der: certificate.der().clone(),
        }
    }

    /// The authority's certificate, DER.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The authority's certificate, PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    pub(crate) fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    fn issue(&self, params: &CertificateParams) -> (Certificate, KeyPair) {
        let key = new_key();
        let certificate = params.signed_by(&key, &self.issuer).expect("parameters are checked");
        (certificate, key)
    }
}

impl Identity {
    /// Writes the identity into `folder`, which is created with mode 0700 if it does not exist: `device-id`,
    /// `certificate.pem`, `key.pem`, `authority.pem`, each with mode 0600. On failure the files already written are
    /// removed.
    pub fn save(&self, folder: &Path) -> Result<(), FileError> {
        let is_new = !folder.exists();
        let written = self.write(folder);
        if written.is_err() {
            Self::remove_files(folder, is_new);
        }
        written
    }

    fn write(&self, folder: &Path) -> Result<(), FileError> {
        create_private_folder(folder)?;
        let device_id = format!("{}\n", self.device_id);
        let contents = [&*self.key, &*self.certificate, &*self.authority, &*device_id];
        FILES
            .iter()
            .zip(contents)
            .try_for_each(|(name, content)| write_new(&folder.join(name), content.as_bytes(), PRIVATE_FILE))
    }

    /// Removes the files of an identity from `folder`, and with `folder_too` the folder itself if that leaves it empty.
    pub(crate) fn remove_files(folder: &Path, folder_too: bool) {
        for name in FILES {
            let _ = std::fs::remove_file(folder.join(name));
        }
        if folder_too {
            let _ = std::fs::remove_dir(folder);
        }
    }

    /// Fingerprint of the certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.certificate_der)
    }
}

impl std::fmt::Debug for Identity {
    /// Shows the device only: the private key must not appear in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("device_id", &self.device_id).finish_non_exhaustive()
    }
}

/// SHA-256 of a certificate.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> Fingerprint {
    digest(&SHA256, certificate).as_ref().try_into().expect("SHA-256 is 32 bytes")
}

fn new_key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("the operating system provides random bytes")
}

fn authority_params() -> CertificateParams {
    let mut params = params(AUTHORITY_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn end_entity_params(common_name: &str, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = params(common_name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    params
}

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    // 1970 is what a clock that was never set shows: a device or a cloud without the time must be able to connect
    // (D164).
    params.not_before = date_time_ymd(1970, 1, 1);
    // "No well-defined expiration date" (RFC 5280, 4.1.2.5), except for the seconds of its last day.
    params.not_after = date_time_ymd(9999, 12, 31);
    params
}

fn alternative_name(host: &str) -> Result<SanType, AuthorityError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let refused = || AuthorityError::Host(host.to_owned());
    tokio_rustls::rustls::pki_types::DnsName::try_from(host).map_err(|_| refused())?;
    Ok(SanType::DnsName(host.try_into().map_err(|_| refused())?))
}

fn is_part_of(needle: &[u8], haystack: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests;
