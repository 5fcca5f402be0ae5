/* All at once under a pre-emptive scheduler: MQTT in one task, configuration and HTTP in another, both notified by
 * handlers that take one record per interrupt, while two tasks compute, make calls, and mask interrupts. */

#include "check.h"
#include "client.h"
#include "critical.h"
#include "exchange.h"
#include "log.h"
#include "notices.h"
#include "processor.h"
#include "tasks.h"

#define RECORDS 4u
#define PUBLISHES 40u
/* Publishes in flight. */
#define FLIGHT 8u
/* Few enough for the limit of eight openings a second, with the other task's. */
#define FETCHES 3u
#define PATIENCE 10000u

#define TAG_NETWORK 1u
#define TAG_MQTT 2u
#define TAG_CONFIG 3u
#define TAG_HTTP 4u
#define TAGS 5u

static volatile struct MvNotification shared_records[RECORDS] __attribute__((aligned(8)));
static volatile struct MvNotification mqtt_records[RECORDS] __attribute__((aligned(8)));
static struct Centre shared;
static struct Centre mqtt;
static volatile uint32_t events[TAGS];

static struct Buffers mqtt_buffers;
static struct Buffers other_buffers;
static MvNetworkHandle network;
/* The counter that waiting tasks watch. */
static volatile uint32_t connected;
static volatile uint32_t done;

static volatile uint32_t turns[2];
static volatile uint32_t spoilt;

void TIM1_BRK_IRQHandler(void);
void TIM8_BRK_IRQHandler(void);

static void note(struct Centre *centre, enum MvEventType type)
{
    struct MvNotification event = centre_take(centre);
    if (event.tag == 0 || event.tag >= TAGS) {
        check_stop("an event with a tag nobody gave", event.tag);
    }
    if (event.event_type != type && event.tag != TAG_NETWORK) {
        check_stop("an event nobody expects", (uint32_t)event.event_type);
    }
    events[event.tag]++;
    tasks_look();
}

void TIM1_BRK_IRQHandler(void)
{
    note(&shared, MV_EVENTTYPE_CHANNELDATAREADABLE);
}

void TIM8_BRK_IRQHandler(void)
{
    note(&mqtt, MV_EVENTTYPE_CHANNELDATAREADABLE);
}

/* Waits for the next event of a tag; each is waited for once. */
static void await(uint32_t tag, uint32_t seen)
{
    if (!task_wait(&events[tag], seen, PATIENCE)) {
        check_stop("no event for the tag", tag);
    }
}

static struct Item read_next(MvChannelHandle channel, uint32_t *seen)
{
    await(TAG_MQTT, *seen);
    ++*seen;
    struct Item item = client_read(channel);
    if (item.type == MV_MQTTREADABLEDATATYPE_NONE) {
        check_stop("an event without an item", *seen);
    }
    return item;
}

static void publish_all(MvChannelHandle channel, uint32_t *seen)
{
    uint32_t published = 0;
    uint32_t answers = 0;
    uint32_t messages = 0;
    uint32_t strange = 0;
    while (answers < PUBLISHES || messages < PUBLISHES) {
        while (published < PUBLISHES && published < answers + FLIGHT) {
            check_okay("mvMqttRequestPublish", client_publish(channel, published++));
        }
        struct Item item = read_next(channel, seen);
        if (item.type == MV_MQTTREADABLEDATATYPE_PUBLISHRESPONSE && item.number == answers) {
            answers++;
        } else if (item.type == MV_MQTTREADABLEDATATYPE_MESSAGERECEIVED && item.number == messages) {
            messages++;
        } else {
            strange++;
        }
    }
    check_equal("items out of order", strange, 0);
    check_equal("nothing more", client_read(channel).type, MV_MQTTREADABLEDATATYPE_NONE);
}

static void finish(void)
{
    uint32_t before = critical_enter();
    done++;
    critical_leave(before);
    tasks_look();
    for (;;) {
        task_sleep(PATIENCE);
    }
}

static void mqtt_task(void)
{
    uint32_t seen = 0;
    network = network_request(shared.handle, TAG_NETWORK);
    await(TAG_NETWORK, 0);
    check("it is connected", network_is_connected(network));
    connected = 1;
    tasks_look();
    MvChannelHandle channel = channel_open(MV_CHANNELTYPE_MQTT, network, mqtt.handle, TAG_MQTT, &mqtt_buffers);
    check_okay("mvMqttRequestConnect", client_connect(channel));
    check_equal("connected", read_next(channel, &seen).type, MV_MQTTREADABLEDATATYPE_CONNECTRESPONSE);
    check_okay("mvMqttRequestSubscribe", client_subscribe(channel, 1));
    check_equal("subscribed", read_next(channel, &seen).type, MV_MQTTREADABLEDATATYPE_SUBSCRIBERESPONSE);
    publish_all(channel, &seen);
    check_equal("one event for each item", events[TAG_MQTT], seen);
    channel_close(&channel);
    finish();
}

static void fetch(uint32_t number)
{
    MvChannelHandle channel =
        channel_open(MV_CHANNELTYPE_CONFIGFETCH, network, shared.handle, TAG_CONFIG, &other_buffers);
    config_send(channel);
    await(TAG_CONFIG, number);
    config_read(channel);
    channel_close(&channel);
}

static void browse(uint32_t number)
{
    MvChannelHandle channel = channel_open(MV_CHANNELTYPE_HTTP, network, shared.handle, TAG_HTTP, &other_buffers);
    http_send(channel);
    await(TAG_HTTP, number);
    http_read(channel);
    channel_close(&channel);
}

static void fetch_task(void)
{
    task_wait(&connected, 0, PATIENCE);
    for (uint32_t number = 0; number < FETCHES; number++) {
        fetch(number);
        task_sleep(7);
        browse(number);
        task_sleep(7);
    }
    check_equal("events of configuration", events[TAG_CONFIG], FETCHES);
    check_equal("events of HTTP", events[TAG_HTTP], FETCHES);
    finish();
}

/* Fills the registers that a call or a switch has to preserve, makes a call, and checks them. */
static uint32_t spoils_registers(uint32_t value)
{
    uint32_t wrong;
    uint64_t now;
    register uint32_t argument __asm("r0") = (uint32_t)(uintptr_t)&now;
    __asm volatile(
        "push {r4-r11}\n"
        "mov r4, %[value]\n mov r5, r4\n mov r6, r4\n mov r8, r4\n mov r9, r4\n mov r10, r4\n mov r11, r4\n"
        "bl mvGetMicroseconds\n"
        "eor r5, r4\n eor r6, r4\n eor r8, r4\n eor r9, r4\n eor r10, r4\n eor r11, r4\n"
        "orr r0, r5\n orr r0, r6\n orr r0, r8\n orr r0, r9\n orr r0, r10\n orr r0, r11\n"
        "mov r1, r4\n"
        "pop {r4-r11}\n"
        "mov %[wrong], r0\n"
        : [wrong] "=r"(wrong), "+r"(argument)
        : [value] "r"(value)
        : "r1", "r2", "r3", "r12", "lr", "cc", "memory");
    return wrong;
}

/* Set and not counted: workers interrupt each other, and a count that both change would lose some. */
static void note_spoilt(bool is_wrong)
{
    if (is_wrong) {
        spoilt = 1;
    }
}

static void work(uint32_t worker)
{
    uint64_t last = 0;
    for (uint32_t turn = 0;; turn++) {
        uint64_t now = 0;
        note_spoilt(spoils_registers(turn ^ worker << 31) != 0);
        uint32_t before = critical_enter();
        for (volatile uint32_t step = 0; step < 200 * (turn % 8); step++) {
        }
        mvGetMicroseconds(&now);
        critical_leave(before);
        note_spoilt(now < last);
        last = now;
        turns[worker]++;
        task_sleep(turn % 16 == 0 ? 1 : 0);
    }
}

static void first_worker(void)
{
    work(0);
}

static void second_worker(void)
{
    work(1);
}

static void watch_task(void)
{
    while (done < 2) {
        task_wait(&done, done, PATIENCE);
    }
    check_equal("registers or clocks spoilt", spoilt, 0);
    check("both workers worked", turns[0] > 100 && turns[1] > 100);
    check("there were many switches", tasks_switches() > 200);
    check("no stack was used up", tasks_stack_left() >= 64);
    check_equal("events of the network", events[TAG_NETWORK], 1);
    check_end();
    for (;;) {
        task_sleep(PATIENCE);
    }
}

static void idle_task(void)
{
    for (;;) {
        wait_for_interrupt();
    }
}

int main(void)
{
    log_start();
    centre_setup(&shared, LINE_A, shared_records, RECORDS);
    centre_setup(&mqtt, LINE_B, mqtt_records, RECORDS);
    line_enable(LINE_A, PRIORITY_MIDDLE);
    line_enable(LINE_B, PRIORITY_MIDDLE);
    task_add(idle_task, 0);
    task_add(first_worker, 1);
    task_add(second_worker, 1);
    task_add(fetch_task, 2);
    task_add(mqtt_task, 3);
    task_add(watch_task, 4);
    tasks_start();
}
