/* The header on its own, as an application in C uses it. Compiled, never run. */

#include "mv_syscalls.h"

enum MvStatus request_network(MvNotificationHandle centre, MvNetworkHandle *network);
enum MvStatus open_channel(MvNotificationHandle centre, MvNetworkHandle network, MvChannelHandle *channel);

static uint8_t receive_buffer[512];
static uint8_t send_buffer[512];

enum MvStatus request_network(MvNotificationHandle centre, MvNetworkHandle *network)
{
    const struct MvRequestNetworkParams params = {
        .version = 1,
        .v1 = { .notification_handle = centre, .notification_tag = 7 },
    };
    return mvRequestNetwork(&params, network);
}

enum MvStatus open_channel(MvNotificationHandle centre, MvNetworkHandle network, MvChannelHandle *channel)
{
    const struct MvOpenChannelParams params = {
        .version = 1,
        .v1 = {
            .notification_handle = centre,
            .notification_tag = 8,
            .network_handle = network,
            .receive_buffer = receive_buffer,
            .receive_buffer_len = sizeof receive_buffer,
            .send_buffer = send_buffer,
            .send_buffer_len = sizeof send_buffer,
            .channel_type = MV_CHANNELTYPE_HTTP,
            .endpoint = { .data = (const uint8_t *)"", .length = 0 },
        },
    };
    return mvOpenChannel(&params, channel);
}
