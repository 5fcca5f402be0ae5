#include "channel.h"

#include "centre.h"
#include "clock.h"
#include "log.h"
#include "mv_names.h"
#include "network.h"

#define RETRY_MS 1000u

static uint8_t receive_buffer[CHANNEL_RECEIVE_SIZE] __attribute__((aligned(512)));
static uint8_t send_buffer[CHANNEL_SEND_SIZE] __attribute__((aligned(512)));

static struct Centre centre;
static MvChannelHandle handle;
/* A new tag for each channel, so that a late event of the last channel is not mistaken for one of this. */
static volatile uint32_t tag;
static volatile bool readable;
static volatile bool writable;
static volatile bool lost;

void TIM8_BRK_IRQHandler(void);

void TIM8_BRK_IRQHandler(void)
{
    centre_interrupt(&centre);
}

static void listen(const struct MvNotification *event)
{
    if (event->tag != tag) {
        return;
    }
    if (event->event_type == MV_EVENTTYPE_CHANNELDATAREADABLE) {
        readable = true;
    } else if (event->event_type == MV_EVENTTYPE_CHANNELDATAWRITESPACE) {
        writable = true;
    } else if (event->event_type == MV_EVENTTYPE_CHANNELNOTCONNECTED) {
        lost = true;
    }
}

void channel_start(void)
{
    while (!log_success("mvSetupNotifications", centre_open(&centre, IRQ_TIM8_BRK, listen))) {
        clock_sleep(RETRY_MS);
    }
}

bool channel_open(enum MvChannelType type)
{
    tag++;
    readable = false;
    writable = false;
    lost = false;
    const struct MvOpenChannelParams params = {
        .version = 1,
        .v1 = {
            .notification_handle = centre.handle,
            .notification_tag = tag,
            .network_handle = network_handle(),
            .receive_buffer = receive_buffer,
            .receive_buffer_len = sizeof receive_buffer,
            .send_buffer = send_buffer,
            .send_buffer_len = sizeof send_buffer,
            .channel_type = type,
            .endpoint = { .data = (const uint8_t *)"", .length = 0 },
        },
    };
    return log_success("mvOpenChannel", mvOpenChannel(&params, &handle));
}

MvChannelHandle channel_handle(void)
{
    return handle;
}

/* Cleared before reading, so that what arrives during it is seen the next time; and only if set: an interrupt between
 * reading the flag and clearing one that was not set would be lost. */
bool channel_take_readable(void)
{
    if (!readable) {
        return false;
    }
    readable = false;
    return true;
}

bool channel_take_writable(void)
{
    if (!writable) {
        return false;
    }
    writable = false;
    return true;
}

bool channel_wait_readable(uint32_t milliseconds)
{
    uint32_t start = clock_now();
    while (!channel_take_readable()) {
        if (lost || clock_since(start) > milliseconds) {
            return false;
        }
        clock_idle();
    }
    return true;
}

bool channel_is_lost(void)
{
    return lost;
}

static void log_closure_reason(void)
{
    enum MvClosureReason reason;
    if (log_success("mvGetChannelClosureReason", mvGetChannelClosureReason(handle, &reason))) {
        log_line("channel: lost, %s", mv_closure_reason_name(reason));
    }
}

void channel_close(void)
{
    if (lost) {
        log_closure_reason();
    }
    log_success("mvCloseChannel", mvCloseChannel(&handle));
}
