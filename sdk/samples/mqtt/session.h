/* One connection to the broker, from opening its channel to closing it. */

#ifndef SESSION_H
#define SESSION_H

#include <stdbool.h>

#include "settings.h"

/** Connects, then publishes and executes commands until the connection ends. False if the broker refused it. */
bool session_run(const struct Settings *settings);

#endif
