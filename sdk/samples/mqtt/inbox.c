#include "inbox.h"

#include <stdint.h>

#include "channel.h"
#include "commands.h"
#include "log.h"
#include "mv_names.h"
#include "text.h"

/* No message that fits the channel's receive buffer is too large for these. */
static char topic[CHANNEL_RECEIVE_SIZE + 1];
static char payload[CHANNEL_RECEIVE_SIZE + 1];

/* The pending acknowledgement, if there is one. */
static bool is_pending;
static uint32_t pending_id;

void inbox_start(void)
{
    is_pending = false;
}

static struct MvSizedStringBuffer room(char *data, uint32_t size, uint32_t *length)
{
    return (struct MvSizedStringBuffer){ .data = (uint8_t *)data, .size = size - 1, .length = length };
}

bool inbox_receive(void)
{
    uint32_t correlation_id;
    uint32_t topic_length = 0;
    uint32_t payload_length = 0;
    uint32_t qos;
    uint8_t retain;
    const struct MvMqttMessage message = {
        .correlation_id = &correlation_id,
        .topic = room(topic, sizeof topic, &topic_length),
        .payload = room(payload, sizeof payload, &payload_length),
        .qos = &qos,
        .retain = &retain,
    };
    if (!log_success("mvMqttReceiveMessage", mvMqttReceiveMessage(channel_handle(), &message))) {
        return false;
    }
    topic[topic_length] = '\0';
    payload[payload_length] = '\0';
    log_line("received on %s: %s", topic, payload);
    is_pending = qos > 0;
    pending_id = correlation_id;
    inbox_settle();
    command_obey(payload);
    return true;
}

bool inbox_receive_lost(void)
{
    enum MvMqttLostMessageReason reason;
    uint32_t topic_length = 0;
    uint32_t message_length = 0;
    const struct MvMqttLostMessageInfo info = {
        .reason = &reason,
        .topic = room(topic, sizeof topic, &topic_length),
        .message_len = &message_length,
    };
    enum MvStatus status = mvMqttReceiveLostMessageInfo(channel_handle(), &info);
    if (!log_success("mvMqttReceiveLostMessageInfo", status)) {
        return false;
    }
    topic[topic_length] = '\0';
    log_line("lost %lu bytes on %s: %s", message_length, topic, mv_mqtt_lost_message_reason_name(reason));
    return true;
}

/* Too many acknowledgements in flight is no error: this one is retried later, before further messages are read. */
bool inbox_settle(void)
{
    if (is_pending) {
        enum MvStatus status = mvMqttAcknowledgeMessage(channel_handle(), pending_id);
        is_pending = status == MV_STATUS_RATELIMITED;
        if (!is_pending) {
            log_success("mvMqttAcknowledgeMessage", status);
        }
    }
    return !is_pending;
}
