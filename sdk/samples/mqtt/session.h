/* One connection to the broker, from the channel's opening to its closing. */

#ifndef SESSION_H
#define SESSION_H

#include <stdbool.h>

#include "settings.h"

/** Connects, and publishes and obeys for as long as the connection lasts. False if the broker would not have us. */
bool session_run(const struct Settings *settings);

#endif
