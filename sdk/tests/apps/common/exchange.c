#include "exchange.h"

#include "check.h"
#include "text.h"

MvNetworkHandle network_request(MvNotificationHandle centre, uint32_t tag)
{
    MvNetworkHandle network = 0;
    const struct MvRequestNetworkParams params = {
        .version = 1,
        .v1 = { .notification_handle = centre, .notification_tag = tag },
    };
    check_okay("mvRequestNetwork", mvRequestNetwork(&params, &network));
    return network;
}

bool network_is_connected(MvNetworkHandle network)
{
    enum MvNetworkStatus status;
    return mvGetNetworkStatus(network, &status) == MV_STATUS_OKAY && status == MV_NETWORKSTATUS_CONNECTED;
}

MvChannelHandle channel_open(enum MvChannelType type, MvNetworkHandle network, MvNotificationHandle centre,
    uint32_t tag, struct Buffers *buffers)
{
    MvChannelHandle channel = 0;
    const struct MvOpenChannelParams params = {
        .version = 1,
        .v1 = {
            .notification_handle = centre,
            .notification_tag = tag,
            .network_handle = network,
            .receive_buffer = buffers->receive,
            .receive_buffer_len = sizeof buffers->receive,
            .send_buffer = buffers->send,
            .send_buffer_len = sizeof buffers->send,
            .channel_type = type,
            .endpoint = { .data = (const uint8_t *)"", .length = 0 },
        },
    };
    check_okay("mvOpenChannel", mvOpenChannel(&params, &channel));
    return channel;
}

void channel_close(MvChannelHandle *channel)
{
    check_okay("mvCloseChannel", mvCloseChannel(channel));
    check("a closed channel's handle is 0", *channel == 0);
}

void config_send(MvChannelHandle channel)
{
    const struct MvConfigKeyToFetch key = {
        .scope = MV_CONFIGKEYFETCHSCOPE_DEVICE,
        .store = MV_CONFIGKEYFETCHSTORE_CONFIG,
        .key = text_sized("answer"),
    };
    const struct MvConfigKeyFetchParams params = { .num_items = 1, .keys_to_fetch = &key };
    check_okay("mvSendConfigFetchRequest", mvSendConfigFetchRequest(channel, &params));
}

void config_read(MvChannelHandle channel)
{
    struct MvConfigResponseData answer;
    enum MvConfigKeyFetchResult result;
    uint8_t value[8];
    uint32_t length = 0;
    const struct MvConfigResponseReadItemParams params = {
        .item_index = 0,
        .result = &result,
        .buf = { .data = value, .size = sizeof value, .length = &length },
    };
    check_okay("mvReadConfigFetchResponseData", mvReadConfigFetchResponseData(channel, &answer));
    check_okay("mvReadConfigResponseItem", mvReadConfigResponseItem(channel, &params));
    check("the value is 42", length == 2 && value[0] == '4' && value[1] == '2');
}

void http_send(MvChannelHandle channel)
{
    const struct MvHttpRequest request = {
        .method = text_sized("GET"),
        .url = text_sized("https://example.com/"),
        .body = text_sized(""),
        .timeout_ms = 5000,
    };
    check_okay("mvSendHttpRequest", mvSendHttpRequest(channel, &request));
}

void http_read(MvChannelHandle channel)
{
    struct MvHttpResponseData answer;
    uint8_t body[8];
    check_okay("mvReadHttpResponseData", mvReadHttpResponseData(channel, &answer));
    check("the page is there", answer.result == MV_HTTPRESULT_OK && answer.status_code == 200);
    check_okay("mvReadHttpResponseBody", mvReadHttpResponseBody(channel, 0, body, sizeof body));
    check("the page says hi", answer.body_length == 2 && body[0] == 'h' && body[1] == 'i');
}
