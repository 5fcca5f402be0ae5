/* Lines of text to the cloud's log. */

#ifndef LOG_H
#define LOG_H

#include <stdbool.h>

#include "mv_syscalls.h"

/** Gives the hypervisor a buffer for the log. To be called first. */
void log_start(void);

/** Posts one line, formatted as text_format does. A line that is refused is lost: logging is best effort. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** True for OKAY; logs the call and the status otherwise. */
bool log_success(const char *what, enum MvStatus status);

#endif
