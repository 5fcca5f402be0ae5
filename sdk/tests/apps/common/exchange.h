/* The network and channels, with the status of each call checked by the caller or here. */

#ifndef EXCHANGE_H
#define EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "mv_syscalls.h"

#define BUFFER_SIZE 2048u

/** Two buffers for a channel. */
struct Buffers {
    uint8_t receive[BUFFER_SIZE] __attribute__((aligned(512)));
    uint8_t send[BUFFER_SIZE] __attribute__((aligned(512)));
};

MvNetworkHandle network_request(MvNotificationHandle centre, uint32_t tag);
bool network_is_connected(MvNetworkHandle network);

MvChannelHandle channel_open(enum MvChannelType type, MvNetworkHandle network, MvNotificationHandle centre,
    uint32_t tag, struct Buffers *buffers);
void channel_close(MvChannelHandle *channel);

/** The request of its channel; the response must be what the test's cloud sends. */
void config_send(MvChannelHandle channel);
void config_read(MvChannelHandle channel);
void http_send(MvChannelHandle channel);
void http_read(MvChannelHandle channel);

#endif
