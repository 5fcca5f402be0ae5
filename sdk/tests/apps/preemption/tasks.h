/* The tasks. Each checks itself in every iteration and never ends, except the one that ends itself. */

#ifndef TASKS_H
#define TASKS_H

#include <stdint.h>

enum Task_Number {
    TASK_CONDITIONALS,
    TASK_REGISTERS,
    TASK_ROUND_UP,
    TASK_ROUND_DOWN,
    TASK_EXACT,
    TASK_ADDING,
    TASK_MULTIPLES,
    TASK_COMPILED,
    TASK_ENDING,
    TASK_SLEEPER,
};

void task_conditionals(void);
void task_registers(void);
void task_round_up(void);
void task_round_down(void);
void task_exact(void);
void task_adding(void);
void task_multiples(void);
void task_compiled(void);
void task_ending(void);
void task_sleeper(void);

/* One step of a sequence, by conditional instructions, and the same without any. */
uint32_t step_conditionally(uint32_t value, uint32_t number);
uint32_t step_plainly(uint32_t value, uint32_t number);

/* Adds one to the shared number with exclusive accesses; `adder` is the index of the caller. */
void add_shared(uint32_t adder);
/* Changes two words that must always agree; only in a critical section, or from a handler that it masks. */
void change_pair(uint32_t by);

#endif
