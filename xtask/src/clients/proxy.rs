//! A proxy that joins the original's host name to a cloud on this machine, and refuses every other host.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

/// What clients ask the proxy for.
const HOST: &str = "microvisor.twilio.com:443";
/// Bytes of a request's head.
const HEAD_BYTES: u64 = 16 * 1024;

/// The proxy; it lives as long as the process.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
}

impl Proxy {
    /// Starts a proxy on a free port of this machine that joins [`HOST`] to `cloud`.
    pub(super) fn start(cloud: SocketAddr) -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client that ends early has its own error to report.
                thread::spawn(move || join(&client, cloud));
            }
        });
        Ok(Self { address })
    }
}

/// Answers the request of one connection.
fn join(client: &TcpStream, cloud: SocketAddr) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let request = read_head(&mut reader)?;
    let mut words = request.split(' ');
    if (words.next(), words.next()) != (Some("CONNECT"), Some(HOST)) {
        return (&*client)
            .write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let server = TcpStream::connect(cloud)?;
    (&*client).write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (mut to_client, mut from_server) = (client.try_clone()?, server.try_clone()?);
    let back = thread::spawn(move || {
        let _ = std::io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut reader, &mut &server);
    let _ = server.shutdown(Shutdown::Write);
    let _ = back.join();
    Ok(())
}

/// Reads to the empty line; the first line is the request.
fn read_head(reader: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut head = reader.by_ref().take(HEAD_BYTES);
    let mut request = String::new();
    head.read_line(&mut request)?;
    let mut line = String::from("-");
    while !line.trim().is_empty() {
        line.clear();
        head.read_line(&mut line)?;
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(request: &str) -> String {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::start(server.local_addr().unwrap()).unwrap();
        let mut client = TcpStream::connect(proxy.address).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(client).read_line(&mut line).unwrap();
        line
    }

    #[test]
    fn every_other_host_and_method_is_refused() {
        assert!(answer(&format!("CONNECT {HOST} HTTP/1.1\r\nHost: x\r\n\r\n")).contains("200"));
        for request in ["CONNECT registry.example:443", "GET http://microvisor.twilio.com/", "CONNECT"] {
            assert!(answer(&format!("{request} HTTP/1.1\r\n\r\n")).contains("403"), "{request}");
        }
    }
}
