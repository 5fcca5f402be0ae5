/* Notification centres as in many applications: one record per interrupt, neither checked nor cleared. */

#ifndef NOTICES_H
#define NOTICES_H

#include <stdint.h>

#include "mv_syscalls.h"

/* Lines of timers that do not run. */
#define LINE_A 41u /* TIM1_BRK */
#define LINE_B 51u /* TIM8_BRK */
#define LINE_C 45u /* TIM2 */
#define LINE_D 46u /* TIM3 */

/** Priorities, a higher number being less urgent: of the 8 bits the processor implements the upper 4. */
#define PRIORITY_LEAST 0xF0u
#define PRIORITY_MIDDLE 0xA0u
/** BASEPRI in a critical section: masks this number and above. */
#define PRIORITY_HELD 0x80u

struct Centre {
    volatile struct MvNotification *records;
    uint32_t count;
    uint32_t next;
    MvNotificationHandle handle;
};

/** Sets a centre up; its line stays disabled. */
void centre_setup(struct Centre *centre, uint32_t line, volatile struct MvNotification *records, uint32_t count);

/** Clears and enables a line with a priority. */
void line_enable(uint32_t line, uint32_t priority);

/** Copies the next record and advances. Only the copy is cleared, which is useless but common. */
struct MvNotification centre_take(struct Centre *centre);

#endif
