/* A channel of opaque bytes: a stream each way, through the two buffers and without a copy in between when reading.
 *
 * The other end is expected to echo what it receives. First more than fits the buffers is sent as a stream, then a
 * block that must not be divided is sent whole or not at all. A cloud without an endpoint closes the channel;
 * that is logged, and the sample stops.
 */

#include <stdbool.h>
#include <stdint.h>

#include "channel.h"
#include "clock.h"
#include "log.h"
#include "mv_names.h"
#include "network.h"

#define STREAM_LENGTH 20000u
#define PIECE 700u
#define BLOCK 3000u
#define BLOCKS 2u
#define PATIENCE_MS 10000u

/* Offsets from the first byte of the channel. */
static uint32_t sent;
static uint32_t received;
static bool wrong;
static bool failed;

/* The byte at an offset of the stream; its period does not divide any buffer's size. */
static uint8_t byte_at(uint32_t place)
{
    return (uint8_t)(place % 251);
}

static void prepare(uint8_t *bytes, uint32_t length)
{
    for (uint32_t index = 0; index < length; index++) {
        bytes[index] = byte_at(sent + index);
    }
}

static bool check(const char *what, enum MvStatus status)
{
    if (!log_success(what, status)) {
        failed = true;
    }
    return status == MV_STATUS_OKAY;
}

/* The bytes are checked in the receive buffer itself, and released afterwards. */
static bool read(void)
{
    uint8_t *bytes;
    uint32_t length;
    if (!check("mvReadChannel", mvReadChannel(channel_handle(), &bytes, &length)) || length == 0) {
        return false;
    }
    for (uint32_t index = 0; index < length; index++) {
        wrong |= bytes[index] != byte_at(received + index);
    }
    received += length;
    return check("mvReadChannelComplete", mvReadChannelComplete(channel_handle(), length));
}

/* Writes what fits; false if that is not everything. */
static bool stream(uint32_t end)
{
    uint8_t piece[PIECE];
    uint32_t length = end - sent < PIECE ? end - sent : PIECE;
    uint32_t written = 0;
    prepare(piece, length);
    if (check("mvWriteChannelStream", mvWriteChannelStream(channel_handle(), piece, length, &written))) {
        sent += written;
    }
    return written == length;
}

/* Whether to continue waiting for the other end. */
static bool keeps_waiting(uint32_t start)
{
    if (failed || channel_is_lost()) {
        return false;
    }
    if (clock_since(start) > PATIENCE_MS) {
        log_line("opaque: nothing comes back");
        failed = true;
    }
    return !failed;
}

static void read_until(uint32_t end)
{
    uint32_t start = clock_now();
    while (received < end && keeps_waiting(start)) {
        if (!read()) {
            clock_idle();
        }
    }
}

/* A write that did not fit is followed by an event when there is space; until then, received bytes are read. */
static void stream_all(void)
{
    uint32_t waits = 0;
    uint32_t start = clock_now();
    while (sent < STREAM_LENGTH && keeps_waiting(start)) {
        if (stream(STREAM_LENGTH)) {
            continue;
        }
        waits++;
        while (!channel_take_writable() && keeps_waiting(start)) {
            if (!read()) {
                clock_idle();
            }
        }
    }
    read_until(sent);
    log_line("opaque: streamed %lu bytes, %lu came back %s", sent, received, wrong ? "changed" : "unchanged");
    log_line("opaque: waited for room %s", waits > 0 ? "at least once" : "never");
}

/* Length 0 writes nothing and returns the free space. */
static uint32_t room(void)
{
    uint32_t available = 0;
    check("mvWriteChannel", mvWriteChannel(channel_handle(), NULL, 0, &available));
    return available;
}

/* Writes a block whole or not at all; returns whether it was written. */
static bool write_block(void)
{
    static uint8_t block[BLOCK];
    uint32_t available;
    prepare(block, BLOCK);
    enum MvStatus status = mvWriteChannel(channel_handle(), block, BLOCK, &available);
    if (status == MV_STATUS_INVALIDBUFFERSIZE) {
        return false;
    }
    if (check("mvWriteChannel", status)) {
        sent += BLOCK;
    }
    return true;
}

/* Nothing of a refused block was written: it is sent whole once there is space. */
static void write_blocks(void)
{
    uint32_t start = clock_now();
    log_line("opaque: room for %lu bytes", room());
    for (uint32_t number = 0; number < BLOCKS; number++) {
        while (!write_block()) {
            while (!channel_take_writable() && keeps_waiting(start)) {
                clock_idle();
            }
            if (!keeps_waiting(start)) {
                return;
            }
            log_line("opaque: block %lu had to wait", number);
        }
    }
    read_until(sent);
    log_line("opaque: %lu bytes in all, %lu came back %s", sent, received, wrong ? "changed" : "unchanged");
}

int main(void)
{
    log_start();
    clock_start();
    channel_start();
    network_start();
    network_wait();
    if (channel_open(MV_CHANNELTYPE_OPAQUEBYTES)) {
        stream_all();
        if (!failed && !channel_is_lost()) {
            write_blocks();
        }
        channel_close();
    }
    log_line("opaque: done");
    clock_rest();
}
