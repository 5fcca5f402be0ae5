/* The processor registers and instructions that the samples use (Arm ARM, B3 and D1). */

#ifndef PROCESSOR_H
#define PROCESSOR_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define SYST_CSR REGISTER(0xE000E010)
#define SYST_RVR REGISTER(0xE000E014)
#define SYST_CVR REGISTER(0xE000E018)
#define NVIC_ISER(line) REGISTER(0xE000E100 + 4 * ((line) / 32))
#define NVIC_ICER(line) REGISTER(0xE000E180 + 4 * ((line) / 32))
#define NVIC_ICPR(line) REGISTER(0xE000E280 + 4 * ((line) / 32))

static inline void interrupt_clear(uint32_t line)
{
    NVIC_ICPR(line) = 1u << (line % 32);
}

static inline void interrupt_enable(uint32_t line)
{
    NVIC_ISER(line) = 1u << (line % 32);
}

static inline void interrupts_hold(void)
{
    __asm volatile("cpsid i" ::: "memory");
}

static inline void interrupts_release(void)
{
    __asm volatile("cpsie i\n isb" ::: "memory");
}

/* A masked interrupt wakes too. */
static inline void wait_for_interrupt(void)
{
    __asm volatile("dsb\n wfi" ::: "memory");
}

#endif
