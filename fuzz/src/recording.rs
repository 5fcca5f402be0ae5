//! A hostile recording: the input unchanged, or as entries after a correct header.

use std::io::{Cursor, Write};
use std::sync::{Arc, Mutex};

use device::entropy::Seed;
use device::image::Image;
use device::recording::{Header, Recorder, Replay, Turn};

use crate::board::{RESTART, device_id, image};

/// Turns of a replay that are run.
const TURNS: usize = 64;

/// What is written, shared with its reader.
#[derive(Clone, Default)]
struct SharedBuffer(Arc<Mutex<Vec<u8>>>);

impl Write for SharedBuffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The header of a recording of a device whose application waits.
fn header(image: &Image) -> Vec<u8> {
    let header = Header {
        device_id: device_id(),
        image: image.digest(),
        seed: Seed([7; 32]),
        restart: RESTART,
        policy: kernel::Policy::default(),
        factory_test: false,
        free_clock: false,
        poll_scale: 1,
        wifi: None,
        flash: Vec::new(),
        wiring: Vec::new(),
    };
    let buffer = SharedBuffer::default();
    Recorder::to(Box::new(buffer.clone())).begin(&header).expect("memory takes everything");
    buffer.0.lock().expect("no panic").clone()
}

pub(crate) fn run(bytes: &[u8]) {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let image = image();
    let recording = if first % 2 == 0 { [header(&image), rest.to_vec()].concat() } else { rest.to_vec() };
    let Ok(mut replay) = Replay::from(Box::new(Cursor::new(recording)), &image, Vec::new(), false) else {
        return;
    };
    for _ in 0..TURNS {
        let before = replay.now();
        if matches!(replay.turn(), Turn::Ended(_)) {
            return;
        }
        assert!(replay.now() >= before, "time goes back");
        replay.take_events();
        replay.take_sent();
    }
}
