/* Reports in the log: lines that begin with "bench", none of which is lost. */

#ifndef REPORT_H
#define REPORT_H

#include <stdint.h>

/** One line, formatted as text_format does. Waits for space in the log. */
void report_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Numbers in decimal, in as many lines as needed, each beginning with `name`. */
void report_numbers(const char *name, const uint32_t *numbers, uint32_t count);

#endif
