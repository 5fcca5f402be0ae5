#include "connection.h"

#include "channel.h"
#include "log.h"
#include "mv_names.h"
#include "text.h"

#define KEEPALIVE_S 60u
#define ANSWER_TIMEOUT_MS 20000u

static bool request_connect(const struct Settings *settings)
{
    const struct MvSizedString ca = { .data = settings->broker_ca, .length = settings->broker_ca_length };
    const struct MvTlsCredentials credentials = { .cacert = { .num_certs = 1, .certs = &ca } };
    const struct MvMqttConnectRequest request = {
        .protocol_version = MV_MQTTPROTOCOLVERSION_V3_1_1,
        .host = text_sized(settings->broker_host),
        .port = settings->broker_port,
        .clientid = text_sized(settings->client_id),
        .authentication = { .method = MV_MQTTAUTHENTICATIONMETHOD_NONE },
        .tls_credentials = ca.length > 0 ? &credentials : NULL,
        .keepalive = KEEPALIVE_S,
        .clean_start = 1,
        .will = NULL,
    };
    return log_success("mvMqttRequestConnect", mvMqttRequestConnect(channel_handle(), &request));
}

static enum MvMqttReadableDataType next_type(void)
{
    enum MvMqttReadableDataType type = MV_MQTTREADABLEDATATYPE_NONE;
    log_success("mvMqttGetNextReadableDataType", mvMqttGetNextReadableDataType(channel_handle(), &type));
    return type;
}

static bool await_connected(void)
{
    struct MvMqttConnectResponse answer;
    if (!channel_wait_readable(ANSWER_TIMEOUT_MS) || next_type() != MV_MQTTREADABLEDATATYPE_CONNECTRESPONSE) {
        log_line("connect: no answer");
        return false;
    }
    if (!log_success("mvMqttReadConnectResponse", mvMqttReadConnectResponse(channel_handle(), &answer))) {
        return false;
    }
    log_line("connect: %s, reason 0x%02lx", mv_mqtt_request_state_name(answer.request_state), answer.reason_code);
    return answer.request_state == MV_MQTTREQUESTSTATE_REQUESTCOMPLETED && answer.reason_code == 0;
}

bool connection_open(const struct Settings *settings)
{
    return channel_open(MV_CHANNELTYPE_MQTT) && request_connect(settings) && await_connected();
}

bool connection_publish(const struct MvMqttPublishRequest *request)
{
    return log_success("mvMqttRequestPublish", mvMqttRequestPublish(channel_handle(), request));
}

static bool read_answer(void)
{
    struct MvMqttPublishResponse answer;
    if (!log_success("mvMqttReadPublishResponse", mvMqttReadPublishResponse(channel_handle(), &answer))) {
        return false;
    }
    if (answer.request_state != MV_MQTTREQUESTSTATE_REQUESTCOMPLETED || answer.reason_code != 0) {
        log_line("publish %lu: %s, reason 0x%02lx", answer.correlation_id,
            mv_mqtt_request_state_name(answer.request_state), answer.reason_code);
        return false;
    }
    return true;
}

bool connection_await(uint32_t *answers)
{
    enum MvMqttReadableDataType type;
    if (!channel_wait_readable(ANSWER_TIMEOUT_MS)) {
        log_line("publish: no answer");
        return false;
    }
    while ((type = next_type()) == MV_MQTTREADABLEDATATYPE_PUBLISHRESPONSE) {
        if (!read_answer()) {
            return false;
        }
        (*answers)++;
    }
    return type == MV_MQTTREADABLEDATATYPE_NONE;
}

void connection_close(void)
{
    log_success("mvMqttRequestDisconnect", mvMqttRequestDisconnect(channel_handle()));
    channel_wait_readable(ANSWER_TIMEOUT_MS);
    channel_close();
}
