//! A device's identity: a folder with its id, its certificate, its key, and the authority of its cloud.
//!
//! | file | content |
//! |---|---|
//! | `device-id` | `UV` and 32 lower-case hexadecimal digits |
//! | `certificate.pem` | the device's certificate, then any certificate between it and the authority |
//! | `key.pem` | its private key, readable by the owner only |
//! | `authority.pem` | the certificate the cloud's own must be signed by |

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

const DEVICE_ID: &str = "device-id";
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";
const AUTHORITY: &str = "authority.pem";

/// Permission bits of the key file: its owner may read and write, others nothing.
#[cfg(unix)]
const KEY_MODE: u32 = 0o600;

/// A device's id: `UV` and 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceId([u8; 34]);

impl DeviceId {
    /// Reads an id; `None` unless `text` is exactly one.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 34] = text.as_bytes().try_into().ok()?;
        let digits = bytes.strip_prefix(b"UV")?;
        digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')).then_some(Self(bytes))
    }

    /// The 34 characters as bytes.
    pub fn as_bytes(&self) -> &[u8; 34] {
        &self.0
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).expect("an id is ASCII"))
    }
}

/// What a device authenticates itself and its cloud by, checked for consistency.
pub struct Identity {
    device_id: DeviceId,
    certificate: String,
    key: String,
    authority: String,
    folder: Option<PathBuf>,
}

impl Identity {
    /// An identity from its parts: the id, and the PEM texts of the folder.
    ///
    /// # Errors
    /// [`IdentityError`] for the part that is malformed or does not match the others.
    pub fn new(
        device_id: DeviceId,
        certificate: String,
        key: String,
        authority: String,
    ) -> Result<Self, IdentityError> {
        let identity = Self { device_id, certificate, key, authority, folder: None };
        identity.check()?;
        Ok(identity)
    }

    /// Reads the identity in `folder`.
    ///
    /// # Errors
    /// [`IdentityError`]: a file is missing, others than its owner may read the key, or what [`Identity::new`] refuses.
    pub fn load(folder: &Path) -> Result<Self, IdentityError> {
        check_mode(&folder.join(KEY))?;
        let id = read(&folder.join(DEVICE_ID))?;
        let device_id = DeviceId::parse(id.trim_end()).ok_or(IdentityError::DeviceId(id))?;
        let pem = |name: &str| read(&folder.join(name));
        let identity = Self::new(device_id, pem(CERTIFICATE)?, pem(KEY)?, pem(AUTHORITY)?)?;
        Ok(Self { folder: Some(folder.to_owned()), ..identity })
    }

    /// Writes the identity into `folder`, which is made if it does not exist.
    ///
    /// # Errors
    /// [`IdentityError`] with the file that cannot be written; those before it have been.
    pub fn save(&self, folder: &Path) -> Result<(), IdentityError> {
        fs::create_dir_all(folder).map_err(|error| IdentityError::file(folder, &error))?;
        write(&folder.join(DEVICE_ID), &format!("{}\n", self.device_id))?;
        write(&folder.join(CERTIFICATE), &self.certificate)?;
        write_private(&folder.join(KEY), &self.key)?;
        write(&folder.join(AUTHORITY), &self.authority)
    }

    /// The device's id.
    pub fn device_id(&self) -> DeviceId {
        self.device_id
    }

    /// The folder it was read from, where the device stores what survives a loss of power.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The device's certificate and those up to the authority, its own first.
    pub fn certificates(&self) -> Vec<CertificateDer<'static>> {
        certificates(CERTIFICATE, &self.certificate).expect("checked when made")
    }

    /// The device's private key.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("checked when made")
    }

    /// The authority the cloud's certificate must come from.
    pub fn authority(&self) -> Vec<CertificateDer<'static>> {
        certificates(AUTHORITY, &self.authority).expect("checked when made")
    }

    fn check(&self) -> Result<(), IdentityError> {
        let chain = certificates(CERTIFICATE, &self.certificate)?;
        certificates(AUTHORITY, &self.authority)?;
        // The common name is in the certificate as exactly these bytes, so this check needs no parser.
        if !chain[0].windows(34).any(|window| window == self.device_id.0) {
            return Err(IdentityError::OtherDevice(self.device_id));
        }
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes())
            .map_err(|_| IdentityError::NoPem { file: KEY, expected: "private key" })?;
        let key = any_supported_type(&key).map_err(|_| IdentityError::UnsupportedKey)?;
        CertifiedKey::new(chain, key).keys_match().map_err(|_| IdentityError::OtherKey)
    }
}

impl fmt::Debug for Identity {
    /// Names the device; the key is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("device_id", &self.device_id).finish_non_exhaustive()
    }
}

fn certificates(file: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(IdentityError::NoPem { file, expected: "certificate" }),
    }
}

fn read(path: &Path) -> Result<String, IdentityError> {
    fs::read_to_string(path).map_err(|error| IdentityError::file(path, &error))
}

fn write(path: &Path, text: &str) -> Result<(), IdentityError> {
    fs::write(path, text).map_err(|error| IdentityError::file(path, &error))
}

/// Writes a file that only its owner can open at any time: it is created with that mode.
#[cfg(unix)]
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), IdentityError> {
    use std::io::Write;
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let failed = |error: std::io::Error| IdentityError::file(path, &error);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(KEY_MODE)
        .open(path)
        .map_err(failed)?;
    // Opening an existing file does not change its mode.
    file.set_permissions(fs::Permissions::from_mode(KEY_MODE)).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

#[cfg(not(unix))]
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), IdentityError> {
    write(path, text)
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<(), IdentityError> {
    use std::os::unix::fs::PermissionsExt;
    let mode =
        fs::metadata(path).map_err(|error| IdentityError::file(path, &error))?.permissions().mode() & 0o777;
    if mode & !KEY_MODE != 0 {
        return Err(IdentityError::KeyMode { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_mode(_path: &Path) -> Result<(), IdentityError> {
    Ok(())
}

/// Why a folder contains no usable identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityError {
    /// A file that cannot be read or written; the system's message.
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// The id file contains something else.
    DeviceId(String),
    /// A PEM file without what it should contain.
    NoPem {
        /// Name of the file in the folder.
        file: &'static str,
        /// What it should contain.
        expected: &'static str,
    },
    /// The key file is open to others.
    KeyMode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key of a kind TLS cannot sign with.
    UnsupportedKey,
    /// The key is not the certificate's.
    OtherKey,
    /// The certificate does not name this device.
    OtherDevice(DeviceId),
}

impl IdentityError {
    fn file(path: &Path, error: &std::io::Error) -> Self {
        Self::File { path: path.to_owned(), why: error.to_string() }
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, why } => write!(f, "{}: {why}", path.display()),
            Self::DeviceId(found) => {
                let shown: String = found.chars().take(40).collect();
                write!(f, "{DEVICE_ID} contains {shown:?}; expected UV and 32 lower-case hexadecimal digits")
            }
            Self::NoPem { file, expected } => write!(f, "{file} contains no {expected} in PEM format"),
            Self::KeyMode { path, mode } => write!(
                f,
                "{} may be opened by others (mode {mode:03o}); make it yours alone: chmod 600",
                path.display()
            ),
            Self::UnsupportedKey => {
                write!(
                    f,
                    "{KEY} contains a key of a type that TLS cannot use; expected ECDSA P-256 or P-384, Ed25519 or RSA"
                )
            }
            Self::OtherKey => write!(f, "{KEY} does not belong to {CERTIFICATE}"),
            Self::OtherDevice(id) => write!(f, "{CERTIFICATE} does not name the device in {DEVICE_ID}, {id}"),
        }
    }
}

impl std::error::Error for IdentityError {}

#[cfg(test)]
mod tests;
