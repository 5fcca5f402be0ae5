/* The measuring application: publishes as its plan says, takes the times itself, and reports them in the log.
 *
 * What it measures it measures once. A failure is reported, and ends it: half a measurement is none.
 */

#include <stdbool.h>

#include "channel.h"
#include "clock.h"
#include "connection.h"
#include "log.h"
#include "measure.h"
#include "network.h"
#include "plan.h"
#include "report.h"
#include "settings.h"

static struct Settings settings;
static struct Plan plan;

static void start(void)
{
    log_start();
    clock_start();
    channel_start();
    network_start();
    network_wait();
}

/* A measurement stands between two silences, so that what is on the wire then is the measured work alone. */
static bool run(enum Measurement measurement)
{
    if (plan.counts[measurement] == 0) {
        return true;
    }
    report_line("begin %s", measurement_name(measurement));
    clock_sleep(plan.silence_ms);
    bool complete = measure(measurement, &settings, &plan);
    clock_sleep(plan.silence_ms);
    if (complete) {
        measure_report(measurement, &plan);
    }
    report_line("%s %s", complete ? "end" : "failed", measurement_name(measurement));
    return complete;
}

static bool run_all(void)
{
    if (!settings_fetch(&settings) || !plan_fetch(&plan) || !connection_open(&settings)) {
        return false;
    }
    for (enum Measurement measurement = 0; measurement < MEASUREMENTS; measurement++) {
        if (!run(measurement)) {
            return false;
        }
    }
    connection_close();
    return true;
}

int main(void)
{
    start();
    report_line("%s", run_all() ? "done" : "failed");
    for (;;) {
        clock_idle(); /* An idle application, for whoever measures what that costs. */
    }
}
