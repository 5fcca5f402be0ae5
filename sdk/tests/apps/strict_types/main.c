/* Handlers that accept only some event types, and stop at one they do not expect.
 *
 * The network's accepts changes of status, those of HTTP and configuration only that something is readable,
 * and MQTT's the same: none accepts space to write, and none expects a loss where nothing was lost.
 */

#include "check.h"
#include "client.h"
#include "clock.h"
#include "exchange.h"
#include "log.h"
#include "notices.h"

#define RECORDS 4u
#define PUBLISHES 12u
#define PATIENCE_MS 5000u
/* Long enough for an unexpected event. */
#define QUIET_MS 200u

#define TAG_NETWORK 1u
#define TAG_CONFIG 2u
#define TAG_HTTP 3u
#define TAG_MQTT 4u

/* A centre that accepts one type of event, with one tag. */
struct Strict {
    struct Centre centre;
    volatile struct MvNotification records[RECORDS] __attribute__((aligned(8)));
    enum MvEventType type;
    uint32_t tag;
    volatile uint32_t events;
};

static struct Strict network = { .type = MV_EVENTTYPE_NETWORKSTATUSCHANGED, .tag = TAG_NETWORK };
static struct Strict config = { .type = MV_EVENTTYPE_CHANNELDATAREADABLE, .tag = TAG_CONFIG };
static struct Strict http = { .type = MV_EVENTTYPE_CHANNELDATAREADABLE, .tag = TAG_HTTP };
static struct Strict mqtt = { .type = MV_EVENTTYPE_CHANNELDATAREADABLE, .tag = TAG_MQTT };

static struct Buffers buffers;
static MvNetworkHandle network_handle;

void TIM1_BRK_IRQHandler(void);
void TIM8_BRK_IRQHandler(void);
void TIM2_IRQHandler(void);
void TIM3_IRQHandler(void);

static void handle(struct Strict *strict)
{
    struct MvNotification event = centre_take(&strict->centre);
    if (event.event_type != strict->type) {
        check_stop("an event of a type nobody expects", (uint32_t)event.event_type);
    }
    if (event.tag != strict->tag) {
        check_stop("an event with a tag of somebody else", event.tag);
    }
    strict->events++;
    clock_wake();
}

void TIM1_BRK_IRQHandler(void)
{
    handle(&network);
}

void TIM2_IRQHandler(void)
{
    handle(&config);
}

void TIM3_IRQHandler(void)
{
    handle(&http);
}

void TIM8_BRK_IRQHandler(void)
{
    handle(&mqtt);
}

static void start(struct Strict *strict, uint32_t line)
{
    centre_setup(&strict->centre, line, strict->records, RECORDS);
    line_enable(line, PRIORITY_MIDDLE);
}

static void until(struct Strict *strict, uint32_t events)
{
    uint32_t begun = clock_now();
    while (strict->events < events && clock_since(begun) < PATIENCE_MS) {
        clock_idle();
    }
}

static void wait(struct Strict *strict, uint32_t events)
{
    until(strict, events);
    clock_sleep(QUIET_MS);
    check_equal("events", strict->events, events);
}

static void fetch(void)
{
    MvChannelHandle channel =
        channel_open(MV_CHANNELTYPE_CONFIGFETCH, network_handle, config.centre.handle, TAG_CONFIG, &buffers);
    config_send(channel);
    wait(&config, 1);
    config_read(channel);
    channel_close(&channel);
    wait(&config, 1);
}

static void browse(void)
{
    MvChannelHandle channel =
        channel_open(MV_CHANNELTYPE_HTTP, network_handle, http.centre.handle, TAG_HTTP, &buffers);
    http_send(channel);
    wait(&http, 1);
    http_read(channel);
    channel_close(&channel);
    wait(&http, 1);
}

/* One event for one item: what was notified is readable, and nothing more. */
static void read_one(MvChannelHandle channel, const char *what, enum MvMqttReadableDataType type)
{
    struct Item item = client_read(channel);
    check_equal(what, item.type, type);
    check_equal("completed", item.state, MV_MQTTREQUESTSTATE_REQUESTCOMPLETED);
    check_equal("nothing more", client_read(channel).type, MV_MQTTREADABLEDATATYPE_NONE);
}

/* The broker sends back what is published: a response and a message for each. Not all messages are notified before the
 * first is read. */
static void publish(MvChannelHandle channel, uint32_t before)
{
    uint32_t answers = 0;
    uint32_t messages = 0;
    for (uint32_t number = 0; number < PUBLISHES; number++) {
        check_okay("mvMqttRequestPublish", client_publish(channel, number));
    }
    for (uint32_t event = 0; event < 2 * PUBLISHES; event++) {
        until(&mqtt, before + event + 1);
        struct Item item = client_read(channel);
        if (item.type == MV_MQTTREADABLEDATATYPE_PUBLISHRESPONSE) {
            answers += item.number == answers;
        } else if (item.type == MV_MQTTREADABLEDATATYPE_MESSAGERECEIVED) {
            messages += item.number == messages;
        }
    }
    wait(&mqtt, before + 2 * PUBLISHES);
    check_equal("answers, in order", answers, PUBLISHES);
    check_equal("messages, in order", messages, PUBLISHES);
    check_equal("nothing more", client_read(channel).type, MV_MQTTREADABLEDATATYPE_NONE);
}

static void talk(void)
{
    MvChannelHandle channel =
        channel_open(MV_CHANNELTYPE_MQTT, network_handle, mqtt.centre.handle, TAG_MQTT, &buffers);
    check_okay("mvMqttRequestConnect", client_connect(channel));
    wait(&mqtt, 1);
    read_one(channel, "connected", MV_MQTTREADABLEDATATYPE_CONNECTRESPONSE);
    check_okay("mvMqttRequestSubscribe", client_subscribe(channel, 1));
    wait(&mqtt, 2);
    read_one(channel, "subscribed", MV_MQTTREADABLEDATATYPE_SUBSCRIBERESPONSE);
    publish(channel, 2);
    check_okay("mvMqttRequestDisconnect", mvMqttRequestDisconnect(channel));
    wait(&mqtt, 3 + 2 * PUBLISHES);
    struct Item item = client_read(channel);
    check_equal("disconnected", item.type, MV_MQTTREADABLEDATATYPE_DISCONNECTRESPONSE);
    channel_close(&channel);
    wait(&mqtt, 3 + 2 * PUBLISHES);
}

int main(void)
{
    log_start();
    clock_start();
    start(&network, LINE_A);
    start(&config, LINE_C);
    start(&http, LINE_D);
    start(&mqtt, LINE_B);
    network_handle = network_request(network.centre.handle, TAG_NETWORK);
    wait(&network, 1);
    check("it is connected", network_is_connected(network_handle));
    fetch();
    browse();
    talk();
    check_equal("events of the network", network.events, 1);
    check_end();
    clock_rest();
}
