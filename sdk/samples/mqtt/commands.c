#include "commands.h"

#include <stdint.h>

#include "clock.h"
#include "led.h"
#include "log.h"
#include "publisher.h"
#include "requests.h"
#include "text.h"

#define LONGEST_PERIOD_MS 3600000u

static void obey_led(const char *state)
{
    if (text_equal(state, "on")) {
        led_set(true);
    } else if (text_equal(state, "off")) {
        led_set(false);
    } else {
        log_line("command: led on, or led off");
    }
}

static void obey_period(const char *number)
{
    uint32_t milliseconds;
    if (text_to_number(number, LONGEST_PERIOD_MS, &milliseconds) && milliseconds >= CLOCK_TICK_MS) {
        publisher_set_period(milliseconds);
    } else {
        log_line("command: period takes %u to %u milliseconds", CLOCK_TICK_MS, LONGEST_PERIOD_MS);
    }
}

void command_obey(const char *text)
{
    const char *rest;
    if ((rest = text_after(text, "led ")) != NULL) {
        obey_led(rest);
    } else if ((rest = text_after(text, "period ")) != NULL) {
        obey_period(rest);
    } else if ((rest = text_after(text, "echo ")) != NULL) {
        publisher_echo(rest);
    } else if (text_equal(text, "disconnect")) {
        request_disconnect();
    } else {
        log_line("command: unknown");
    }
}
