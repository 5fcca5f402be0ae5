/* The user LED on PA5. */

#ifndef LED_H
#define LED_H

#include <stdbool.h>

/** Enables the clock of GPIO bank A and makes the pin an output. */
void led_start(void);

void led_set(bool on);

#endif
