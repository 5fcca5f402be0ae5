/* Tasks with the floating-point unit: every register, different rounding modes and flags. */

#include "report.h"
#include "switch.h"
#include "tasks.h"

#define REGISTERS 32u
/* FPSCR: rounding modes, flush to zero, and the flag of an inexact result. */
#define ROUND_UP (1u << 22)
#define ROUND_DOWN (2u << 22)
#define FLUSH (1u << 24)
#define INEXACT (1u << 4)
#define CONTROL_FPCA (1u << 2)

#define ONE 0x3F800000u
#define THREE 0x40400000u
#define FOUR 0x40800000u
#define FIVE 0x40A00000u
#define SIGN 0x80000000u

/* How a task divides, and the expected results: 1, 5 and -1 by the divisor. */
struct Division {
    uint32_t fpscr;
    uint32_t flags;
    uint32_t divisor;
    uint32_t quotients[3];
};

static const struct Division UP = { ROUND_UP, INEXACT, THREE, { 0x3EAAAAAB, 0x3FD55556, 0xBEAAAAAA } };
static const struct Division DOWN = { ROUND_DOWN | FLUSH, INEXACT, THREE, { 0x3EAAAAAA, 0x3FD55555, 0xBEAAAAAB } };
static const struct Division EXACT = { 0, 0, FOUR, { 0x3E800000, 0x3FA00000, 0xBE800000 } };

/* The registers of `divide`'s operands and results. */
#define QUOTIENTS 3u
#define DIVISOR 6u
#define DIVIDENDS 7u

static void set_fpscr(uint32_t value)
{
    __asm volatile("vmsr fpscr, %0" : : "r"(value));
}

/* Loads all registers, divides three times with pauses, stores all, and returns FPSCR. */
static uint32_t divide(const uint32_t *from, uint32_t *to)
{
    uint32_t fpscr;
    __asm volatile(
        "vldmia %1, {s0-s31}\n"
        "nop\n nop\n"
        "vdiv.f32 s3, s7, s6\n"
        "nop\n nop\n"
        "vdiv.f32 s4, s8, s6\n"
        "nop\n nop\n"
        "vdiv.f32 s5, s9, s6\n"
        "nop\n nop\n"
        "vmrs %0, fpscr\n"
        "vstmia %2, {s0-s31}\n"
        : "=&r"(fpscr)
        : "r"(from), "r"(to)
        : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15",
          "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23", "s24", "s25", "s26", "s27", "s28", "s29", "s30",
          "s31", "memory");
    return fpscr;
}

static void check_division(const struct Division *division, uint32_t round)
{
    uint32_t from[REGISTERS];
    uint32_t to[REGISTERS];
    for (uint32_t number = 0; number < REGISTERS; number++) {
        from[number] = step_plainly(round, number);
    }
    from[DIVISOR] = division->divisor;
    from[DIVIDENDS] = ONE;
    from[DIVIDENDS + 1] = FIVE;
    from[DIVIDENDS + 2] = ONE | SIGN;
    expect(DAMAGE_FPSCR, divide(from, to), division->fpscr | division->flags);
    for (uint32_t number = 0; number < 3; number++) {
        expect(DAMAGE_FLOAT_RESULT, to[QUOTIENTS + number], division->quotients[number]);
        to[QUOTIENTS + number] = from[QUOTIENTS + number];
    }
    for (uint32_t number = 0; number < REGISTERS; number++) {
        expect(DAMAGE_FLOAT_REGISTER, to[number], from[number]);
    }
}

/* FPSCR is set once, and interrupts must not change it. */
static void divide_for_ever(enum Task_Number task, const struct Division *division)
{
    set_fpscr(division->fpscr);
    for (uint32_t round = 0;; round++) {
        check_division(division, round);
        report.rounds[task] = round;
    }
}

void task_round_up(void)
{
    divide_for_ever(TASK_ROUND_UP, &UP);
}

void task_round_down(void)
{
    divide_for_ever(TASK_ROUND_DOWN, &DOWN);
}

void task_exact(void)
{
    divide_for_ever(TASK_EXACT, &EXACT);
}

/* Starts without the unit, uses it, and ends: after its restart it must be without the unit again. */
void task_ending(void)
{
    uint32_t control;
    __asm volatile("mrs %0, control" : "=r"(control));
    expect(DAMAGE_FRESH_TASK, control & CONTROL_FPCA, 0);
    uint32_t round = report.rounds[TASK_ENDING];
    uint32_t value = round;
    uint32_t same = round;
    for (uint32_t number = 0; number < 50; number++) {
        value = step_conditionally(value, number);
        same = step_plainly(same, number);
    }
    expect(DAMAGE_CONDITIONAL, value, same);
    uint32_t fpscr;
    __asm volatile("vmrs %0, fpscr" : "=r"(fpscr));
    expect(DAMAGE_FRESH_FPSCR, fpscr, 0);
    for (uint32_t number = 0; number < 2; number++) {
        check_division(&EXACT, round + number);
    }
    report.rounds[TASK_ENDING] = round + 1;
    task_end();
}
