//! What the demo does to the sample, and what it takes for proof: a state machine without any I/O.

use std::time::Duration;

/// How long the demo waits for an answer before it asks again.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// How long the LED stays on, for people to see.
const LED_ON: Duration = Duration::from_secs(2);
/// How long the demo waits for the LED, which is for show; the echo is what counts.
const LED_PATIENCE: Duration = Duration::from_secs(2);

/// Where the sample and the demo meet at the broker.
#[derive(Clone, Debug)]
pub(crate) struct Topics {
    /// Where the sample publishes its readings.
    pub(crate) readings: String,
    /// Where it takes commands.
    pub(crate) commands: String,
}

impl Topics {
    /// Where the sample answers the command `echo`.
    pub(crate) fn echo(&self) -> String {
        format!("{}/echo", self.readings)
    }
}

/// Where the play is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    /// Until the application has published and subscribed.
    Waiting,
    /// `led on` was sent; the play goes on when the LED shines, or at this time.
    LedOn { until: Duration },
    /// `echo` was sent.
    Echo { since: Duration },
    /// It was answered; the LED stays on for a moment.
    Shown { since: Duration },
    /// `led off` was sent: nothing more to do.
    Done,
}

/// The demo's part.
pub(crate) struct Script {
    topics: Topics,
    /// What only this run can have echoed.
    nonce: String,
    scene: Scene,
    listening: bool,
    readings: u64,
    first_reading: Option<Duration>,
    echoed: Option<Duration>,
    commands: u64,
}

impl Script {
    /// A play yet to begin.
    pub(crate) fn new(topics: Topics, nonce: String) -> Self {
        let scene = Scene::Waiting;
        Self {
            topics,
            nonce,
            scene,
            listening: false,
            readings: 0,
            first_reading: None,
            echoed: None,
            commands: 0,
        }
    }

    /// The application's subscription has reached the broker.
    pub(crate) fn subscribed(&mut self, filter: &str) {
        self.listening |= filter == self.topics.commands;
    }

    /// A message was seen at the broker.
    pub(crate) fn seen(&mut self, now: Duration, topic: &str, payload: &[u8]) {
        if topic == self.topics.readings {
            self.readings += 1;
            self.first_reading.get_or_insert(now);
        } else if topic == self.topics.echo() && payload == self.nonce.as_bytes() {
            self.echoed.get_or_insert(now);
        }
    }

    /// The device's LED has changed.
    pub(crate) fn led(&mut self, now: Duration, on: bool) {
        if on && matches!(self.scene, Scene::LedOn { .. }) {
            self.scene = Scene::LedOn { until: now };
        }
    }

    /// The command to send now, if the moment has come. Called often.
    pub(crate) fn command(&mut self, now: Duration) -> Option<String> {
        let (scene, command) = match self.scene {
            Scene::Waiting if self.listening && self.readings > 0 => {
                (Scene::LedOn { until: now + LED_PATIENCE }, "led on".into())
            }
            Scene::LedOn { until } if now >= until => (Scene::Echo { since: now }, self.echo()),
            Scene::Echo { .. } if self.echoed.is_some() => {
                self.scene = Scene::Shown { since: now };
                return None;
            }
            Scene::Echo { since } if now >= since + ASK_AGAIN => (Scene::Echo { since: now }, self.echo()),
            Scene::Shown { since } if now >= since + LED_ON => (Scene::Done, "led off".into()),
            _ => return None,
        };
        self.scene = scene;
        self.commands += 1;
        Some(command)
    }

    fn echo(&self) -> String {
        format!("echo {}", self.nonce)
    }

    /// How many readings were seen.
    pub(crate) fn readings(&self) -> u64 {
        self.readings
    }

    /// How many commands were sent.
    pub(crate) fn commands(&self) -> u64 {
        self.commands
    }

    /// When the first message from the application was seen at the broker.
    pub(crate) fn first_reading(&self) -> Option<Duration> {
        self.first_reading
    }

    /// When a command had demonstrably reached the application: its answer was seen at the broker.
    pub(crate) fn echoed(&self) -> Option<Duration> {
        self.echoed
    }

    /// Which of the two ways was not shown to work; `None` if both were.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        match (self.first_reading, self.echoed) {
            (Some(_), Some(_)) => None,
            (None, _) => Some("no message went from the application to the broker"),
            (Some(_), None) if self.commands == 0 => {
                Some("the application published, but never subscribed to its command topic")
            }
            (Some(_), None) => Some("the application published, but no command from the broker was answered"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn script() -> Script {
        Script::new(Topics { readings: "r".into(), commands: "c".into() }, "n1".into())
    }

    #[test]
    fn nothing_is_sent_before_the_application_publishes_and_listens() {
        let mut script = script();
        assert_eq!(script.command(at(0)), None);
        script.seen(at(1), "r", b"1");
        script.subscribed("other");
        assert_eq!(script.command(at(9999)), None);
        assert_eq!(
            script.missing(),
            Some("the application published, but never subscribed to its command topic")
        );
        script.subscribed("c");
        assert_eq!(script.command(at(10_000)).as_deref(), Some("led on"));
    }

    #[test]
    fn the_play_runs_through_once() {
        let mut script = script();
        assert!(script.missing().unwrap().contains("no message"));
        script.subscribed("c");
        script.seen(at(100), "r", b"1");
        assert_eq!(script.command(at(100)).as_deref(), Some("led on"));
        assert_eq!(script.command(at(200)), None);
        script.led(at(300), true);
        assert_eq!(script.command(at(300)).as_deref(), Some("echo n1"));
        assert!(script.missing().unwrap().contains("no command"));
        script.seen(at(400), "r/echo", b"n1");
        assert_eq!(script.missing(), None);
        assert_eq!(script.command(at(400)), None);
        assert_eq!(script.command(at(2399)), None);
        assert_eq!(script.command(at(2400)).as_deref(), Some("led off"));
        assert_eq!(script.command(at(99_999)), None);
        assert_eq!((script.readings(), script.commands()), (1, 3));
        assert_eq!((script.first_reading(), script.echoed()), (Some(at(100)), Some(at(400))));
    }

    #[test]
    fn an_unanswered_echo_is_sent_again_and_another_runs_echo_is_no_answer() {
        let mut script = script();
        script.subscribed("c");
        script.seen(at(0), "r", b"1");
        script.command(at(0));
        assert_eq!(script.command(at(1999)), None, "the LED has its time");
        assert!(script.command(at(2000)).is_some());
        script.seen(at(2100), "r/echo", b"n0");
        assert_eq!(script.command(at(6999)), None);
        assert_eq!(script.command(at(7000)).as_deref(), Some("echo n1"));
        assert_eq!(script.echoed(), None);
    }
}
