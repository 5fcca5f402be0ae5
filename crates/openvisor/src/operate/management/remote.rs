//! The management API of a cloud elsewhere, over HTTP: one connection for each request, everything bounded.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use url::{Host, Position, Url};

use super::trust::{Trust, fingerprint_text, parse_fingerprint};
use crate::operate::profiles::Profile;
use crate::output::exit::Failure;
use crate::output::timeline::printable;

/// How long connecting may take, with TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request and its response may take; the cloud's own limit is 30 seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(40);
/// Largest response, in bytes: a thousand settings of 4 KiB as JSON, which may write a byte as six.
const RESPONSE_BYTES: usize = 32 << 20;
/// What the API is served below; a URL may end with it, because the cloud shows it so.
const PREFIX: &str = "/v1";

/// A cloud elsewhere.
pub(crate) struct Remote {
    url: Url,
    authorization: HeaderValue,
    /// Trust and name of the server; `None`: plain HTTP, on this machine only.
    tls: Option<(Arc<Trust>, ServerName<'static>)>,
}

/// The URL of a management API: scheme, host and port.
///
/// # Errors
/// Anything else, and plain HTTP to another machine, which would show the key to everyone on the way.
pub(crate) fn parse_url(text: &str) -> Result<Url, Failure> {
    let shown = printable(text);
    let invalid = |what: &str| {
        Failure::bad_input(format!("{shown}: {what}")).hint("for example https://cloud.example:7885")
    };
    let mut url = Url::parse(text).map_err(|error| invalid(&format!("not a URL: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        // The text is not repeated: it has a secret.
        return Err(Failure::bad_input("the URL has a user or password in it")
            .hint("keep the key out of the URL: openvisor login URL asks for it"));
    }
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(invalid("it names no host")),
    };
    match url.scheme() {
        "https" => {}
        "http" if is_here => {}
        "http" => return Err(invalid("plain http is for this machine only, because it shows the key")),
        _ => return Err(invalid("neither https nor http")),
    }
    let is_base = ["", PREFIX].contains(&url.path().trim_end_matches('/'));
    if !is_base || url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("give scheme, host and port only"));
    }
    url.set_path("/");
    Ok(url)
}

/// Whether two URLs mean the same API.
pub(crate) fn is_same_cloud(one: &str, other: &str) -> bool {
    matches!((parse_url(one), parse_url(other)), (Ok(one), Ok(other)) if one == other)
}

impl Remote {
    /// The cloud of a profile, or of a URL and key given otherwise. Nothing is sent yet.
    pub(crate) fn new(profile: &Profile) -> Result<Self, Failure> {
        let url = parse_url(&profile.url)?;
        let authorization = basic(&profile.key)?;
        let tls = if url.scheme() == "https" {
            let pin = match &profile.certificate {
                None => None,
                Some(text) => Some(parse_fingerprint(text).ok_or_else(|| {
                    Failure::bad_input(format!(
                        "`{}` is not the fingerprint of a certificate",
                        printable(text)
                    ))
                    .hint("a fingerprint is SHA256: and 64 hexadecimal digits")
                })?),
            };
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            let name = ServerName::try_from(host)
                .map_err(|_| Failure::bad_input(format!("{url}: not a host that a certificate can have")))?;
            Some((Trust::new(pin), name))
        } else {
            None
        };
        Ok(Self { url, authorization, tls })
    }

    /// The fingerprint that would have to be pinned, if the certificate was refused.
    pub(crate) fn refused(&self) -> Option<String> {
        self.tls.as_ref()?.0.refused().map(|fingerprint| fingerprint_text(&fingerprint))
    }

    /// The URL.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// Sends a request; answers status and body. `path` may be a whole URL, as pages name the next: only its path and
    /// query count, so that the key goes nowhere else.
    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        form: String,
    ) -> Result<(u16, Bytes), Failure> {
        let request = self.message(method, path, form)?;
        let stream = timeout(CONNECT_TIMEOUT, self.connect());
        let stream = stream.await.unwrap_or_else(|_| Err(self.failure("connecting takes too long")))?;
        let exchange = timeout(REQUEST_TIMEOUT, self.exchange(stream, request));
        exchange.await.unwrap_or_else(|_| Err(self.failure("the response takes too long")))
    }

    /// Adds which cloud refused a request, and what to do about a key it does not know.
    pub(crate) fn explain(&self, status: u16, refused: Failure) -> Failure {
        let refused = refused.context(self.url());
        match status {
            401 => {
                refused.hint("the key is wrong, revoked or expired; log in again with: openvisor login URL")
            }
            _ => refused,
        }
    }

    fn message(&self, method: &str, path: &str, form: String) -> Result<Request<Full<Bytes>>, Failure> {
        let invalid = |error: String| Failure::bad_input(format!("not a path of the API: {error}"));
        let url = self.url.join(path).map_err(|error| invalid(error.to_string()))?;
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).map_err(|error| invalid(error.to_string()))?)
            .uri(&url[Position::BeforePath..Position::AfterQuery])
            .header(HOST, &self.url[Position::BeforeHost..Position::AfterPort])
            .header(AUTHORIZATION, self.authorization.clone())
            .header(USER_AGENT, concat!("openvisor/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close");
        if method == "POST" {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        request.body(Full::new(form.into())).map_err(|error| invalid(error.to_string()))
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, Failure> {
        let (host, port) = (self.url.host_str(), self.url.port_or_known_default());
        let host = host.unwrap_or_default().trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, port.unwrap_or_default())).await;
        let stream = stream.map_err(|error| self.failure(&format!("cannot connect: {error}")))?;
        let Some((trust, name)) = &self.tls else {
            let peer = stream.peer_addr().map_err(|error| self.failure(&error.to_string()))?;
            // `localhost` may have been given another meaning.
            if !peer.ip().is_loopback() {
                return Err(self.failure("plain http is for this machine only, because it shows the key"));
            }
            return Ok(Box::new(stream));
        };
        let connector = TlsConnector::from(trust.client_config());
        match connector.connect(name.clone(), stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(self.untrusted(trust, &error)),
        }
    }

    /// Why there is no TLS.
    fn untrusted(&self, trust: &Trust, error: &std::io::Error) -> Failure {
        let failure = self.failure(&format!("TLS fails: {error}"));
        let Some(refused) = trust.refused().map(|fingerprint| fingerprint_text(&fingerprint)) else {
            return failure;
        };
        if trust.is_pinned() {
            return failure.hint(format!(
                "not the certificate confirmed at login, or for another name; the server shows {refused}. If the cloud \
                 has a new one, log in again with: openvisor login URL"
            ));
        }
        failure.hint(format!("to trust this one certificate ({refused}), use: openvisor login URL"))
    }

    async fn exchange(
        &self,
        stream: Box<dyn Stream>,
        request: Request<Full<Bytes>>,
    ) -> Result<(u16, Bytes), Failure> {
        let failed = |error: &dyn std::fmt::Display| self.failure(&format!("the exchange fails: {error}"));
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(|error| failed(&error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, RESPONSE_BYTES).collect().await.map_err(|error| failed(&error))?;
            Ok((head.status.as_u16(), body.to_bytes()))
        };
        let mut answer = std::pin::pin!(answer);
        // Both run in this one future, so that dropping it leaves nothing behind.
        tokio::select! {
            answer = &mut answer => answer,
            _ = connection => answer.await,
        }
    }

    /// A failure of the network or of the other side.
    fn failure(&self, what: &str) -> Failure {
        Failure::environment(format!("{}: {what}", self.url()))
    }
}

/// A connection, with or without TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The header for a key `ID:SECRET`.
fn basic(key: &str) -> Result<HeaderValue, Failure> {
    let is_key = key.split_once(':').is_some_and(|(id, secret)| {
        !id.is_empty() && !secret.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic())
    });
    if !is_key {
        return Err(Failure::bad_input("the key is not ID:SECRET")
            .hint("as `openvisor keys create` shows them: SK…, a colon and ovs_…; or AC… and ovt_…"));
    }
    let header = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(key)));
    let mut header = header.expect("base64 is a header's value");
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D386: the key is never sent in the clear to another machine.
    #[test]
    fn a_url_is_https_or_this_machine() {
        for good in [
            "https://cloud.example",
            "https://cloud.example:7885/v1/",
            "http://127.0.0.1:7885",
            "http://[::1]:1/v1",
        ] {
            assert!(parse_url(good).is_ok(), "{good}");
        }
        for bad in [
            "cloud.example",
            "http://cloud.example",
            "http://10.0.0.1:7885",
            "ftp://localhost",
            "https://SK1:secret@cloud.example",
            "https://cloud.example/other",
            "https://cloud.example/?a=b",
        ] {
            let failure = parse_url(bad).expect_err(bad).to_string();
            assert!(!failure.contains("secret"), "{failure}");
        }
        assert!(is_same_cloud("https://Cloud.example:443/v1", "https://cloud.example"));
    }

    #[test]
    fn the_next_page_is_fetched_from_the_same_cloud_only() {
        let profile = Profile { url: "http://127.0.0.1:1".into(), key: "SK1:s".into(), certificate: None };
        let remote = Remote::new(&profile).expect("valid");
        let request =
            remote.message("GET", "https://evil.example/v1/Keys?Page=1", String::new()).expect("valid");
        assert_eq!(
            (request.uri().to_string().as_str(), &request.headers()[HOST]),
            ("/v1/Keys?Page=1", &HeaderValue::from_static("127.0.0.1:1"))
        );
    }
}
