//! `openvisor demo`: cloud, broker, device and the sample application in one process, and the proof that messages pass
//! both ways.

mod arguments;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use ::cloud::destinations::Destinations;
use ::cloud::events::EventKind;
use ::device::application::Application;
use ::device::events::{DeviceEvent, PinFilter};
use demo_broker::{self as broker, Broker};
use tokio::sync::mpsc;

use crate::demo::broker_monitor::{BrokerMonitor, MonitoredMessage};
use crate::demo::script::{DemoScript, Topics};
use crate::host::folder::Folder;
use crate::host::observed_device::Observation;
use crate::host::outbound::Outbound;
use crate::host::platform::{Platform, PlatformConfig, PlatformEvent};
use crate::host::recording::Recording;
use crate::host::signals::StopSignal;
use crate::host::wiring::Wiring;
use crate::host::{application, debugging};
use crate::operate::settings::{self, Setting, SettingStore};
use crate::output::event::Event;
use crate::output::exit::Failure;
use crate::output::timeline::{Format, Timeline, payload_text};
pub(super) use arguments::DemoArguments;

/// The sample application, as `sdk/samples/mqtt` builds it.
const SAMPLE: &[u8] = include_bytes!("../../../../sdk/samples/mqtt/mqtt.elf");
/// The client id of the sample at the broker.
const SAMPLE_CLIENT: &str = "sample";
/// How often the script is polled for a command.
const TICK: Duration = Duration::from_millis(50);
/// Most events of the broker in the queue; further ones are not shown.
const QUEUE_LENGTH: usize = 1024;

/// Runs until a signal or until the time is over. Success if a message went each way.
pub(super) async fn run(arguments: DemoArguments) -> Result<(), Failure> {
    let stop = StopSignal::listen()?;
    let mut demo = Demo::start(&arguments).await?;
    let result = tokio::select! {
        () = stop.received_or_after(arguments.pace.seconds) => Ok(()),
        result = demo.run() => result,
    };
    demo.stop(result).await
}

struct Demo {
    timeline: Timeline,
    broker: Broker,
    broker_events: mpsc::Receiver<broker::Event>,
    monitor: BrokerMonitor,
    platform: Platform,
    topics: Topics,
    script: DemoScript,
    log_lines: u64,
}

impl Demo {
    async fn start(arguments: &DemoArguments) -> Result<Self, Failure> {
        let timeline = Timeline::on_stdout(Format::from_flag(arguments.json));
        let mut config = platform_config(arguments)?;
        let (sender, broker_events) = mpsc::channel(QUEUE_LENGTH);
        // The broker calls this on its own task, which must not wait.
        let observer = Arc::new(move |event| drop(sender.try_send(event)));
        let failed = |error| Failure::environment(format!("cannot start the demo's broker: {error}"));
        let broker = Broker::start(observer).await.map_err(failed)?;
        let address = broker.address();
        timeline.add(&Event::BrokerListening { address: address.to_string() });
        let monitor = BrokerMonitor::connect(address).await.map_err(failed)?;
        let topics = Topics { readings: "demo/readings".into(), commands: "demo/commands".into() };
        let port = address.port();
        timeline.add(&Event::MonitorHint { port });
        // The user's settings come last, so that they override the demo's own.
        config.settings = [sample_settings(port, &topics), config.settings].concat();
        debugging::announce(&config.debugging, &timeline);
        timeline.add(&config.outbound.event());
        let platform = Platform::start(config).await?;
        timeline.add(&Event::CloudListening { address: platform.cloud_address().to_string() });
        timeline.add(&Event::DeviceId { id: platform.device_id().to_owned() });
        let script = DemoScript::new(topics.clone(), nonce());
        Ok(Self { timeline, broker, broker_events, monitor, platform, topics, script, log_lines: 0 })
    }

    /// Ends when something fails, or when standard output is closed.
    async fn run(&mut self) -> Result<(), Failure> {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                biased;
                _ = tick.tick() => self.send_command().await?,
                event = self.platform.next() => self.on_platform_event(&event)?,
                Some(event) = self.broker_events.recv() => self.on_broker_event(&event),
                message = self.monitor.next() => match message {
                    Some(message) => self.on_message(&message),
                    None => return Err(broker_ended()),
                },
            }
            if self.timeline.has_failed() {
                return Ok(());
            }
        }
    }

    fn on_platform_event(&mut self, event: &PlatformEvent) -> Result<(), Failure> {
        match event {
            PlatformEvent::Device(Observation::Ended) => {
                return Err(Failure::failed(Event::DeviceFailed.text()));
            }
            PlatformEvent::Device(Observation::Event(DeviceEvent::Led { on })) => {
                self.script.on_led(self.timeline.elapsed(), *on);
            }
            PlatformEvent::Cloud(EventKind::Log { .. }) => self.log_lines += 1,
            _ => {}
        }
        event.show(&self.timeline);
        Ok(())
    }

    fn on_broker_event(&mut self, event: &broker::Event) {
        if let broker::Event::Subscribed { client, filter } = event
            && client == SAMPLE_CLIENT
        {
            self.script.on_subscription(filter);
        }
        if let Some(event) = Event::of_broker(event) {
            self.timeline.add(&event);
        }
    }

    fn on_message(&mut self, message: &MonitoredMessage) {
        self.script.on_message(self.timeline.elapsed(), &message.topic, &message.payload);
        self.timeline.add(&Event::BrokerMessage {
            client: None,
            topic: message.topic.clone(),
            qos: None,
            retain: None,
            bytes: message.payload.len(),
            payload: payload_text(&message.payload),
        });
    }

    /// Sends the script's next command, if it has one.
    async fn send_command(&mut self) -> Result<(), Failure> {
        let Some(command) = self.script.poll_command(self.timeline.elapsed()) else { return Ok(()) };
        let topic = self.topics.commands.clone();
        self.timeline.add(&Event::CommandPublished { topic, payload: command.clone() });
        let sent = self.monitor.publish(&self.topics.commands, &command).await;
        sent.map_err(|_| broker_ended())
    }

    async fn stop(mut self, result: Result<(), Failure>) -> Result<(), Failure> {
        let Self { platform, broker, timeline, script, .. } = self;
        for event in platform.stop().await {
            if let PlatformEvent::Cloud(EventKind::Log { .. }) = event {
                self.log_lines += 1;
            }
            event.show(&timeline);
        }
        broker.stop().await;
        result?;
        if timeline.output().is_closed() {
            // A reader that closes the output, as `| head` does, has seen enough.
            return Ok(());
        }
        let missing = script.missing_proof();
        let line = missing.map_or_else(|| summary(&script), |missing| format!("Failed: {missing}."));
        timeline.add(&summary_event(&script, self.log_lines, line));
        match missing {
            None => Ok(()),
            Some(missing) => Err(Failure::failed(missing)),
        }
    }
}

/// Reads all options before anything is created.
fn platform_config(arguments: &DemoArguments) -> Result<PlatformConfig, Failure> {
    Ok(PlatformConfig {
        application: load_sample(arguments)?,
        settings: settings::parse_all(&arguments.settings, &arguments.account_settings)?,
        outbound: Outbound::read(Destinations::with_loopback(), &[], &arguments.outbound)?,
        wiring: Wiring::default(),
        debugging: debugging::open(&arguments.debugging, None)?,
        folder: Folder::open(arguments.data.as_deref())?,
        time_scale: arguments.pace.time_scale,
        recording: Recording::default(),
        device_end: None,
        pins: PinFilter::None,
        factory_test: false,
    })
}

/// The sample that the arguments name, or the built-in one.
fn load_sample(arguments: &DemoArguments) -> Result<Application, Failure> {
    match &arguments.image {
        Some(image) => application::load(image, arguments.signer.as_deref()),
        None => Ok(Application::parse(SAMPLE, None).expect("the built-in sample is an image")),
    }
}

fn broker_ended() -> Failure {
    Failure::failed("the demo's broker has stopped")
}

/// How many messages passed and how soon, in a line that fits a narrow terminal.
fn summary(script: &DemoScript) -> String {
    let seconds = |time: Option<Duration>| time.map_or(0.0, |time| time.as_secs_f64());
    let (out, first_out) = (script.readings(), seconds(script.first_reading()));
    let (commands, first_in) = (script.commands(), seconds(script.echoed()));
    format!(
        "Messages went both ways: {out} out, first at {first_out:.2} s; {commands} in, answer at {first_in:.2} s."
    )
}

fn summary_event(script: &DemoScript, log_lines: u64, line: String) -> Event {
    let millis = |time: Option<Duration>| time.map(|time| time.as_millis() as u64);
    Event::DemoSummary {
        passed: script.missing_proof().is_none(),
        readings: script.readings(),
        first_reading_ms: millis(script.first_reading()),
        commands: script.commands(),
        echo_answered_ms: millis(script.echoed()),
        log_lines,
        line,
    }
}

/// The configuration that the sample fetches.
fn sample_settings(port: u16, topics: &Topics) -> Vec<Setting> {
    let values = [
        ("broker-host", "127.0.0.1".to_owned()),
        ("broker-port", port.to_string()),
        ("client-id", SAMPLE_CLIENT.to_owned()),
        ("publish-topic", topics.readings.clone()),
        ("command-topic", topics.commands.clone()),
    ];
    values.map(|(key, value)| Setting { store: SettingStore::Config, key: key.to_owned(), value }).into()
}

/// A word that no earlier run can have sent.
fn nonce() -> String {
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}
