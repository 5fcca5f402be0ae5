//! How many log lines per second the cloud accepts. A line counts when the cloud has acknowledged it, which it does
//! once the line is on disk.
//!
//! For comparison: the same lines written directly to the store in the same batches, and how many syncs per second the
//! disk does.

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

use crate::scale::Scale;
use crate::statistics::median;
use crate::table::{Column, Section};
use crate::target::{Bound, Target};
use crate::{Error, test_cloud};

/// The target in lines per second.
const TARGET_RATE: f64 = 30_000.0;
/// Number of devices.
const DEVICES: usize = 32;
/// Most unacknowledged lines of a device: as many as the kernel buffers, so that no device could have more (D84).
const WINDOW: u32 = 128;
/// Bytes of a line.
const TEXT: usize = 64;
/// Lines per batch without a cloud.
const BATCH: u32 = 1024;
/// Pause before counting.
const SETTLE: Duration = Duration::from_millis(500);
/// Written before each sync.
const PAGE: [u8; 4096] = [7; 4096];

/// Measures SQLite, and PostgreSQL if the machine has it.
pub(crate) fn measure(scale: &Scale) -> Result<(Section, Target), Error> {
    let title = format!(
        "Log lines of {TEXT} bytes on the disk a second: {DEVICES} devices, {WINDOW} lines on the way each, {} rounds of {} s, the median",
        scale.rounds, scale.log_seconds
    );
    let mut section = Section::new(title, &[Column::new("lines/s", 0)]);
    let server = Server::start(Durability::Disk)?;
    let mut with_sqlite = f64::NAN;
    for (name, server) in [("SQLite, synchronous=FULL", None), ("PostgreSQL, fsync=on", Some(&server))] {
        let through = rounds(server, scale, through_cloud)?;
        let direct = rounds(server, scale, direct_to_store)?;
        if server.is_none() {
            with_sqlite = through;
        }
        let (above, below) = (format!("{name}, from devices"), format!("{name}, direct into the store"));
        section.row(above.clone(), &[Some(through)]);
        section.row(below.clone(), &[Some(direct)]);
        section.quotient(&above, &below);
    }
    section.row("waits for this disk (4 KiB written, fdatasync)", &[Some(syncs(scale)?)]);
    let target = Target::new("durable log lines a second, SQLite", with_sqlite, Bound::AtLeast(TARGET_RATE));
    Ok((section, target))
}

/// The median of the rounds.
fn rounds(
    server: Option<&Server>,
    scale: &Scale,
    round: fn(&mut LogCloud, Duration) -> Result<f64, Error>,
) -> Result<f64, Error> {
    let mut place = LogCloud::make(server)?;
    let time = Duration::from_secs(scale.log_seconds);
    let rates: Result<Vec<f64>, Error> = (0..scale.rounds).map(|_| round(&mut place, time)).collect();
    Ok(median(&rates?).ok_or("no rounds")?)
}

/// A cloud with its devices.
struct LogCloud {
    runtime: Runtime,
    cloud: Option<Cloud>,
    devices: Vec<Identity>,
    /// Rounds so far, which number the devices' boots.
    boot: u32,
    _folder: tempfile::TempDir,
    _database: Option<Database>,
}

impl LogCloud {
    fn make(server: Option<&Server>) -> Result<Self, Error> {
        let (folder, runtime) = (tempfile::tempdir()?, Runtime::new()?);
        let database = server.map(Server::database);
        let mut config =
            Config::local(folder.path().join("cloud"), SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        test_cloud::remove_rate_limits(&mut config);
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

impl Drop for LogCloud {
    fn drop(&mut self) {
        if let Some(cloud) = self.cloud.take() {
            self.runtime.block_on(cloud.stop());
        }
    }
}

/// Acknowledged lines per second.
fn through_cloud(place: &mut LogCloud, time: Duration) -> Result<f64, Error> {
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

/// Checks that all acknowledged lines are stored, without which the figure is meaningless, before any is old enough to
/// be deleted.
fn check(place: &LogCloud, boot: u32, taken: u64) -> Result<(), Error> {
    let mut found = 0;
    for device in &place.devices {
        let lines = place.runtime.block_on(place.cloud().store().logs(device.device_id, u32::MAX >> 1))?;
        found += lines.iter().filter(|line| line.boot == boot).count() as u64;
    }
    if found >= taken { Ok(()) } else { Err(format!("{taken} lines acknowledged, {found} there").into()) }
}

/// Lines per second that one task writes to the store, in batches.
fn direct_to_store(place: &mut LogCloud, time: Duration) -> Result<f64, Error> {
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

/// Syncs per second of the disk that the other measurements use.
fn syncs(scale: &Scale) -> Result<f64, Error> {
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
    fn connect(identity: &Identity, address: SocketAddr, boot: u32) -> Result<Self, Error> {
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

    /// Logs as fast as possible and counts acknowledged lines in `taken`, until `over` is set and everything is
    /// acknowledged.
    fn work(&mut self, taken: &AtomicU64, over: &AtomicBool) -> Result<(), Error> {
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

    fn transmit(&mut self) -> Result<(), Error> {
        let mut buffer = [0; 512];
        loop {
            let count = self.link.transmit(self.now(), &mut buffer);
            if count == 0 {
                return Ok(self.stream.flush()?);
            }
            self.stream.write_all(&buffer[..count])?;
        }
    }

    fn receive(&mut self) -> Result<(), Error> {
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

fn tls(identity: &Identity) -> Result<Arc<ClientConfig>, Error> {
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
