/* A queue of sixteen events between the handler and the program, which reads one item for each event.
 *
 * An event that does not fit the queue is lost, and its item is not read: from then on the program would lag behind
 * the events. It works only if no burst of messages, however long, is announced faster than it reads.
 */

#include "check.h"
#include "client.h"
#include "clock.h"
#include "exchange.h"
#include "log.h"
#include "notices.h"
#include "processor.h"

#define RECORDS 16u
#define PLACES 16u
#define MESSAGES 120u
#define READING_TURNS 20000u
#define PATIENCE_MS 5000u
#define QUIET_MS 50u

#define TAG_NETWORK 1u
#define TAG_MQTT 2u

static volatile struct MvNotification records[RECORDS] __attribute__((aligned(8)));
static struct Centre centre;
static struct Buffers buffers;
static volatile uint32_t network_events;

/* The queue only counts: all events of the channel are the same. */
static volatile uint32_t put;
static uint32_t taken;
static volatile uint32_t lost;
static volatile uint32_t deepest;

void TIM8_BRK_IRQHandler(void);

void TIM8_BRK_IRQHandler(void)
{
    struct MvNotification event = centre_take(&centre);
    if (event.tag == TAG_NETWORK) {
        network_events++;
    } else if (put - taken == PLACES) {
        lost++;
    } else {
        put++;
        if (put - taken > deepest) {
            deepest = put - taken;
        }
    }
    clock_wake();
}

static bool take(void)
{
    uint32_t begun = clock_now();
    while (put == taken) {
        if (clock_since(begun) >= PATIENCE_MS) {
            return false;
        }
        clock_idle();
    }
    taken++;
    return true;
}

/* Processing an item takes longer than an interrupt. */
static void linger(void)
{
    for (volatile uint32_t turns = 0; turns < READING_TURNS; turns++) {
    }
}

static uint32_t read_all(MvChannelHandle channel)
{
    uint32_t in_order = 0;
    for (uint32_t number = 0; number < MESSAGES && take(); number++) {
        struct Item item = client_read(channel);
        in_order += item.type == MV_MQTTREADABLEDATATYPE_MESSAGERECEIVED && item.number == number;
        linger();
    }
    return in_order;
}

int main(void)
{
    log_start();
    clock_start();
    centre_setup(&centre, LINE_B, records, RECORDS);
    line_enable(LINE_B, PRIORITY_MIDDLE);
    MvNetworkHandle network = network_request(centre.handle, TAG_NETWORK);
    while (network_events == 0) {
        clock_idle();
    }
    check("it is connected", network_is_connected(network));

    MvChannelHandle channel = channel_open(MV_CHANNELTYPE_MQTT, network, centre.handle, TAG_MQTT, &buffers);
    check_okay("mvMqttRequestConnect", client_connect(channel));
    check("an event of the connect", take());
    check_equal("connected", client_read(channel).type, MV_MQTTREADABLEDATATYPE_CONNECTRESPONSE);
    check_okay("mvMqttRequestSubscribe", client_subscribe(channel, 1));
    check("an event of the subscribe", take());
    check_equal("subscribed", client_read(channel).type, MV_MQTTREADABLEDATATYPE_SUBSCRIBERESPONSE);

    log_line("READY for a burst");
    check_equal("messages, one for each event and in order", read_all(channel), MESSAGES);
    clock_sleep(QUIET_MS);
    check_equal("events without a place", lost, 0);
    check("the queue was in use", deepest > 1);
    check_equal("events without an item", put - taken, 0);
    check_equal("nothing more", client_read(channel).type, MV_MQTTREADABLEDATATYPE_NONE);
    channel_close(&channel);
    check_end();
    clock_rest();
}
