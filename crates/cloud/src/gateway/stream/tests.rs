use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::*;
use crate::authority::Authority;
use crate::connector::provider;
use crate::gateway::{ALPN, tls_config};
use crate::id::DeviceId;

/// Reached only by a failing test.
const PATIENCE: Duration = Duration::from_secs(20);

/// Both ends' TLS, and a socket between them.
async fn ends() -> (TcpStream, Arc<ClientConfig>, TcpStream, Arc<ServerConfig>) {
    let authority = Authority::generate();
    let server = tls_config(&authority, &["localhost".to_owned()]).expect("a host name");
    let identity = authority.issue_device(DeviceId::random());
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("a key");
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone()).expect("a certificate");
    let mut client = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("a version")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)
        .expect("they belong together");
    client.alpn_protocols = vec![ALPN.to_vec()];
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let near = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("open");
    let (far, _) = listener.accept().await.expect("accepted");
    (near, Arc::new(client), far, Arc::new(server))
}

fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a name")
}

async fn connected() -> (TlsStream<TcpStream>, DeviceStream) {
    let (near, client, far, server) = ends().await;
    let (client, server) =
        tokio::join!(TlsConnector::from(client).connect(name(), near), DeviceStream::accept(far, server));
    (client.expect("let in"), server.expect("shaken"))
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("in time")
}

/// Bytes that differ from their neighbours.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}

fn owned(stream: &DeviceStream) -> usize {
    stream.incoming.capacity() + stream.opened.bytes.capacity() + stream.outgoing.bytes.capacity()
}

#[tokio::test]
async fn much_passes_both_ways_at_once_and_at_rest_nothing_is_kept() {
    let (client, mut server) = connected().await;
    let sent = pattern(3_000_000);
    let expected = sent.clone();
    let (mut from_server, mut to_server) = split(client);
    let writing = tokio::spawn(async move {
        to_server.write_all(&sent).await.expect("taken");
        to_server.flush().await.expect("taken");
        to_server
    });
    let mut echoed = vec![0; expected.len()];
    let reading = tokio::spawn(async move {
        from_server.read_exact(&mut echoed).await.expect("all of it");
        (echoed, from_server)
    });
    let (mut buffer, mut passed) = (vec![0; READ_CHUNK], 0);
    while passed < expected.len() {
        let count = in_time(server.read(&mut buffer)).await.expect("read");
        in_time(server.write_all(&buffer[..count])).await.expect("taken");
        passed += count;
    }
    in_time(server.flush()).await.expect("taken");
    let (echoed, _from_server) = in_time(reading).await.expect("no panic");
    assert!(echoed == expected, "the same bytes in the same order");
    let _to_server = in_time(writing).await.expect("no panic");
    assert!(owned(&server) <= 3 * KEPT_CAPACITY, "{} bytes", owned(&server));
}

#[tokio::test]
async fn records_may_come_in_any_pieces() {
    let (mut near, client, far, server) = ends().await;
    near.set_nodelay(true).expect("an option");
    let accepting = tokio::spawn(DeviceStream::accept(far, server));
    let mut client = ClientConnection::new(client, name()).expect("a session");
    let mut buffer = [0; 4096];
    while client.is_handshaking() {
        drip(&mut client, &mut near).await;
        if client.is_handshaking() {
            let count = in_time(near.read(&mut buffer)).await.expect("read");
            client.read_tls(&mut &buffer[..count]).expect("room");
            client.process_new_packets().expect("well formed");
        }
    }
    drip(&mut client, &mut near).await;
    let mut server = in_time(accepting).await.expect("no panic").expect("shaken");
    std::io::Write::write_all(&mut client.writer(), b"in pieces").expect("room");
    let reading = tokio::spawn(async move {
        let mut read = [0; 9];
        server.read_exact(&mut read).await.map(|_| read)
    });
    drip(&mut client, &mut near).await;
    assert_eq!(&in_time(reading).await.expect("no panic").expect("read"), b"in pieces");
}

/// Sends what the client has, a few bytes at a time, each on its own.
async fn drip(client: &mut ClientConnection, near: &mut TcpStream) {
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).expect("memory");
    }
    for piece in bytes.chunks(7) {
        near.write_all(piece).await.expect("taken");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_farewell_is_an_end_and_a_cut_is_an_error() {
    let (mut client, mut server) = connected().await;
    client.write_all(b"bye").await.expect("taken");
    client.shutdown().await.expect("taken");
    let mut all = Vec::new();
    in_time(server.read_to_end(&mut all)).await.expect("a clean end");
    assert_eq!(all, b"bye");

    let (client, mut server) = connected().await;
    drop(client.into_inner().0);
    assert!(in_time(server.read(&mut [0; 9])).await.is_err());
}

#[tokio::test]
async fn closing_sends_what_is_queued_and_the_peer_sees_a_clean_end() {
    let (mut client, mut server) = connected().await;
    server.write_all(b"the rest").await.expect("taken");
    in_time(server.shutdown()).await.expect("taken");
    assert!(server.write_all(b"more").await.is_err(), "nothing is said after it");
    client.write_all(b"of no interest any more").await.expect("taken");
    let mut all = Vec::new();
    in_time(client.read_to_end(&mut all)).await.expect("a clean end");
    assert_eq!(all, b"the rest");
    drop(client);
    assert_eq!(in_time(server.read(&mut [0; 9])).await.expect("the end"), 0);
}

#[tokio::test]
async fn bytes_that_are_not_encrypted_end_the_connection_with_an_alert() {
    let (client, mut server) = connected().await;
    let (mut tcp, mut session) = client.into_inner();
    let forged = [&[0x17, 3, 3, 0, 32][..], &[0; 32]].concat();
    tcp.write_all(&forged).await.expect("taken");
    let refused = in_time(server.read(&mut [0; 9])).await.expect_err("refused");
    assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    assert!(server.write_all(b"x").await.is_err(), "for good");
    drop(server);
    let mut answer = Vec::new();
    let _ = in_time(tcp.read_to_end(&mut answer)).await;
    let mut answer = answer.as_slice();
    let mut heard = Ok(());
    while heard.is_ok() && session.read_tls(&mut answer).expect("room") > 0 {
        heard = session.process_new_packets().map(|_| ());
    }
    assert!(format!("{heard:?}").contains("AlertReceived(BadRecordMac)"), "{heard:?}");
}

#[tokio::test]
async fn a_client_that_speaks_no_tls_is_refused() {
    let (mut near, _, far, server) = ends().await;
    near.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("taken");
    assert!(in_time(DeviceStream::accept(far, server)).await.is_err());
}
