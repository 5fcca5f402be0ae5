#include "client.h"

#include "text.h"

#define TOPIC "loop"

enum MvStatus client_connect(MvChannelHandle channel)
{
    const struct MvMqttConnectRequest request = {
        .protocol_version = MV_MQTTPROTOCOLVERSION_V5,
        .host = text_sized("broker.test"),
        .port = 1883,
        .clientid = text_sized("client"),
        .keepalive = 60,
        .clean_start = 1,
    };
    return mvMqttRequestConnect(channel, &request);
}

enum MvStatus client_subscribe(MvChannelHandle channel, uint32_t correlation_id)
{
    const struct MvMqttSubscription subscription = { .topic = text_sized(TOPIC), .desired_qos = 1 };
    const struct MvMqttSubscribeRequest request = {
        .correlation_id = correlation_id,
        .subscriptions = &subscription,
        .num_subscriptions = 1,
    };
    return mvMqttRequestSubscribe(channel, &request);
}

enum MvStatus client_publish(MvChannelHandle channel, uint32_t number)
{
    char payload[12];
    text_format(payload, sizeof payload, "%lu", number);
    const struct MvMqttPublishRequest request = {
        .correlation_id = number,
        .topic = text_sized(TOPIC),
        .payload = text_sized(payload),
        .desired_qos = 1,
    };
    return mvMqttRequestPublish(channel, &request);
}

static bool read_connect(MvChannelHandle channel, struct Item *item)
{
    struct MvMqttConnectResponse answer;
    enum MvStatus status = mvMqttReadConnectResponse(channel, &answer);
    item->state = answer.request_state;
    return status == MV_STATUS_OKAY;
}

static bool read_subscribe(MvChannelHandle channel, struct Item *item)
{
    uint32_t code;
    uint32_t codes;
    const struct MvMqttSubscribeResponse answer = {
        .request_state = &item->state,
        .correlation_id = &item->number,
        .reason_codes = &code,
        .reason_codes_size = 1,
        .reason_codes_len = &codes,
    };
    return mvMqttReadSubscribeResponse(channel, &answer) == MV_STATUS_OKAY;
}

static bool read_publish(MvChannelHandle channel, struct Item *item)
{
    struct MvMqttPublishResponse answer;
    enum MvStatus status = mvMqttReadPublishResponse(channel, &answer);
    item->state = answer.request_state;
    item->number = answer.correlation_id;
    return status == MV_STATUS_OKAY;
}

static bool read_disconnect(MvChannelHandle channel, struct Item *item)
{
    struct MvMqttDisconnectResponse answer;
    enum MvStatus status = mvMqttReadDisconnectResponse(channel, &answer);
    item->state = answer.request_state;
    return status == MV_STATUS_OKAY;
}

static bool read_message(MvChannelHandle channel, struct Item *item)
{
    char topic[8];
    char payload[12];
    uint32_t correlation_id;
    uint32_t topic_length;
    uint32_t payload_length;
    uint32_t qos;
    uint8_t retain;
    const struct MvMqttMessage message = {
        .correlation_id = &correlation_id,
        .topic = { .data = (uint8_t *)topic, .size = sizeof topic, .length = &topic_length },
        .payload = { .data = (uint8_t *)payload, .size = sizeof payload - 1, .length = &payload_length },
        .qos = &qos,
        .retain = &retain,
    };
    if (mvMqttReceiveMessage(channel, &message) != MV_STATUS_OKAY) {
        return false;
    }
    payload[payload_length] = '\0';
    return text_to_number(payload, UINT32_MAX, &item->number)
        && mvMqttAcknowledgeMessage(channel, correlation_id) == MV_STATUS_OKAY;
}

static bool read_type(MvChannelHandle channel, struct Item *item)
{
    switch (item->type) {
    case MV_MQTTREADABLEDATATYPE_CONNECTRESPONSE: return read_connect(channel, item);
    case MV_MQTTREADABLEDATATYPE_SUBSCRIBERESPONSE: return read_subscribe(channel, item);
    case MV_MQTTREADABLEDATATYPE_PUBLISHRESPONSE: return read_publish(channel, item);
    case MV_MQTTREADABLEDATATYPE_DISCONNECTRESPONSE: return read_disconnect(channel, item);
    case MV_MQTTREADABLEDATATYPE_MESSAGERECEIVED: return read_message(channel, item);
    default: return false;
    }
}

struct Item client_read(MvChannelHandle channel)
{
    struct Item item = { .type = MV_MQTTREADABLEDATATYPE_NONE };
    enum MvStatus status = mvMqttGetNextReadableDataType(channel, &item.type);
    if (status != MV_STATUS_OKAY || !read_type(channel, &item)) {
        item.type = MV_MQTTREADABLEDATATYPE_NONE;
    }
    return item;
}
