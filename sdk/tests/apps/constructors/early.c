#include "early.h"

uint32_t early_steps[EARLY_STEPS];
uint32_t early_count;
uint32_t early_data = 42;

void early_note(uint32_t step)
{
    if (early_count < EARLY_STEPS) {
        early_steps[early_count++] = step;
    }
}

static void before_all(void)
{
    early_note(1);
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit)(void) = before_all;

/* C has constructors too. Without a priority they run after all that have one, in the order of linking. */
static void __attribute__((constructor)) unordered(void)
{
    early_note(early_data == 42 ? 5 : 0);
}

static void __attribute__((constructor(200))) second(void)
{
    early_note(3);
}
