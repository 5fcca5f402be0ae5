/* What is to be measured, as the cloud's configuration store says. */

#ifndef PLAN_H
#define PLAN_H

#include <stdbool.h>
#include <stdint.h>

/** The most messages whose latencies can be kept. */
#define PLAN_MAX_LATENCIES 8192u
#define PLAN_MAX_PAYLOAD 1024u

enum Measurement {
    /** Publish to acknowledged, quality of service 1, one at a time. */
    LATENCY,
    /** Messages a second, quality of service 1, as many unanswered as the hypervisor allows. */
    RATE_QOS1,
    /** Messages a second, quality of service 0, the last one of quality 1 to see the end of it. */
    RATE_QOS0,
    MEASUREMENTS,
};

struct Plan {
    /** Messages for each measurement; 0 leaves it out. */
    uint32_t counts[MEASUREMENTS];
    /** Bytes of each payload. */
    uint32_t payload;
    /** Silence before and after each measurement. */
    uint32_t silence_ms;
};

/** Fetches the plan over a channel of its own. False if anything is missing or unusable, which is logged. */
bool plan_fetch(struct Plan *plan);

#endif
