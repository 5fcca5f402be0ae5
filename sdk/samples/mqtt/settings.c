#include "settings.h"

#include "channel.h"
#include "device_id.h"
#include "log.h"
#include "mv_names.h"
#include "text.h"

#define ANSWER_TIMEOUT_MS 15000u
/* The longest value that the cloud stores, and the terminating zero. */
#define VALUE_SIZE (4096u + 1u)

/* The keys, in the order in which they are fetched. */
enum Item {
    BROKER_HOST,
    BROKER_PORT,
    CLIENT_ID,
    USERNAME,
    PASSWORD,
    PUBLISH_TOPIC,
    COMMAND_TOPIC,
    BROKER_CA,
    ITEMS,
};

static const struct {
    const char *key;
    enum MvConfigKeyFetchStore store;
} items[ITEMS] = {
    [BROKER_HOST] = { "broker-host", MV_CONFIGKEYFETCHSTORE_CONFIG },
    [BROKER_PORT] = { "broker-port", MV_CONFIGKEYFETCHSTORE_CONFIG },
    [CLIENT_ID] = { "client-id", MV_CONFIGKEYFETCHSTORE_CONFIG },
    [USERNAME] = { "username", MV_CONFIGKEYFETCHSTORE_CONFIG },
    [PASSWORD] = { "password", MV_CONFIGKEYFETCHSTORE_SECRET },
    [PUBLISH_TOPIC] = { "publish-topic", MV_CONFIGKEYFETCHSTORE_CONFIG },
    [COMMAND_TOPIC] = { "command-topic", MV_CONFIGKEYFETCHSTORE_CONFIG },
    [BROKER_CA] = { "broker-ca", MV_CONFIGKEYFETCHSTORE_CONFIG },
};

/* The buffer for one value at a time. */
static char value[VALUE_SIZE];

static bool request(void)
{
    struct MvConfigKeyToFetch keys[ITEMS];
    for (uint32_t item = 0; item < ITEMS; item++) {
        keys[item] = (struct MvConfigKeyToFetch){
            .scope = MV_CONFIGKEYFETCHSCOPE_DEVICE,
            .store = items[item].store,
            .key = text_sized(items[item].key),
        };
    }
    const struct MvConfigKeyFetchParams params = { .num_items = ITEMS, .keys_to_fetch = keys };
    return log_success("mvSendConfigFetchRequest", mvSendConfigFetchRequest(channel_handle(), &params));
}

static bool await_answer(void)
{
    if (!channel_wait_readable(ANSWER_TIMEOUT_MS)) {
        log_line("settings: no answer");
        return false;
    }
    struct MvConfigResponseData answer;
    enum MvStatus status = mvReadConfigFetchResponseData(channel_handle(), &answer);
    if (!log_success("mvReadConfigFetchResponseData", status)) {
        return false;
    }
    if (answer.result != MV_CONFIGFETCHRESULT_OK || answer.num_items != ITEMS) {
        log_line("settings: %s, %lu items", mv_config_fetch_result_name(answer.result), answer.num_items);
        return false;
    }
    return true;
}

/* Reads an item to `value`. A key that is not set gives the default; without a default it is required. */
static bool read(enum Item item, const char *otherwise)
{
    enum MvConfigKeyFetchResult result = MV_CONFIGKEYFETCHRESULT_SERVERERROR;
    uint32_t length = 0;
    const struct MvConfigResponseReadItemParams params = {
        .item_index = item,
        .result = &result,
        .buf = { .data = (uint8_t *)value, .size = sizeof value - 1, .length = &length },
    };
    if (!log_success(items[item].key, mvReadConfigResponseItem(channel_handle(), &params))) {
        return false;
    }
    if (result == MV_CONFIGKEYFETCHRESULT_OK) {
        value[length] = '\0';
        return true;
    }
    if (result == MV_CONFIGKEYFETCHRESULT_KEYNOTFOUND && otherwise != NULL) {
        text_copy(value, sizeof value, otherwise);
        return true;
    }
    log_line("settings: %s: %s", items[item].key, mv_config_key_fetch_result_name(result));
    return false;
}

static bool read_text(enum Item item, char *to, const char *otherwise)
{
    if (!read(item, otherwise)) {
        return false;
    }
    if (text_length(value) >= SETTINGS_TEXT_SIZE) {
        log_line("settings: %s is too long", items[item].key);
        return false;
    }
    text_copy(to, SETTINGS_TEXT_SIZE, value);
    return true;
}

static bool read_port(uint16_t *port)
{
    uint32_t number;
    if (!read(BROKER_PORT, NULL)) {
        return false;
    }
    if (!text_to_number(value, UINT16_MAX, &number) || number == 0) {
        log_line("settings: broker-port is no port: %s", value);
        return false;
    }
    *port = (uint16_t)number;
    return true;
}

static bool read_ca(struct Settings *settings)
{
    if (!read(BROKER_CA, "")) {
        return false;
    }
    if (!text_to_bytes(value, settings->broker_ca, SETTINGS_CA_SIZE, &settings->broker_ca_length)) {
        log_line("settings: broker-ca is not hexadecimal, or too long");
        return false;
    }
    return true;
}

/* `sensor/device/` and the device's identifier, for a topic that is not set. */
static bool read_topic(enum Item item, char *to, const char *prefix)
{
    char topic[SETTINGS_TEXT_SIZE];
    text_format(topic, sizeof topic, "%s%s", prefix, device_id());
    return read_text(item, to, topic);
}

static bool read_all(struct Settings *settings)
{
    return read_text(BROKER_HOST, settings->broker_host, NULL) && read_port(&settings->broker_port)
        && read_text(CLIENT_ID, settings->client_id, device_id())
        && read_text(USERNAME, settings->username, "")
        && read_text(PASSWORD, settings->password, "")
        && read_topic(PUBLISH_TOPIC, settings->publish_topic, "sensor/device/")
        && read_topic(COMMAND_TOPIC, settings->command_topic, "command/device/")
        && read_ca(settings);
}

bool settings_fetch(struct Settings *settings)
{
    if (!channel_open(MV_CHANNELTYPE_CONFIGFETCH)) {
        return false;
    }
    bool complete = request() && await_answer() && read_all(settings);
    channel_close();
    return complete;
}
