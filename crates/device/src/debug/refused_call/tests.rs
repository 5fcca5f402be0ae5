use abi::channel::ChannelType;

use super::*;

/// Where the words of a test's memory are.
const AT: u32 = 0x2000_1000;

/// The words of application memory from [`AT`] on.
fn memory(words: &[u32]) -> impl Fn(u32, &mut [u8]) -> bool {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    move |address, into| {
        let from = address.wrapping_sub(AT) as usize;
        let Some(found) = bytes.get(from..from.saturating_add(into.len())) else { return false };
        into.copy_from_slice(found);
        true
    }
}

/// Handles of each kind.
fn handles() -> Handles {
    let mut handles = Handles::default();
    handles.opened(7, Resource::NotificationCentre);
    handles.opened(9, Resource::Network);
    handles.opened(0x51, Resource::Channel { carries: ChannelType::Mqtt, send_buffer: 1024 });
    handles.opened(0x52, Resource::Channel { carries: ChannelType::Http, send_buffer: 512 });
    handles.opened(0x53, Resource::Network);
    handles.closed(0x53);
    handles
}

fn refused(call: Call, registers: [u32; 4], status: Status, words: &[u32]) -> RefusedCall {
    let (memory, handles) = (memory(words), handles());
    let refusal =
        Refusal { call, registers, status, memory: &memory, handles: &handles, next_reader: Some("mvNoOp") };
    RefusedCalls::default().note(&refusal).expect("the first of its kind")
}

fn reason(call: Call, registers: [u32; 4], status: Status, words: &[u32]) -> String {
    refused(call, registers, status, words).reason.unwrap_or_default()
}

/// Shows D222, D225: a channel of opaque bytes with a receive buffer of 16 bytes at 0x200013E1, as an application of
/// 2021 has it.
#[test]
fn a_buffer_that_does_not_fit_is_named_with_what_is_wanted() {
    let words = [1, 7, 0, 9, 0x2000_13E1, 16, 0x2000_2000, 512, 0, 0, 0_u32];
    let refused = refused(Call::OpenChannel, [AT, 0x2000_3000, 0, 0], Status::InvalidBufferAlignment, &words);
    assert_eq!(
        refused.reason.as_deref(),
        Some(
            "receive_buffer 0x200013e1 is not a multiple of 512; \
             the size of receive_buffer, 16 bytes, is not a multiple of 512, or is 0"
        )
    );
    assert!(refused.arguments.contains("receive_buffer_len=16"), "{}", refused.arguments);
}

/// Shows D222, D280.
#[test]
fn a_handle_that_cannot_be_used_is_distinguished_from_one_that_was_closed_or_is_of_another_kind() {
    let status = |handle| reason(Call::GetNetworkStatus, [handle, AT, 0, 0], Status::InvalidHandle, &[0]);
    assert!(status(0).starts_with("handle is 0: it was not set by a call that succeeded"));
    assert_eq!(status(0x53), "handle 0x53 has been closed");
    assert_eq!(status(7), "handle 0x7 is a notification centre");
    assert!(status(0x1234).starts_with("handle 0x1234 is not a handle of this application"));
    let publish = reason(Call::MqttRequestPublish, [0x52, AT, 0, 0], Status::InvalidHandle, &[0; 7]);
    assert_eq!(publish, "handle 0x52 is an HTTP channel");
    let opened = [1, 7, 0, 0x51, 0x2000_2000, 512, 0x2000_2200, 512, 0, 0, 0_u32];
    let open = reason(Call::OpenChannel, [AT, AT, 0, 0], Status::InvalidHandle, &opened);
    assert_eq!(open, "network_handle 0x51 is an MQTT channel");
    let close = reason(Call::CloseChannel, [AT, 0, 0, 0], Status::InvalidHandle, &[0x53]);
    assert_eq!(close, "handle 0x53 has been closed");
}

/// Shows D222, D280.
#[test]
fn an_address_that_is_not_the_applications_is_named() {
    let parameter = |registers| reason(Call::GetMicroseconds, registers, Status::ParameterFault, &[0, 0]);
    assert_eq!(parameter([0x0800_0000, 0, 0, 0]), "ms 0x08000000 is not in the application's RAM");
    assert_eq!(parameter([0; 4]), "ms is NULL");
    let words = [1, AT, 4, 0x3000_0000, 20, 0, 0];
    let publish = reason(Call::MqttRequestPublish, [0x51, AT, 0, 0], Status::LateFault, &words);
    assert_eq!(publish, "payload.data 0x30000000 with 20 bytes is not in the application's memory");
}

/// Shows D222, D280.
#[test]
fn what_does_not_fit_is_reported_with_both_sizes() {
    let words = [1, AT, 4, AT, 2000, 0, 0];
    let publish = reason(Call::MqttRequestPublish, [0x51, AT, 0, 0], Status::InvalidBufferSize, &words);
    assert_eq!(
        publish,
        "2004 bytes and their framing do not fit into the channel's send buffer of 1024 bytes, or into what is free of it"
    );
    let words = [51, 0x2000_2000, 40];
    let setup = reason(Call::SetupNotifications, [AT, AT, 0, 0], Status::InvalidBufferSize, &words);
    assert_eq!(setup, "buffer_size is 40; it has to be a multiple of 16, and 32 or more");
}

/// Shows D63, D222, D280.
#[test]
fn other_values_are_named_with_what_they_may_be() {
    let words = [2, 7, 0, 9, 0x2000_2000, 512, 0x2000_2200, 512, 9, 0, 0];
    let open = |status| reason(Call::OpenChannel, [AT, AT, 0, 0], status, &words);
    assert_eq!(open(Status::UnsupportedStructureVersion), "version is 2; the only version is 1");
    assert_eq!(open(Status::UnknownChannelType), "channel_type is 9");
    let setup = |irq| {
        reason(Call::SetupNotifications, [AT, AT, 0, 0], Status::InvalidInterrupt, &[irq, 0x2000_2000, 64])
    };
    assert_eq!(setup(200), "interrupt 200 does not exist; the last one is 125");
    assert_eq!(setup(8), "interrupt 8 belongs to the secure world");
    let read = reason(Call::MqttReadPublishResponse, [0x51, AT, 0, 0], Status::WrongDataRequested, &[0]);
    assert_eq!(read, "the next item of this channel is one for mvNoOp");
    // Two keys behind the parameters and their descriptions; a space is allowed (D63).
    let key = |at, bytes| ([0, 0, at, 3], u32::from_le_bytes(bytes));
    let ((first, space), (second, tab)) = (key(AT + 40, *b"a b\0"), key(AT + 44, *b"a\tb\0"));
    let words = [&[2, AT + 8][..], &first, &second, &[space, tab]].concat();
    let key = reason(Call::SendConfigFetchRequest, [0x54, AT, 0, 0], Status::InvalidConfigKey, &words);
    assert_eq!(key, "keys_to_fetch[1].key \"a\\tb\" has characters that are not printable ASCII");
}

/// Shows D222: every status that is reported has words of its own.
#[test]
fn each_kind_of_refusal_is_reported_once() {
    let mut refusals = RefusedCalls::default();
    let handles = Handles::default();
    let mut is_reported = |call, status| {
        let registers = [1, 2, 3, 4];
        let refusal =
            Refusal { call, registers, status, memory: &|_, _| false, handles: &handles, next_reader: None };
        refusals.note(&refusal).is_some()
    };
    assert!(is_reported(Call::CloseChannel, Status::InvalidHandle));
    assert!(!is_reported(Call::CloseChannel, Status::InvalidHandle), "reported already");
    assert!(is_reported(Call::CloseChannel, Status::ParameterFault), "another status");
    assert!(is_reported(Call::ReadChannel, Status::InvalidHandle), "another call");
    assert!(!is_reported(Call::ReadChannel, Status::Okay));
    for normal in [Status::ResponseNotPresent, Status::NetworkNotConnected, Status::ChannelClosed] {
        assert!(!is_reported(Call::MqttReadConnectResponse, normal), "normal in operation");
    }
    let kinds = Call::ALL.into_iter().map(|call| is_reported(call, Status::Unavailable));
    assert_eq!(kinds.filter(|reported| *reported).count(), MAX_KINDS - 3, "bounded");
    for status in Status::ALL.into_iter().filter(|status| is_refusal(*status)) {
        assert_ne!(reason::meaning(status), "normal in operation", "{status:?}");
    }
}
