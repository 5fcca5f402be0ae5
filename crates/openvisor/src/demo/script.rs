//! The commands that the demo sends to the sample, and the proof that they arrived: a state machine without I/O.

use std::time::Duration;

/// How long to wait for the echo before the command is sent again.
const ECHO_RETRY: Duration = Duration::from_secs(5);
/// How long the LED is on, so that the user can see it.
const LED_ON: Duration = Duration::from_secs(2);
/// How long to wait for the LED. It proves nothing: the echo does.
const LED_TIMEOUT: Duration = Duration::from_secs(2);

/// The topics of the sample and the demo.
#[derive(Clone, Debug)]
pub(crate) struct Topics {
    /// The sample publishes its readings here.
    pub(crate) readings: String,
    /// The sample subscribes to commands here.
    pub(crate) commands: String,
}

impl Topics {
    /// The sample publishes its answer to the command `echo` here.
    pub(crate) fn echo(&self) -> String {
        format!("{}/echo", self.readings)
    }
}

/// The step that the script is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The application has not both published and subscribed yet.
    AwaitingApplication,
    /// `led on` was sent; the next step follows when the LED is on, or at this time.
    LedOn { until: Duration },
    /// `echo` was sent.
    Echo { since: Duration },
    /// The echo arrived; the LED is left on for a moment.
    Echoed { since: Duration },
    /// `led off` was sent.
    Done,
}

/// The script of one run.
pub(crate) struct DemoScript {
    topics: Topics,
    /// The text to be echoed, which no other run has sent.
    nonce: String,
    step: Step,
    is_subscribed: bool,
    readings: u64,
    first_reading: Option<Duration>,
    echoed: Option<Duration>,
    commands: u64,
}

impl DemoScript {
    /// A script at its start.
    pub(crate) fn new(topics: Topics, nonce: String) -> Self {
        Self {
            topics,
            nonce,
            step: Step::AwaitingApplication,
            is_subscribed: false,
            readings: 0,
            first_reading: None,
            echoed: None,
            commands: 0,
        }
    }

    /// The application has subscribed at the broker.
    pub(crate) fn on_subscription(&mut self, filter: &str) {
        self.is_subscribed |= filter == self.topics.commands;
    }

    /// A message was published at the broker.
    pub(crate) fn on_message(&mut self, now: Duration, topic: &str, payload: &[u8]) {
        if topic == self.topics.readings {
            self.readings += 1;
            self.first_reading.get_or_insert(now);
        } else if topic == self.topics.echo() && payload == self.nonce.as_bytes() {
            self.echoed.get_or_insert(now);
        }
    }

    /// The device's LED has changed.
    pub(crate) fn on_led(&mut self, now: Duration, on: bool) {
        if on && matches!(self.step, Step::LedOn { .. }) {
            self.step = Step::LedOn { until: now };
        }
    }

    /// The command to send now, if there is one. Called often.
    pub(crate) fn poll_command(&mut self, now: Duration) -> Option<String> {
        let (step, command) = match self.step {
            Step::AwaitingApplication if self.is_subscribed && self.readings > 0 => {
                (Step::LedOn { until: now + LED_TIMEOUT }, "led on".into())
            }
            Step::LedOn { until } if now >= until => (Step::Echo { since: now }, self.echo_command()),
            Step::Echo { .. } if self.echoed.is_some() => {
                self.step = Step::Echoed { since: now };
                return None;
            }
            Step::Echo { since } if now >= since + ECHO_RETRY => {
                (Step::Echo { since: now }, self.echo_command())
            }
            Step::Echoed { since } if now >= since + LED_ON => (Step::Done, "led off".into()),
            _ => return None,
        };
        self.step = step;
        self.commands += 1;
        Some(command)
    }

    fn echo_command(&self) -> String {
        format!("echo {}", self.nonce)
    }

    /// Number of readings at the broker.
    pub(crate) fn readings(&self) -> u64 {
        self.readings
    }

    /// Number of commands sent.
    pub(crate) fn commands(&self) -> u64 {
        self.commands
    }

    /// When the first message of the application arrived at the broker.
    pub(crate) fn first_reading(&self) -> Option<Duration> {
        self.first_reading
    }

    /// When the answer to a command arrived at the broker, which proves that the command reached the application.
    pub(crate) fn echoed(&self) -> Option<Duration> {
        self.echoed
    }

    /// Which direction has not been proved; `None` if both have.
    pub(crate) fn missing_proof(&self) -> Option<&'static str> {
        match (self.first_reading, self.echoed) {
            (Some(_), Some(_)) => None,
            (None, _) => Some("no message went from the application to the broker"),
            (Some(_), None) if self.commands == 0 => {
                Some("the application published, but never subscribed to its command topic")
            }
            (Some(_), None) => Some("the application published, but answered no command from the broker"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn script() -> DemoScript {
        DemoScript::new(Topics { readings: "r".into(), commands: "c".into() }, "n1".into())
    }

    #[test]
    fn nothing_is_sent_before_the_application_publishes_and_subscribes() {
        let mut script = script();
        assert_eq!(script.poll_command(at(0)), None);
        script.on_message(at(1), "r", b"1");
        script.on_subscription("other");
        assert_eq!(script.poll_command(at(9999)), None);
        assert_eq!(
            script.missing_proof(),
            Some("the application published, but never subscribed to its command topic")
        );
        script.on_subscription("c");
        assert_eq!(script.poll_command(at(10_000)).as_deref(), Some("led on"));
    }

    #[test]
    fn the_script_runs_once() {
        let mut script = script();
        assert!(script.missing_proof().unwrap().contains("no message"));
        script.on_subscription("c");
        script.on_message(at(100), "r", b"1");
        assert_eq!(script.poll_command(at(100)).as_deref(), Some("led on"));
        assert_eq!(script.poll_command(at(200)), None);
        script.on_led(at(300), true);
        assert_eq!(script.poll_command(at(300)).as_deref(), Some("echo n1"));
        assert!(script.missing_proof().unwrap().contains("answered no command"));
        script.on_message(at(400), "r/echo", b"n1");
        assert_eq!(script.missing_proof(), None);
        assert_eq!(script.poll_command(at(400)), None);
        assert_eq!(script.poll_command(at(2399)), None);
        assert_eq!(script.poll_command(at(2400)).as_deref(), Some("led off"));
        assert_eq!(script.poll_command(at(99_999)), None);
        assert_eq!((script.readings(), script.commands()), (1, 3));
        assert_eq!((script.first_reading(), script.echoed()), (Some(at(100)), Some(at(400))));
    }

    #[test]
    fn an_unanswered_echo_is_sent_again_and_another_runs_echo_is_no_answer() {
        let mut script = script();
        script.on_subscription("c");
        script.on_message(at(0), "r", b"1");
        script.poll_command(at(0));
        assert_eq!(script.poll_command(at(1999)), None, "the LED has its timeout");
        assert!(script.poll_command(at(2000)).is_some());
        script.on_message(at(2100), "r/echo", b"n0");
        assert_eq!(script.poll_command(at(6999)), None);
        assert_eq!(script.poll_command(at(7000)).as_deref(), Some("echo n1"));
        assert_eq!(script.echoed(), None);
    }
}
