//! Every size and pace of the kernel, in one place. A table that is full is an answer, never a panic.

/// Notification centres at a time (abi: `TOOMANYNOTIFICATIONBUFFERS`).
pub const CENTRES: usize = 32;
/// Records that wait for a pend to be taken, shared by all centres (D11).
pub const WAITING_RECORDS: usize = 128;
/// Highest external interrupt line of the processor (D15).
pub const LAST_LINE: u32 = 125;
/// Lines of the secure world: RTC_S, FLASH_S, GTZC, RCC_S, IWDG (D15).
pub const SECURE_LINES: [u32; 5] = [3, 7, 8, 10, 27];
/// Smallest notification buffer, bytes: two records.
pub const SMALLEST_NOTIFICATION_BUFFER: u32 = 32;

/// Registrations for system events at a time (D103).
pub const SYSTEM_NOTIFICATIONS: usize = 16;
/// External interrupt lines.
pub const LINES: usize = LAST_LINE as usize + 1;

/// Network handles at a time (D20).
pub const NETWORK_HANDLES: usize = 16;
/// First pause before the link is tried again, microseconds (D23).
pub const BACK_OFF_FIRST: u64 = 1_000_000;
/// Longest pause, microseconds (D23).
pub const BACK_OFF_LAST: u64 = 60_000_000;
/// Failures in a row after which a pause counts as enhanced calm (D23).
pub const CALM_AFTER: u32 = 5;
/// How long the cloud may be unreachable over a local link that is up before the status says so, microseconds (D23).
pub const UNREACHABLE_AFTER: u64 = 30_000_000;

/// Channels at a time.
pub const CHANNELS: usize = 4;
/// Channel openings in any [`OPENS_WINDOW`].
pub const OPENS: usize = 8;
/// The window of the opening rate, microseconds.
pub const OPENS_WINDOW: u64 = 1_000_000;
/// Buffers lent for channels and logs are aligned to this and a multiple of it, bytes.
pub const BUFFER_UNIT: u32 = 512;

/// Publishes in flight on one channel, an answer not yet read included (D45, D80).
pub const PUBLISHES: usize = 16;
/// Acknowledgements that have not left for the cloud, for one channel (D45).
pub const ACKNOWLEDGEMENTS: usize = 16;
/// Filters of one subscribe or unsubscribe.
pub const FILTERS: usize = 8;
/// Certificates of one chain.
pub const CERTIFICATES: usize = 8;
/// Topics that go by number, for one channel.
pub const TOPIC_NUMBERS: usize = 8;
/// Longest topic that goes by number, bytes.
pub const NUMBERED_TOPIC: usize = 64;
/// Received messages and notices of lost ones that wait to be read on one channel.
pub const MESSAGES: usize = 32;
/// Received messages and notices that are announced and not read yet, at most; the next is announced when one is read
/// (D12). Half of the queue of sixteen events that applications are known to have.
pub const ANNOUNCED_MESSAGES: usize = 8;
/// Readable items of one channel: the messages, and one place for every answer it can be owed (D44, D80):
/// publishes, connect, subscribe, unsubscribe, disconnect.
pub const READABLE: usize = MESSAGES + PUBLISHES + 4;
/// Items of one channel that wait to leave: publishes, and one each of connect, subscribe, unsubscribe, disconnect.
pub const OUTGOING: usize = PUBLISHES + 4;

/// Headers of one HTTP request.
pub const HTTP_HEADERS: usize = 32;
/// Headers of one HTTP response: as many as the link lets the cloud send.
pub const RESPONSE_HEADERS: usize = link::RESPONSE_HEADERS as usize;
/// Keys of one configuration fetch (D63).
pub const CONFIG_KEYS: usize = 32;
/// Longest configuration key, bytes (D63).
pub const CONFIG_KEY: u32 = 100;

/// Longest log message, bytes (D70).
pub const LOG_MESSAGE: u32 = 1024;
/// Log messages kept until the cloud has taken them (D84).
pub const LOG_MESSAGES: usize = 128;

/// Microseconds in a second.
pub const SECOND: u64 = 1_000_000;
/// Time between check-ins where the bundle names none, microseconds: a day (D104).
pub const CHECK_IN_DEFAULT: u64 = 86_400 * SECOND;
/// How long a check-in listens for what the cloud has to say, microseconds (N17, D104).
pub const CHECK_IN_STAY: u64 = 5 * SECOND;

/// How often the wall clock is asked for while the link is up, microseconds (D25).
pub const CLOCK_EVERY: u64 = 3_600_000_000;

/// Handles of the external flash at a time (abi: `TOOMANYCHANNELS`).
pub const FLASH_HANDLES: usize = 32;
/// Bytes of a sector of the external flash: what is erased at a time.
pub const SECTOR: u32 = 4096;
/// Bytes of a page of the external flash: what is programmed at a time, at most.
pub const FLASH_PAGE: u32 = 256;

/// Longest name of a Wi-Fi network, bytes.
pub const SSID: usize = 32;
/// Longest Wi-Fi password, bytes.
pub const WIFI_PASSWORD: usize = 63;

/// Room in bytes that `Kernel::transmit` needs to be able to send anything at all it may have to send.
pub const TRANSMIT_ROOM: usize = 1280;
/// Least body of a fragment when more of the item is left, so that the end of a buffer is not filled with crumbs.
pub const SMALLEST_FRAGMENT: usize = 64;
/// Bytes moved at a time between application memory and anywhere else.
pub const CHUNK: usize = 64;
