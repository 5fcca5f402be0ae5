/* A program that polls: the line of its centre is disabled, its buffer filled with 0xFF, its index its own. */

#include "check.h"
#include "clock.h"
#include "exchange.h"
#include "log.h"
#include "notices.h"
#include "processor.h"

#define RECORDS 8u
#define UNWRITTEN 0xFFFFFFFFu
#define NETWORK_TAG 7u
#define PATIENCE_MS 5000u

#define NVIC_ISPR(line) REGISTER(0xE000E200 + 4 * ((line) / 32))

static volatile struct MvNotification records[RECORDS] __attribute__((aligned(8)));
static struct Centre centre;
static volatile uint32_t entries;
/* The number of records written so far, which gives the index of the next one. */
static uint32_t written;

void TIM1_BRK_IRQHandler(void);

void TIM1_BRK_IRQHandler(void)
{
    entries++;
}

static void make_unwritten(void)
{
    for (uint32_t index = 0; index < RECORDS; index++) {
        records[index].microseconds = UINT64_MAX;
        records[index].event_type = (enum MvEventType)UNWRITTEN;
        records[index].tag = UNWRITTEN;
    }
}

static bool is_written(uint32_t number)
{
    return (uint32_t)records[number % RECORDS].event_type != UNWRITTEN;
}

static void trigger(uint32_t tag)
{
    enum MvStatus status = mvTempTriggerNotification(centre.handle, MV_EVENTTYPE_CHANNELDATAREADABLE, tag);
    if (status != MV_STATUS_OKAY) {
        check_okay("mvTempTriggerNotification", status);
    }
}

/* Each is there when the call returns, after the last one. */
static void at_once(void)
{
    uint32_t there = 0;
    uint32_t early = 0;
    make_unwritten();
    for (uint32_t number = 0; number < RECORDS; number++) {
        early += is_written(written);
        trigger(number);
        there += records[written % RECORDS].tag == number;
        written++;
    }
    check_equal("records there at once", there, RECORDS);
    check_equal("records there too early", early, 0);
}

/* The hypervisor does not wait for a reader: the last records are in the ring and have overwritten older ones. */
static void overrun(void)
{
    uint32_t last = 3 * RECORDS - 3;
    uint32_t in_place = 0;
    for (uint32_t number = 0; number < last; number++) {
        trigger(number);
        written++;
    }
    for (uint32_t back = 1; back <= RECORDS; back++) {
        in_place += records[(written - back) % RECORDS].tag == last - back;
    }
    check_equal("of a burst, the last records in their places", in_place, RECORDS);
}

static void network(void)
{
    uint32_t start = clock_now();
    make_unwritten();
    MvNetworkHandle handle = network_request(centre.handle, NETWORK_TAG);
    while (!is_written(written) && clock_since(start) < PATIENCE_MS) {
        clock_idle();
    }
    check_equal("the network's event", (uint32_t)records[written % RECORDS].event_type,
        MV_EVENTTYPE_NETWORKSTATUSCHANGED);
    check_equal("its tag", records[written % RECORDS].tag, NETWORK_TAG);
    check("it is connected", network_is_connected(handle));
    written++;
}

/* A disabled line is pended too; enabled later, it interrupts once for all earlier records, then once for each. */
static void enabled_later(void)
{
    check("the line is pending", (NVIC_ISPR(LINE_A) & 1u << LINE_A % 32) != 0);
    check_equal("interrupts while disabled", entries, 0);
    interrupt_enable(LINE_A);
    clock_sleep(50);
    check_equal("interrupts for all that came before", entries, 1);
    trigger(0);
    trigger(1);
    clock_sleep(50);
    check_equal("interrupts after two more", entries, 3);
}

int main(void)
{
    log_start();
    clock_start();
    centre_setup(&centre, LINE_A, records, RECORDS);
    at_once();
    overrun();
    network();
    enabled_later();
    check_end();
    clock_rest();
}
