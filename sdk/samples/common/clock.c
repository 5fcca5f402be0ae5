#include "clock.h"

#include <stdbool.h>

#include "log.h"
#include "mv_syscalls.h"
#include "processor.h"

/* ENABLE, TICKINT, and CLKSOURCE: the processor's own clock. */
#define SYST_CSR_RUN 7u
/* The devices' clock rate, if the call for it fails. */
#define USUAL_HZ 160000000u

static volatile uint32_t now;
static volatile bool awake;

void SysTick_Handler(void);

void SysTick_Handler(void)
{
    now += CLOCK_TICK_MS;
    awake = true;
}

void clock_start(void)
{
    uint32_t hz = USUAL_HZ;
    log_success("mvGetHClk", mvGetHClk(&hz));
    SYST_RVR = hz / (1000 / CLOCK_TICK_MS) - 1;
    SYST_CVR = 0;
    SYST_CSR = SYST_CSR_RUN;
}

uint32_t clock_now(void)
{
    return now;
}

uint32_t clock_since(uint32_t then)
{
    return now - then;
}

void clock_wake(void)
{
    awake = true;
}

/* With interrupts masked, none is taken between the check of `awake` and the sleep. */
void clock_idle(void)
{
    interrupts_hold();
    if (!awake) {
        wait_for_interrupt();
    }
    awake = false;
    interrupts_release();
}

void clock_sleep(uint32_t milliseconds)
{
    uint32_t start = clock_now();
    while (clock_since(start) < milliseconds) {
        clock_idle();
    }
}

void clock_rest(void)
{
    for (;;) {
        clock_idle();
    }
}
