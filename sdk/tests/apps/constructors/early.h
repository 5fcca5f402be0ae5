/* What ran before main, in order. */

#ifndef EARLY_H
#define EARLY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EARLY_STEPS 8u

extern uint32_t early_steps[EARLY_STEPS];
extern uint32_t early_count;

void early_note(uint32_t step);

/* The value that .data gives it, not what an initialiser that ran too early would have left. */
extern uint32_t early_data;

#ifdef __cplusplus
}
#endif

#endif
