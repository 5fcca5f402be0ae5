//! A blocking MQTT client over TCP: it connects, subscribes, publishes, and prints the message that comes back.
//!
//! ```sh
//! cargo run -p mqtt --example client -- 127.0.0.1:1883
//! ```

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mqtt::{Client, ConnectOptions, Event, Filter, Input, Limits, Version, reason};

const TOPIC: &[u8] = b"room/temperature";

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("usage: client ADDRESS:PORT")?;
    let message = run(TcpStream::connect(address)?)?;
    println!("received {} bytes: {}", message.len(), String::from_utf8_lossy(&message));
    Ok(())
}

/// Subscribes to a topic, publishes to it, and returns the payload of the message received.
pub(crate) fn run(stream: TcpStream) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut connection = Connection::new(stream)?;
    loop {
        let event = connection.next_event()?;
        let client = &mut connection.client;
        match event {
            Event::Connected { .. } => {
                let filter = Filter {
                    topic: TOPIC,
                    qos: 1,
                    no_local: false,
                    retain_as_published: false,
                    retain_handling: 0,
                };
                client.subscribe(1, &[filter])?;
            }
            // The token says which request it is the outcome of.
            Event::Subscribed { token: 1, .. } => client.publish(2, TOPIC, b"21.5", 1, false)?,
            Event::Published { token: 2, reason_code } => println!("published, reason code {reason_code}"),
            Event::Message(message) => {
                if let Some(delivery) = message.delivery {
                    client.acknowledge(delivery)?;
                }
                client.disconnect(reason::SUCCESS);
                connection.write()?;
                return Ok(message.payload);
            }
            other => return Err(format!("unexpected: {other:?}").into()),
        }
    }
}

/// The client and what drives it: a socket and a clock.
struct Connection {
    stream: TcpStream,
    client: Client,
    started: Instant,
    /// Bytes from the broker that the client has not taken yet.
    unread: Vec<u8>,
}

impl Connection {
    fn new(stream: TcpStream) -> Result<Self, Box<dyn Error>> {
        let options = ConnectOptions { keep_alive: 30, ..ConnectOptions::new(Version::V5, b"example") };
        let client = Client::new(&options, Limits::default(), sansio::Instant::ZERO)?;
        Ok(Self { stream, client, started: Instant::now(), unread: Vec::new() })
    }

    /// The loop of every driver: poll, send, wait for bytes or the next timeout, and pass in what happened.
    fn next_event(&mut self) -> Result<Event, Box<dyn Error>> {
        loop {
            if let Some(event) = self.client.poll(self.now()) {
                return Ok(event);
            }
            self.write()?;
            self.read()?;
            let now = self.now();
            let mut rest = &self.unread[..];
            self.client.handle(now, Input::Received(&mut rest))?;
            self.unread = rest.to_vec();
            // A timeout that comes early is harmless.
            self.client.handle(now, Input::Timeout)?;
        }
    }

    fn write(&mut self) -> Result<(), Box<dyn Error>> {
        let mut bytes = Vec::new();
        self.client.transmit(&mut bytes);
        self.stream.write_all(&bytes)?;
        self.client.handle(self.now(), Input::Transmitted(bytes.len()))?;
        Ok(())
    }

    /// Reads what has arrived, until the next timeout at most.
    fn read(&mut self) -> Result<(), Box<dyn Error>> {
        let due = self.client.next_timeout().unwrap_or(sansio::Instant::MAX);
        // A read timeout of zero means none at all.
        let patience = Duration::from(due.duration_since(self.now())).max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(patience))?;
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err("the broker closed the connection".into()),
            Ok(count) => {
                self.unread.extend_from_slice(&buffer[..count]);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The time since the start: the client's clock has any epoch its driver chooses.
    fn now(&self) -> sansio::Instant {
        sansio::Instant::ZERO + self.started.elapsed().into()
    }
}
