/* One centre for the network, HTTP and configuration: only the tag shows what an event belongs to. */

#include "check.h"
#include "clock.h"
#include "exchange.h"
#include "log.h"
#include "mv_names.h"
#include "notices.h"

#define RECORDS 8u
#define PATIENCE_MS 30000u
#define QUIET_MS 200u

enum Tag {
    TAG_NONE,
    TAG_NETWORK,
    TAG_CONFIG,
    TAG_HTTP,
    TAGS,
};

#define TYPES 6u

static volatile struct MvNotification records[RECORDS] __attribute__((aligned(8)));
static struct Centre centre;
/* The number of events of each type for each tag. */
static volatile uint32_t events[TAGS][TYPES];

static struct Buffers config_buffers;
static struct Buffers http_buffers;
static MvNetworkHandle network;
static MvChannelHandle config;
static MvChannelHandle http;

void TIM8_BRK_IRQHandler(void);

void TIM8_BRK_IRQHandler(void)
{
    struct MvNotification event = centre_take(&centre);
    if (event.tag >= TAGS || (uint32_t)event.event_type >= TYPES) {
        check_stop("an event with a tag nobody gave", event.tag);
    }
    events[event.tag][event.event_type]++;
    clock_wake();
}

static void forget(void)
{
    for (uint32_t tag = 0; tag < TAGS; tag++) {
        for (uint32_t type = 0; type < TYPES; type++) {
            events[tag][type] = 0;
        }
    }
}

static uint32_t all_events(void)
{
    uint32_t all = 0;
    for (uint32_t tag = 0; tag < TAGS; tag++) {
        for (uint32_t type = 0; type < TYPES; type++) {
            all += events[tag][type];
        }
    }
    return all;
}

static void wait(uint32_t count)
{
    uint32_t begun = clock_now();
    while (all_events() < count && clock_since(begun) < PATIENCE_MS) {
        clock_idle();
    }
    clock_sleep(QUIET_MS);
    check_equal("events", all_events(), count);
}

static void open_both(void)
{
    config = channel_open(MV_CHANNELTYPE_CONFIGFETCH, network, centre.handle, TAG_CONFIG, &config_buffers);
    http = channel_open(MV_CHANNELTYPE_HTTP, network, centre.handle, TAG_HTTP, &http_buffers);
}

static void close_both(void)
{
    channel_close(&config);
    channel_close(&http);
}

static void connect(void)
{
    network = network_request(centre.handle, TAG_NETWORK);
    wait(1);
    check_equal("of the network", events[TAG_NETWORK][MV_EVENTTYPE_NETWORKSTATUSCHANGED], 1);
    check("it is connected", network_is_connected(network));
}

/* Both at once; each response is notified with its own tag. */
static void exchange(void)
{
    forget();
    open_both();
    http_send(http);
    config_send(config);
    wait(2);
    check_equal("of configuration", events[TAG_CONFIG][MV_EVENTTYPE_CHANNELDATAREADABLE], 1);
    check_equal("of HTTP", events[TAG_HTTP][MV_EVENTTYPE_CHANNELDATAREADABLE], 1);
    config_read(config);
    http_read(http);
}

static void check_lost(MvChannelHandle channel)
{
    enum MvClosureReason reason;
    check_okay("mvGetChannelClosureReason", mvGetChannelClosureReason(channel, &reason));
    check_equal("the reason is the network's loss", reason, MV_CLOSUREREASON_NETWORKDISCONNECTED);
}

/* The test cuts the link when it reads the line. What was received remains readable. */
static void lose(void)
{
    forget();
    log_line("READY to lose the link");
    wait(3);
    check_equal("of the network", events[TAG_NETWORK][MV_EVENTTYPE_NETWORKSTATUSCHANGED], 1);
    check_equal("of configuration", events[TAG_CONFIG][MV_EVENTTYPE_CHANNELNOTCONNECTED], 1);
    check_equal("of HTTP", events[TAG_HTTP][MV_EVENTTYPE_CHANNELNOTCONNECTED], 1);
    check("it is not connected", !network_is_connected(network));
    check_lost(config);
    check_lost(http);
    config_read(config);
    http_read(http);
    close_both();
}

/* The test restores it. */
static void regain(void)
{
    forget();
    log_line("READY to have it back");
    wait(1);
    check_equal("of the network", events[TAG_NETWORK][MV_EVENTTYPE_NETWORKSTATUSCHANGED], 1);
    check("it is connected", network_is_connected(network));
}

/* Released with channels open: both are notified, and there are no more events of the network's handle. */
static void release(void)
{
    forget();
    check_okay("mvReleaseNetwork", mvReleaseNetwork(&network));
    check("a released network's handle is 0", network == 0);
    wait(2);
    check_equal("of configuration", events[TAG_CONFIG][MV_EVENTTYPE_CHANNELNOTCONNECTED], 1);
    check_equal("of HTTP", events[TAG_HTTP][MV_EVENTTYPE_CHANNELNOTCONNECTED], 1);
    close_both();
    check_okay("mvCloseNotifications", mvCloseNotifications(&centre.handle));
}

int main(void)
{
    log_start();
    clock_start();
    centre_setup(&centre, LINE_B, records, RECORDS);
    line_enable(LINE_B, PRIORITY_LEAST);
    connect();
    exchange();
    lose();
    regain();
    exchange();
    release();
    /* Without the network the log waits (N26): request it again, so that the end is logged. */
    network = 0;
    centre_setup(&centre, LINE_B, records, RECORDS);
    forget();
    connect();
    check_end();
    clock_rest();
}
