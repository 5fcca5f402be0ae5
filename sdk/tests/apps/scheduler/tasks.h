/* A small pre-emptive scheduler with the usual parts: SVC starts the first task, PendSV switches,
 * SysTick ticks. The ready task of highest urgency runs; equals take turns, one tick each. */

#ifndef TASKS_H
#define TASKS_H

#include <stdbool.h>
#include <stdint.h>

/** Milliseconds of a tick. */
#define TICK_MS 1u

/** Adds a task before the scheduler starts; `urgency` 0 is the lowest, and its tasks must never wait. */
void task_add(void (*run)(void), uint32_t urgency);

/** Starts; does not return. */
void tasks_start(void) __attribute__((noreturn));

/** Lets others run for a number of ticks. */
void task_sleep(uint32_t ticks);

/** Waits until `count` differs from `seen`, or for the ticks; false after the ticks. */
bool task_wait(volatile uint32_t *count, uint32_t seen, uint32_t ticks);

/** Makes waiting tasks check again. For interrupt handlers. */
void tasks_look(void);

/** The number of task switches. */
uint32_t tasks_switches(void);

/** The smallest number of unused bytes of a stack. */
uint32_t tasks_stack_left(void);

#endif
