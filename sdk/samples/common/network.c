#include "network.h"

#include <stdbool.h>
#include <stdint.h>

#include "centre.h"
#include "clock.h"
#include "log.h"
#include "mv_names.h"

#define RETRY_MS 1000u
#define NETWORK_TAG 1u

static struct Centre centre;
static MvNetworkHandle handle;
static volatile bool changed;
static enum MvNetworkStatus status = MV_NETWORKSTATUS_DELIBERATELYOFFLINE;

void TIM1_BRK_IRQHandler(void);

void TIM1_BRK_IRQHandler(void)
{
    centre_interrupt(&centre);
}

static void listen(const struct MvNotification *event)
{
    if (event->event_type == MV_EVENTTYPE_NETWORKSTATUSCHANGED) {
        changed = true;
    }
}

static bool request(void)
{
    const struct MvRequestNetworkParams params = {
        .version = 1,
        .v1 = { .notification_handle = centre.handle, .notification_tag = NETWORK_TAG },
    };
    return log_success("mvRequestNetwork", mvRequestNetwork(&params, &handle));
}

void network_start(void)
{
    while (centre.handle == 0 && !log_success("mvSetupNotifications", centre_open(&centre, IRQ_TIM1_BRK, listen))) {
        clock_sleep(RETRY_MS);
    }
    while (!request()) {
        clock_sleep(RETRY_MS);
    }
    changed = true; /* The link may be up already: the first check must not wait for an event. */
}

static void log_reasons(void)
{
    enum MvNetworkReason reasons;
    uint32_t requests;
    if (!log_success("mvGetNetworkReasons", mvGetNetworkReasons(&reasons, &requests))) {
        return;
    }
    for (uint32_t bit = 1; bit != 0; bit <<= 1) {
        if ((uint32_t)reasons & bit) {
            log_line("network: because %s", mv_network_reason_name((enum MvNetworkReason)bit));
        }
    }
}

/* The event only says that the status changed, so it has to be read. */
void network_watch(void)
{
    if (!changed) {
        return;
    }
    changed = false;
    if (log_success("mvGetNetworkStatus", mvGetNetworkStatus(handle, &status))) {
        log_line("network: %s", mv_network_status_name(status));
        log_reasons();
    }
}

void network_wait(void)
{
    network_watch();
    while (status != MV_NETWORKSTATUS_CONNECTED) {
        clock_idle();
        network_watch();
    }
}

/* Without a handle there are no more events. */
void network_stop(void)
{
    log_success("mvReleaseNetwork", mvReleaseNetwork(&handle));
    status = MV_NETWORKSTATUS_DELIBERATELYOFFLINE;
    changed = false;
}

MvNetworkHandle network_handle(void)
{
    return handle;
}
