/* Tasks without the floating-point unit: conditional blocks, every register and flag, many registers at once. */

#include "report.h"
#include "switch.h"
#include "tasks.h"

#define MULTIPLIER 0x0019660Du
#define INCREMENT 0x3C6EF35Fu
#define REGISTERS 13u
#define CONTROL_UNPRIVILEGED 1u

/* Blocks of each length, with both branches, on flags that do not change within the block. */
uint32_t step_conditionally(uint32_t value, uint32_t number)
{
    uint32_t scratch;
    __asm volatile(
        "mla %0, %0, %3, %4\n"
        "tst %0, #0x80000000\n"
        "ittee mi\n"
        "eormi %0, %0, %2, lsl #3\n"
        "addmi %0, %0, #1\n"
        "addpl %0, %0, %2\n"
        "eorpl %0, %0, #85\n"
        "cmp %0, %2, lsl #7\n"
        "itete hi\n"
        "movhi %1, #3\n"
        "movls %1, #5\n"
        "addhi %0, %0, %1, lsl #4\n"
        "eorls %0, %0, %1, lsl #9\n"
        "lsls %1, %0, #1\n"
        "ite cs\n"
        "rorcs %0, %0, #5\n"
        "rorcc %0, %0, #11\n"
        "tst %0, #4\n"
        "it ne\n"
        "mvnne %0, %0\n"
        : "+r"(value), "=&r"(scratch)
        : "r"(number), "r"(MULTIPLIER), "r"(INCREMENT)
        : "cc");
    return value;
}

static uint32_t rotated(uint32_t value, uint32_t by)
{
    return value >> by | value << (32 - by);
}

/* Selects one of two values by a mask, so that the compiler uses no condition. */
static uint32_t chosen(uint32_t mask, uint32_t one, uint32_t other)
{
    return (one & mask) | (other & ~mask);
}

uint32_t step_plainly(uint32_t value, uint32_t number)
{
    value = value * MULTIPLIER + INCREMENT;
    value = chosen(0u - (value >> 31), (value ^ number << 3) + 1, (value + number) ^ 85);
    uint64_t difference = (uint64_t)(number << 7) - value;
    uint32_t higher = (uint32_t)(difference >> 32);
    value = chosen(higher, value + (3u << 4), value ^ 5u << 9);
    value = chosen(0u - (value >> 31), rotated(value, 5), rotated(value, 11));
    return value ^ (0u - (value >> 2 & 1));
}

void task_conditionals(void)
{
    uint32_t conditionally = 1;
    uint32_t plainly = 1;
    for (uint32_t number = 0;; number++) {
        conditionally = step_conditionally(conditionally, number);
        plainly = step_plainly(plainly, number);
        expect(DAMAGE_CONDITIONAL, conditionally, plainly);
        report.rounds[TASK_CONDITIONALS] = number;
    }
}

/* Fills r1 to r12 and lr from r0, sets the flags, waits a little, and stores everything: flags first, then r1 on. */
__attribute__((naked, noinline)) static void hold_registers(uint32_t seed, uint32_t flags, uint32_t *into)
{
    (void)seed, (void)flags, (void)into;
    __asm volatile(
        "push {r2, r4-r11, lr}\n"
        "msr apsr_nzcvqg, r1\n"
        "add r1, r0, #1\n add r2, r0, #2\n add r3, r0, #3\n add r4, r0, #4\n"
        "add r5, r0, #5\n add r6, r0, #6\n add r7, r0, #7\n add r8, r0, #8\n"
        "add r9, r0, #9\n add r10, r0, #10\n add r11, r0, #11\n add r12, r0, #12\n"
        "add lr, r0, #14\n"
        "nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n"
        "ldr r0, [sp]\n"
        "add r0, r0, #4\n"
        "stmia r0, {r1-r12, lr}\n"
        "mrs r1, apsr\n"
        "str r1, [r0, #-4]\n"
        "pop {r2, r4-r11, pc}\n");
}

void task_registers(void)
{
    static uint32_t held[REGISTERS + 1];
    for (uint32_t round = 0;; round++) {
        uint32_t flags = (round << 27) | (round & 0xF) << 16;
        uint32_t seed = round * MULTIPLIER;
        hold_registers(seed, flags, held);
        expect(DAMAGE_FLAGS, held[0], flags);
        for (uint32_t number = 1; number < REGISTERS; number++) {
            expect(DAMAGE_REGISTER, held[number], seed + number);
        }
        expect(DAMAGE_REGISTER, held[REGISTERS], seed + 14);
        report.rounds[TASK_REGISTERS] = round;
    }
}

/* Copies eight words down the stack and back up, by instructions that move many at once. */
static void move_multiples(const uint32_t *from, uint32_t *to)
{
    __asm volatile(
        "ldmia %0, {r4-r11}\n"
        "push {r4-r11}\n"
        "mov r4, #0\n mov r5, #0\n mov r6, #0\n mov r7, #0\n"
        "ldmia sp, {r8-r11}\n"
        "stmia %1, {r8-r11}\n"
        "ldrd r4, r5, [sp, #16]\n"
        "ldrd r6, r7, [sp, #24]\n"
        "strd r4, r5, [%1, #16]\n"
        "strd r6, r7, [%1, #24]\n"
        "pop {r4-r11}\n"
        :
        : "r"(from), "r"(to)
        : "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "memory");
}

void task_multiples(void)
{
    uint32_t from[8];
    uint32_t to[8];
    for (uint32_t round = 0;; round++) {
        for (uint32_t word = 0; word < 8; word++) {
            from[word] = step_plainly(round, word);
            to[word] = 0;
        }
        move_multiples(from, to);
        for (uint32_t word = 0; word < 8; word++) {
            expect(DAMAGE_MULTIPLE, to[word], step_plainly(round, word));
        }
        uint32_t control;
        __asm volatile("mrs %0, control" : "=r"(control));
        expect(DAMAGE_PRIVILEGE, control & CONTROL_UNPRIVILEGED, CONTROL_UNPRIVILEGED);
        report.rounds[TASK_MULTIPLES] = round;
    }
}
