/* The measurements, timed by the hypervisor's microseconds. */

#ifndef MEASURE_H
#define MEASURE_H

#include <stdbool.h>

#include "plan.h"
#include "settings.h"

const char *measurement_name(enum Measurement measurement);

/** Measures, and stores the result. False if the connection failed. */
bool measure(enum Measurement measurement, const struct Settings *settings, const struct Plan *plan);

/** Reports the stored result of the last measurement. */
void measure_report(enum Measurement measurement, const struct Plan *plan);

#endif
