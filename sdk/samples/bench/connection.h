/* The connection to the broker: MQTT 3.1.1, one request or response per call. */

#ifndef CONNECTION_H
#define CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "mv_syscalls.h"
#include "settings.h"

/** Opens the channel and connects; over TLS if there is an authority in the settings. An error is logged. */
bool connection_open(const struct Settings *settings);

/** Publishes; an error is logged. */
bool connection_publish(const struct MvMqttPublishRequest *request);

/**
 * Waits until something is readable, reads all available responses, and adds their number to `answers`.
 * False if the connection is lost, the time has elapsed, or a response is an error.
 */
bool connection_await(uint32_t *answers);

/** Disconnects and closes the channel. */
void connection_close(void);

#endif
