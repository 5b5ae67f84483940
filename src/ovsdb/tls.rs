//! TLS as OVN's tools do it: a key and a certificate of ours, and the CA that signed the server's.
//!
//! The options are ovn-nbctl's `-p/--private-key`, `-c/--certificate` and `-C/--ca-cert`. As there,
//! the server's certificate must be signed by the CA and in date, and its name is not compared:
//! certificates made by ovs-pki(8) name no host. Two things that ovn-nbctl offers are refused:
//! `--ca-cert=none` (no check at all) and `--bootstrap-ca-cert` (trust on first use), since both let
//! anybody on the path rewrite the network.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};

use super::fault::TlsFailure;

/// The files that `ssl:` endpoints need, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// `-p`, `--private-key`: our key.
    pub private_key: PathBuf,
    /// `-c`, `--certificate`: our certificate, and those between it and its CA.
    pub certificate: PathBuf,
    /// `-C`, `--ca-cert`: the CAs, one of which signed the server's certificate.
    pub ca_cert: PathBuf,
}

/// Reads the files. Errors name the file and what is wrong with it.
pub(crate) fn client_config(files: &TlsFiles) -> Result<Arc<ClientConfig>, TlsFailure> {
    let TlsFiles { private_key, certificate, ca_cert } = files;
    let bad = |what: &'static str, path: &Path, reason: String| TlsFailure::File {
        what,
        path: path.to_owned(),
        reason,
    };
    if ca_cert.as_os_str() == "none" {
        let reason = "a connection without a check of the server is not offered".to_owned();
        return Err(bad("CA certificate", ca_cert, reason));
    }
    let ours = certificates(certificate).map_err(|reason| bad("certificate", certificate, reason))?;
    let authorities = certificates(ca_cert).map_err(|reason| bad("CA certificate", ca_cert, reason))?;
    let key = PrivateKeyDer::from_pem_file(private_key)
        .map_err(|error| bad("private key", private_key, error.to_string()))?;

    let mut roots = RootCertStore::empty();
    for authority in &authorities {
        roots
            .add(authority.clone())
            .map_err(|error| bad("CA certificate", ca_cert, certificate_failure(&error).to_string()))?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = CaOnly { roots, authorities, algorithms: provider.signature_verification_algorithms };
    let config = with_verifier(provider, verifier)
        .map_err(|error| TlsFailure::Other(error.to_string()))?
        .with_client_auth_cert(ours, key)
        .map_err(|error| bad("private key", private_key, error.to_string()))?;
    Ok(Arc::new(config))
}

type WantsClientCert =
    tokio_rustls::rustls::ConfigBuilder<ClientConfig, tokio_rustls::rustls::client::WantsClientCert>;

fn with_verifier(provider: Arc<CryptoProvider>, verifier: CaOnly) -> Result<WantsClientCert, Error> {
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| error.to_string())?;
    match found.is_empty() {
        true => Err("it holds no certificate".to_owned()),
        false => Ok(found),
    }
}

/// Accepts a server whose certificate is signed by one of the CAs, or is one of them: labs sign
/// with the key that the server uses. INVARIANT: signatures and dates are always checked.
#[derive(Debug)]
struct CaOnly {
    roots: RootCertStore,
    authorities: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for CaOnly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let verified = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        );
        match verified {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            // webpki checks dates before it looks at this, so a pinned certificate is in date.
            Err(Error::InvalidCertificate(CertificateError::Other(other)))
                if is_ca_as_end_entity(&other) && self.authorities.iter().any(|ca| ca == end_entity) =>
            {
                Ok(ServerCertVerified::assertion())
            }
            Err(error) => Err(error),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn is_ca_as_end_entity(error: &tokio_rustls::rustls::OtherError) -> bool {
    error.to_string().contains("CaUsedAsEndEntity")
}

/// What a failed handshake or read means, when TLS is behind it.
pub(crate) fn failure(error: &std::io::Error) -> Option<TlsFailure> {
    let inner = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match inner {
        Error::AlertReceived(alert) => alert_failure(*alert),
        Error::InvalidCertificate(_) => certificate_failure(inner),
        other => TlsFailure::Other(other.to_string()),
    })
}

fn alert_failure(alert: AlertDescription) -> TlsFailure {
    let reason = match alert {
        AlertDescription::UnknownCA => "its CA does not know it",
        AlertDescription::CertificateExpired => "it has expired",
        AlertDescription::CertificateRevoked => "it is revoked",
        AlertDescription::CertificateRequired => "it wants one",
        AlertDescription::BadCertificate | AlertDescription::UnsupportedCertificate => "it cannot be used",
        AlertDescription::DecryptError => "it is not signed by the CA that it names",
        AlertDescription::HandshakeFailure => {
            return TlsFailure::Other("the server wants another certificate or cipher".to_owned());
        }
        other => return TlsFailure::Other(format!("the server sent the alert {other:?}")),
    };
    TlsFailure::RefusedUs(reason.to_owned())
}

fn certificate_failure(error: &Error) -> TlsFailure {
    let Error::InvalidCertificate(error) = error else { return TlsFailure::Certificate(error.to_string()) };
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsFailure::UnknownCa,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFailure::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            TlsFailure::NotYetValid
        }
        other => TlsFailure::Certificate(other.to_string()),
    }
}
