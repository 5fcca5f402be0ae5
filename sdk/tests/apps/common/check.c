#include "check.h"

#include "log.h"
#include "mv_names.h"

static uint32_t claims;
static uint32_t failures;

static const char *verdict(bool holds)
{
    claims++;
    if (!holds) {
        failures++;
    }
    return holds ? "PASS" : "FAIL";
}

void check(const char *claim, bool holds)
{
    log_line("%s %s", verdict(holds), claim);
}

void check_equal(const char *claim, uint32_t found, uint32_t expected)
{
    if (found == expected) {
        check(claim, true);
    } else {
        log_line("%s %s: %lu, expected %lu", verdict(false), claim, found, expected);
    }
}

void check_okay(const char *call, enum MvStatus status)
{
    check_status(call, status, MV_STATUS_OKAY);
}

void check_status(const char *claim, enum MvStatus status, enum MvStatus expected)
{
    if (status == expected) {
        check(claim, true);
    } else {
        log_line("%s %s: %s, expected %s", verdict(false), claim, mv_status_name(status), mv_status_name(expected));
    }
}

void check_stop(const char *why, uint32_t number)
{
    log_line("FAIL stopped: %s, %lu", why, number);
    for (;;) {
    }
}

void check_end(void)
{
    log_line("END %lu claims, %lu failures", claims, failures);
}
