//! Limits of the kernel: table sizes, timeouts and lengths. A full table is a status for the caller, never a panic.

use sansio::Duration;

/// Open notification centres (beyond: `TOOMANYNOTIFICATIONBUFFERS`).
pub const NOTIFICATION_CENTRES: usize = 32;
/// Notification records that wait until an earlier interrupt has been taken, shared by all centres (D11).
pub const PENDING_RECORDS: usize = 128;
/// Highest external interrupt number of the processor; a notification cannot pend any beyond it (D15).
pub const LAST_IRQ: u32 = 125;
/// Interrupts that belong to the secure world, where the application has no handler for them: RTC_S, FLASH_S, GTZC,
/// RCC_S, IWDG (D15).
pub const SECURE_IRQS: [u32; 5] = [3, 7, 8, 10, 27];
/// Minimum length of a notification buffer in bytes: two records.
pub const MIN_NOTIFICATION_BUFFER: u32 = 32;

/// Open registrations for system events, bounded because each is stored in the kernel; one more is `UNAVAILABLE`
/// (D103).
pub const SYSTEM_NOTIFICATIONS: usize = 16;
/// Number of external interrupts.
pub const IRQS: usize = LAST_IRQ as usize + 1;

/// Open network handles; one more is `PARAMETERFAULT`, for want of a better status (D20).
pub const NETWORK_HANDLES: usize = 16;
/// Pause before the first reconnection attempt. It doubles with each failure, so that a cloud that comes back is not
/// overrun (D23).
pub const MIN_BACKOFF: Duration = Duration::from_secs(1);
/// Longest pause between reconnection attempts: how late a device may notice that the cloud is back (D23).
pub const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// Consecutive failures after which the reasons include `ENHANCE_CALM` during a pause (D23).
pub const ENHANCED_CALM_FAILURES: u32 = 5;
/// Time without the cloud, over a local link that is up, until the status is `DISCONNECTEDWITHLINKUP` (D23).
pub const UNREACHABLE_AFTER: Duration = Duration::from_secs(30);

/// Open channels.
pub const MAX_CHANNELS: usize = 4;
/// Channels opened in any [`OPEN_RATE_WINDOW`], because each may cost the cloud a connection to a server (D30, D122).
pub const MAX_OPENS_PER_WINDOW: usize = 8;
/// Window over which that rate is limited: short, so that an application that reconnects some channels at once is not
/// refused for long (D30).
pub const OPEN_RATE_WINDOW: Duration = Duration::from_secs(1);
/// Alignment and size granularity of channel and log buffers in bytes, which the guide gives without a reason (N59,
/// N60).
pub const BUFFER_ALIGNMENT: u32 = 512;

/// Publishes in flight on one channel, including those whose response has not been read (D45, D80).
pub const MAX_PUBLISHES: usize = 16;
/// Acknowledgements of one channel that wait to be sent (D45).
pub const MAX_ACKNOWLEDGEMENTS: usize = 16;
/// Topic filters in one subscribe or unsubscribe; several, because only one subscribe is handled at a time (M67).
pub const MAX_FILTERS: usize = 8;
/// Certificates in one chain.
pub const MAX_CERTIFICATES: usize = 8;
/// Topic aliases of one channel, for devices that publish to few topics (D113).
pub const TOPIC_ALIASES: usize = 8;
/// Longest topic that gets an alias, in bytes, because its name is stored in the kernel (D113).
pub const MAX_ALIASED_TOPIC: usize = 64;
/// Unread messages and lost-message notices of one channel.
pub const MAX_MESSAGES: usize = 32;
/// Unread messages and lost-message notices of one channel that have been announced; the next one is announced when
/// one is read (D12). Vendor applications queue events in 16 places, and this is half of them.
pub const MAX_ANNOUNCED_MESSAGES: usize = 8;
/// Readable items of one channel: messages, and one for each response that can be pending, so that a response never
/// waits for space (D44, D80): publishes, connect, subscribe, unsubscribe, disconnect.
pub const MAX_READABLE_ITEMS: usize = MAX_MESSAGES + MAX_PUBLISHES + 4;
/// Requests of one channel that wait to be sent: publishes, and one each of connect, subscribe, unsubscribe,
/// disconnect.
pub const MAX_OUTGOING_ITEMS: usize = MAX_PUBLISHES + 4;

/// Headers in one HTTP request.
pub const MAX_REQUEST_HEADERS: usize = 32;
/// Headers in one HTTP response: as many as the link allows.
pub const MAX_RESPONSE_HEADERS: usize = link::RESPONSE_HEADERS as usize;
/// Keys in one configuration fetch: as many as a response on the link can answer (D63).
pub const MAX_CONFIG_KEYS: usize = 32;
/// Longest configuration key in bytes: longer ones cannot exist in the cloud, whose public API refuses them (D63).
pub const MAX_CONFIG_KEY_LENGTH: u32 = 100;

/// Longest log message in bytes: the link sends a message whole, so that it must fit into small buffers (D70).
pub const MAX_LOG_MESSAGE: u32 = 1024;
/// Log messages stored until the cloud has acknowledged them: their lengths and times are in the kernel, because the
/// application can overwrite the buffer (D84).
pub const MAX_LOG_MESSAGES: usize = 128;

/// Time without an open link until the kernel connects by itself, if the bundle sets none: a day, so that an
/// application that wants to be offline is (D104).
pub const DEFAULT_CHECK_IN_INTERVAL: Duration = Duration::from_secs(86_400);
/// How long the kernel stays connected for a check-in (N17, D104).
pub const CHECK_IN_DURATION: Duration = Duration::from_secs(5);

/// Interval at which the time of day is requested while the link is open (D25).
pub const CLOCK_SYNC_INTERVAL: Duration = Duration::from_secs(3_600);

/// Open handles of the external flash (beyond: `TOOMANYCHANNELS`).
pub const FLASH_HANDLES: usize = 32;
/// Sector of the external flash in bytes, the unit of erasing.
pub const FLASH_SECTOR: u32 = 4096;
/// Page of the external flash in bytes, the longest run that is programmed at a time.
pub const FLASH_PAGE: u32 = 256;

/// Longest SSID in bytes.
pub const MAX_SSID: usize = 32;
/// Longest Wi-Fi password in bytes.
pub const MAX_WIFI_PASSWORD: usize = 63;

/// Minimum length of the buffer given to `Kernel::transmit`: the longest frame that cannot be divided, a log message.
pub const MIN_TRANSMIT_BUFFER: usize = 1280;
/// Minimum body of a fragment that is not the last of its item. The end of a transmit buffer is left unused rather
/// than filled with fragments that are mostly header.
pub const MIN_FRAGMENT: usize = 64;
/// Bytes copied at a time through the kernel's stack.
pub const COPY_CHUNK: usize = 64;
