use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use relay::ConnectError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::*;
use crate::connector::{Resolve, Trust, provider};
use crate::destinations::Destinations;
use crate::limits::Limits;

const HOST: &str = "server.example";

/// What a server does when it has sent everything.
#[derive(Clone, Copy)]
enum Then {
    /// Ends TLS and TCP in good order.
    Close,
    /// Ends TCP alone, which TLS must not take for the end.
    Cut,
    Hang,
}

/// A server that sends the same to every client, and the requests it received.
struct Server {
    address: SocketAddr,
    authority: Vec<u8>,
    asked: mpsc::UnboundedReceiver<Vec<u8>>,
    open: Arc<AtomicUsize>,
}

impl Server {
    async fn saying(pieces: &[&[u8]], then: Then) -> Self {
        Self::with(pieces, then, |_| ()).await
    }

    async fn with(pieces: &[&[u8]], then: Then, adjust: impl FnOnce(&mut CertificateParams)) -> Self {
        let (config, authority) = certified(adjust);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (requests, asked) = mpsc::unbounded_channel();
        let open = Arc::new(AtomicUsize::new(0));
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
        let counted = open.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, pieces, requests) =
                    (TlsAcceptor::from(config.clone()), pieces.clone(), requests.clone());
                let counted = counted.clone();
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let _ = serve(acceptor, tcp, &pieces, then, &requests).await;
                    counted.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, authority, asked, open }
    }

    fn connector(&self) -> Connector {
        let resolve = vec![Resolve { host: HOST.to_owned(), port: 443, to: self.address }];
        let trust = Trust::new(&[self.authority.clone().into()]).expect("an authority");
        Connector::new(Destinations::with_loopback(), resolve, trust, &Limits::default())
    }

    async fn exchange(&self, request: HttpRequest) -> HttpOutcome {
        exchange(&self.connector(), Owner::default(), request).await
    }

    /// The next request, head and body.
    async fn request(&mut self) -> String {
        String::from_utf8(self.asked.recv().await.expect("a request")).expect("text")
    }
}

fn certified(adjust: impl FnOnce(&mut CertificateParams)) -> (Arc<ServerConfig>, Vec<u8>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "authority");
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new([HOST.to_owned()]).expect("a name");
    adjust(&mut params);
    let certificate = params.signed_by(&key, &issuer).expect("signed").der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they match");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (Arc::new(config), issuer.der().to_vec())
}

async fn serve(
    acceptor: TlsAcceptor,
    tcp: TcpStream,
    pieces: &[Vec<u8>],
    then: Then,
    requests: &mpsc::UnboundedSender<Vec<u8>>,
) -> std::io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut stream = acceptor.accept(tcp).await?;
    let mut asked = Vec::new();
    while !is_whole(&asked) {
        if stream.read_buf(&mut asked).await? == 0 {
            return Ok(());
        }
    }
    let _ = requests.send(asked);
    for piece in pieces {
        stream.write_all(piece).await?;
        stream.flush().await?;
        // So that each piece is read by itself.
        sleep(Duration::from_millis(2)).await;
    }
    match then {
        Then::Close => stream.shutdown().await?,
        Then::Cut => return Ok(()),
        Then::Hang => {}
    }
    while stream.read(&mut [0; 64]).await? > 0 {}
    Ok(())
}

fn is_whole(asked: &[u8]) -> bool {
    let text = String::from_utf8_lossy(asked);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    body.len() >= length.map_or(0, |length| length.parse().expect("a number"))
}

fn asking(method: &'static str, url: &str, max_response_length: u32) -> HttpRequest {
    let (headers, body) = (Vec::new(), Vec::new());
    let timeout = sansio::Duration::from_secs(5);
    HttpRequest { method, url: url.to_owned(), headers, body, timeout, max_response_length }
}

fn get(room: u32) -> HttpRequest {
    asking("GET", "https://server.example/", room)
}

fn answered(outcome: HttpOutcome) -> HttpResponse {
    match outcome {
        HttpOutcome::Response(response) => response,
        other => panic!("{other:?}"),
    }
}

fn failed(cause: ConnectError) -> HttpOutcome {
    HttpOutcome::Failed(HttpError::Connection(cause))
}

/// Shows D60.
#[tokio::test]
async fn a_request_is_sent_as_it_was_requested() {
    let mut server = Server::saying(&[b"HTTP/1.1 204 No Content\r\n\r\n"], Then::Hang).await;
    let mut request = asking("POST", "https://SERVER.example:443/a b/%41?q=1|2#fragment", 64);
    request.headers =
        vec![("b".into(), b"2".to_vec()), ("X-a".into(), b"".to_vec()), ("b".into(), b"3".to_vec())];
    request.body = b"hello".to_vec();
    assert_eq!(answered(server.exchange(request).await).status, 204);
    let expected = format!(
        "POST /a%20b/%41?q=1|2 HTTP/1.1\r\nHost: server.example\r\nConnection: close\r\n\
                    User-Agent: openvisor/{}\r\nB: 2\r\nB: 3\r\n\
                    X-A: \r\nContent-Length: 5\r\n\r\nhello",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(server.request().await, expected);
}

/// Shows D60.
#[tokio::test]
async fn every_method_goes_out_and_a_body_only_when_there_is_one() {
    let mut server = Server::saying(&[b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], Then::Hang).await;
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let url = "https://server.example";
        assert_eq!(answered(server.exchange(asking(method, url, 64)).await).status, 200);
        let asked = server.request().await;
        assert!(asked.starts_with(&format!("{method} / HTTP/1.1\r\n")), "{asked}");
        // RFC 9110 section 8.6: a method that means something with content says that there is none.
        let says_none = asked.ends_with("Content-Length: 0\r\n\r\n");
        assert_eq!(says_none, matches!(method, "POST" | "PUT" | "PATCH"), "{asked}");
        let with = HttpRequest { body: b"x".to_vec(), ..asking(method, url, 64) };
        assert_eq!(answered(server.exchange(with).await).status, 200);
        assert!(server.request().await.ends_with("Content-Length: 1\r\n\r\nx"), "{method}");
    }
}

/// Shows D60.
#[tokio::test]
async fn headers_come_in_the_servers_order_and_any_status_is_an_answer() {
    let said = b"HTTP/1.1 404 Not Found\r\nZ: 1\r\nA:2\r\nContent-Length: 2\r\nm:  x y \r\n\r\nno";
    let server = Server::saying(&[said], Then::Hang).await;
    let response = answered(server.exchange(get(512)).await);
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let headers = vec![header("z", "1"), header("a", "2"), header("content-length", "2"), header("m", "x y")];
    assert_eq!(response, HttpResponse { status: 404, headers, ignored: Vec::new(), body: b"no".to_vec() });
}

/// Shows D60.
#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let said = b"HTTP/1.1 302 Found\r\nLocation: https://server.example/next\r\nContent-Length: 0\r\n\r\n";
    let mut server = Server::saying(&[said], Then::Hang).await;
    assert_eq!(answered(server.exchange(get(512)).await).status, 302);
    server.request().await;
    assert!(server.asked.try_recv().is_err(), "no other request was sent");
}

#[tokio::test]
async fn a_body_ends_by_its_length_by_chunks_or_by_the_connection() {
    for (pieces, then) in [
        (&[&b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"[..], b"llo"][..], Then::Hang),
        (
            &[
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe",
                b"\r\n3;x=y\r\nl",
                b"lo\r\n0\r\nTrailer: x\r\n\r\n",
            ],
            Then::Hang,
        ),
        (&[b"HTTP/1.1 200 OK\r\n\r\nhe", b"llo"], Then::Close),
        (&[b"HTTP/1.0 200 OK\r\n\r\nhe", b"llo"], Then::Close),
        (&[b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n", b"\r\nhello"], Then::Close),
    ] {
        let server = Server::saying(pieces, then).await;
        assert_eq!(answered(server.exchange(get(512)).await).body, b"hello");
    }
}

#[tokio::test]
async fn the_answer_to_head_has_no_body_whatever_its_length_says() {
    let said = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    let server = Server::saying(&[said], Then::Hang).await;
    let response = answered(server.exchange(asking("HEAD", "https://server.example/", 64)).await);
    assert_eq!(response.headers, [("content-length".to_owned(), b"1000000".to_vec())]);
    assert_eq!(response.body, b"");
}

/// Shows D60.
#[tokio::test]
async fn a_response_of_exactly_the_room_fits_and_one_byte_more_does_not() {
    // `a: b` and `content-length: 1000` take 24 bytes, `a: b` and `transfer-encoding: chunked` 30.
    let body = vec![b'x'; 1000];
    let length = [b"HTTP/1.1 200 OK\r\na: b\r\nContent-Length: 1000\r\n\r\n", &body[..]].concat();
    let chunks = b"HTTP/1.1 200 OK\r\na: b\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n";
    let chunks = [chunks, &body[..], b"\r\n0\r\n\r\n"].concat();
    for (said, room) in [(length, 1024), (chunks, 1030)] {
        let server = Server::saying(&[&said], Then::Hang).await;
        let response = answered(server.exchange(get(room)).await);
        assert_eq!((response.length(), response.body.len()), (room as usize, 1000));
        assert_eq!(server.exchange(get(room - 1)).await, HttpOutcome::TooLarge);
    }
}

/// The end of the response never comes, so that only a client that stops early has an answer.
///
/// Shows D60.
#[tokio::test]
async fn reading_stops_as_soon_as_it_cannot_fit() {
    let long = vec![b'x'; 1000];
    let head = [b"HTTP/1.1 200 OK\r\nA: ", &long[..]].concat();
    let many: Vec<u8> = b"HTTP/1.1 200 OK\r\n".iter().chain(b"a: b\r\n".repeat(65).iter()).copied().collect();
    for pieces in [
        &[&b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"[..]][..],
        &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n", &long, &long],
        &[b"HTTP/1.1 200 OK\r\n\r\n", &long, &long],
        &[&head, b"\r\nB: ", &long, b"\r\n\r\n"],
        &[&[&many[..], b"\r\n"].concat()],
        // A head without end.
        &[&head, &long, &long],
    ] {
        let server = Server::saying(pieces, Then::Hang).await;
        assert_eq!(server.exchange(get(1500)).await, HttpOutcome::TooLarge);
    }
}

/// Shows D60.
#[tokio::test]
async fn sixty_four_headers_are_read() {
    let said = [b"HTTP/1.1 200 OK\r\n", &b"a: b\r\n".repeat(64)[..], b"\r\n"].concat();
    let server = Server::saying(&[&said], Then::Close).await;
    assert_eq!(answered(server.exchange(get(1500)).await).headers.len(), 64);
}

/// Shows D60.
#[tokio::test]
async fn a_connection_that_ends_before_the_response_does_is_a_failure() {
    for said in [
        &b""[..],
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        for then in [Then::Close, Then::Cut] {
            let server = Server::saying(&[said], then).await;
            let outcome = server.exchange(get(512)).await;
            assert_eq!(outcome, HttpOutcome::Failed(HttpError::Broken), "{}", String::from_utf8_lossy(said));
        }
    }
    // Without a length only the end of TLS says that the body is whole; anybody on the way could end TCP.
    let server = Server::saying(&[b"HTTP/1.1 200 OK\r\n\r\nhello"], Then::Cut).await;
    assert_eq!(server.exchange(get(512)).await, HttpOutcome::Failed(HttpError::Broken));
}

/// Shows D60.
#[tokio::test]
async fn what_is_not_http_is_a_failure() {
    for said in [
        &b"220 mail.example ESMTP\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    ] {
        let server = Server::saying(&[said], Then::Hang).await;
        let outcome = server.exchange(get(512)).await;
        let is_not_http = matches!(outcome, HttpOutcome::Failed(HttpError::NotHttp(_)));
        assert!(is_not_http, "{outcome:?} for {}", String::from_utf8_lossy(said));
    }
    let server =
        Server::saying(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"], Then::Hang).await;
    assert!(matches!(server.exchange(get(512)).await, HttpOutcome::Failed(_)));
}

/// Shows D60.
#[tokio::test]
async fn a_server_that_is_too_slow_runs_out_of_time_at_every_stage() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let mut server = Server::saying(&[], Then::Hang).await;
    let real = server.address;
    let halfway = Server::saying(&[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"], Then::Hang).await;
    for (address, expected) in [
        (real, [HttpError::TimedOut, HttpError::TimedOut]),
        (halfway.address, [HttpError::TimedOut, HttpError::TimedOut]),
        // In the handshake; which of the two clocks goes off first does not matter.
        (
            silent.local_addr().expect("bound"),
            [HttpError::TimedOut, HttpError::Connection(ConnectError::TlsTimedOut)],
        ),
    ] {
        server.address = address;
        if address == halfway.address {
            server.authority.clone_from(&halfway.authority);
        }
        let begun = Instant::now();
        // The relay lets no such time through; here it keeps the test short.
        let outcome =
            server.exchange(HttpRequest { timeout: sansio::Duration::from_millis(300), ..get(512) }).await;
        assert!(expected.map(HttpOutcome::Failed).contains(&outcome), "{outcome:?}");
        assert!(begun.elapsed() >= Duration::from_millis(300));
    }
}

/// Shows D60, D62.
#[tokio::test]
async fn each_cause_of_a_failed_connection_is_distinguished() {
    let server = Server::saying(&[], Then::Hang).await;
    let closed = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        listener.local_addr().expect("bound").port()
    };
    let refused = format!("https://127.0.0.1:{closed}/");
    let address = format!("https://127.0.0.1:{}/", server.address.port());
    for (url, expected) in [
        ("https://nowhere.invalid/", failed(ConnectError::NameNotResolved)),
        (&refused, failed(ConnectError::Refused)),
        ("https://169.254.169.254/latest", failed(ConnectError::NotAllowed)),
        ("https://0x0a000001/", failed(ConnectError::NotAllowed)),
        ("https://[fe80::1]/", failed(ConnectError::NotAllowed)),
        // The certificate names the host, not the address.
        (&address, failed(ConnectError::CertificateName { names: vec![HOST.to_owned()] })),
    ] {
        assert_eq!(server.exchange(asking("GET", url, 64)).await, expected, "{url}");
    }
}

/// Shows D60.
#[tokio::test]
async fn each_fault_of_a_certificate_is_distinguished() {
    let expired = Server::with(&[], Then::Hang, |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let expired = expired.await;
    assert_eq!(expired.exchange(get(64)).await, failed(ConnectError::CertificateExpired));
    let future = Server::with(&[], Then::Hang, |params| params.not_before = date_time_ymd(3000, 1, 1)).await;
    assert_eq!(future.exchange(get(64)).await, failed(ConnectError::CertificateNotYetValid));
    let mut unknown = Server::saying(&[], Then::Hang).await;
    unknown.authority = future.authority;
    assert_eq!(unknown.exchange(get(64)).await, failed(ConnectError::UnknownCa));
    let plain = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    unknown.address = plain.local_addr().expect("bound");
    tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.expect("a connection");
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    assert_eq!(unknown.exchange(get(64)).await, failed(ConnectError::NotTls));
}

#[tokio::test]
async fn a_url_that_cannot_be_used_reaches_no_network() {
    let mut server = Server::saying(&[], Then::Hang).await;
    for url in [
        "https:",
        "https://",
        "https://:443/",
        "https://a b/",
        "https://server.example:99999/",
        "https://[::1/",
        "https://name:password@server.example/",
        "https://name@server.example/",
    ] {
        let outcome = server.exchange(asking("GET", url, 64)).await;
        assert_eq!(outcome, HttpOutcome::Failed(HttpError::InvalidUrl), "{url}");
    }
    assert!(server.asked.try_recv().is_err());
}

#[tokio::test]
async fn a_large_body_goes_both_ways() {
    let body: Vec<u8> = (0..250_000u32).map(|number| b'a' + (number % 23) as u8).collect();
    let said = [b"HTTP/1.1 200 OK\r\nContent-Length: 250000\r\n\r\n", &body[..]].concat();
    let mut server = Server::saying(&[&said], Then::Hang).await;
    let request = HttpRequest { body: body.clone(), ..asking("PUT", "https://server.example/", 260_000) };
    assert_eq!(answered(server.exchange(request).await).body, body);
    assert!(server.request().await.as_bytes().ends_with(&body));
}

#[tokio::test]
async fn neither_finished_nor_cancelled_exchanges_leave_a_connection_behind() {
    let server = Server::saying(&[b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"], Then::Hang).await;
    let slow = Server::saying(&[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"], Then::Hang).await;
    let (connector, slow_connector) = (server.connector(), slow.connector());
    for _ in 0..300 {
        assert_eq!(answered(exchange(&connector, Owner::default(), get(64)).await).body, b"ok");
    }
    for _ in 0..50 {
        let cancelled =
            timeout(Duration::from_millis(5), exchange(&slow_connector, Owner::default(), get(64))).await;
        assert!(cancelled.is_err());
    }
    for open in [&server.open, &slow.open] {
        let deadline = Instant::now() + Duration::from_secs(20);
        while open.load(Ordering::SeqCst) > 0 {
            assert!(Instant::now() < deadline, "connections are left");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A few interim responses are skipped, as HTTP asks of clients; more of them, or an endless one, end the exchange at
/// once. Shows D182.
#[tokio::test]
async fn interim_responses_have_a_bound() {
    let ok: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let hints = |count: usize| b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(count);
    let few = Server::saying(&[&hints(INTERIM_RESPONSES), ok], Then::Close).await;
    assert_eq!(answered(few.exchange(get(64)).await).body, b"ok");
    let many = Server::saying(&[&hints(INTERIM_RESPONSES + 1), ok], Then::Hang).await;
    assert_eq!(many.exchange(get(64)).await, HttpOutcome::TooLarge);
    let endless = hints(1000);
    let endless = Server::saying(&vec![endless.as_slice(); 200], Then::Hang).await;
    assert_eq!(endless.exchange(get(64)).await, HttpOutcome::TooLarge);
}

/// What is neither a head nor a body has a bound too. Shows D182.
#[tokio::test]
async fn a_response_has_a_bound_on_the_wire_whatever_it_consists_of() {
    let head: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let zeros = [b'0'; 8192];
    let zeros = Server::saying(&[&[head][..], &vec![&zeros[..]; 200]].concat(), Then::Hang).await;
    assert!(matches!(
        zeros.exchange(get(64)).await,
        HttpOutcome::TooLarge | HttpOutcome::Failed(HttpError::NotHttp(_))
    ));
    // As many chunks of one byte as there is room for bytes are read.
    let chunks = b"1\r\nx\r\n".repeat(1000);
    let small = Server::saying(&[head, &chunks, b"0\r\n\r\n"], Then::Close).await;
    let room = 1000 + "transfer-encoding: chunked".len() as u32;
    assert_eq!(answered(small.exchange(get(room)).await).body, [b'x'; 1000]);
}

/// A header line that is odd, what the application gets of it, and what is named as left out.
type Odd = (&'static [u8], Option<(&'static str, &'static [u8])>, &'static [&'static str]);

/// Shows D194.
#[tokio::test]
async fn an_odd_header_line_costs_at_most_itself_and_is_named() {
    let odd: [Odd; 13] = [
        (b"X-Policy: one;\r\n two\r\n\tthree", Some(("x-policy", b"one; two three")), &[]),
        (b"X-Empty:\r\n  folded", Some(("x-empty", b"folded")), &[]),
        (b"Content-Type : text/plain", Some(("content-type", b"text/plain")), &[]),
        (b"Content-Type\t: text/plain", Some(("content-type", b"text/plain")), &[]),
        (b"X-Name: caf\xe9", Some(("x-name", b"caf\xe9")), &[]),
        (b"X-Tab: a\tb", Some(("x-tab", b"a\tb")), &[]),
        (b"X-None:", Some(("x-none", b"")), &[]),
        (b"X Forwarded By: proxy", None, &["X Forwarded By"]),
        (b"X-Name: a\x01b", None, &["X-Name"]),
        (b"X-Del: a\x7fb", None, &["X-Del"]),
        (b"X-(Name): a", None, &["X-(Name)"]),
        (b"preload", None, &["(a line without a colon)"]),
        (b": nameless", None, &["(no name)"]),
    ];
    for (line, expected, ignored) in odd {
        for end in ["\r\n", "\n"] {
            let line = String::from_utf8_lossy(line).replace("\r\n", end);
            let line =
                if line.contains('\u{fffd}') { b"X-Name: caf\xe9".to_vec() } else { line.into_bytes() };
            let end = end.as_bytes();
            let said =
                [b"HTTP/1.1 200 OK", end, b"X-A: 1", end, &line, end, b"Content-Length: 2", end, end, b"hi"];
            let server = Server::saying(&[&said.concat()], Then::Hang).await;
            let what = String::from_utf8_lossy(&line).into_owned();
            let outcome = server.exchange(get(512)).await;
            let HttpOutcome::Response(response) = outcome else { panic!("{outcome:?} for {what:?}") };
            assert_eq!(response.body, b"hi", "{what}");
            let mut headers = vec![("x-a".to_owned(), b"1".to_vec())];
            headers.extend(expected.map(|(name, value)| (name.to_owned(), value.to_vec())));
            headers.push(("content-length".to_owned(), b"2".to_vec()));
            assert_eq!(response.headers, headers, "{what}");
            assert_eq!(response.ignored, ignored, "{what}");
        }
    }
}

/// A NUL is refused by every parser; the timeline says where it is (D194).
#[tokio::test]
async fn a_head_that_cannot_be_read_names_the_header() {
    let server = Server::saying(&[b"HTTP/1.1 200 OK\r\nGood: 1\r\nX-Nul: a\0b\r\n\r\n"], Then::Hang).await;
    let outcome = server.exchange(get(512)).await;
    let HttpOutcome::Failed(HttpError::NotHttp(what)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(what, "invalid HTTP header parsed, at X-Nul");
}

/// Shows D194.
#[tokio::test]
async fn what_other_clients_take_is_taken() {
    let heads: [&[u8]; 6] = [
        b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 Non trouv\xe9\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\nTransfer-Encoding: Chunked\r\n\r\n2  \r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nX Odd: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\n folded from nothing\r\nContent-Length: 2\r\n\r\nhi",
    ];
    for said in heads {
        let server = Server::saying(&[said], Then::Hang).await;
        let response = answered(server.exchange(get(512)).await);
        assert_eq!(
            (response.status, response.body),
            (200, b"hi".to_vec()),
            "{}",
            String::from_utf8_lossy(said)
        );
    }
}

/// Shows D195.
#[tokio::test]
async fn a_request_names_its_sender_once() {
    let mut server = Server::saying(&[b"HTTP/1.1 204 No Content\r\n\r\n"], Then::Hang).await;
    let mut request = get(64);
    request.headers = vec![("user-agent".into(), b"thermometer/2".to_vec())];
    answered(server.exchange(request).await);
    let asked = server.request().await;
    assert!(asked.contains("User-Agent: thermometer/2\r\n") && !asked.contains("openvisor"), "{asked}");
}
