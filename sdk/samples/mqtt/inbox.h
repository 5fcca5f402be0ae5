/* Received messages: reads, executes and acknowledges them. */

#ifndef INBOX_H
#define INBOX_H

#include <stdbool.h>

/** Starts again on a new connection. */
void inbox_start(void);

/** Reads the next message from the channel; false if that fails. */
bool inbox_receive(void);

/** Reads the notification of a lost message; false if that fails. */
bool inbox_receive_lost(void);

/** Retries an acknowledgement; false if it is still pending. */
bool inbox_settle(void);

#endif
