/* Tasks that share: a number by exclusive accesses, a pair by critical sections, wake-ups; and one of ordinary C. */

#include "report.h"
#include "switch.h"
#include "tasks.h"

#define NUMBERS 24u
#define SEEDS 8u

static volatile uint32_t pair[2] = { 0, ~0u };

void add_shared(uint32_t adder)
{
    __atomic_fetch_add(&report.shared, 1, __ATOMIC_RELAXED);
    report.added[adder]++;
}

void change_pair(uint32_t by)
{
    uint32_t sum = pair[0] + by;
    expect(DAMAGE_PAIR, pair[1], ~pair[0]);
    pair[0] = sum;
    pair[1] = ~sum;
}

void task_adding(void)
{
    for (uint32_t round = 0;; round++) {
        add_shared(0);
        uint32_t before = critical_enter();
        change_pair(round);
        critical_leave(before);
        if (round % 64 == 0) {
            task_yield();
        }
        report.rounds[TASK_ADDING] = round;
    }
}

void task_sleeper(void)
{
    for (;;) {
        uint32_t given = report.given;
        report.seen = given;
        add_shared(1);
        report.rounds[TASK_SLEEPER]++;
        task_yield();
    }
}

/* Sorts, sums as floats, and mixes with long divisions, in whatever code the compiler generates. */
static uint32_t compute(uint32_t seed)
{
    uint32_t numbers[NUMBERS];
    for (uint32_t at = 0; at < NUMBERS; at++) {
        seed = step_plainly(seed, at);
        uint32_t hole = at;
        while (hole > 0 && numbers[hole - 1] > seed) {
            numbers[hole] = numbers[hole - 1];
            hole--;
        }
        numbers[hole] = seed;
    }
    float sum = 0.5f;
    uint64_t mixed = 1;
    for (uint32_t at = 0; at < NUMBERS; at++) {
        sum = sum * 0.75f + (float)(numbers[at] >> 8) / 3.0f;
        mixed = (mixed << 20 ^ numbers[at]) % 0xFFFFFFFBFFFFu + mixed / 7;
    }
    return (uint32_t)sum ^ (uint32_t)mixed ^ (uint32_t)(mixed >> 32);
}

void task_compiled(void)
{
    uint32_t results[SEEDS];
    uint32_t before = critical_enter();
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        results[seed] = compute(seed);
    }
    critical_leave(before);
    for (uint32_t round = 0;; round++) {
        expect(DAMAGE_COMPILED, compute(round % SEEDS), results[round % SEEDS]);
        uint32_t other = round * 0x9E3779B9u;
        uint32_t weight = weighed(round, other, round ^ other, ~round);
        expect(DAMAGE_SUPERVISOR_CALL, weight, round + 3 * other + 5 * (round ^ other) + 7 * ~round);
        report.rounds[TASK_COMPILED] = round;
    }
}
