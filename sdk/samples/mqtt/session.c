#include "session.h"

#include <stdint.h>

#include "channel.h"
#include "clock.h"
#include "inbox.h"
#include "log.h"
#include "mv_names.h"
#include "network.h"
#include "publisher.h"
#include "requests.h"

/* Every accepted request is answered. This timeout is for a connection that hangs. */
#define CONNECT_TIMEOUT_MS 60000u
/* Publishes are numbered from 0 up; the subscription's id is not among these numbers. */
#define SUBSCRIBE_ID 0xFFFFFFFFu
/* The first of MQTT's reason codes that are errors. */
#define FIRST_FAILURE 0x80u

enum State {
    CONNECTING,
    CONNECTED,
    OVER,
};

static enum State state;
/* Whether the broker, or the cloud on the way to it, refused the connection. */
static bool refused;
static const char *command_topic;

/* Each of the following reads one item; false if it could not be read and is still the next one. */

static bool on_connect_response(void)
{
    struct MvMqttConnectResponse answer;
    if (!log_success("mvMqttReadConnectResponse", mvMqttReadConnectResponse(channel_handle(), &answer))) {
        return false;
    }
    log_line("connect: %s, reason 0x%02lx", mv_mqtt_request_state_name(answer.request_state), answer.reason_code);
    refused = answer.request_state != MV_MQTTREQUESTSTATE_REQUESTCOMPLETED || answer.reason_code != 0;
    state = !refused && request_subscribe(SUBSCRIBE_ID, command_topic) ? CONNECTED : OVER;
    return true;
}

/* Without the subscription the application gets no commands, so an error ends the session. */
static bool on_subscribe_response(void)
{
    enum MvMqttRequestState request_state = MV_MQTTREQUESTSTATE_NOTCONNECTED;
    uint32_t correlation_id = 0;
    uint32_t code = 0;
    uint32_t codes = 0;
    const struct MvMqttSubscribeResponse answer = {
        .request_state = &request_state,
        .correlation_id = &correlation_id,
        .reason_codes = &code,
        .reason_codes_size = 1,
        .reason_codes_len = &codes,
    };
    if (!log_success("mvMqttReadSubscribeResponse", mvMqttReadSubscribeResponse(channel_handle(), &answer))) {
        return false;
    }
    log_line("subscribe: %s, reason 0x%02lx", mv_mqtt_request_state_name(request_state), code);
    bool good = request_state == MV_MQTTREQUESTSTATE_REQUESTCOMPLETED && correlation_id == SUBSCRIBE_ID
        && codes == 1 && code < FIRST_FAILURE;
    if (!good) {
        state = OVER;
    }
    return true;
}

static bool on_publish_response(void)
{
    struct MvMqttPublishResponse answer;
    if (!log_success("mvMqttReadPublishResponse", mvMqttReadPublishResponse(channel_handle(), &answer))) {
        return false;
    }
    publisher_answered(&answer);
    return true;
}

static bool on_disconnect_response(void)
{
    struct MvMqttDisconnectResponse answer;
    enum MvStatus status = mvMqttReadDisconnectResponse(channel_handle(), &answer);
    if (!log_success("mvMqttReadDisconnectResponse", status)) {
        return false;
    }
    log_line("disconnect: %s, reason 0x%02lx", mv_mqtt_request_state_name(answer.request_state),
        answer.disconnect_code);
    state = OVER;
    return true;
}

static bool receive(enum MvMqttReadableDataType type)
{
    switch (type) {
    case MV_MQTTREADABLEDATATYPE_MESSAGERECEIVED: return inbox_receive();
    case MV_MQTTREADABLEDATATYPE_MESSAGELOST: return inbox_receive_lost();
    case MV_MQTTREADABLEDATATYPE_CONNECTRESPONSE: return on_connect_response();
    case MV_MQTTREADABLEDATATYPE_SUBSCRIBERESPONSE: return on_subscribe_response();
    case MV_MQTTREADABLEDATATYPE_PUBLISHRESPONSE: return on_publish_response();
    case MV_MQTTREADABLEDATATYPE_DISCONNECTRESPONSE: return on_disconnect_response();
    default: log_line("session: nothing we know how to read, %u", (unsigned)type); return false;
    }
}

/* Reads all items; false if a message that cannot be acknowledged yet blocks the others. */
static bool receive_all(void)
{
    enum MvMqttReadableDataType type;
    while (inbox_settle()) {
        enum MvStatus status = mvMqttGetNextReadableDataType(channel_handle(), &type);
        if (status != MV_STATUS_OKAY || type == MV_MQTTREADABLEDATATYPE_NONE) {
            return true; /* On a lost channel the last item is followed by an error, not by NONE. */
        }
        if (!receive(type)) {
            state = OVER; /* An item that cannot be read remains the next one, so a new channel is needed. */
            return true;
        }
    }
    return false;
}

static bool is_hung(uint32_t start)
{
    if (state != CONNECTING || clock_since(start) < CONNECT_TIMEOUT_MS) {
        return false;
    }
    log_line("connect: no answer");
    return true;
}

static void run(void)
{
    uint32_t start = clock_now();
    bool unread = false;
    while (state != OVER && !channel_is_lost() && !is_hung(start)) {
        unread |= channel_take_readable();
        if (unread) {
            unread = !receive_all();
        }
        network_watch();
        if (state == CONNECTED) {
            publisher_run();
        }
        clock_idle();
    }
}

bool session_run(const struct Settings *settings)
{
    command_topic = settings->command_topic;
    state = CONNECTING;
    refused = false;
    if (!channel_open(MV_CHANNELTYPE_MQTT)) {
        return true;
    }
    log_line("connecting to %s:%u", settings->broker_host, settings->broker_port);
    inbox_start();
    publisher_start(settings);
    if (request_connect(settings)) {
        run();
        receive_all(); /* Items that arrived before the connection was lost, and the reason of the loss. */
    }
    channel_close();
    return !refused;
}
