/* HTTP: a GET and a POST. The server's response is logged: status, headers, body.
 *
 * The device sends requests to the cloud, which resolves names, connects, and checks certificates.
 */

#include <stdbool.h>
#include <stdint.h>

#include "channel.h"
#include "clock.h"
#include "log.h"
#include "mv_names.h"
#include "network.h"
#include "text.h"

#define GET_URL "https://example.com/"
#define POST_URL "https://example.com/readings"
#define POST_BODY "{\"temperature\":21.37}"

/* How long the cloud waits for the server, and how much longer the application waits for the cloud. */
#define TIMEOUT_MS 10000u
#define PATIENCE_MS 15000u

#define MAX_HEADERS 2u
/* A longer header is truncated, a longer body logged in parts. */
#define HEADER_SIZE 128u
#define PIECE_SIZE 64u

static const char *const json[] = { "Content-Type: application/json", "Accept: application/json" };

static struct MvHttpHeader header(const char *line)
{
    return (struct MvHttpHeader){ .length = text_length(line), .data = (const uint8_t *)line };
}

static bool send(const char *method, const char *url, const char *const *lines, uint32_t count, const char *body)
{
    struct MvHttpHeader headers[MAX_HEADERS];
    for (uint32_t index = 0; index < count; index++) {
        headers[index] = header(lines[index]);
    }
    const struct MvHttpRequest request = {
        .method = text_sized(method),
        .url = text_sized(url),
        .num_headers = count,
        .headers = headers,
        .body = text_sized(body),
        .timeout_ms = TIMEOUT_MS,
    };
    log_line("http: %s %s", method, url);
    return log_success("mvSendHttpRequest", mvSendHttpRequest(channel_handle(), &request));
}

/* The call does not return a header's length, but the rest of the buffer is still zero. */
static void log_header(uint32_t index)
{
    char line[HEADER_SIZE + 1] = { 0 };
    enum MvStatus status = mvReadHttpResponseHeader(channel_handle(), index, (uint8_t *)line, HEADER_SIZE);
    if (log_success("mvReadHttpResponseHeader", status)) {
        log_line("http: header %lu: %s", index, line);
    }
}

static bool log_piece(uint32_t offset)
{
    char piece[PIECE_SIZE + 1] = { 0 };
    enum MvStatus status = mvReadHttpResponseBody(channel_handle(), offset, (uint8_t *)piece, PIECE_SIZE);
    if (!log_success("mvReadHttpResponseBody", status)) {
        return false;
    }
    log_line("http: body from %lu: %s", offset, piece);
    return true;
}

static void log_answer(void)
{
    struct MvHttpResponseData answer;
    if (!log_success("mvReadHttpResponseData", mvReadHttpResponseData(channel_handle(), &answer))) {
        return;
    }
    if (answer.result != MV_HTTPRESULT_OK) {
        log_line("http: no answer, %s", mv_http_result_name(answer.result));
        return;
    }
    log_line("http: status %lu, %lu headers, %lu bytes", answer.status_code, answer.num_headers, answer.body_length);
    for (uint32_t index = 0; index < answer.num_headers; index++) {
        log_header(index);
    }
    for (uint32_t offset = 0; offset < answer.body_length && log_piece(offset); offset += PIECE_SIZE) {
    }
}

/* A channel carries one request and its response; each request needs its own channel. */
static void exchange(const char *method, const char *url, const char *const *lines, uint32_t count, const char *body)
{
    if (!channel_open(MV_CHANNELTYPE_HTTP)) {
        return;
    }
    if (send(method, url, lines, count, body)) {
        if (channel_wait_readable(PATIENCE_MS)) {
            log_answer();
        } else {
            log_line("http: nothing came back");
        }
    }
    channel_close();
}

int main(void)
{
    log_start();
    clock_start();
    channel_start();
    network_start();
    network_wait();
    exchange("GET", GET_URL, NULL, 0, "");
    exchange("POST", POST_URL, json, sizeof json / sizeof *json, POST_BODY);
    log_line("http: done");
    clock_rest();
}
