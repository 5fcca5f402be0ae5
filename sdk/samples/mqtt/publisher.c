#include "publisher.h"

#include <stdbool.h>

#include "clock.h"
#include "log.h"
#include "mv_names.h"
#include "requests.h"
#include "text.h"

#define USUAL_PERIOD_MS 1000u
/* The most publishes that the hypervisor allows in flight. */
#define PENDING 16u
/* Temperatures of the simulated sensor, in hundredths of a degree. */
#define COOLEST 2137u
#define SPAN 200u
#define STEP 7u

/* A publish in flight. */
struct Pending {
    bool used;
    uint32_t correlation_id;
    uint32_t sent_at;
};

static const struct Settings *settings;
static struct Pending pending[PENDING];
static uint32_t next_correlation_id;
static uint32_t sequence;
static uint32_t period = USUAL_PERIOD_MS;
static uint32_t last_due;

void publisher_start(const struct Settings *from)
{
    settings = from;
    last_due = clock_now();
    for (uint32_t index = 0; index < PENDING; index++) {
        pending[index].used = false;
    }
}

void publisher_set_period(uint32_t milliseconds)
{
    period = milliseconds;
    last_due = clock_now();
}

static struct Pending *free_place(void)
{
    for (uint32_t index = 0; index < PENDING; index++) {
        if (!pending[index].used) {
            return &pending[index];
        }
    }
    return NULL;
}

static bool publish(const char *topic, const char *payload)
{
    struct Pending *place = free_place();
    if (place == NULL) {
        log_line("publish: skipped, %lu are not answered yet", (uint32_t)PENDING);
        return false;
    }
    uint32_t correlation_id = next_correlation_id++;
    if (!request_publish(correlation_id, topic, payload)) {
        return false;
    }
    *place = (struct Pending){ .used = true, .correlation_id = correlation_id, .sent_at = clock_now() };
    return true;
}

/* Rises and falls between the lowest temperature and two degrees more. */
static uint32_t temperature(uint32_t at)
{
    uint32_t phase = (at * STEP) % (2 * SPAN);
    return COOLEST + (phase <= SPAN ? phase : 2 * SPAN - phase);
}

static void publish_reading(void)
{
    char payload[64];
    uint32_t hundredths = temperature(sequence);
    text_format(payload, sizeof payload, "{\"seq\":%lu,\"temperature\":%lu.%02lu}", sequence, hundredths / 100,
        hundredths % 100);
    if (publish(settings->publish_topic, payload)) {
        sequence++;
    }
}

/* Counted from when the last one was due, so that delays do not add up; a long delay causes no burst. */
void publisher_run(void)
{
    uint32_t late = clock_since(last_due);
    if (late < period) {
        return;
    }
    last_due = late < 2 * period ? last_due + period : clock_now();
    publish_reading();
}

void publisher_echo(const char *text)
{
    char topic[SETTINGS_TEXT_SIZE + 8];
    text_format(topic, sizeof topic, "%s/echo", settings->publish_topic);
    publish(topic, text);
}

static struct Pending *find(uint32_t correlation_id)
{
    for (uint32_t index = 0; index < PENDING; index++) {
        if (pending[index].used && pending[index].correlation_id == correlation_id) {
            return &pending[index];
        }
    }
    return NULL;
}

void publisher_answered(const struct MvMqttPublishResponse *answer)
{
    struct Pending *place = find(answer->correlation_id);
    if (place == NULL) {
        log_line("publish %lu: an answer to nothing we asked", answer->correlation_id);
        return;
    }
    place->used = false;
    log_line("publish %lu: %s, reason 0x%02lx, after %lu ms", answer->correlation_id,
        mv_mqtt_request_state_name(answer->request_state), answer->reason_code, clock_since(place->sent_at));
}
