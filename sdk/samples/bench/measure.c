#include "measure.h"

#include "connection.h"
#include "log.h"
#include "report.h"
#include "text.h"

/* The most publishes that the hypervisor allows in flight. */
#define WINDOW 16u
#define QOS_AT_MOST_ONCE 0u
#define QOS_AT_LEAST_ONCE 1u

static uint8_t payload[PLAN_MAX_PAYLOAD];
/* Microseconds, one for each message. */
static uint32_t latencies[PLAN_MAX_LATENCIES];
/* Microseconds from the first publish to the last response. */
static uint32_t elapsed;

const char *measurement_name(enum Measurement measurement)
{
    switch (measurement) {
    case LATENCY: return "latency";
    case RATE_QOS1: return "qos1";
    case RATE_QOS0: return "qos0";
    default: return "?";
    }
}

/* The low half is enough for differences of up to 71 minutes. */
static uint32_t microseconds(void)
{
    uint64_t now = 0;
    log_success("mvGetMicroseconds", mvGetMicroseconds(&now));
    return (uint32_t)now;
}

static struct MvMqttPublishRequest message(const struct Settings *settings, const struct Plan *plan, uint32_t qos)
{
    for (uint32_t at = 0; at < plan->payload; at++) {
        payload[at] = (uint8_t)('0' + at % 10);
    }
    return (struct MvMqttPublishRequest){
        .correlation_id = 0,
        .topic = text_sized(settings->publish_topic),
        .payload = { .data = payload, .length = plan->payload },
        .desired_qos = qos,
        .retain = 0,
    };
}

static bool publish_and_await(struct MvMqttPublishRequest *request)
{
    uint32_t answers = 0;
    if (!connection_publish(request)) {
        return false;
    }
    while (answers == 0) {
        if (!connection_await(&answers)) {
            return false;
        }
    }
    return true;
}

/* The clock is read as soon as the interrupt has woken the application and the response is read. */
static bool measure_latency(struct MvMqttPublishRequest *request, uint32_t count)
{
    for (uint32_t index = 0; index < count; index++) {
        request->correlation_id = index;
        uint32_t start = microseconds();
        if (!publish_and_await(request)) {
            return false;
        }
        latencies[index] = microseconds() - start;
    }
    return true;
}

static bool publish_all(struct MvMqttPublishRequest *request, uint32_t count)
{
    uint32_t sent = 0;
    uint32_t answered = 0;
    while (answered < count) {
        while (sent < count && sent - answered < WINDOW) {
            request->correlation_id = sent;
            if (!connection_publish(request)) {
                return false;
            }
            sent++;
        }
        if (!connection_await(&answered)) {
            return false;
        }
    }
    return true;
}

/* Without acknowledgements the end is unknown, so the last message has one: by then the broker has received all. */
static bool measure_rate(struct MvMqttPublishRequest *request, uint32_t count)
{
    uint32_t start = microseconds();
    bool complete = publish_all(request, count - 1);
    request->desired_qos = QOS_AT_LEAST_ONCE;
    complete = complete && publish_and_await(request);
    elapsed = microseconds() - start;
    return complete;
}

bool measure(enum Measurement measurement, const struct Settings *settings, const struct Plan *plan)
{
    uint32_t qos = measurement == RATE_QOS0 ? QOS_AT_MOST_ONCE : QOS_AT_LEAST_ONCE;
    struct MvMqttPublishRequest request = message(settings, plan, qos);
    uint32_t count = plan->counts[measurement];
    return measurement == LATENCY ? measure_latency(&request, count) : measure_rate(&request, count);
}

void measure_report(enum Measurement measurement, const struct Plan *plan)
{
    if (measurement == LATENCY) {
        report_numbers("us", latencies, plan->counts[LATENCY]);
    } else {
        report_line("took %lu", elapsed);
    }
}
