/* Publishing: the reading that goes out once a period, and the answers that come back in any order. */

#ifndef PUBLISHER_H
#define PUBLISHER_H

#include <stdint.h>

#include "mv_syscalls.h"
#include "settings.h"

/** Begins anew on a fresh connection: what was unanswered on the last one never will be. */
void publisher_start(const struct Settings *settings);

/** Publishes a reading if it is time for one. */
void publisher_run(void);

/** Changes the time between readings. */
void publisher_set_period(uint32_t milliseconds);

/** Publishes a text to the topic `echo` below the readings' own. */
void publisher_echo(const char *text);

/** Finds the request an answer belongs to, and logs how it fared. */
void publisher_answered(const struct MvMqttPublishResponse *answer);

#endif
