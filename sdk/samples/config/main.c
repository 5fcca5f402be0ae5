/* Configuration: values and secrets of this device and of its account, all in one fetch.
 *
 * A key that is not set is not an error of the fetch: each key has its own result.
 */

#include <stdbool.h>
#include <stdint.h>

#include "channel.h"
#include "clock.h"
#include "log.h"
#include "mv_names.h"
#include "network.h"
#include "text.h"

#define PATIENCE_MS 15000u
/* A longer value is not read, but reported as too long. */
#define VALUE_SIZE 256u

struct Wanted {
    const char *key;
    enum MvConfigKeyFetchScope scope;
    enum MvConfigKeyFetchStore store;
    /* The default, if it is not set. */
    const char *otherwise;
};

static const struct Wanted wanted[] = {
    { "greeting", MV_CONFIGKEYFETCHSCOPE_DEVICE, MV_CONFIGKEYFETCHSTORE_CONFIG, "hello" },
    { "interval", MV_CONFIGKEYFETCHSCOPE_ACCOUNT, MV_CONFIGKEYFETCHSTORE_CONFIG, "60" },
    { "password", MV_CONFIGKEYFETCHSCOPE_DEVICE, MV_CONFIGKEYFETCHSTORE_SECRET, "" },
    { "api-token", MV_CONFIGKEYFETCHSCOPE_ACCOUNT, MV_CONFIGKEYFETCHSTORE_SECRET, "" },
};

#define WANTED (sizeof wanted / sizeof *wanted)

static bool request(void)
{
    struct MvConfigKeyToFetch keys[WANTED];
    for (uint32_t item = 0; item < WANTED; item++) {
        keys[item] = (struct MvConfigKeyToFetch){
            .scope = wanted[item].scope,
            .store = wanted[item].store,
            .key = text_sized(wanted[item].key),
        };
    }
    const struct MvConfigKeyFetchParams params = { .num_items = WANTED, .keys_to_fetch = keys };
    return log_success("mvSendConfigFetchRequest", mvSendConfigFetchRequest(channel_handle(), &params));
}

static bool await_answer(void)
{
    if (!channel_wait_readable(PATIENCE_MS)) {
        log_line("config: nothing came back");
        return false;
    }
    struct MvConfigResponseData answer;
    enum MvStatus status = mvReadConfigFetchResponseData(channel_handle(), &answer);
    if (!log_success("mvReadConfigFetchResponseData", status)) {
        return false;
    }
    log_line("config: %s, %lu items", mv_config_fetch_result_name(answer.result), answer.num_items);
    return answer.result == MV_CONFIGFETCHRESULT_OK && answer.num_items == WANTED;
}

/* A secret must not be visible to others, so it is not logged. */
static void log_value(const struct Wanted *what, const char *value, uint32_t length)
{
    if (what->store == MV_CONFIGKEYFETCHSTORE_SECRET) {
        log_line("config: %s is a secret of %lu bytes", what->key, length);
    } else {
        log_line("config: %s is %s", what->key, value);
    }
}

static void read(uint32_t item)
{
    char value[VALUE_SIZE + 1];
    uint32_t length = 0;
    enum MvConfigKeyFetchResult result = MV_CONFIGKEYFETCHRESULT_SERVERERROR;
    const struct MvConfigResponseReadItemParams params = {
        .item_index = item,
        .result = &result,
        .buf = { .data = (uint8_t *)value, .size = VALUE_SIZE, .length = &length },
    };
    const struct Wanted *what = &wanted[item];
    enum MvStatus status = mvReadConfigResponseItem(channel_handle(), &params);
    if (status == MV_STATUS_INVALIDBUFFERSIZE) {
        log_line("config: %s is longer than %lu bytes", what->key, (unsigned long)VALUE_SIZE);
    } else if (!log_success("mvReadConfigResponseItem", status)) {
        return;
    } else if (result == MV_CONFIGKEYFETCHRESULT_OK) {
        value[length] = '\0';
        log_value(what, value, length);
    } else if (result == MV_CONFIGKEYFETCHRESULT_KEYNOTFOUND) {
        log_line("config: %s is not set, going on with \"%s\"", what->key, what->otherwise);
    } else {
        log_line("config: %s: %s", what->key, mv_config_key_fetch_result_name(result));
    }
}

static void fetch(void)
{
    if (!channel_open(MV_CHANNELTYPE_CONFIGFETCH)) {
        return;
    }
    if (request() && await_answer()) {
        for (uint32_t item = 0; item < WANTED; item++) {
            read(item);
        }
    }
    channel_close();
}

int main(void)
{
    log_start();
    clock_start();
    channel_start();
    network_start();
    network_wait();
    fetch();
    log_line("config: done");
    clock_rest();
}
