#include "centre.h"

#include "clock.h"
#include "processor.h"

enum MvStatus centre_open(struct Centre *centre, uint32_t line, CentreListener *listener)
{
    const struct MvNotificationSetup setup = {
        .irq = line,
        .buffer = (struct MvNotification *)centre->records,
        .buffer_size = sizeof centre->records,
    };
    centre->next = 0;
    centre->listener = listener;
    enum MvStatus status = mvSetupNotifications(&setup, &centre->handle);
    if (status == MV_STATUS_OKAY) {
        interrupt_clear(line);
        interrupt_enable(line);
    }
    return status;
}

void centre_interrupt(struct Centre *centre)
{
    volatile struct MvNotification *record = &centre->records[centre->next];
    const struct MvNotification event = {
        .microseconds = record->microseconds,
        .event_type = record->event_type,
        .tag = record->tag,
    };
    if (event.event_type == MV_EVENTTYPE_NOEVENT) {
        return; /* An interrupt without a record: the index does not advance. */
    }
    record->event_type = MV_EVENTTYPE_NOEVENT;
    centre->next = (centre->next + 1) % CENTRE_RECORDS;
    centre->listener(&event);
    clock_wake();
}
