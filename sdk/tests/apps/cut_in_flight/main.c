/* The link is lost while requests are in flight: each is answered, then the loss is notified, once.
 *
 * An application that closes everything at the loss must have received all its responses by then.
 */

#include "check.h"
#include "client.h"
#include "clock.h"
#include "exchange.h"
#include "log.h"
#include "notices.h"

#define RECORDS 4u
#define PUBLISHES 8u
#define SUBSCRIBE_ID 1000u
#define PATIENCE_MS 30000u
#define QUIET_MS 200u

#define TAG_NETWORK 1u
#define TAG_MQTT 2u

static volatile struct MvNotification records[RECORDS] __attribute__((aligned(8)));
static struct Centre centre;
static volatile uint32_t network_events;
static volatile uint32_t readable_events;
static volatile uint32_t losses;
/* Events of the channel after that of its loss. */
static volatile uint32_t late_events;

static struct Buffers buffers;
static MvNetworkHandle network;

void TIM8_BRK_IRQHandler(void);

void TIM8_BRK_IRQHandler(void)
{
    struct MvNotification event = centre_take(&centre);
    if (event.tag == TAG_NETWORK) {
        network_events++;
    } else if (event.event_type == MV_EVENTTYPE_CHANNELDATAREADABLE) {
        late_events += losses;
        readable_events++;
    } else if (event.event_type == MV_EVENTTYPE_CHANNELNOTCONNECTED) {
        losses++;
    } else {
        check_stop("an event nobody expects", (uint32_t)event.event_type);
    }
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

static void check_item(const char *what, struct Item item, enum MvMqttReadableDataType type, uint32_t number)
{
    check_equal(what, item.type, type);
    check_equal("its number", item.number, number);
    check_equal("not connected", item.state, MV_MQTTREQUESTSTATE_NOTCONNECTED);
}

static MvChannelHandle connect(void)
{
    MvChannelHandle channel = channel_open(MV_CHANNELTYPE_MQTT, network, centre.handle, TAG_MQTT, &buffers);
    check_okay("mvMqttRequestConnect", client_connect(channel));
    wait(&readable_events, 1);
    check_equal("connected", client_read(channel).type, MV_MQTTREADABLEDATATYPE_CONNECTRESPONSE);
    return channel;
}

/* After the first line the test's cloud no longer answers, and at the second it stops. */
static void call_after_loss(MvChannelHandle channel)
{
    log_line("READY to be ignored");
    clock_sleep(QUIET_MS);
    for (uint32_t number = 0; number < PUBLISHES; number++) {
        check_okay("mvMqttRequestPublish", client_publish(channel, number));
    }
    check_okay("mvMqttRequestSubscribe", client_subscribe(channel, SUBSCRIBE_ID));
    clock_sleep(QUIET_MS);
    check_equal("no answer", readable_events, 1);
    log_line("READY to be cut off");
    wait(&losses, 1);
}

static void check_answers(MvChannelHandle channel)
{
    check_equal("losses", losses, 1);
    check_equal("answers", readable_events, 1 + PUBLISHES + 1);
    check_equal("answers after the loss", late_events, 0);
    check_equal("of the network", network_events, 2);
    check_item("subscribe", client_read(channel), MV_MQTTREADABLEDATATYPE_SUBSCRIBERESPONSE, SUBSCRIBE_ID);
    for (uint32_t number = 0; number < PUBLISHES; number++) {
        check_item("publish", client_read(channel), MV_MQTTREADABLEDATATYPE_PUBLISHRESPONSE, number);
    }
}

static void check_over(MvChannelHandle channel)
{
    enum MvMqttReadableDataType type;
    enum MvClosureReason reason;
    MvChannelHandle copy = channel;
    check_status("nothing left to read", mvMqttGetNextReadableDataType(channel, &type), MV_STATUS_CHANNELCLOSED);
    check_status("nothing can be asked", client_publish(channel, 0), MV_STATUS_CHANNELCLOSED);
    check_okay("mvGetChannelClosureReason", mvGetChannelClosureReason(channel, &reason));
    check_equal("the reason is the network's loss", reason, MV_CLOSUREREASON_NETWORKDISCONNECTED);
    channel_close(&channel);
    check_status("a closed handle is none", mvCloseChannel(&copy), MV_STATUS_INVALIDHANDLE);
    check_equal("and stays as it was", copy != 0, 1);
    check_equal("losses", losses, 1);
}

int main(void)
{
    log_start();
    clock_start();
    centre_setup(&centre, LINE_B, records, RECORDS);
    line_enable(LINE_B, PRIORITY_LEAST);
    network = network_request(centre.handle, TAG_NETWORK);
    wait(&network_events, 1);
    MvChannelHandle channel = connect();
    call_after_loss(channel);
    check_answers(channel);
    check_over(channel);
    check_end();
    clock_rest();
}
