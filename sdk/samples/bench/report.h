/* Reports to whoever reads the log: lines that begin with "bench", none of them lost. */

#ifndef REPORT_H
#define REPORT_H

#include <stdint.h>

/** One line, formatted as text_format does. Waits for room in the log. */
void report_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Numbers in decimal, in as many lines as it takes, each beginning with `name`. */
void report_numbers(const char *name, const uint32_t *numbers, uint32_t count);

#endif
