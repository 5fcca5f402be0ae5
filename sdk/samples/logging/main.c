/* Logging: lines to the cloud, while the device is offline, and when their buffer is full.
 *
 * The log does not need the network handle. But once an application has requested the network and released it, lines
 * wait in the buffer until it requests it again; when the buffer is full, new lines are refused.
 */

#include <stdint.h>

#include "clock.h"
#include "log.h"
#include "mv_names.h"
#include "mv_syscalls.h"
#include "network.h"
#include "text.h"

/* The smallest possible buffer, so that it is soon full. */
static uint8_t buffer[512] __attribute__((aligned(512)));

/* Longer than the longest line. */
static uint8_t too_long[1025];

/* The time for the buffered lines to be sent. */
#define DRAIN_MS 1000u

static enum MvStatus post(const char *text)
{
    return mvServerLog((const uint8_t *)text, (uint16_t)text_length(text));
}

/* Posts numbered lines until one is refused, and returns how many were accepted. */
static uint32_t fill(enum MvStatus *refusal)
{
    char line[64];
    uint32_t taken = 0;
    for (;;) {
        text_format(line, sizeof line, "waiting line %02lu, forty characters in all", taken);
        *refusal = post(line);
        if (*refusal != MV_STATUS_OKAY) {
            return taken;
        }
        taken++;
    }
}

static void log_statuses(enum MvStatus early)
{
    log_line("logging: before a buffer was given: %s", mv_status_name(early));
    log_line("logging: 1025 bytes: %s", mv_status_name(mvServerLog(too_long, sizeof too_long)));
    log_line("logging: the next line is empty");
    log_success("mvServerLog", post(""));
}

static void go_offline_and_fill(void)
{
    enum MvStatus refusal;
    network_start();
    network_wait();
    clock_sleep(DRAIN_MS);
    network_stop();
    uint32_t taken = fill(&refusal);
    network_start();
    network_wait();
    clock_sleep(DRAIN_MS);
    log_line("logging: %lu lines waited, the next was refused: %s", taken, mv_status_name(refusal));
}

int main(void)
{
    enum MvStatus early = post("nobody hears this");
    if (mvServerLoggingInit(buffer, sizeof buffer) != MV_STATUS_OKAY) {
        return 1; /* Returning is a crash, which is reported to the cloud. */
    }
    clock_start();
    log_statuses(early);
    go_offline_and_fill();
    log_line("logging: done");
    clock_rest();
}
