/* Publishing: a reading once a period, and the responses, which arrive in any order. */

#ifndef PUBLISHER_H
#define PUBLISHER_H

#include <stdint.h>

#include "mv_syscalls.h"
#include "settings.h"

/** Starts again on a new connection: requests pending on the last one are not answered. */
void publisher_start(const struct Settings *settings);

/** Publishes a reading if one is due. */
void publisher_run(void);

/** Sets the time between readings. */
void publisher_set_period(uint32_t milliseconds);

/** Publishes a text to the topic `echo` below the readings' own. */
void publisher_echo(const char *text);

/** Finds the request of a response, and logs the result. */
void publisher_answered(const struct MvMqttPublishResponse *answer);

#endif
