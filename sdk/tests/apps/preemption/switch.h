/* A pre-emptive scheduler that uses the processor as real-time kernels for it do: SVC starts the first task, SysTick
 * asks for a switch, PendSV switches, BASEPRI holds the less urgent interrupts back, each task has a stack limit, and
 * S16 to S31 are saved only for those who use them. Everybody who is ready takes turns; whoever is woken goes first. */

#ifndef SWITCH_H
#define SWITCH_H

#include <stdbool.h>
#include <stdint.h>

/* Interrupts of this priority and less urgent ones wait in a critical section. */
#define PRIORITY_HELD 0x50u

enum Privilege {
    PRIVILEGED = 0,
    UNPRIVILEGED = 1,
};

void task_add(void (*run)(void), enum Privilege privilege);
/* Wakes the last task added at the next switch, which it asks for. */
void task_wake(void);
/* Lets somebody else go on. Not for unprivileged tasks. */
void task_yield(void);
/* Ends the running task: it starts anew, from its first instruction, when its turn comes. */
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
