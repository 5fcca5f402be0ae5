/* A notification centre: a ring of records that the hypervisor writes, and an interrupt for each record. */

#ifndef CENTRE_H
#define CENTRE_H

#include <stdint.h>

#include "mv_syscalls.h"

/* Interrupt lines of unused timers. The timers do not run: the hypervisor pends the lines. */
#define IRQ_TIM1_BRK 41u
#define IRQ_TIM8_BRK 51u

#define CENTRE_RECORDS 16u

/** Called for each event, in the interrupt. */
typedef void CentreListener(const struct MvNotification *event);

struct Centre {
    volatile struct MvNotification records[CENTRE_RECORDS];
    /** The record of the next event. */
    uint32_t next;
    CentreListener *listener;
    MvNotificationHandle handle;
};

/** Sets the centre up on an interrupt line, whose handler must call centre_interrupt. */
enum MvStatus centre_open(struct Centre *centre, uint32_t line, CentreListener *listener);

/** Takes one record: the hypervisor pends the line once for each. */
void centre_interrupt(struct Centre *centre);

#endif
