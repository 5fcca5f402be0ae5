/* The MQTT requests of this application, each made in one call. An error is logged, and no response follows. */

#ifndef REQUESTS_H
#define REQUESTS_H

#include <stdbool.h>
#include <stdint.h>

#include "mv_syscalls.h"
#include "settings.h"

/** MQTT 5 from a clean start; TLS if there is an authority to trust; a password if there is a user name. */
bool request_connect(const struct Settings *settings);

/** One topic, quality of service 1. */
bool request_subscribe(uint32_t correlation_id, const char *topic);

/** One message, quality of service 1. */
bool request_publish(uint32_t correlation_id, const char *topic, const char *payload);

bool request_disconnect(void);

#endif
