#include "log.h"

#include <stdarg.h>
#include <stdint.h>

#include "mv_names.h"
#include "text.h"

/* Messages are buffered here while the device is offline. The size is a multiple of 512. */
static uint8_t buffer[4096] __attribute__((aligned(512)));

/* The longest line, including its terminating zero. */
#define LINE_SIZE 512

void log_start(void)
{
    /* If this fails it cannot be logged; the application continues without a log. */
    (void)mvServerLoggingInit(buffer, sizeof buffer);
}

void log_line(const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    uint32_t length = text_format_list(line, sizeof line, format, arguments);
    va_end(arguments);
    (void)mvServerLog((const uint8_t *)line, (uint16_t)length);
}

bool log_success(const char *what, enum MvStatus status)
{
    if (status != MV_STATUS_OKAY) {
        log_line("%s: %s", what, mv_status_name(status));
    }
    return status == MV_STATUS_OKAY;
}
