/* A handler that takes exactly one record each time it runs, without checking it, and clears only its copy.
 *
 * It works if there is an interrupt for each record, and if no record is written before the last but one was
 * taken: its buffer has two records.
 */

#include "check.h"
#include "clock.h"
#include "log.h"
#include "notices.h"
#include "processor.h"

#define MANY 100u
#define PATIENCE_MS 5000u

/* What a centre's handler saw: how often it ran, and whether the tags were in order from 0. */
struct Seen {
    struct Centre centre;
    volatile uint32_t entries;
    volatile uint32_t in_order;
    volatile uint32_t backwards;
    uint64_t last;
};

static volatile struct MvNotification two[2] __attribute__((aligned(8)));
static volatile struct MvNotification three[3] __attribute__((aligned(8)));
static struct Seen a;
static struct Seen b;

void TIM1_BRK_IRQHandler(void);
void TIM8_BRK_IRQHandler(void);

static void handle(struct Seen *seen)
{
    struct MvNotification event = centre_take(&seen->centre);
    if (event.tag == seen->in_order) {
        seen->in_order++;
    }
    if (event.microseconds < seen->last) {
        seen->backwards++;
    }
    seen->last = event.microseconds;
    seen->entries++;
    clock_wake();
}

void TIM1_BRK_IRQHandler(void)
{
    handle(&a);
}

void TIM8_BRK_IRQHandler(void)
{
    handle(&b);
}

static void begin(struct Seen *seen)
{
    seen->entries = 0;
    seen->in_order = 0;
}

static void trigger(struct Seen *seen, uint32_t tag)
{
    enum MvStatus status = mvTempTriggerNotification(seen->centre.handle, MV_EVENTTYPE_CHANNELDATAREADABLE, tag);
    if (status != MV_STATUS_OKAY) {
        check_okay("mvTempTriggerNotification", status);
    }
}

static void wait(struct Seen *seen, uint32_t entries)
{
    uint32_t start = clock_now();
    while (seen->entries < entries && clock_since(start) < PATIENCE_MS) {
        clock_idle();
    }
    clock_sleep(50); /* Time for an unexpected interrupt. */
}

static void expect(const char *what, struct Seen *seen, uint32_t events)
{
    wait(seen, events);
    log_line("%s", what);
    check_equal("interrupts", seen->entries, events);
    check_equal("records in order", seen->in_order, events);
    check_equal("times that went backwards", seen->backwards, 0);
}

static void one_by_one(void)
{
    begin(&a);
    for (uint32_t tag = 0; tag < MANY; tag++) {
        trigger(&a, tag);
    }
    expect("one by one", &a, MANY);
}

static void while_held_back(void)
{
    begin(&a);
    interrupts_hold();
    for (uint32_t tag = 0; tag < MANY; tag++) {
        trigger(&a, tag);
    }
    interrupts_release();
    expect("held back", &a, MANY);
}

static void two_centres(void)
{
    begin(&a);
    begin(&b);
    interrupts_hold();
    for (uint32_t tag = 0; tag < MANY / 2; tag++) {
        trigger(&a, tag);
        trigger(&b, tag);
    }
    interrupts_release();
    expect("two centres, the first", &a, MANY / 2);
    expect("two centres, the second", &b, MANY / 2);
}

/* A closed centre gets no records, and queued ones are discarded; its line is free for another. */
static void closed(void)
{
    MvNotificationHandle old = b.centre.handle;
    begin(&b);
    interrupts_hold();
    trigger(&b, 0);
    trigger(&b, 1);
    check_okay("mvCloseNotifications", mvCloseNotifications(&b.centre.handle));
    check("a closed centre's handle is 0", b.centre.handle == 0);
    interrupts_release();
    wait(&b, 1);
    check_equal("interrupts of a centre closed after the first", b.entries, 1);
    check_status("a closed centre takes nothing",
        mvTempTriggerNotification(old, MV_EVENTTYPE_CHANNELDATAREADABLE, 0), MV_STATUS_INVALIDHANDLE);
    centre_setup(&b.centre, LINE_B, three, 3);
    begin(&b);
    trigger(&b, 0);
    expect("the line's next centre", &b, 1);
}

int main(void)
{
    log_start();
    clock_start();
    centre_setup(&a.centre, LINE_A, two, 2);
    centre_setup(&b.centre, LINE_B, three, 3);
    line_enable(LINE_A, PRIORITY_MIDDLE);
    line_enable(LINE_B, PRIORITY_LEAST);
    one_by_one();
    while_held_back();
    two_centres();
    closed();
    check_end();
    clock_rest();
}
