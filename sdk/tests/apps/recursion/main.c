/* A program that calls itself without an end, and after its restart finds that the stack has overwritten nothing. */

#include <stdint.h>

#include "check.h"
#include "clock.h"
#include "log.h"
#include "mv_syscalls.h"

/* Not cleared at the start, so that it is as the crash left it; in RAM it lies next to the stack's limit. */
__attribute__((section(".noinit"))) static volatile uint32_t kept[64];

#define MARK 0x5AFE0000u

static volatile uint32_t limit = UINT32_MAX;

static uint32_t deeper(const volatile uint32_t *above, uint32_t depth)
{
    volatile uint32_t here[32];
    for (uint32_t index = 0; index < 32; index++) {
        here[index] = *above + index;
    }
    return depth < limit ? deeper(here, depth + 1) + here[31] : 0;
}

static void overflow(void)
{
    for (uint32_t index = 0; index < 64; index++) {
        kept[index] = MARK + index;
    }
    log_line("BEGIN to recurse");
    clock_sleep(50);
    const volatile uint32_t start = 0;
    log_line("FAIL it returned, %lu", deeper(&start, 0));
}

static uint32_t intact(void)
{
    uint32_t count = 0;
    for (uint32_t index = 0; index < 64; index++) {
        count += kept[index] == MARK + index;
    }
    return count;
}

int main(void)
{
    enum MvWakeReason reason;
    log_start();
    clock_start();
    check_okay("mvGetWakeReason", mvGetWakeReason(&reason));
    if (reason == MV_WAKEREASON_COLDBOOT) {
        overflow();
    }
    check_equal("no variable was overwritten", intact(), 64);
    check_end();
    clock_rest();
}
