//! `openvisor demo`: cloud, broker, device and sample application, and a witness that both ways work.

mod arguments;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use ::cloud::destinations::Destinations;
use ::cloud::events::EventKind;
use ::device::application::Application;
use ::device::events::{DeviceEvent, PinFilter};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::demo::broker_monitor::{Seen, Witness};
use crate::demo::script::{Script, Topics};
use crate::host::folder::Folder;
use crate::host::local_cloud::{Happening, Plan, Platform};
use crate::host::observed_device::Told;
use crate::host::outbound::Relayed;
use crate::host::signals::Stop;
use crate::host::wiring::Wired;
use crate::host::{application, debugging};
use crate::operate::settings::{self, Setting, Store};
use crate::output::exit::Failure;
use crate::output::timeline::{Form, Source, Timeline, payload};
use crate::output::{error_text, event_output};
pub(super) use arguments::DemoArguments;
use demo_broker::{self as broker, Broker};

/// The sample application, as `sdk/samples/mqtt` builds it.
const SAMPLE: &[u8] = include_bytes!("../../../../sdk/samples/mqtt/mqtt.elf");
/// Its client id at the broker.
const SAMPLE_CLIENT: &str = "sample";
/// How often the script is asked whether its moment has come.
const TICK: Duration = Duration::from_millis(50);
/// Broker events that may wait to be shown; more are not shown.
const QUEUE: usize = 1024;

/// Plays until told to stop; success if a message went each way.
pub(super) async fn run(arguments: DemoArguments) -> Result<(), Failure> {
    let stop = Stop::listen()?;
    let mut demo = Demo::set(&arguments).await?;
    let ended = tokio::select! {
        () = stop.asked(arguments.pace.seconds) => Ok(()),
        ended = demo.play() => ended,
    };
    demo.end(ended).await
}

struct Demo {
    timeline: Timeline,
    broker: Broker,
    broker_events: mpsc::Receiver<broker::Event>,
    witness: Witness,
    platform: Platform,
    topics: Topics,
    script: Script,
    log_lines: u64,
}

impl Demo {
    async fn set(arguments: &DemoArguments) -> Result<Self, Failure> {
        let timeline = Timeline::on_stdout(Form::of(arguments.json));
        let application = sample(arguments)?;
        let added = settings::of_run(&arguments.settings, &arguments.account_settings)?;
        let relayed = Relayed::read(&arguments.outbound)?;
        let debugging = debugging::open(&arguments.debugging, None)?;
        let folder = Folder::open(arguments.data.as_deref())?;
        let (told, broker_events) = mpsc::channel(QUEUE);
        let watch = Arc::new(move |event| drop(told.try_send(event)));
        let failed = |error| Failure::environment(format!("cannot start the demo's broker: {error}"));
        let broker = Broker::start(watch).await.map_err(failed)?;
        let address = broker.address();
        timeline.say(Source::Broker, format!("listening on {address}, MQTT 3.1.1 and 5"));
        let witness = Witness::connect(address).await.map_err(failed)?;
        let topics = Topics { readings: "demo/readings".into(), commands: "demo/commands".into() };
        let port = address.port();
        timeline.say(Source::Demo, format!("to watch from outside: mosquitto_sub -p {port} -t 'demo/#' -v"));
        let settings = [own_settings(port, &topics), added].concat();
        debugging::announce(&debugging, &timeline);
        let plan = Plan {
            folder,
            application,
            settings,
            destinations: Destinations::with_loopback(),
            relayed,
            debugging,
            wired: Wired::default(),
            time_scale: arguments.pace.time_scale,
            pins: PinFilter::None,
            factory_test: false,
        };
        timeline.say(Source::Cloud, error_text::open_to_applications(&plan.destinations));
        let platform = Platform::start(plan).await?;
        timeline.say(Source::Cloud, format!("listening on {}", platform.cloud_address()));
        timeline.say(Source::Device, format!("id {}", platform.device_id()));
        let script = Script::new(topics.clone(), nonce());
        Ok(Self { timeline, broker, broker_events, witness, platform, topics, script, log_lines: 0 })
    }

    /// Ends when something breaks, or when nobody watches any more.
    async fn play(&mut self) -> Result<(), Failure> {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                biased;
                _ = tick.tick() => self.direct().await?,
                happening = self.platform.next() => self.happened(&happening)?,
                Some(event) = self.broker_events.recv() => self.at_the_broker(&event),
                seen = self.witness.next() => match seen {
                    Some(seen) => self.seen(&seen),
                    None => return Err(Failure::not_happened("the demo's broker has ended")),
                },
            }
            if self.timeline.is_unread() {
                return Ok(());
            }
        }
    }

    fn happened(&mut self, happening: &Happening) -> Result<(), Failure> {
        match happening {
            Happening::Device(Told::Ended) => return Err(Failure::not_happened(event_output::DEVICE_ENDED)),
            Happening::Device(Told::Event(DeviceEvent::Led { on })) => {
                self.script.led(self.timeline.elapsed(), *on);
            }
            Happening::Cloud(EventKind::Log { .. }) => self.log_lines += 1,
            _ => {}
        }
        self.show(happening);
        Ok(())
    }

    fn show(&self, happening: &Happening) {
        if let Happening::Device(told) = happening
            && let Some(crash) = event_output::crash_in(told)
        {
            debugging::show_crash(crash, &self.timeline);
        } else if let Some((source, text)) = event_output::of_platform(happening) {
            self.timeline.say(source, text);
        }
    }

    fn at_the_broker(&mut self, event: &broker::Event) {
        if let broker::Event::Subscribed { client, filter } = event
            && client == SAMPLE_CLIENT
        {
            self.script.subscribed(filter);
        }
        if let Some((source, text)) = event_output::of_broker(event) {
            self.timeline.say(source, text);
        }
    }

    fn seen(&mut self, seen: &Seen) {
        self.script.seen(self.timeline.elapsed(), &seen.topic, &seen.payload);
        self.timeline.say(Source::Broker, format!("{}  {}", seen.topic, payload(&seen.payload)));
    }

    /// Sends the command whose moment has come.
    async fn direct(&mut self) -> Result<(), Failure> {
        let Some(command) = self.script.command(self.timeline.elapsed()) else { return Ok(()) };
        self.timeline.say(Source::Demo, format!("sends to {}: {command}", self.topics.commands));
        let sent = self.witness.publish(&self.topics.commands, &command).await;
        sent.map_err(|_| Failure::not_happened("the demo's broker has ended"))
    }

    async fn end(mut self, ended: Result<(), Failure>) -> Result<(), Failure> {
        let Self { platform, broker, .. } = self;
        for happening in platform.stop().await {
            if let Happening::Cloud(EventKind::Log { .. }) = happening {
                self.log_lines += 1;
            }
            if let Some((source, text)) = event_output::of_platform(&happening) {
                self.timeline.say(source, text);
            }
        }
        broker.stop().await;
        ended?;
        let missing = self.script.missing();
        let line = missing.map_or_else(|| both_ways(&self.script), |what| format!("Not shown: {what}."));
        self.timeline.sum_up(&line, &values(&self.script, self.log_lines));
        match missing {
            None => Ok(()),
            Some(what) => Err(Failure::not_happened(what)),
        }
    }
}

/// The sample that was named, or the one built in.
fn sample(arguments: &DemoArguments) -> Result<Application, Failure> {
    match &arguments.image {
        Some(image) => application::load(image, arguments.signer.as_deref()),
        None => Ok(Application::parse(SAMPLE, None).expect("the sample that is built in is an image")),
    }
}

/// How much, and how soon, in a line that fits a narrow terminal.
fn both_ways(script: &Script) -> String {
    let seconds = |time: Option<Duration>| time.map_or(0.0, |time| time.as_secs_f64());
    let (out, first_out) = (script.readings(), seconds(script.first_reading()));
    let (commands, first_in) = (script.commands(), seconds(script.echoed()));
    format!(
        "Messages went both ways: {out} out, first at {first_out:.2} s; {commands} in, answer at {first_in:.2} s."
    )
}

fn values(script: &Script, log_lines: u64) -> Vec<(&'static str, Value)> {
    let millis = |time: Option<Duration>| time.map_or(Value::Null, |time| json!(time.as_millis() as u64));
    vec![
        ("readings", json!(script.readings())),
        ("first reading ms", millis(script.first_reading())),
        ("commands", json!(script.commands())),
        ("echo answered ms", millis(script.echoed())),
        ("log lines", json!(log_lines)),
    ]
}

fn own_settings(port: u16, topics: &Topics) -> Vec<Setting> {
    let values = [
        ("broker-host", "127.0.0.1".to_owned()),
        ("broker-port", port.to_string()),
        ("client-id", SAMPLE_CLIENT.to_owned()),
        ("publish-topic", topics.readings.clone()),
        ("command-topic", topics.commands.clone()),
    ];
    values.map(|(key, value)| Setting { store: Store::Config, key: key.to_owned(), value }).into()
}

/// A word no earlier run can have sent.
fn nonce() -> String {
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}
