/* What the program tells whoever runs it. It shows where it is at its first breakpoint, number 1, in r0.
 *
 * A later breakpoint, number 2, means that something was corrupted: r0 says what, r1 what was found. */

#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <stdint.h>

#define TASKS 10u
/* Lines the runner pends, from this one on. */
#define FIRST_LINE 29u
#define LINES 8u
/* Tasks and handlers that add to the shared number. */
#define ADDERS 3u

/* What may be found corrupted. */
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
    /* Given by the runner: not 0 for frames whose floating-point part is saved at once. */
    uint32_t eager;
    /* Rounds of each task, all of them checked. */
    uint32_t rounds[TASKS];
    /* Times each line's handler ran. */
    uint32_t entered[LINES];
    /* Times a handler pended the line LINE_PENDED. */
    uint32_t pended;
    /* The shared number, and what each adder has put into it. */
    uint32_t shared;
    uint32_t added[ADDERS];
    uint32_t ticks;
    uint32_t switches;
    /* Frames of tasks switched away from: with the unit's registers and without. */
    uint32_t extended;
    uint32_t standard;
    /* Handlers that interrupted another one. */
    uint32_t nested;
    /* Wakings the sleeper was given, and those it has seen. */
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
