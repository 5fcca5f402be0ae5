//! A device connected to the real cloud: the kernel on its test port, over TLS.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use abi::Status;
use abi::channel::ChannelType;
use abi::mqtt::{MqttConnectRequest, MqttReadableDataType, MqttRequestState};
use abi::network::NetworkStatus;
use abi::notifications::EventType;
use cloud::events::{Event, EventKind};
use cloud::{Cloud, Config, Identity};
use kernel::{Boot, LinkInput, LinkLoss};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::broadcast;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConnection, StreamOwned};

use crate::support::{MAX_WAIT, config, tls};
use kernel_testport::mqtt::READABLE;
use kernel_testport::{AppSetup, LINE, TestCentre, TestDevice, Wire, boot};

/// Longest wait for bytes before the time is checked again.
const READ_TIMEOUT: Duration = Duration::from_millis(2);

/// `NETWORKSTATUSCHANGED` of a network with tag 1.
pub(crate) const CHANGED: (u32, u32) = (EventType::NetworkStatusChanged.raw(), 1);

/// A running cloud.
pub(crate) struct Site {
    pub cloud: Option<Cloud>,
    pub runtime: Runtime,
    pub events: broadcast::Receiver<Event>,
    _folder: TempDir,
}

impl Site {
    pub(crate) fn open() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(adjust: impl FnOnce(&mut Config)) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let (runtime, folder) = (runtime.expect("a runtime"), tempfile::tempdir().expect("a folder"));
        let mut config = config(&folder);
        config.limits.farewell_timeout = Duration::from_millis(300);
        adjust(&mut config);
        let cloud = runtime.block_on(Cloud::start(config)).expect("started");
        let events = cloud.events();
        Self { cloud: Some(cloud), runtime, events, _folder: folder }
    }

    pub(crate) fn cloud(&self) -> &Cloud {
        self.cloud.as_ref().expect("it has not stopped")
    }

    pub(crate) fn identity(&self) -> Identity {
        self.runtime.block_on(self.cloud().provision(None)).expect("an identity")
    }

    /// Waits for an event of the cloud, skipping others.
    pub(crate) fn expect<T>(&mut self, what: &str, mut wanted: impl FnMut(EventKind) -> Option<T>) -> T {
        let deadline = Instant::now() + MAX_WAIT;
        loop {
            match self.events.try_recv() {
                Ok(event) => {
                    if let Some(found) = wanted(event.kind) {
                        return found;
                    }
                }
                Err(broadcast::error::TryRecvError::Empty) => std::thread::sleep(READ_TIMEOUT),
                Err(error) => panic!("{error}"),
            }
            assert!(Instant::now() < deadline, "timed out waiting for {what} of the cloud");
        }
    }

    /// The events of the cloud that have not been read.
    pub(crate) fn take_events(&mut self) -> Vec<EventKind> {
        std::iter::from_fn(|| self.events.try_recv().ok()).map(|event| event.kind).collect()
    }

    /// Stops the cloud.
    pub(crate) fn stop(&mut self) {
        let cloud = self.cloud.take().expect("it has not stopped");
        self.runtime.block_on(cloud.stop());
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(cloud) = self.cloud.take() {
            self.runtime.block_on(cloud.stop());
        }
    }
}

/// A running device. Its clock is the wall clock plus the time that was skipped.
pub(crate) struct LiveDevice {
    pub device: TestDevice,
    identity: Identity,
    address: SocketAddr,
    stream: Option<StreamOwned<ClientConnection, TcpStream>>,
    start: Instant,
    skipped: Duration,
    /// Whether the device can reach the cloud.
    pub is_plugged_in: bool,
    /// Number of connections made.
    pub connections: u32,
}

impl LiveDevice {
    /// A new device before its first connection.
    pub(crate) fn new(site: &Site) -> Self {
        Self::booted(site, &boot())
    }

    pub(crate) fn booted(site: &Site, boot: &Boot) -> Self {
        Self::with_identity(site.identity(), site.cloud().address(), boot)
    }

    /// The same device, restarted.
    pub(crate) fn restarted(self, boot: &Boot) -> Self {
        Self::with_identity(self.identity, self.address, boot)
    }

    fn with_identity(identity: Identity, address: SocketAddr, boot: &Boot) -> Self {
        let boot = Boot {
            device_id: identity.device_id.to_string().as_bytes().try_into().expect("34 digits"),
            ..boot.clone()
        };
        Self {
            device: TestDevice::booted(&boot),
            identity,
            address,
            stream: None,
            start: Instant::now(),
            skipped: Duration::ZERO,
            is_plugged_in: true,
            connections: 0,
        }
    }

    pub(crate) fn device_id(&self) -> cloud::DeviceId {
        self.identity.device_id
    }

    /// What a port does repeatedly: time, connection, bytes in both directions.
    pub(crate) fn step(&mut self) {
        self.tick();
        if !self.device.connected && self.device.kernel.wants_link() {
            self.connect();
        }
        self.device.pump();
        self.send();
        self.receive();
        self.device.pump();
        self.send();
        if !self.device.connected {
            self.close();
        }
    }

    fn tick(&mut self) {
        self.device.now = sansio::Instant::from_millis(1) + (self.start.elapsed() + self.skipped).into();
        if self.device.next_timeout().is_some_and(|at| at <= self.device.now) {
            self.device.input(LinkInput::Timeout);
        }
    }

    /// Advances the device's clock without waiting; the cloud's continues as before.
    pub(crate) fn skip_time(&mut self, span: Duration) {
        self.skipped += span;
        self.step();
    }

    fn connect(&mut self) {
        self.device.input(LinkInput::Connecting);
        match self.open_stream() {
            Some(stream) => {
                self.stream = Some(stream);
                self.device.wire = Some(Wire::default());
                self.device.connected = true;
                self.connections += 1;
                self.device.input(LinkInput::Connected);
            }
            None => self.device.report_loss(LinkLoss::Unreachable),
        }
    }

    fn open_stream(&self) -> Option<StreamOwned<ClientConnection, TcpStream>> {
        let mut tcp = TcpStream::connect(self.address).ok().filter(|_| self.is_plugged_in)?;
        tcp.set_nodelay(true).expect("a socket");
        let name = ServerName::try_from("localhost").expect("a name");
        let mut connection = ClientConnection::new(tls(&self.identity), name).expect("a connection");
        connection.complete_io(&mut tcp).ok()?;
        tcp.set_read_timeout(Some(READ_TIMEOUT)).expect("a socket");
        Some(StreamOwned::new(connection, tcp))
    }

    fn send(&mut self) {
        let (Some(stream), Some(wire)) = (&mut self.stream, &mut self.device.wire) else { return };
        let bytes = std::mem::take(&mut wire.up);
        if stream.write_all(&bytes).and_then(|()| stream.flush()).is_err() {
            self.on_lost();
        }
    }

    fn receive(&mut self) {
        let Some(stream) = &mut self.stream else { return std::thread::sleep(READ_TIMEOUT) };
        let mut buffer = [0; 16 * 1024];
        match stream.read(&mut buffer) {
            Ok(0) => self.on_lost(),
            Ok(count) => {
                let wire = self.device.wire.as_mut().expect("a connection");
                wire.down.extend(&buffer[..count]);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => self.on_lost(),
        }
    }

    fn on_lost(&mut self) {
        self.stream = None;
        if self.device.connected {
            self.device.report_loss(LinkLoss::Unreachable);
        }
    }

    fn close(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    }

    /// Loses the network without closing the connection.
    pub(crate) fn unplug(&mut self) {
        self.is_plugged_in = false;
        self.on_lost();
    }

    /// Runs until `condition` is true.
    pub(crate) fn run_until(&mut self, what: &str, mut condition: impl FnMut(&mut TestDevice) -> bool) {
        let deadline = Instant::now() + MAX_WAIT;
        while !condition(&mut self.device) {
            assert!(Instant::now() < deadline, "timed out waiting for {what}");
            self.step();
        }
    }

    /// Runs for this time.
    pub(crate) fn run_for(&mut self, span: Duration) {
        let end = Instant::now() + span;
        while Instant::now() < end {
            self.step();
        }
    }

    /// Runs until the cloud has welcomed the device.
    pub(crate) fn run_until_online(&mut self) {
        self.run_until("online", |device| {
            let to = device.alloc(8);
            // Only a welcomed device knows the time.
            device.connected && device.call(abi::Call::GetWallTime, &[to]) == Status::Okay
        });
    }
}

/// An application on a device: its notification centre, its network handle, and the events it has not handled.
pub(crate) struct App {
    pub live: LiveDevice,
    pub setup: AppSetup,
    events: VecDeque<(u32, u32)>,
}

impl App {
    /// An application that is online and has been notified of it.
    pub(crate) fn online(site: &Site) -> Self {
        Self::on(LiveDevice::new(site))
    }

    pub(crate) fn on(mut live: LiveDevice) -> Self {
        let centre = live.device.open_centre(LINE, 16);
        let network = live.device.request_network(&centre, 1);
        let mut app = Self { live, setup: AppSetup { centre, network }, events: VecDeque::new() };
        app.expect(CHANGED);
        assert_eq!(app.status(), Some(NetworkStatus::Connected));
        app
    }

    pub(crate) fn status(&mut self) -> Option<NetworkStatus> {
        let network = self.setup.network;
        self.live.device.network_status(network)
    }

    pub(crate) fn step(&mut self) {
        self.live.step();
        let AppSetup { centre, .. } = &mut self.setup;
        self.events.extend(self.live.device.events(centre));
    }

    /// Waits for the next event.
    #[track_caller]
    pub(crate) fn next_event(&mut self) -> (u32, u32) {
        let deadline = Instant::now() + MAX_WAIT;
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            assert!(Instant::now() < deadline, "timed out waiting for an event");
            self.step();
        }
    }

    /// Waits for the next event, which is this one.
    #[track_caller]
    pub(crate) fn expect(&mut self, event: (u32, u32)) {
        assert_eq!(self.next_event(), event);
    }

    /// Checks that no event arrives within this time.
    #[track_caller]
    pub(crate) fn expect_no_event(&mut self, span: Duration) {
        let end = Instant::now() + span;
        while Instant::now() < end {
            self.step();
        }
        assert_eq!(self.events, []);
    }

    /// Opens a channel with buffers of this size.
    #[track_caller]
    pub(crate) fn open_channel(&mut self, channel_type: ChannelType, ring: u32) -> u32 {
        // At most eight channels may be opened in a second.
        self.live.skip_time(Duration::from_millis(130));
        let params = self.live.device.channel_params(&self.setup, channel_type, ring, ring);
        self.live.device.open_channel(&params)
    }

    /// Waits for a readable item of this type on an MQTT channel.
    #[track_caller]
    pub(crate) fn expect_readable(&mut self, channel: u32, expected: MqttReadableDataType) {
        self.expect(READABLE);
        assert_eq!(self.live.device.next_readable(channel), Ok(expected));
    }

    /// A connect request with only what is required.
    pub(crate) fn connect_params(&mut self, client: &str, port: u16) -> MqttConnectRequest {
        let device = &mut self.live.device;
        MqttConnectRequest {
            host: device.flash_string(b"127.0.0.1"),
            port,
            clientid: device.flash_string(client.as_bytes()),
            ..device.connect_params()
        }
    }

    /// Connects to a broker; returns the state and the broker's code.
    #[track_caller]
    pub(crate) fn connect(&mut self, channel: u32, request: &MqttConnectRequest) -> (MqttRequestState, u32) {
        assert_eq!(self.live.device.request_connect(channel, request), Status::Okay);
        self.expect_readable(channel, MqttReadableDataType::ConnectResponse);
        let (state, code) = self.live.device.read_connect_response(channel).expect("a response");
        (MqttRequestState::from_raw(state).expect("a known state"), code)
    }

    /// Opens a channel and connects it to a broker.
    #[track_caller]
    pub(crate) fn open_connected_channel(&mut self, client: &str, port: u16) -> u32 {
        let channel = self.open_channel(ChannelType::Mqtt, 4096);
        let request = self.connect_params(client, port);
        assert_eq!(self.connect(channel, &request), (MqttRequestState::RequestCompleted, 0));
        channel
    }

    /// Publishes; returns state, correlation id and code.
    #[track_caller]
    pub(crate) fn publish(
        &mut self,
        channel: u32,
        id: u32,
        topic: &str,
        payload: &str,
        qos: u32,
        retain: bool,
    ) -> (u32, u32, u32) {
        let device = &mut self.live.device;
        let mut request = device.publish_params(id, topic.as_bytes(), payload.as_bytes(), qos);
        request.retain = u32::from(retain);
        assert_eq!(device.request_publish(channel, &request), Status::Okay);
        self.expect_readable(channel, MqttReadableDataType::PublishResponse);
        self.live.device.read_publish_response(channel).expect("a response")
    }

    /// Subscribes; returns state, correlation id and codes.
    #[track_caller]
    pub(crate) fn subscribe(
        &mut self,
        channel: u32,
        id: u32,
        filters: &[(&[u8], u32)],
    ) -> kernel_testport::mqtt::Codes {
        assert_eq!(self.live.device.subscribe(channel, id, filters), Status::Okay);
        self.expect_readable(channel, MqttReadableDataType::SubscribeResponse);
        self.live.device.read_subscribe_response(channel, filters.len() as u32).expect("a response")
    }

    /// Receives the next message.
    #[track_caller]
    pub(crate) fn receive_message(&mut self, channel: u32) -> kernel_testport::mqtt::Received {
        self.expect_readable(channel, MqttReadableDataType::MessageReceived);
        self.live.device.receive_message(channel, 256, 2048).expect("a message")
    }

    /// Disconnects; returns state and code.
    #[track_caller]
    pub(crate) fn disconnect(&mut self, channel: u32) -> (u32, u32) {
        self.live.device.call_ok(abi::Call::MqttRequestDisconnect, &[channel]);
        self.expect_readable(channel, MqttReadableDataType::DisconnectResponse);
        self.live.device.read_disconnect_response(channel).expect("a response")
    }

    /// Closes a channel.
    #[track_caller]
    pub(crate) fn close_channel(&mut self, channel: u32) {
        let variable = self.live.device.alloc_u32(channel);
        self.live.device.call_ok(abi::Call::CloseChannel, &[variable]);
        assert_eq!(self.live.device.u32(variable), 0);
    }
}

/// A notification centre of `records` records, all bytes 0xFF at first.
pub(crate) fn blank_centre(device: &mut TestDevice, records: u32) -> TestCentre {
    use abi::notifications::NotificationSetup;
    let buffer = device.alloc_bytes(&vec![0xFF; records as usize * 16]);
    let setup = NotificationSetup { irq: u32::from(LINE), buffer, buffer_size: records * 16 };
    let setup = device.alloc_bytes(&setup.to_bytes());
    let handle = device.alloc_u32(0);
    device.call_ok(abi::Call::SetupNotifications, &[setup, handle]);
    device.nvic.enabled[usize::from(LINE)] = true;
    TestCentre { handle: device.u32(handle), line: LINE, buffer, records, next: 0 }
}
