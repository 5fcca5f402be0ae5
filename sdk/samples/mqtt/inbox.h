/* Received messages: read, obeyed, acknowledged. */

#ifndef INBOX_H
#define INBOX_H

#include <stdbool.h>

/** Begins anew on a fresh connection. */
void inbox_start(void);

/** Reads the message that is next in the channel; false if that fails. */
bool inbox_receive(void);

/** Reads the notice of a message that could not be received; false if that fails. */
bool inbox_receive_lost(void);

/** Acknowledges what could not be acknowledged before; false while that is still so. */
bool inbox_settle(void);

#endif
