#include "plan.h"

#include "channel.h"
#include "log.h"
#include "mv_names.h"
#include "text.h"

#define ANSWER_TIMEOUT_MS 15000u
#define VALUE_SIZE 16u
#define MAX_COUNT 100000000u
#define MAX_SILENCE_MS 60000u

#define KEYS 5u

static const struct {
    const char *name;
    uint32_t limit;
} keys[KEYS] = {
    { "bench-latency", PLAN_MAX_LATENCIES },
    { "bench-qos1", MAX_COUNT },
    { "bench-qos0", MAX_COUNT },
    { "bench-payload", PLAN_MAX_PAYLOAD },
    { "bench-silence", MAX_SILENCE_MS },
};

static bool request(void)
{
    struct MvConfigKeyToFetch items[KEYS];
    for (uint32_t key = 0; key < KEYS; key++) {
        items[key] = (struct MvConfigKeyToFetch){
            .scope = MV_CONFIGKEYFETCHSCOPE_DEVICE,
            .store = MV_CONFIGKEYFETCHSTORE_CONFIG,
            .key = text_sized(keys[key].name),
        };
    }
    const struct MvConfigKeyFetchParams params = { .num_items = KEYS, .keys_to_fetch = items };
    return log_success("mvSendConfigFetchRequest", mvSendConfigFetchRequest(channel_handle(), &params));
}

static bool await_answer(void)
{
    struct MvConfigResponseData answer;
    if (!channel_wait_readable(ANSWER_TIMEOUT_MS)) {
        log_line("plan: no answer");
        return false;
    }
    enum MvStatus status = mvReadConfigFetchResponseData(channel_handle(), &answer);
    return log_success("mvReadConfigFetchResponseData", status) && answer.result == MV_CONFIGFETCHRESULT_OK
        && answer.num_items == KEYS;
}

static bool read(uint32_t key, uint32_t *number)
{
    char value[VALUE_SIZE + 1];
    enum MvConfigKeyFetchResult result = MV_CONFIGKEYFETCHRESULT_SERVERERROR;
    uint32_t length = 0;
    const struct MvConfigResponseReadItemParams params = {
        .item_index = key,
        .result = &result,
        .buf = { .data = (uint8_t *)value, .size = VALUE_SIZE, .length = &length },
    };
    if (!log_success(keys[key].name, mvReadConfigResponseItem(channel_handle(), &params))) {
        return false;
    }
    value[length] = '\0';
    if (result != MV_CONFIGKEYFETCHRESULT_OK || !text_to_number(value, keys[key].limit, number)) {
        log_line("plan: %s: %s", keys[key].name, mv_config_key_fetch_result_name(result));
        return false;
    }
    return true;
}

static bool read_all(struct Plan *plan)
{
    return read(0, &plan->counts[LATENCY]) && read(1, &plan->counts[RATE_QOS1])
        && read(2, &plan->counts[RATE_QOS0]) && read(3, &plan->payload) && read(4, &plan->silence_ms);
}

bool plan_fetch(struct Plan *plan)
{
    if (!channel_open(MV_CHANNELTYPE_CONFIGFETCH)) {
        return false;
    }
    bool complete = request() && await_answer() && read_all(plan);
    channel_close();
    return complete;
}
