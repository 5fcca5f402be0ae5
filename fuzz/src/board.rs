//! What several targets run on: a machine whose application does nothing, and a board without a machine.

use std::sync::Arc;

use device::board::{Board, BoardConfig};
use device::identity::DeviceId;
use device::image::Image;
use device::machine::{Machine, RestartPolicy, Settings};
use device::storage::Storage;

const DEVICE_ID: &str = "UV00112233445566778899aabbccddeeff";
/// Words of an application's vector table.
const VECTORS: usize = 0x238 / 4;
const STACK: u32 = 0x2008_0000;
const RESET: u32 = 0x0800_0238 + 1;
/// `wfi`, and a branch back to it.
const CODE: [u16; 2] = [0xbf30, 0xe7fd];

/// An application that only waits.
pub(crate) fn image() -> Image {
    let mut words = [0u32; VECTORS];
    (words[0], words[1]) = (STACK, RESET);
    let code = CODE.iter().flat_map(|half| half.to_le_bytes());
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).chain(code).collect();
    Image::parse(&bytes).expect("a raw image")
}

/// The device it runs on.
pub(crate) fn device_id() -> DeviceId {
    DeviceId::parse(DEVICE_ID).expect("an id")
}

/// The pause before the application is restarted.
pub(crate) const RESTART: RestartPolicy = RestartPolicy { minimum_ms: 10, maximum_ms: 40 };

/// A machine that is about to start it.
pub(crate) fn machine() -> Machine {
    Machine::new(Settings {
        device_id: device_id(),
        image: image(),
        entropy: Arc::new(|| 0x5eed_0001),
        restart: RESTART,
        trace: false,
        attachments: Vec::new(),
    })
}

/// What a board is made from.
pub(crate) fn board_config() -> BoardConfig {
    BoardConfig { entropy: Box::new(|| 7), unique: [9; 12], attachments: Vec::new() }
}

/// A board after power-on.
pub(crate) fn board() -> Board {
    Board::new(board_config(), Storage::default())
}
