//! What of the board is shown: `--show`.

use clap::Args;
use device::events::{DeviceEvent, PinFilter};
use device::pin::Pin;

/// Which events of the board are written.
#[derive(Args)]
pub(crate) struct ShowOptions {
    /// Show changes of these outputs: led (the user LED, PA5), pins (every other pin), a pin such as PB11, or none
    /// (repeatable)
    #[arg(long, value_name = "WHAT,...", value_delimiter = ',', default_value = "led", value_parser = what)]
    pub(crate) show: Vec<What>,
}

/// Something that can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The user LED.
    Led,
    /// Every other pin.
    Pins,
    /// One pin.
    Pin(Pin),
    /// Nothing.
    None,
}

/// The pin of the user LED, which has events of its own.
const LED: Pin = Pin { port: 0, pin: 5 };

fn what(text: &str) -> Result<What, String> {
    match text {
        "led" => Ok(What::Led),
        "pins" => Ok(What::Pins),
        "none" => Ok(What::None),
        pin => match pin.parse() {
            Ok(LED) => Ok(What::Led),
            Ok(pin) => Ok(What::Pin(pin)),
            Err(_) => Err("must be led, pins, none, or a pin such as PB11".to_owned()),
        },
    }
}

impl ShowOptions {
    /// The pins that the device is to report.
    pub(crate) fn pins(&self) -> PinFilter {
        if self.show.contains(&What::Pins) {
            return PinFilter::All;
        }
        let pin = |what: &What| if let What::Pin(pin) = what { Some(*pin) } else { None };
        let pins: Vec<Pin> = self.show.iter().filter_map(pin).collect();
        if pins.is_empty() { PinFilter::None } else { PinFilter::Some(pins) }
    }

    /// Whether the event is one to be shown.
    pub(crate) fn shows(&self, event: &DeviceEvent) -> bool {
        !matches!(event, DeviceEvent::Led { .. }) || self.show.contains(&What::Led)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(texts: &[&str]) -> ShowOptions {
        ShowOptions { show: texts.iter().map(|text| what(text).expect(text)).collect() }
    }

    /// Shows D224.
    #[test]
    fn the_led_and_pins_are_selected() {
        let (on, pin) = (DeviceEvent::Led { on: true }, Pin { port: 1, pin: 11 });
        let cases: [(&[&str], bool, PinFilter); 5] = [
            (&["led"], true, PinFilter::None),
            (&["none"], false, PinFilter::None),
            (&["PB11"], false, PinFilter::Some(vec![pin])),
            (&["PA5", "pb11"], true, PinFilter::Some(vec![pin])),
            (&["pins", "led"], true, PinFilter::All),
        ];
        for (texts, led, pins) in cases {
            let options = options(texts);
            assert_eq!((options.shows(&on), options.pins()), (led, pins), "{texts:?}");
            assert!(options.shows(&DeviceEvent::LinkUp));
        }
        for text in ["", "PZ1", "PA16", "leds"] {
            assert!(what(text).is_err(), "{text}");
        }
    }
}
