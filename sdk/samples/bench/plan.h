/* The plan of measurements, from the cloud's configuration store. */

#ifndef PLAN_H
#define PLAN_H

#include <stdbool.h>
#include <stdint.h>

/** The most messages whose latencies can be stored. */
#define PLAN_MAX_LATENCIES 8192u
#define PLAN_MAX_PAYLOAD 1024u

enum Measurement {
    /** Publish to acknowledged, quality of service 1, one at a time. */
    LATENCY,
    /** Messages a second, quality of service 1, as many in flight as the hypervisor allows. */
    RATE_QOS1,
    /** Messages a second, quality of service 0, except the last one, whose acknowledgement is the end. */
    RATE_QOS0,
    MEASUREMENTS,
};

struct Plan {
    /** Messages of each measurement; 0 skips it. */
    uint32_t counts[MEASUREMENTS];
    /** Bytes of a payload. */
    uint32_t payload;
    /** Idle time before and after each measurement. */
    uint32_t silence_ms;
};

/** Fetches the plan over its own channel. False if anything is missing or invalid, which is logged. */
bool plan_fetch(struct Plan *plan);

#endif
