//! Registrations for events of the system itself: the network's status, and updates.

use abi::Status;
use abi::notifications::{EventType, OpenSystemNotificationParams, SystemNotificationSource};

use crate::Kernel;
use crate::limits::SYSTEM_NOTIFICATIONS;
use crate::memory::{HandleVariable, Output, Phase as _, structure};
use crate::notifications::Address;
use crate::port::Port;

/// All registrations.
pub(crate) struct SystemEvents {
    registered: [Registration; SYSTEM_NOTIFICATIONS],
    /// Whether an update is downloaded and waits.
    update_waits: bool,
}

#[derive(Clone, Copy)]
struct Registration {
    /// 0 where there is none (N08).
    handle: u32,
    to: Address,
    source: SystemNotificationSource,
}

impl Registration {
    const NONE: Self =
        Self { handle: 0, to: Address { centre: 0, tag: 0 }, source: SystemNotificationSource::Network };
}

impl SystemEvents {
    pub(crate) const fn new() -> Self {
        Self { registered: [Registration::NONE; SYSTEM_NOTIFICATIONS], update_waits: false }
    }

    /// The application starts anew: it has registered for nothing. An update that waits goes on waiting.
    pub(crate) fn application_restarted(&mut self) {
        self.registered = [Registration::NONE; SYSTEM_NOTIFICATIONS];
    }
}

impl Kernel {
    /// The port has downloaded and verified an update, which waits for `mvRestart`: everyone who registered for it is
    /// told, and so will be everyone who registers from now on (D103).
    pub fn update_downloaded(&mut self, port: &mut Port<'_>) {
        self.system.update_waits = true;
        self.post_system_event(port, SystemNotificationSource::Update);
    }

    /// Tells everyone who registered for this source.
    pub(crate) fn post_system_event(&mut self, port: &mut Port<'_>, source: SystemNotificationSource) {
        for registration in self.system.registered {
            if registration.handle != 0 && registration.source == source {
                self.notifications.post(port, registration.to, event(source));
            }
        }
    }

    /// `mvOpenSystemNotification`.
    pub(crate) fn open_system_notification(
        &mut self,
        port: &mut Port<'_>,
        params: u32,
        handle_out: u32,
    ) -> Result<(), Status> {
        port.not_in_handler()?;
        let params: OpenSystemNotificationParams = structure(port.memory, params).early()?;
        let handle_out = Output::claim(port.memory, handle_out).early()?;
        let source = SystemNotificationSource::from_raw(params.notification_source);
        let source = source.ok_or(Status::InvalidHandle)?;
        if !self.notifications.knows(params.notification_handle) {
            return Err(Status::InvalidHandle);
        }
        let place = self.system.registered.iter_mut().find(|place| place.handle == 0);
        let place = place.ok_or(Status::Unavailable)?;

        let handle = self.handles.issue();
        handle_out.put_u32(port.memory, handle).early()?;
        let to = Address { centre: params.notification_handle, tag: params.notification_tag };
        *place = Registration { handle, to, source };
        if source == SystemNotificationSource::Update && self.system.update_waits {
            self.notifications.post(port, to, event(source));
        }
        Ok(())
    }

    /// `mvCloseSystemNotification`.
    pub(crate) fn close_system_notification(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
    ) -> Result<(), Status> {
        port.not_in_handler()?;
        let handle = HandleVariable::claim(port.memory, handle).early()?;
        let closing = handle.value;
        let is_it = |place: &&mut Registration| closing != 0 && place.handle == closing;
        let place = self.system.registered.iter_mut().find(is_it).ok_or(Status::InvalidHandle)?;
        handle.zero(port.memory).early()?;
        *place = Registration::NONE;
        Ok(())
    }
}

fn event(source: SystemNotificationSource) -> EventType {
    match source {
        SystemNotificationSource::Network => EventType::NetworkStatusChanged,
        SystemNotificationSource::Update => EventType::UpdateDownloaded,
    }
}
