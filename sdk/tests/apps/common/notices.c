#include "notices.h"

#include "check.h"
#include "processor.h"

#define NVIC_IPR(line) (*(volatile uint8_t *)(0xE000E400 + (line)))

void centre_setup(struct Centre *centre, uint32_t line, volatile struct MvNotification *records, uint32_t count)
{
    const struct MvNotificationSetup setup = {
        .irq = line,
        .buffer = (struct MvNotification *)records,
        .buffer_size = count * (uint32_t)sizeof(struct MvNotification),
    };
    centre->records = records;
    centre->count = count;
    centre->next = 0;
    check_okay("mvSetupNotifications", mvSetupNotifications(&setup, &centre->handle));
}

void line_enable(uint32_t line, uint32_t priority)
{
    NVIC_IPR(line) = (uint8_t)priority;
    interrupt_clear(line);
    interrupt_enable(line);
}

struct MvNotification centre_take(struct Centre *centre)
{
    volatile struct MvNotification *record = &centre->records[centre->next];
    volatile struct MvNotification copy = {
        .microseconds = record->microseconds,
        .event_type = record->event_type,
        .tag = record->tag,
    };
    struct MvNotification event = copy;
    copy.event_type = MV_EVENTTYPE_NOEVENT;
    centre->next = (centre->next + 1) % centre->count;
    return event;
}
