/* A handler of the lowest priority, delayed by long critical sections with many events.
 *
 * What was queued meanwhile follows afterwards: one interrupt, one record, one item to read.
 */

#include "check.h"
#include "client.h"
#include "clock.h"
#include "critical.h"
#include "exchange.h"
#include "log.h"
#include "notices.h"
#include "processor.h"

#define RECORDS 8u
#define ROUNDS 6u
#define BURST 8u
#define SECTION_TURNS 120000u
#define PATIENCE_MS 5000u
#define QUIET_MS 50u

/* The records that the hypervisor queues while they cannot be written, for all centres together. */
#define POOL 128u
#define FLOOD (POOL + 51u)
#define FLOOD_RECORDS 256u

static volatile struct MvNotification records[RECORDS] __attribute__((aligned(8)));
static volatile struct MvNotification flood_records[FLOOD_RECORDS] __attribute__((aligned(8)));
static struct Centre centre;
static struct Centre flood;
static volatile uint32_t network_events;
static volatile uint32_t events;
static volatile uint32_t flood_interrupts;

static struct Buffers buffers;
static uint32_t answers;
static uint32_t messages;

#define TAG_NETWORK 1u
#define TAG_MQTT 2u

void TIM8_BRK_IRQHandler(void);
void TIM2_IRQHandler(void);

void TIM8_BRK_IRQHandler(void)
{
    struct MvNotification event = centre_take(&centre);
    if (event.tag == TAG_NETWORK && event.event_type == MV_EVENTTYPE_NETWORKSTATUSCHANGED) {
        network_events++;
    } else if (event.tag == TAG_MQTT && event.event_type == MV_EVENTTYPE_CHANNELDATAREADABLE) {
        events++;
    } else {
        check_stop("an event nobody expects", (uint32_t)event.event_type);
    }
    clock_wake();
}

void TIM2_IRQHandler(void)
{
    flood_interrupts++;
    clock_wake();
}

static void wait(volatile uint32_t *count, uint32_t wanted)
{
    uint32_t begun = clock_now();
    while (*count < wanted && clock_since(begun) < PATIENCE_MS) {
        clock_idle();
    }
    clock_sleep(QUIET_MS);
}

/* A few milliseconds, in each of which the link is used. */
static void linger(void)
{
    for (volatile uint32_t turns = 0; turns < SECTION_TURNS; turns++) {
    }
}

/* Reads one item for each event, and counts those in the order of their requests. */
static void read(MvChannelHandle channel, uint32_t count)
{
    for (uint32_t number = 0; number < count; number++) {
        struct Item item = client_read(channel);
        if (item.type == MV_MQTTREADABLEDATATYPE_PUBLISHRESPONSE) {
            answers += item.number == answers;
        } else if (item.type == MV_MQTTREADABLEDATATYPE_MESSAGERECEIVED) {
            messages += item.number == messages;
        }
    }
}

static void publish(MvChannelHandle channel, uint32_t round)
{
    for (uint32_t number = round * BURST; number < (round + 1) * BURST; number++) {
        enum MvStatus status = client_publish(channel, number);
        if (status != MV_STATUS_OKAY) {
            check_okay("mvMqttRequestPublish", status);
        }
    }
}

/* Even rounds mask by priority, odd ones everything. All requests are answered before the section ends. */
static void round_of(MvChannelHandle channel, uint32_t round)
{
    uint32_t before = events;
    uint32_t mask = 0;
    if (round % 2 == 0) {
        mask = critical_enter();
    } else {
        interrupts_hold();
    }
    publish(channel, round);
    linger();
    bool was_early = events != before;
    enum MvMqttReadableDataType type = MV_MQTTREADABLEDATATYPE_NONE;
    mvMqttGetNextReadableDataType(channel, &type);
    if (round % 2 == 0) {
        critical_leave(mask);
    } else {
        interrupts_release();
    }
    wait(&events, before + 2 * BURST);
    check("nothing was handled inside the section", !was_early);
    check("something was there inside the section", type != MV_MQTTREADABLEDATATYPE_NONE);
    check_equal("events after it", events - before, 2 * BURST);
    read(channel, events - before);
    check_equal("nothing more", client_read(channel).type, MV_MQTTREADABLEDATATYPE_NONE);
}

static void sections(MvNetworkHandle network)
{
    MvChannelHandle channel = channel_open(MV_CHANNELTYPE_MQTT, network, centre.handle, TAG_MQTT, &buffers);
    check_okay("mvMqttRequestConnect", client_connect(channel));
    wait(&events, 1);
    check_equal("connected", client_read(channel).type, MV_MQTTREADABLEDATATYPE_CONNECTRESPONSE);
    check_okay("mvMqttRequestSubscribe", client_subscribe(channel, 1));
    wait(&events, 2);
    check_equal("subscribed", client_read(channel).type, MV_MQTTREADABLEDATATYPE_SUBSCRIBERESPONSE);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        round_of(channel, round);
    }
    check_equal("answers, in order", answers, ROUNDS * BURST);
    check_equal("messages, in order", messages, ROUNDS * BURST);
    channel_close(&channel);
}

/* More than the hypervisor can queue: the oldest are then written without waiting for the line. None is lost or
 * out of order, but there are fewer interrupts than records. */
static void overflow(void)
{
    uint32_t in_order = 0;
    centre_setup(&flood, LINE_C, flood_records, FLOOD_RECORDS);
    line_enable(LINE_C, PRIORITY_LEAST);
    uint32_t mask = critical_enter();
    for (uint32_t tag = 0; tag < FLOOD; tag++) {
        mvTempTriggerNotification(flood.handle, MV_EVENTTYPE_CHANNELDATAREADABLE, tag);
    }
    critical_leave(mask);
    wait(&flood_interrupts, POOL + 1);
    check_equal("interrupts of a flood", flood_interrupts, POOL + 1);
    while (in_order < FLOOD && flood_records[in_order].tag == in_order
        && flood_records[in_order].event_type == MV_EVENTTYPE_CHANNELDATAREADABLE) {
        in_order++;
    }
    check_equal("records of a flood", in_order, FLOOD);
}

int main(void)
{
    log_start();
    clock_start();
    centre_setup(&centre, LINE_B, records, RECORDS);
    line_enable(LINE_B, PRIORITY_LEAST);
    MvNetworkHandle network = network_request(centre.handle, TAG_NETWORK);
    wait(&network_events, 1);
    check("it is connected", network_is_connected(network));
    sections(network);
    overflow();
    check_equal("events of the network", network_events, 1);
    check_end();
    clock_rest();
}
