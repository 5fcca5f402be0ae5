//! How many log lines a second the cloud takes: devices send them, and a line counts when the cloud has acknowledged it, which it
//! does when the line is on the disk.
//!
//! Beside it: the same lines given straight to the store in the same batches, and how often this disk can be waited for.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cloud::clock::wall_millis;
use cloud::store::{LogLine, Store};
use cloud::{Cloud, Config, Identity};
use link::connection::{Hello, LogHead};
use link::device::{DeviceLink, Event, Input, LOG_FRAME};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use test_postgres::{Database, Durability, Server};
use tokio::runtime::Runtime;

use crate::Failure;
use crate::latency::median;
use crate::scale::Scale;
use crate::site;
use crate::table::{Column, Section};
use crate::target::{Bound, Target};

/// What was promised.
const WANTED: f64 = 30_000.0;
/// Devices that log at once.
const DEVICES: usize = 32;
/// Lines a device has on the way at most: as many as the kernel keeps (D84).
const WINDOW: u32 = 128;
/// Bytes of a line.
const TEXT: usize = 64;
/// Lines given to the store at a time where no cloud is in between.
const BATCH: u32 = 1024;
/// Before anything is counted.
const SETTLE: Duration = Duration::from_millis(500);
/// What one wait for the disk is measured with.
const PAGE: [u8; 4096] = [7; 4096];

/// Measures SQLite, and PostgreSQL as the machine has it.
pub(crate) fn measure(scale: &Scale) -> Result<(Section, Target), Failure> {
    let title = format!(
        "Log lines of {TEXT} bytes on the disk a second: {DEVICES} devices, {WINDOW} lines on the way each, {} rounds of {} s, the median",
        scale.rounds, scale.log_seconds
    );
    let mut section = Section::new(title, &[Column::new("lines/s", 0)]);
    let server = Server::start(Durability::Disk)?;
    let mut with_sqlite = f64::NAN;
    for (name, server) in [("SQLite, synchronous=FULL", None), ("PostgreSQL, fsync=on", Some(&server))] {
        let through = rounds(server, scale, through_cloud)?;
        let straight = rounds(server, scale, straight)?;
        if server.is_none() {
            with_sqlite = through;
        }
        let (above, below) = (format!("{name}, from devices"), format!("{name}, straight into the store"));
        section.row(above.clone(), &[Some(through)]);
        section.row(below.clone(), &[Some(straight)]);
        section.quotient(&above, &below);
    }
    section.row("waits for this disk (4 KiB written, fdatasync)", &[Some(waits(scale)?)]);
    let target = Target::new("durable log lines a second, SQLite", with_sqlite, Bound::AtLeast(WANTED));
    Ok((section, target))
}

/// The median of the rounds.
fn rounds(
    server: Option<&Server>,
    scale: &Scale,
    round: fn(&mut Place, Duration) -> Result<f64, Failure>,
) -> Result<f64, Failure> {
    let mut place = Place::make(server)?;
    let time = Duration::from_secs(scale.log_seconds);
    let rates: Result<Vec<f64>, Failure> = (0..scale.rounds).map(|_| round(&mut place, time)).collect();
    Ok(median(&rates?).ok_or("no rounds")?)
}

/// A cloud with its devices.
struct Place {
    runtime: Runtime,
    cloud: Option<Cloud>,
    devices: Vec<Identity>,
    /// Rounds so far: the number of the devices' start.
    boot: u32,
    _folder: tempfile::TempDir,
    _database: Option<Database>,
}

impl Place {
    fn make(server: Option<&Server>) -> Result<Self, Failure> {
        let (folder, runtime) = (tempfile::tempdir()?, Runtime::new()?);
        let database = server.map(Server::database);
        let mut config =
            Config::local(folder.path().join("cloud"), SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        site::unmetered(&mut config);
        config.store = database.as_ref().map(|database| database.url().parse()).transpose()?;
        let cloud = runtime.block_on(Cloud::start(config))?;
        let devices: Result<Vec<_>, _> =
            (0..DEVICES).map(|_| runtime.block_on(cloud.provision(None))).collect();
        Ok(Self {
            runtime,
            cloud: Some(cloud),
            devices: devices?,
            boot: 0,
            _folder: folder,
            _database: database,
        })
    }

    fn cloud(&self) -> &Cloud {
        self.cloud.as_ref().expect("it is there until this is dropped")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(cloud) = self.cloud.take() {
            self.runtime.block_on(cloud.stop());
        }
    }
}

/// Lines a second that devices had acknowledged.
fn through_cloud(place: &mut Place, time: Duration) -> Result<f64, Failure> {
    place.boot += 1;
    let (boot, address) = (place.boot, place.cloud().address());
    let (taken, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let rate = std::thread::scope(|scope| {
        let (taken, over) = (&taken, &over);
        let devices: Vec<_> = place
            .devices
            .iter()
            .map(|device| scope.spawn(move || Logger::connect(device, address, boot)?.work(taken, over)))
            .collect();
        // Until the last has connected and all are at full speed.
        std::thread::sleep(SETTLE);
        let (start, before) = (Instant::now(), taken.load(Ordering::Relaxed));
        std::thread::sleep(time);
        let count = taken.load(Ordering::Relaxed) - before;
        let rate = count as f64 / start.elapsed().as_secs_f64();
        over.store(true, Ordering::Relaxed);
        devices.into_iter().try_for_each(|device| device.join().expect("no panic")).map(|()| rate)
    })?;
    check(place, boot, taken.into_inner())?;
    Ok(rate)
}

/// Whatever was acknowledged must be there, or the figure is worth nothing. Looked at before anything is old enough to go.
fn check(place: &Place, boot: u32, taken: u64) -> Result<(), Failure> {
    let mut found = 0;
    for device in &place.devices {
        let lines = place.runtime.block_on(place.cloud().store().logs(device.device_id, u32::MAX >> 1))?;
        found += lines.iter().filter(|line| line.boot == boot).count() as u64;
    }
    if found >= taken { Ok(()) } else { Err(format!("{taken} lines acknowledged, {found} there").into()) }
}

/// Lines a second that one task gives to the store, a batch at a time.
fn straight(place: &mut Place, time: Duration) -> Result<f64, Failure> {
    place.boot += 1;
    let (store, start): (&Store, _) = (place.cloud().store(), Instant::now());
    let mut sequence = 0;
    while start.elapsed() < time {
        let line = |at: u32| LogLine {
            device: place.devices[at as usize % DEVICES].device_id,
            boot: place.boot,
            sequence: at,
            clock: u64::from(at),
            received: wall_millis(),
            text: vec![b'x'; TEXT],
        };
        let batch: Vec<_> = (sequence..sequence + BATCH).map(line).collect();
        place.runtime.block_on(store.add_logs(&batch))?;
        sequence += BATCH;
    }
    Ok(f64::from(sequence) / start.elapsed().as_secs_f64())
}

/// How often a second something can be made sure on the disk that everything else here is on.
fn waits(scale: &Scale) -> Result<f64, Failure> {
    let folder = tempfile::tempdir()?;
    let mut file = File::create(folder.path().join("file"))?;
    let (start, mut count) = (Instant::now(), 0_u32);
    while start.elapsed() < Duration::from_secs(scale.log_seconds) {
        file.write_all(&PAGE)?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

/// A device that only logs.
struct Logger {
    stream: StreamOwned<ClientConnection, TcpStream>,
    link: DeviceLink,
    start: Instant,
    sent: u32,
    taken: u32,
}

impl Logger {
    fn connect(identity: &Identity, address: SocketAddr, boot: u32) -> Result<Self, Failure> {
        let tcp = TcpStream::connect(address)?;
        tcp.set_nodelay(true)?;
        let tls = ClientConnection::new(tls(identity)?, ServerName::try_from("localhost")?)?;
        let mut link = DeviceLink::new();
        let hello = Hello {
            version: link::limits::VERSION,
            boot,
            wake_reason: 0,
            clock: sansio::Instant::ZERO,
            image: [3; 32],
        };
        let _ = link.handle(sansio::Instant::ZERO, &mut Input::Connected(&hello));
        let stream = StreamOwned::new(tls, tcp);
        let mut logger = Self { stream, link, start: Instant::now(), sent: 0, taken: 0 };
        while !logger.link.is_open() {
            logger.transmit()?;
            logger.receive()?;
        }
        Ok(logger)
    }

    /// Logs as fast as it may, counting what is acknowledged in `taken`, until it is `over` and everything is acknowledged.
    fn work(&mut self, taken: &AtomicU64, over: &AtomicBool) -> Result<(), Failure> {
        let text = [b'x'; TEXT];
        let mut lines = Vec::new();
        while !(over.load(Ordering::Relaxed) && self.taken == self.sent) {
            lines.clear();
            while !over.load(Ordering::Relaxed) && self.sent < self.taken + WINDOW {
                self.sent += 1;
                let head =
                    LogHead { sequence: self.sent, clock: sansio::Instant::from_micros(self.sent.into()) };
                let (now, mut frame) = (self.now(), [0; LOG_FRAME]);
                let length =
                    self.link.log_frame(now, &head, TEXT, &mut frame).ok_or("the link is not open")?;
                lines.extend_from_slice(&frame[..length]);
                lines.extend_from_slice(&text);
            }
            self.stream.write_all(&lines)?;
            self.transmit()?;
            let before = self.taken;
            self.receive()?;
            taken.fetch_add(u64::from(self.taken - before), Ordering::Relaxed);
        }
        Ok(())
    }

    fn transmit(&mut self) -> Result<(), Failure> {
        let mut buffer = [0; 512];
        loop {
            let count = self.link.transmit(self.now(), &mut buffer);
            if count == 0 {
                return Ok(self.stream.flush()?);
            }
            self.stream.write_all(&buffer[..count])?;
        }
    }

    fn receive(&mut self) -> Result<(), Failure> {
        let mut buffer = [0; 4096];
        let count = self.stream.read(&mut buffer)?;
        if count == 0 {
            return Err("the cloud ended the connection".into());
        }
        let (now, mut input) = (self.now(), Input::Received(&buffer[..count]));
        while let Some(event) = self.link.handle(now, &mut input)? {
            if let Event::LogTaken { sequence } = event {
                self.taken = self.taken.max(sequence);
            }
        }
        Ok(())
    }

    fn now(&self) -> sansio::Instant {
        sansio::Instant::ZERO + self.start.elapsed().into()
    }
}

fn tls(identity: &Identity) -> Result<Arc<ClientConfig>, Failure> {
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes());
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&identity.authority)?)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate(&identity.certificate)?], key)?;
    config.alpn_protocols = vec![cloud::ALPN.to_vec()];
    Ok(Arc::new(config))
}
