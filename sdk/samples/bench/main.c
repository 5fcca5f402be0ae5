/* The measuring application: publishes by its plan, measures the times itself, and reports them in the log.
 *
 * Each measurement is made once. A failure is reported and ends the program, since the results would be incomplete.
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

/* A measurement is between two idle times, so that the traffic of that time is only the measured work. */
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
        clock_idle(); /* An idle application, whose cost can be measured. */
    }
}
