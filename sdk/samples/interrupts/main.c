/* Notifications by interrupt, in the usual way: the handler takes exactly one record each time it runs.
 *
 * The hypervisor pends the line once for each record, and writes the next one only when the last interrupt was taken. So a
 * handler does not have to check or clear the record: it copies it and advances its index. What the
 * events mean is decided in the main program, which gets the copies through a queue.
 */

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "log.h"
#include "mv_names.h"
#include "mv_syscalls.h"
#include "processor.h"

#define LINE 41u
#define RECORDS 4u
#define QUEUE 32u

#define NETWORK_TAG 1u
#define OWN_TAG 100u
#define BURST 20u
#define PATIENCE_MS 1000u

static volatile struct MvNotification records[RECORDS] __attribute__((aligned(8)));
static MvNotificationHandle centre;
static MvNetworkHandle network;

/* One writer, the handler, and one reader, the main program: each changes only its own counter. */
static struct MvNotification queue[QUEUE];
static volatile uint32_t queued;
static volatile uint32_t taken;

void TIM1_BRK_IRQHandler(void);

void TIM1_BRK_IRQHandler(void)
{
    static uint32_t next;
    struct MvNotification event = {
        .microseconds = records[next].microseconds,
        .event_type = records[next].event_type,
        .tag = records[next].tag,
    };
    next = (next + 1) % RECORDS;
    queue[queued % QUEUE] = event;
    queued++;
    clock_wake();
}

static bool take(struct MvNotification *event)
{
    if (taken == queued) {
        return false;
    }
    *event = queue[taken % QUEUE];
    taken++;
    return true;
}

/* After the set-up, the application has to clear and enable the line. */
static bool setup(void)
{
    const struct MvNotificationSetup setup = {
        .irq = LINE,
        .buffer = (struct MvNotification *)records,
        .buffer_size = sizeof records,
    };
    if (!log_success("mvSetupNotifications", mvSetupNotifications(&setup, &centre))) {
        return false;
    }
    interrupt_clear(LINE);
    interrupt_enable(LINE);
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
    return log_success("mvGetNetworkStatus", mvGetNetworkStatus(network, &status))
        && status == MV_NETWORKSTATUS_CONNECTED;
}

static void wait_for_network(void)
{
    struct MvNotification event;
    for (;;) {
        while (take(&event)) {
            log_line("interrupts: %s with tag %lu", mv_event_type_name(event.event_type), event.tag);
            if (event.tag == NETWORK_TAG && is_connected()) {
                return;
            }
        }
        clock_idle();
    }
}

/* More events than fit the buffer while no interrupt can be taken: none is lost, the hypervisor queues the others. */
static void burst(void)
{
    struct MvNotification event;
    uint32_t in_order = 0;
    interrupts_hold();
    for (uint32_t number = 0; number < BURST; number++) {
        mvTempTriggerNotification(centre, MV_EVENTTYPE_CHANNELDATAREADABLE, OWN_TAG + number);
    }
    interrupts_release();
    uint32_t start = clock_now();
    while (in_order < BURST && clock_since(start) < PATIENCE_MS) {
        while (take(&event) && event.tag == OWN_TAG + in_order) {
            in_order++;
        }
        clock_idle();
    }
    log_line("interrupts: %lu of %u in order through %u places", in_order, BURST, RECORDS);
}

int main(void)
{
    log_start();
    clock_start();
    if (setup() && request_network()) {
        wait_for_network();
        burst();
    }
    log_line("interrupts: done");
    clock_rest();
}
