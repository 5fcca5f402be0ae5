/* An MQTT client that talks to itself: it subscribes to the topic it publishes to. */

#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "mv_syscalls.h"

/** One item read from the channel. */
struct Item {
    enum MvMqttReadableDataType type;
    enum MvMqttRequestState state;
    /** Of a publish or subscribe response, its correlation id; of a message, the number in its payload. */
    uint32_t number;
};

enum MvStatus client_connect(MvChannelHandle channel);
enum MvStatus client_subscribe(MvChannelHandle channel, uint32_t correlation_id);

/** Publishes the number with quality of service 1, which is also its correlation id. */
enum MvStatus client_publish(MvChannelHandle channel, uint32_t number);

/** Reads the next item, and acknowledges it if it is a message. Type NONE: there was none, or it could not be read. */
struct Item client_read(MvChannelHandle channel);

#endif
