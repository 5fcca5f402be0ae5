#include "tasks.h"

#include "check.h"
#include "critical.h"
#include "processor.h"

#define TASKS 6u
#define STACK_WORDS 512u
#define UNUSED 0xA5A5A5A5u

#define SCB_ICSR REGISTER(0xE000ED04)
#define SCB_ICSR_PENDSVSET (1u << 28)
#define SCB_SHPR2 REGISTER(0xE000ED1C)
#define SCB_SHPR3 REGISTER(0xE000ED20)
#define SYST_CSR_RUN 7u

/* A frame as the processor stacks it, and under it what PendSV adds: r4 to r11 and the EXC_RETURN (Arm ARM B3.19). */
#define FRAME_WORDS 17u
#define FRAME_EXC_RETURN 8u
#define FRAME_LR 14u
#define FRAME_PC 15u
#define FRAME_XPSR 16u
#define XPSR_THUMB 0x01000000u
/* EXC_RETURN bit 2: the frame is on the process stack. */
#define ON_PROCESS_STACK 4u

struct Task {
    uint32_t *stack;
    uint32_t urgency;
    /* Ready if the count differs from what was seen, or at the tick; without a count only at the tick. */
    bool waiting;
    volatile uint32_t *count;
    uint32_t seen;
    uint32_t until;
    uint32_t words[STACK_WORDS] __attribute__((aligned(8)));
};

static struct Task tasks[TASKS];
static uint32_t added;
static struct Task *volatile current;
static volatile uint32_t ticks;
static volatile uint32_t switches;

void SysTick_Handler(void);
void PendSV_Handler(void);
void SVC_Handler(void);
uint32_t *tasks_first(uint32_t exc_return);
uint32_t *tasks_next(uint32_t *stack);

static void task_over(void)
{
    check_stop("a task came to its end", 0);
}

void task_add(void (*run)(void), uint32_t urgency)
{
    struct Task *task = &tasks[added++];
    for (uint32_t word = 0; word < STACK_WORDS; word++) {
        task->words[word] = UNUSED;
    }
    task->urgency = urgency;
    task->stack = &task->words[STACK_WORDS - FRAME_WORDS];
    task->stack[FRAME_LR] = (uint32_t)(uintptr_t)task_over;
    task->stack[FRAME_PC] = (uint32_t)(uintptr_t)run & ~1u;
    task->stack[FRAME_XPSR] = XPSR_THUMB;
}

static bool is_over(uint32_t tick)
{
    return (int32_t)(ticks - tick) >= 0;
}

static bool is_ready(const struct Task *task)
{
    return !task->waiting || is_over(task->until) || (task->count != 0 && *task->count != task->seen);
}

/* The ready task of highest urgency; among equals, the one after the last. */
static struct Task *choose(void)
{
    uint32_t after = (uint32_t)(current - tasks);
    struct Task *best = 0;
    for (uint32_t step = 1; step <= added; step++) {
        struct Task *task = &tasks[(after + step) % added];
        if (is_ready(task) && (best == 0 || task->urgency > best->urgency)) {
            best = task;
        }
    }
    return best;
}

/* The SVC's EXC_RETURN is right for tasks too, except for the stack: the SVC was on the main stack. */
uint32_t *tasks_first(uint32_t exc_return)
{
    for (uint32_t task = 0; task < added; task++) {
        tasks[task].stack[FRAME_EXC_RETURN] = exc_return | ON_PROCESS_STACK;
    }
    current = &tasks[0];
    return current->stack;
}

uint32_t *tasks_next(uint32_t *stack)
{
    uint32_t before = critical_enter();
    current->stack = stack;
    struct Task *next = choose();
    switches += next != current;
    current = next;
    current->waiting = false;
    critical_leave(before);
    return current->stack;
}

__attribute__((naked)) void SVC_Handler(void)
{
    __asm volatile(
        "mov r0, lr\n"
        "bl tasks_first\n"
        "ldmia r0!, {r4-r11, lr}\n"
        "msr psp, r0\n"
        "isb\n"
        "bx lr\n");
}

__attribute__((naked)) void PendSV_Handler(void)
{
    __asm volatile(
        "mrs r0, psp\n"
        "stmdb r0!, {r4-r11, lr}\n"
        "bl tasks_next\n"
        "ldmia r0!, {r4-r11, lr}\n"
        "msr psp, r0\n"
        "isb\n"
        "bx lr\n");
}

void tasks_look(void)
{
    SCB_ICSR = SCB_ICSR_PENDSVSET;
}

void SysTick_Handler(void)
{
    ticks++;
    tasks_look();
}

/* SVC can always start tasks; PendSV and SysTick have the lowest priority. */
void tasks_start(void)
{
    uint32_t hz = 0;
    check_okay("mvGetHClk", mvGetHClk(&hz));
    SCB_SHPR2 = 0;
    SCB_SHPR3 = PRIORITY_LEAST << 24 | PRIORITY_LEAST << 16;
    SYST_RVR = hz / 1000 * TICK_MS - 1;
    SYST_CVR = 0;
    SYST_CSR = SYST_CSR_RUN;
    __asm volatile("svc 0");
    __builtin_unreachable();
}

/* The switch takes place when the critical section ends. */
static void wait(volatile uint32_t *count, uint32_t seen, uint32_t for_ticks)
{
    uint32_t before = critical_enter();
    current->count = count;
    current->seen = seen;
    current->until = ticks + for_ticks;
    current->waiting = true;
    tasks_look();
    critical_leave(before);
}

void task_sleep(uint32_t for_ticks)
{
    wait(0, 0, for_ticks);
}

bool task_wait(volatile uint32_t *count, uint32_t seen, uint32_t for_ticks)
{
    uint32_t start = ticks;
    while (*count == seen && ticks - start < for_ticks) {
        wait(count, seen, for_ticks - (ticks - start));
    }
    return *count != seen;
}

uint32_t tasks_switches(void)
{
    return switches;
}

static uint32_t unused_words(const struct Task *task)
{
    uint32_t words = 0;
    while (words < STACK_WORDS && task->words[words] == UNUSED) {
        words++;
    }
    return words;
}

uint32_t tasks_stack_left(void)
{
    uint32_t least = STACK_WORDS;
    for (uint32_t task = 0; task < added; task++) {
        uint32_t unused = unused_words(&tasks[task]);
        least = unused < least ? unused : least;
    }
    return 4 * least;
}
