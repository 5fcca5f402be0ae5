/* The program's report. Its address is in r0 at the first breakpoint, number 1.
 *
 * A later breakpoint, number 2, means that something was corrupted: r0 is what, r1 the value found. */

#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <stdint.h>

#define TASKS 10u
/* The first line that the runner pends. */
#define FIRST_LINE 29u
#define LINES 8u
/* Tasks and handlers that add to the shared number. */
#define ADDERS 3u

/* What can be found corrupted. */
enum Damage {
    DAMAGE_CONDITIONAL = 1,
    DAMAGE_REGISTER = 2,
    DAMAGE_FLAGS = 3,
    DAMAGE_FLOAT_REGISTER = 4,
    DAMAGE_FPSCR = 5,
    DAMAGE_FRESH_FPSCR = 6,
    DAMAGE_FLOAT_RESULT = 7,
    DAMAGE_MULTIPLE = 8,
    DAMAGE_PRIVILEGE = 9,
    DAMAGE_COMPILED = 10,
    DAMAGE_SUPERVISOR_CALL = 11,
    DAMAGE_PAIR = 12,
    DAMAGE_FRESH_TASK = 13,
    DAMAGE_STACK_LIMIT = 14,
    DAMAGE_RETURNED = 15,
};

struct Report {
    /* Set by the runner: not 0 for frames whose floating-point part is saved eagerly. */
    uint32_t eager;
    /* Iterations of each task, all of them checked. */
    uint32_t rounds[TASKS];
    /* The number of runs of each line's handler. */
    uint32_t entered[LINES];
    /* How often a handler pended the line LINE_PENDED. */
    uint32_t pended;
    /* The shared number, and what each adder has added to it. */
    uint32_t shared;
    uint32_t added[ADDERS];
    uint32_t ticks;
    uint32_t switches;
    /* Frames of tasks switched away from: with the unit's registers and without. */
    uint32_t extended;
    uint32_t standard;
    /* Handlers that interrupted another one. */
    uint32_t nested;
    /* How often the sleeper was woken, and how often it has seen that. */
    uint32_t given;
    uint32_t seen;
};

/* Offset in the lines of the one that handlers pend as well. */
#define LINE_PENDED 3u

extern volatile struct Report report;

static inline void damage(enum Damage what, uint32_t found)
{
    register uint32_t r0 __asm("r0") = (uint32_t)what;
    register uint32_t r1 __asm("r1") = found;
    __asm volatile("bkpt #2" : : "r"(r0), "r"(r1) : "memory");
}

static inline void expect(enum Damage what, uint32_t found, uint32_t expected)
{
    if (found != expected) {
        damage(what, found);
    }
}

#endif
