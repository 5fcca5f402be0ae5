/* The connection to the broker: MQTT 3.1.1, one request or answer a call. */

#ifndef CONNECTION_H
#define CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "mv_syscalls.h"
#include "settings.h"

/** Opens the channel and connects; over TLS if the settings name an authority. A failure is logged. */
bool connection_open(const struct Settings *settings);

/** Publishes; a refusal is logged. */
bool connection_publish(const struct MvMqttPublishRequest *request);

/**
 * Waits until something is readable, reads all the answers there are, and adds their number to `answers`.
 * False if the connection is lost, nothing comes in time, or an answer is a failure.
 */
bool connection_await(uint32_t *answers);

/** Disconnects and closes the channel. */
void connection_close(void);

#endif
