/* Critical sections by BASEPRI, as in real-time kernels: urgent interrupts are taken, the others are masked. */

#ifndef CRITICAL_H
#define CRITICAL_H

#include <stdint.h>

#include "notices.h"

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
