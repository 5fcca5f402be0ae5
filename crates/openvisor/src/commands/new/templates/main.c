/* {name}: asks for the network, and logs a line a second and each change of the network.
 *
 * The hypervisor writes notifications into a buffer of the application and raises an interrupt of its choice; the
 * handler takes them one by one.
 */

#include <stdbool.h>
#include <stdint.h>

#include "mv_names.h"
#include "mv_syscalls.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define SYST_CSR REGISTER(0xE000E010u)
#define SYST_RVR REGISTER(0xE000E014u)
#define NVIC_ISER(line) REGISTER(0xE000E100u + 4 * ((line) / 32))

/* Notifications come as this interrupt, one that no peripheral of this application uses: TIM1_BRK. */
#define NOTIFICATION_LINE 41u
#define NOTIFICATIONS 8u
#define NETWORK_TAG 1u

/* Buffers of the log start at, and are, multiples of 512 bytes. */
static uint8_t log_buffer[1024] __attribute__((aligned(512)));
static struct MvNotification notifications[NOTIFICATIONS] __attribute__((aligned(8)));
static MvNetworkHandle network;
static volatile bool network_changed;
static volatile uint32_t milliseconds;

void SysTick_Handler(void);
void TIM1_BRK_IRQHandler(void);

void SysTick_Handler(void)
{
    milliseconds += 10;
}

void TIM1_BRK_IRQHandler(void)
{
    static uint32_t next;
    for (; notifications[next].event_type != MV_EVENTTYPE_NOEVENT; next = (next + 1) % NOTIFICATIONS) {
        if (notifications[next].tag == NETWORK_TAG) {
            network_changed = true;
        }
        notifications[next].event_type = MV_EVENTTYPE_NOEVENT;
    }
}

static void log_text(const char *text)
{
    uint16_t length = 0;
    while (text[length] != '\0') {
        length++;
    }
    (void)mvServerLog((const uint8_t *)text, length);
}

/* Logs a call that was refused; without this a mistake goes unnoticed. */
static bool accepted(const char *call, enum MvStatus status)
{
    if (status != MV_STATUS_OKAY) {
        log_text(call);
        log_text(mv_status_name(status));
    }
    return status == MV_STATUS_OKAY;
}

static void start_clock(void)
{
    uint32_t hertz = 0;
    if (accepted("mvGetHClk", mvGetHClk(&hertz))) {
        SYST_RVR = hertz / 100 - 1;
        SYST_CSR = 7; /* The processor's clock, with an interrupt, on. */
    }
}

static void request_network(void)
{
    MvNotificationHandle centre;
    const struct MvNotificationSetup setup = {
        .irq = NOTIFICATION_LINE,
        .buffer = notifications,
        .buffer_size = sizeof notifications,
    };
    if (!accepted("mvSetupNotifications", mvSetupNotifications(&setup, &centre))) {
        return;
    }
    NVIC_ISER(NOTIFICATION_LINE) = 1u << NOTIFICATION_LINE % 32;
    const struct MvRequestNetworkParams request = {
        .version = 1,
        .v1 = { .notification_handle = centre, .notification_tag = NETWORK_TAG },
    };
    (void)accepted("mvRequestNetwork", mvRequestNetwork(&request, &network));
}

static void log_network(void)
{
    enum MvNetworkStatus status;
    if (accepted("mvGetNetworkStatus", mvGetNetworkStatus(network, &status))) {
        log_text(mv_network_status_name(status));
    }
}

int main(void)
{
    (void)mvServerLoggingInit(log_buffer, sizeof log_buffer);
    log_text("{name} starts");
    start_clock();
    request_network();
    uint32_t next = 0;
    for (;;) {
        if (network_changed) {
            network_changed = false;
            log_network();
        }
        if (milliseconds >= next) {
            log_text("hello from {name}");
            next += 1000;
        }
        __asm volatile("wfi");
    }
}
