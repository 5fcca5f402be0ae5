#include "hal.h"
#include "mv_syscalls.h"

static int constructed;

static void __attribute__((constructor)) construct(void)
{
    constructed = 1;
}

int main(void)
{
    hal_log(constructed ? "vendor: constructed" : "vendor: not constructed");
    for (;;) {
        __asm volatile("wfi");
    }
}
