//! Reads the common name of a certificate whose signature has been verified.

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// The subject's common name, if it has exactly one and that is text.
pub(crate) fn common_name(certificate: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let mut names = certificate.subject().iter_common_name();
    let name = names.next()?;
    if names.next().is_some() {
        return None;
    }
    name.as_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use rcgen::DnType;

    use super::*;
    use crate::authority::Authority;
    use crate::id::DeviceId;

    #[test]
    fn the_common_name_of_an_issued_certificate_is_the_device() {
        let id = DeviceId::random();
        let identity = Authority::generate().issue_device(id);
        assert_eq!(common_name(&identity.certificate_der).as_deref(), Some(id.as_str()));
    }

    #[test]
    fn a_certificate_cut_anywhere_before_its_end_has_no_name_and_no_panic() {
        let identity = Authority::generate().issue_device(DeviceId::random());
        let der: &[u8] = &identity.certificate_der;
        for end in 0..der.len() {
            assert_eq!(common_name(&der[..end]), None, "cut at {end}");
        }
    }

    /// The DER of a certificate whose subject has these common names.
    fn certificate(names: &[&str]) -> Vec<u8> {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (index, name) in names.iter().enumerate() {
            // rcgen keeps one value for each kind; the second is written as a kind of its own with the same identifier.
            let kind = if index == 0 { DnType::CommonName } else { DnType::CustomDnType(vec![2, 5, 4, 3]) };
            params.distinguished_name.push(kind, *name);
        }
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn two_common_names_are_none() {
        assert_eq!(common_name(&certificate(&["a"])).as_deref(), Some("a"));
        assert_eq!(common_name(&certificate(&["a", "b"])), None);
        assert_eq!(common_name(&certificate(&[])), None);
    }
}
