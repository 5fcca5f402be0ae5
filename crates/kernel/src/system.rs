//! Registrations for system events: the network's status, and updates.

use abi::Status;
use abi::notifications::{EventType, OpenSystemNotificationParams, SystemNotificationSource};

use crate::handles::HandleAllocator;
use crate::limits::SYSTEM_NOTIFICATIONS;
use crate::memory::{HandleParam, OutParam, Phase as _, read_struct};
use crate::notifications::{NotificationTarget, Notifications};
use crate::port::Port;

/// All registrations.
pub(crate) struct SystemEvents {
    registrations: [Registration; SYSTEM_NOTIFICATIONS],
    /// Whether an update has been downloaded and not applied.
    has_update: bool,
}

#[derive(Clone, Copy)]
struct Registration {
    /// 0 if there is none, because no handle is 0 (N08).
    handle: u32,
    target: NotificationTarget,
    source: SystemNotificationSource,
}

impl Registration {
    const NONE: Self = Self {
        handle: 0,
        target: NotificationTarget { centre: 0, tag: 0 },
        source: SystemNotificationSource::Network,
    };
}

impl SystemEvents {
    pub(crate) const fn new() -> Self {
        Self { registrations: [Registration::NONE; SYSTEM_NOTIFICATIONS], has_update: false }
    }

    /// The application restarts without registrations. An update that was not applied still waits for it.
    pub(crate) fn application_restarted(&mut self) {
        self.registrations = [Registration::NONE; SYSTEM_NOTIFICATIONS];
    }

    /// An update has been downloaded. Registrations made later are notified of it too, because an application must not
    /// miss what happened before it registered (D103).
    pub(crate) fn update_downloaded(&mut self, notifications: &mut Notifications, port: &mut Port<'_>) {
        self.has_update = true;
        self.post(notifications, port, SystemNotificationSource::Update);
    }

    /// Posts an event to every registration for this source.
    pub(crate) fn post(
        &self,
        notifications: &mut Notifications,
        port: &mut Port<'_>,
        source: SystemNotificationSource,
    ) {
        for registration in &self.registrations {
            if registration.handle != 0 && registration.source == source {
                notifications.post(port, registration.target, event_type(source));
            }
        }
    }
}

/// `mvOpenSystemNotification`.
pub(crate) fn open(
    events: &mut SystemEvents,
    handles: &mut HandleAllocator,
    notifications: &mut Notifications,
    port: &mut Port<'_>,
    params: u32,
    handle_out: u32,
) -> Result<(), Status> {
    port.require_thread_mode()?;
    let params: OpenSystemNotificationParams = read_struct(port.memory, params).early()?;
    let handle_out = OutParam::check(port.memory, handle_out).early()?;
    let source = SystemNotificationSource::from_raw(params.notification_source);
    let source = source.ok_or(Status::InvalidHandle)?;
    if !notifications.contains(params.notification_handle) {
        return Err(Status::InvalidHandle);
    }
    let slot = events.registrations.iter_mut().find(|slot| slot.handle == 0).ok_or(Status::Unavailable)?;

    let handle = handles.allocate();
    handle_out.write_u32(port.memory, handle).early()?;
    let target = NotificationTarget { centre: params.notification_handle, tag: params.notification_tag };
    *slot = Registration { handle, target, source };
    if source == SystemNotificationSource::Update && events.has_update {
        notifications.post(port, target, event_type(source));
    }
    Ok(())
}

/// `mvCloseSystemNotification`.
pub(crate) fn close(events: &mut SystemEvents, port: &mut Port<'_>, handle: u32) -> Result<(), Status> {
    port.require_thread_mode()?;
    let handle = HandleParam::check(port.memory, handle).early()?;
    let closing = handle.value;
    let is_closing = |slot: &&mut Registration| closing != 0 && slot.handle == closing;
    let slot = events.registrations.iter_mut().find(is_closing).ok_or(Status::InvalidHandle)?;
    handle.clear(port.memory).early()?;
    *slot = Registration::NONE;
    Ok(())
}

fn event_type(source: SystemNotificationSource) -> EventType {
    match source {
        SystemNotificationSource::Network => EventType::NetworkStatusChanged,
        SystemNotificationSource::Update => EventType::UpdateDownloaded,
    }
}
