//! Broker cases, each on a connection of its own to one broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use demo_broker::{Broker, Event};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cases::{Case, Step};
use crate::packet;
use crate::table::Outcome;

/// How long the broker may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
const PINGREQ: [u8; 2] = [0xc0, 0];
const PINGRESP: [u8; 2] = [0xd0, 0];
/// Cases between two lines of progress.
const PROGRESS: usize = 200;

/// Runs all cases one after the other: some rely on what an earlier one left.
pub(crate) async fn run(cases: &[Case]) -> Result<Vec<Outcome>, String> {
    let faults = Arc::new(AtomicUsize::new(0));
    let counted = faults.clone();
    let watch = Arc::new(move |event| {
        if matches!(event, Event::Refused { why } if why.contains("fault in the broker")) {
            counted.fetch_add(1, SeqCst);
        }
    });
    let broker = Broker::start(watch).await.map_err(|error| format!("cannot start the broker: {error}"))?;
    let mut outcomes = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        if index % PROGRESS == 0 {
            eprintln!("broker cases: {index} of {}", cases.len());
        }
        let before = faults.load(SeqCst);
        let ended = run_case(&broker, case).await;
        let difference =
            if faults.load(SeqCst) > before { Some("the broker failed".into()) } else { ended.err() };
        outcomes.push(Outcome { case: case.name.clone(), difference });
    }
    Ok(outcomes)
}

async fn run_case(broker: &Broker, case: &Case) -> Result<(), String> {
    let mut client = Client::open(broker).await?;
    if case.connect {
        client.connect(&case.name, case.version).await?;
    }
    for step in &case.steps {
        match step {
            Step::Send(bytes) => client.send(bytes).await,
            Step::Receive(expected) => client.expect(expected).await?,
            Step::Publish { topic, payload, qos, retain } => {
                Client::publish_once(broker, topic, payload, *qos, *retain).await?;
            }
        }
    }
    client.check_end(case.expect_disconnect).await
}

struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
    /// Packets that arrived before the step that expects them.
    early: Vec<Vec<u8>>,
}

impl Client {
    async fn open(broker: &Broker) -> Result<Self, String> {
        let stream = TcpStream::connect(broker.address()).await.map_err(|error| error.to_string())?;
        Ok(Self { stream, unread: Vec::new(), early: Vec::new() })
    }

    /// An error is seen when an answer is missing; some cases send more than the broker reads.
    async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    async fn connect(&mut self, id: &str, version: u8) -> Result<(), String> {
        let mut body = if version == 3 { b"\x00\x06MQIsdp".to_vec() } else { b"\x00\x04MQTT".to_vec() };
        body.extend([version, 0x02, 0, 60]);
        if version == 5 {
            body.extend([3, 0x21, 0, 20]);
        }
        append_text(&mut body, id);
        self.send(&with_header(0x10, &body)).await;
        let answer = self.packet().await?;
        let is_accepted = answer.first() == Some(&0x20) && answer.get(3) == Some(&0);
        if is_accepted { Ok(()) } else { Err(format!("CONNECT answered with {answer:02x?}")) }
    }

    /// A client of its own that publishes one message.
    async fn publish_once(
        broker: &Broker,
        topic: &str,
        payload: &str,
        qos: u8,
        retain: bool,
    ) -> Result<(), String> {
        let mut client = Self::open(broker).await?;
        client.connect("helper", 4).await?;
        let mut body = Vec::new();
        append_text(&mut body, topic);
        if qos > 0 {
            body.extend([0, 1]);
        }
        body.extend_from_slice(payload.as_bytes());
        client.send(&with_header(0x30 | qos << 1 | u8::from(retain), &body)).await;
        match qos {
            0 => client.check_end(false).await,
            1 => client.expect(&[0x40, 2, 0, 1]).await,
            _ => {
                client.expect(&[0x50, 2, 0, 1]).await?;
                client.send(&[0x62, 2, 0, 1]).await;
                client.expect(&[0x70, 2, 0, 1]).await
            }
        }
    }

    /// Waits for a packet that says what is expected. MQTT sets no order between a message and the acknowledgement of
    /// another, so a packet of another type is put aside until a later step expects it.
    async fn expect(&mut self, expected: &[u8]) -> Result<(), String> {
        if let Some(index) = self.early.iter().position(|packet| packet::agree(expected, packet)) {
            self.early.remove(index);
            return Ok(());
        }
        loop {
            let got = self.packet().await?;
            if packet::agree(expected, &got) {
                return Ok(());
            }
            if expected[0] >> 4 == got[0] >> 4 {
                return Err(format!("expected {expected:02x?}, got {got:02x?}"));
            }
            self.early.push(got);
        }
    }

    /// The next packet; an error if the broker closes or nothing comes.
    async fn packet(&mut self) -> Result<Vec<u8>, String> {
        loop {
            if let Some(packet) = packet::first(&self.unread) {
                let packet = packet.to_vec();
                self.unread.drain(..packet.len());
                return Ok(packet);
            }
            let mut buffer = [0; 4096];
            match timeout(PATIENCE, self.stream.read(&mut buffer)).await {
                Err(_) => return Err(format!("no answer; before it {:02x?}", self.early)),
                Ok(Ok(0) | Err(_)) => return Err(CLOSED.into()),
                Ok(Ok(length)) => self.unread.extend_from_slice(&buffer[..length]),
            }
        }
    }

    /// Whether the connection is at its end, or still answers a ping, as expected.
    async fn check_end(&mut self, expect_disconnect: bool) -> Result<(), String> {
        self.send(&PINGREQ).await;
        if let (Some(packet), false) = (self.early.first(), expect_disconnect) {
            return Err(format!("unexpected {packet:02x?}"));
        }
        loop {
            match self.packet().await {
                Ok(packet) if packet == PINGRESP && expect_disconnect => return Err("still connected".into()),
                Ok(packet) if packet == PINGRESP => return Ok(()),
                // A version 5 broker says why before it closes.
                Ok(_) if expect_disconnect => {}
                Ok(packet) => return Err(format!("unexpected {packet:02x?}")),
                Err(error) if error == CLOSED && expect_disconnect => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

const CLOSED: &str = "the broker closed the connection";

fn with_header(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    while length > 127 {
        packet.push(length as u8 | 0x80);
        length >>= 7;
    }
    packet.push(length as u8);
    packet.extend_from_slice(body);
    packet
}

fn append_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}
