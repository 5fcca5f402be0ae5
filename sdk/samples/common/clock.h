/* Milliseconds by SysTick, and sleeping until something happens. */

#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/** The clock's resolution. */
#define CLOCK_TICK_MS 10

/** Starts the clock at 0. */
void clock_start(void);

/** Milliseconds since the start; wraps after 49 days. */
uint32_t clock_now(void);

/** Milliseconds from `then` to now, correct also across a wrap. */
uint32_t clock_since(uint32_t then);

/** Makes clock_idle return. For interrupt handlers. */
void clock_wake(void);

/** Sleeps until the next tick, or until clock_wake was called since the last time. */
void clock_idle(void);

/** Sleeps for a number of milliseconds. */
void clock_sleep(uint32_t milliseconds);

/** Sleeps forever; interrupts are still taken. */
void clock_rest(void) __attribute__((noreturn));

#endif
