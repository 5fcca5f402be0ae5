/* A small pre-emptive scheduler, made of the same parts as the usual ones: SVC starts the first task, PendSV switches,
 * SysTick ticks. Of the tasks that are ready the most urgent runs; equals take turns, a tick each. */

#ifndef TASKS_H
#define TASKS_H

#include <stdbool.h>
#include <stdint.h>

/** Milliseconds of a tick. */
#define TICK_MS 1u

/** Adds a task before the scheduler starts; `urgency` 0 is the least, and its tasks must never wait. */
void task_add(void (*run)(void), uint32_t urgency);

/** Starts; does not return. */
void tasks_start(void) __attribute__((noreturn));

/** Lets others run for so many ticks. */
void task_sleep(uint32_t ticks);

/** Waits until `count` is not `seen` any more, or the ticks are over; false if they are. */
bool task_wait(volatile uint32_t *count, uint32_t seen, uint32_t ticks);

/** Has waiting tasks look again. For interrupt handlers. */
void tasks_look(void);

/** How often a task was switched to, over all tasks. */
uint32_t tasks_switches(void);

/** How many bytes of the smallest stack were never used. */
uint32_t tasks_stack_left(void);

#endif
