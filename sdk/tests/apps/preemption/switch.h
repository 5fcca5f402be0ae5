/* A pre-emptive scheduler that uses the processor as real-time kernels do: SVC starts the first task, SysTick
 * requests a switch, PendSV switches, BASEPRI masks the less urgent interrupts, each task has a stack limit, and
 * S16 to S31 are saved only for tasks that use them. Ready tasks take turns; a woken task is next. */

#ifndef SWITCH_H
#define SWITCH_H

#include <stdbool.h>
#include <stdint.h>

/* Interrupts of this priority and less urgent ones are masked in a critical section. */
#define PRIORITY_HELD 0x50u

enum Privilege {
    PRIVILEGED = 0,
    UNPRIVILEGED = 1,
};

void task_add(void (*run)(void), enum Privilege privilege);
/* Wakes the last task added, and requests a switch. */
void task_wake(void);
/* Yields to another task. Not for unprivileged tasks. */
void task_yield(void);
/* Ends the running task: it starts again from its first instruction at its next turn. */
void task_end(void);
void tasks_start(void) __attribute__((noreturn));

/* r0 + 3 r1 + 5 r2 + 7 r3, computed by the SVC handler in the caller's frame. */
uint32_t weighed(uint32_t a, uint32_t b, uint32_t c, uint32_t d);

static inline uint32_t critical_enter(void)
{
    uint32_t before;
    __asm volatile("mrs %0, basepri\n msr basepri, %1\n isb" : "=&r"(before) : "r"(PRIORITY_HELD) : "memory");
    return before;
}

static inline void critical_leave(uint32_t before)
{
    __asm volatile("msr basepri, %0\n isb" : : "r"(before) : "memory");
}

#endif
