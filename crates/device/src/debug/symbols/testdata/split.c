/* A function in another, for debug information in files of its own. */
volatile unsigned box;
static inline __attribute__((always_inline)) unsigned twice(unsigned a) { return a + box; }
unsigned __attribute__((noinline)) outer(unsigned a) { return twice(a) * 3; }
void Reset_Handler(void) { for (;;) box = outer(box); }
__attribute__((section(".isr_vector"), used)) const void *const vectors[2] = {(void *)0x20080000, (void *)Reset_Handler};
