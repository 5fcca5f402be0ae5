/* Notifications without interrupts: the centre's line stays disabled, and the program polls the records.
 *
 * The buffer is filled with 0xFF, so that a record's event type shows whether it was written. The next record is at an
 * index that the program keeps in step with the hypervisor's. The hypervisor does not wait for a reader: one that is
 * a full turn behind finds records overwritten.
 */

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "log.h"
#include "mv_names.h"
#include "mv_syscalls.h"

/* TIM1_BRK. The line is pended for every record, which has no effect while it is disabled. */
#define LINE 41u
#define RECORDS 16u
#define UNWRITTEN 0xFFFFFFFFu

#define NETWORK_TAG 1u
#define OWN_TAG 100u
#define BURSTS 4u
#define BURST 10u

static volatile struct MvNotification records[RECORDS] __attribute__((aligned(8)));
static uint32_t next;
static MvNotificationHandle centre;
static MvNetworkHandle network;

static void make_unwritten(volatile struct MvNotification *record)
{
    record->microseconds = UINT64_MAX;
    record->event_type = (enum MvEventType)UNWRITTEN;
    record->tag = UNWRITTEN;
}

static bool setup(void)
{
    const struct MvNotificationSetup setup = {
        .irq = LINE,
        .buffer = (struct MvNotification *)records,
        .buffer_size = sizeof records,
    };
    for (uint32_t index = 0; index < RECORDS; index++) {
        make_unwritten(&records[index]);
    }
    return log_success("mvSetupNotifications", mvSetupNotifications(&setup, &centre));
}

/* Takes the record at the index, if there is one, and marks it as unwritten. */
static bool take(struct MvNotification *event)
{
    volatile struct MvNotification *record = &records[next];
    if ((uint32_t)record->event_type == UNWRITTEN) {
        return false;
    }
    event->microseconds = record->microseconds;
    event->event_type = record->event_type;
    event->tag = record->tag;
    make_unwritten(record);
    next = (next + 1) % RECORDS;
    return true;
}

static bool request_network(void)
{
    const struct MvRequestNetworkParams params = {
        .version = 1,
        .v1 = { .notification_handle = centre, .notification_tag = NETWORK_TAG },
    };
    return log_success("mvRequestNetwork", mvRequestNetwork(&params, &network));
}

static bool is_connected(void)
{
    enum MvNetworkStatus status;
    if (!log_success("mvGetNetworkStatus", mvGetNetworkStatus(network, &status))) {
        return false;
    }
    log_line("polling: network %s", mv_network_status_name(status));
    return status == MV_NETWORKSTATUS_CONNECTED;
}

static void wait_for_network(void)
{
    struct MvNotification event;
    for (;;) {
        clock_sleep(CLOCK_TICK_MS);
        while (take(&event)) {
            log_line("polling: %s with tag %lu", mv_event_type_name(event.event_type), event.tag);
            if (event.tag == NETWORK_TAG && is_connected()) {
                return;
            }
        }
    }
}

/* Posts its own events and takes them afterwards; returns whether all were there, in order. */
static bool burst(uint32_t number)
{
    struct MvNotification event;
    uint32_t first = OWN_TAG + number * BURST;
    for (uint32_t tag = first; tag < first + BURST; tag++) {
        log_success("mvTempTriggerNotification",
            mvTempTriggerNotification(centre, MV_EVENTTYPE_CHANNELDATAREADABLE, tag));
    }
    uint32_t tag = first;
    while (take(&event) && event.tag == tag) {
        tag++;
    }
    log_line("polling: burst %lu: %lu of %u in order", number, tag - first, BURST);
    return tag == first + BURST;
}

int main(void)
{
    log_start();
    clock_start();
    if (setup() && request_network()) {
        wait_for_network();
        for (uint32_t number = 0; number < BURSTS && burst(number); number++) {
        }
    }
    log_line("polling: done");
    clock_rest();
}
