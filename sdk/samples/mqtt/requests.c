#include "requests.h"

#include "channel.h"
#include "log.h"
#include "text.h"

#define KEEPALIVE_S 60u
#define QOS_AT_LEAST_ONCE 1u

static struct MvMqttAuthentication authentication(const struct Settings *settings)
{
    if (settings->username[0] == '\0') {
        return (struct MvMqttAuthentication){ .method = MV_MQTTAUTHENTICATIONMETHOD_NONE };
    }
    return (struct MvMqttAuthentication){
        .method = MV_MQTTAUTHENTICATIONMETHOD_USERNAMEPASSWORD,
        .username_password = {
            .username = text_sized(settings->username),
            .password = text_sized(settings->password),
        },
    };
}

bool request_connect(const struct Settings *settings)
{
    const struct MvSizedString ca = { .data = settings->broker_ca, .length = settings->broker_ca_length };
    const struct MvTlsCredentials credentials = { .cacert = { .num_certs = 1, .certs = &ca } };
    const struct MvMqttConnectRequest request = {
        .protocol_version = MV_MQTTPROTOCOLVERSION_V5,
        .host = text_sized(settings->broker_host),
        .port = settings->broker_port,
        .clientid = text_sized(settings->client_id),
        .authentication = authentication(settings),
        .tls_credentials = ca.length > 0 ? &credentials : NULL,
        .keepalive = KEEPALIVE_S,
        .clean_start = 1,
        .will = NULL,
    };
    return log_success("mvMqttRequestConnect", mvMqttRequestConnect(channel_handle(), &request));
}

bool request_subscribe(uint32_t correlation_id, const char *topic)
{
    const struct MvMqttSubscription subscription = {
        .topic = text_sized(topic),
        .desired_qos = QOS_AT_LEAST_ONCE,
    };
    const struct MvMqttSubscribeRequest request = {
        .correlation_id = correlation_id,
        .subscriptions = &subscription,
        .num_subscriptions = 1,
    };
    return log_success("mvMqttRequestSubscribe", mvMqttRequestSubscribe(channel_handle(), &request));
}

bool request_publish(uint32_t correlation_id, const char *topic, const char *payload)
{
    const struct MvMqttPublishRequest request = {
        .correlation_id = correlation_id,
        .topic = text_sized(topic),
        .payload = text_sized(payload),
        .desired_qos = QOS_AT_LEAST_ONCE,
        .retain = 0,
    };
    return log_success("mvMqttRequestPublish", mvMqttRequestPublish(channel_handle(), &request));
}

bool request_disconnect(void)
{
    return log_success("mvMqttRequestDisconnect", mvMqttRequestDisconnect(channel_handle()));
}
