/* A program to debug: functions that call each other, a variable that changes, interrupts, and finally a read
 * where there is nothing.
 */

#include <stdint.h>

#include "log.h"
#include "mv_syscalls.h"

#define ROUNDS 5u
#define NOWHERE ((const volatile uint32_t *)0x60000000u)

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)

volatile uint32_t total;
volatile uint32_t ticks;

void SysTick_Handler(void);

void SysTick_Handler(void)
{
    ticks++;
}

__attribute__((noinline)) static uint32_t doubled(uint32_t value)
{
    total += value;
    mvNoOp();
    return 2 * value;
}

__attribute__((noinline)) static uint32_t next_round(uint32_t round)
{
    const uint32_t result = doubled(round) + 1;
    log_line("round %u", (unsigned)round);
    return result;
}

__attribute__((noinline)) static uint32_t read_word(const volatile uint32_t *from)
{
    return *from;
}

__attribute__((noinline)) static uint32_t fail(uint32_t result)
{
    return read_word(NOWHERE) + result;
}

int main(void)
{
    uint32_t result = 0;
    log_start();
    SYST_RVR = 1000 - 1;
    SYST_CVR = 0;
    SYST_CSR = 7;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        result += next_round(round);
    }
    result += fail(result);
    return (int)result;
}
