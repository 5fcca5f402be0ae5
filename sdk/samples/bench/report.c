#include "report.h"

#include <stdarg.h>

#include "clock.h"
#include "mv_syscalls.h"
#include "text.h"

#define LINE_SIZE 512u
/* Digits of the largest number and the blank before them. */
#define NUMBER_SIZE 11u
#define RETRY_MS 10u

/* A full log has space again when the cloud has received a line. Any other error is permanent. */
static void post(const char *line, uint32_t length)
{
    while (mvServerLog((const uint8_t *)line, (uint16_t)length) == MV_STATUS_INVALIDBUFFERSIZE) {
        clock_sleep(RETRY_MS);
    }
}

void report_line(const char *format, ...)
{
    char line[LINE_SIZE];
    uint32_t length = text_format(line, sizeof line, "bench ");
    va_list arguments;
    va_start(arguments, format);
    length += text_format_list(line + length, LINE_SIZE - length, format, arguments);
    va_end(arguments);
    post(line, length);
}

void report_numbers(const char *name, const uint32_t *numbers, uint32_t count)
{
    char line[LINE_SIZE];
    uint32_t index = 0;
    while (index < count) {
        uint32_t length = text_format(line, sizeof line, "bench %s", name);
        while (index < count && length + NUMBER_SIZE < LINE_SIZE) {
            length += text_format(line + length, LINE_SIZE - length, " %lu", numbers[index]);
            index++;
        }
        post(line, length);
    }
}
