#include "hal.h"

#include <stdint.h>

#include "mv_syscalls.h"

static uint8_t buffer[512] __attribute__((aligned(512)));
static uint32_t started = 1;

void hal_log(const char *text)
{
    uint16_t length = 0;
    while (text[length] != '\0') {
        length++;
    }
    if (started == 1) {
        (void)mvServerLoggingInit(buffer, sizeof buffer);
        started = 2;
    }
    (void)mvServerLog((const uint8_t *)text, length);
}
