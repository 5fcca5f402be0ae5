/* A program that waits by polling, without interrupts or timers: for times of both clocks, for a change of the
 * network's state, and for responses that do not arrive. What it does between two calls must not be delayed by that. */

#include <stdbool.h>
#include <stdint.h>

#include "check.h"
#include "log.h"

#define LINE 41u
#define RECORDS 8u

#define SECOND 1000000u
/* The most microseconds by which a time may be seen late. */
#define LATE 1000u

static volatile struct MvNotification records[RECORDS] __attribute__((aligned(8)));
static MvNotificationHandle centre;
static MvNetworkHandle network;

static uint64_t now(void)
{
    uint64_t microseconds = 0;
    (void)mvGetMicroseconds(&microseconds);
    return microseconds;
}

static void check_late(const char *claim, uint64_t late)
{
    check(claim, late <= LATE);
    if (late > LATE) {
        log_line("%s: %lu us late", claim, (uint32_t)late);
    }
}

/* The simplest loop: one call, one comparison. */
static void wait_for_a_moment(void)
{
    log_line("BEGIN a moment");
    uint64_t due = now() + 2 * SECOND;
    while (now() < due) {
    }
    check_late("a moment is seen in time", now() - due);
    log_line("DONE a moment");
}

/* A clock on a display: seconds, minutes and hours are computed each time, and stored. */
static volatile struct {
    uint32_t hours;
    uint32_t minutes;
    uint32_t seconds;
} shown;

static uint64_t show_time(void)
{
    uint64_t microseconds = 0;
    if (mvGetWallTime(&microseconds) == MV_STATUS_OKAY) {
        uint32_t seconds = (uint32_t)(microseconds / SECOND);
        shown.seconds = seconds % 60;
        shown.minutes = seconds / 60 % 60;
        shown.hours = seconds / 3600 % 24;
    }
    return microseconds;
}

static void wait_for_the_next_seconds(void)
{
    log_line("BEGIN a clock");
    uint64_t microseconds = show_time();
    for (uint32_t times = 0; times < 3; times++) {
        uint32_t before = shown.seconds;
        while (shown.seconds == before) {
            microseconds = show_time();
        }
        if (times > 0) {
            check_late("a second begins in time", microseconds % SECOND);
        }
    }
    log_line("DONE a clock");
}

/* Several calls, with the last results stored for the next iteration. */
static void wait_with_several_questions(void)
{
    enum MvNetworkStatus status = MV_NETWORKSTATUS_CONNECTING;
    enum MvNetworkReason reason;
    uint32_t handles;
    uint64_t start = now();
    uint64_t last = start;
    uint64_t longest = 0;
    log_line("BEGIN several questions");
    while (last - start < 2 * SECOND) {
        uint64_t asked = now();
        longest = asked - last > longest ? asked - last : longest;
        last = asked;
        (void)mvGetNetworkStatus(network, &status);
        (void)mvGetNetworkReasons(&reason, &handles);
    }
    check_late("a moment is seen in time between other questions", last - start - 2 * SECOND);
    check_late("no round takes longer", longest);
    log_line("DONE several questions");
}

/* The time at which the network's loss is seen is logged; the test knows when it was. */
static void wait_for_a_change(void)
{
    enum MvNetworkStatus status = MV_NETWORKSTATUS_CONNECTED;
    log_line("BEGIN a change");
    while (mvGetNetworkStatus(network, &status) == MV_STATUS_OKAY && status == MV_NETWORKSTATUS_CONNECTED) {
    }
    uint64_t seen = now();
    log_line("DONE a change at %lu", (uint32_t)seen);
}

static void delay(uint32_t microseconds)
{
    uint64_t start = now();
    while (now() - start < microseconds) {
    }
}

/* Drivers use short delays: many of them must not add up. */
static void wait_often_for_a_little(void)
{
    uint64_t start = now();
    for (uint32_t times = 0; times < 200; times++) {
        delay(100);
    }
    uint32_t taken = (uint32_t)(now() - start);
    check("short delays stay short", taken >= 20000 && taken < 25000);
    log_line("200 delays of 100 us took %lu us", taken);
}

/* Work that reads the clock in between is not waiting. */
static void work_with_an_eye_on_the_clock(void)
{
    uint64_t start = now();
    uint32_t sum = 0;
    uint32_t rounds = 0;
    while (rounds < 20000 && now() - start < 10 * SECOND) {
        sum = (sum << 5 | sum >> 27) ^ rounds;
        rounds++;
    }
    uint32_t taken = (uint32_t)(now() - start);
    check_equal("all the work was done", rounds, 20000);
    check("work is not held up", taken < 100000);
    log_line("20000 rounds of work took %lu us, and give %lu", taken, sum);
}

int main(void)
{
    const struct MvNotificationSetup setup = {
        .irq = LINE,
        .buffer = (struct MvNotification *)records,
        .buffer_size = sizeof records,
    };
    log_start();
    check_okay("mvSetupNotifications", mvSetupNotifications(&setup, &centre));
    const struct MvRequestNetworkParams params = {
        .version = 1,
        .v1 = { .notification_handle = centre, .notification_tag = 1 },
    };
    check_okay("mvRequestNetwork", mvRequestNetwork(&params, &network));
    enum MvNetworkStatus status = MV_NETWORKSTATUS_CONNECTING;
    while (status != MV_NETWORKSTATUS_CONNECTED) {
        check_okay("mvGetNetworkStatus", mvGetNetworkStatus(network, &status));
    }
    wait_for_a_moment();
    wait_for_the_next_seconds();
    wait_with_several_questions();
    wait_often_for_a_little();
    work_with_an_eye_on_the_clock();
    wait_for_a_change();
    check_end();
    log_line("BEGIN for ever");
    for (;;) {
        (void)show_time();
    }
}
