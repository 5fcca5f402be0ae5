/* Checks of a test application: each is a line of the log that begins with PASS or FAIL. */

#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "mv_syscalls.h"

void check(const char *claim, bool holds);

void check_equal(const char *claim, uint32_t found, uint32_t expected);

/** Checks that a call was accepted. */
void check_okay(const char *call, enum MvStatus status);

void check_status(const char *claim, enum MvStatus status, enum MvStatus expected);

/** Logs a failure and stops where it is called, also in an interrupt handler. */
void check_stop(const char *why, uint32_t number) __attribute__((noreturn));

/** Logs how many checks there were and how many failed. */
void check_end(void);

#endif
