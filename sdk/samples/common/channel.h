/* One channel at a time, always on the same two buffers. */

#ifndef CHANNEL_H
#define CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "mv_syscalls.h"

/** Sizes of the channel's buffers: multiples of 512, and the limit of what can be received or sent. */
#define CHANNEL_RECEIVE_SIZE 8192u
#define CHANNEL_SEND_SIZE 4096u

/** Sets up the centre that all channels share, and retries until that succeeds. */
void channel_start(void);

/** Opens a channel; an error is logged. */
bool channel_open(enum MvChannelType type);

MvChannelHandle channel_handle(void);

/** Whether something became readable since the last time. */
bool channel_take_readable(void);

/** Whether space to write was announced since the last time: only for opaque bytes, after a write that did not fit. */
bool channel_take_writable(void);

/** Waits for something readable; false if the channel is lost or the time has elapsed. */
bool channel_wait_readable(uint32_t milliseconds);

/** Whether the channel's connection is lost. */
bool channel_is_lost(void);

/** Closes the channel, and logs the reason if it was lost before. */
void channel_close(void);

#endif
