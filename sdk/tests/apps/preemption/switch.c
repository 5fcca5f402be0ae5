#include "switch.h"

#include "handlers.h"
#include "processor.h"
#include "report.h"

#define STACK_WORDS 256u
#define TICK_CYCLES 1499u

#define SCB_ICSR REGISTER(0xE000ED04)
#define SCB_ICSR_PENDSVSET (1u << 28)
#define SYST_CSR_RUN 7u

/* A frame as the processor stacks it, and under it what PendSV adds: limit, CONTROL, EXC_RETURN, r4 to r11. */
#define FRAME_WORDS 19u
#define FRAME_LIMIT 0u
#define FRAME_CONTROL 1u
#define FRAME_EXC_RETURN 2u
#define FRAME_LR 16u
#define FRAME_PC 17u
#define FRAME_XPSR 18u
#define XPSR_THUMB 0x01000000u
/* To thread mode, on the process stack, a frame without the unit's registers. */
#define EXC_RETURN_FIRST 0xFFFFFFBCu
#define EXC_RETURN_STANDARD (1u << 4)

struct Task {
    uint32_t *stack;
    void (*run)(void);
    uint32_t privilege;
    bool ended;
    uint32_t words[STACK_WORDS] __attribute__((aligned(8)));
};

static struct Task tasks[TASKS];
static uint32_t added;
static uint32_t current;
static volatile bool woken;

void SVC_Handler(void);
void PendSV_Handler(void);
void SysTick_Handler(void);
void supervise(uint32_t *frame);
uint32_t *first(void);
uint32_t *next(uint32_t *stack);

static void returned(void)
{
    damage(DAMAGE_RETURNED, current);
}

static void prepare(struct Task *task)
{
    uint32_t *frame = &task->words[STACK_WORDS - FRAME_WORDS];
    for (uint32_t word = 0; word < FRAME_WORDS; word++) {
        frame[word] = 0;
    }
    frame[FRAME_LIMIT] = (uint32_t)(uintptr_t)task->words;
    frame[FRAME_CONTROL] = task->privilege;
    frame[FRAME_EXC_RETURN] = EXC_RETURN_FIRST;
    frame[FRAME_LR] = (uint32_t)(uintptr_t)returned;
    frame[FRAME_PC] = (uint32_t)(uintptr_t)task->run & ~1u;
    frame[FRAME_XPSR] = XPSR_THUMB;
    task->stack = frame;
    task->ended = false;
}

void task_add(void (*run)(void), enum Privilege privilege)
{
    struct Task *task = &tasks[added++];
    task->run = run;
    task->privilege = privilege;
    prepare(task);
}

static void note_frame(const uint32_t *stack)
{
    if ((stack[FRAME_EXC_RETURN] & EXC_RETURN_STANDARD) != 0) {
        report.standard++;
    } else {
        report.extended++;
    }
    expect(DAMAGE_STACK_LIMIT, stack[FRAME_LIMIT], (uint32_t)(uintptr_t)tasks[current].words);
}

/* No handler may request a switch before there is a task to switch from. */
uint32_t *first(void)
{
    handlers_enable();
    return tasks[current].stack;
}

uint32_t *next(uint32_t *stack)
{
    note_frame(stack);
    tasks[current].stack = stack;
    if (tasks[current].ended) {
        prepare(&tasks[current]);
    }
    current = woken ? added - 1 : (current + 1) % added;
    woken = false;
    report.switches++;
    return tasks[current].stack;
}

/* SVC 0 starts the first task, every other number is a call of a task. A task's registers are all in the frame that
 * PendSV made or `prepare` wrote. */
__attribute__((naked)) void SVC_Handler(void)
{
    __asm volatile(
        "tst lr, #4\n"
        "ite eq\n"
        "mrseq r0, msp\n"
        "mrsne r0, psp\n"
        "ldr r1, [r0, #24]\n"
        "ldrb r1, [r1, #-2]\n"
        "cbnz r1, 1f\n"
        "bl first\n"
        "ldmia r0!, {r1-r11}\n"
        "mov lr, r3\n"
        "msr psplim, r1\n"
        "msr control, r2\n"
        "msr psp, r0\n"
        "isb\n"
        "bx lr\n"
        "1: b supervise\n");
}

void supervise(uint32_t *frame)
{
    frame[0] += 3 * frame[1] + 5 * frame[2] + 7 * frame[3];
}

__attribute__((naked)) void PendSV_Handler(void)
{
    __asm volatile(
        "mrs r0, psp\n"
        "tst lr, #16\n"
        "it eq\n"
        "vstmdbeq r0!, {s16-s31}\n"
        "mrs r1, psplim\n"
        "mrs r2, control\n"
        "mov r3, lr\n"
        "stmdb r0!, {r1-r11}\n"
        "mov r1, %0\n"
        "msr basepri, r1\n"
        "isb\n"
        "bl next\n"
        "mov r1, #0\n"
        "msr basepri, r1\n"
        "ldmia r0!, {r1-r11}\n"
        "mov lr, r3\n"
        "tst lr, #16\n"
        "it eq\n"
        "vldmiaeq r0!, {s16-s31}\n"
        "msr psplim, r1\n"
        "and r2, r2, #1\n"
        "msr control, r2\n"
        "isb\n"
        "msr psp, r0\n"
        "bx lr\n"
        :
        : "i"(PRIORITY_HELD));
}

void task_yield(void)
{
    SCB_ICSR = SCB_ICSR_PENDSVSET;
    __asm volatile("dsb\n isb" ::: "memory");
}

void task_wake(void)
{
    woken = true;
    SCB_ICSR = SCB_ICSR_PENDSVSET;
}

void task_end(void)
{
    tasks[current].ended = true;
    task_yield();
    damage(DAMAGE_RETURNED, current);
}

void SysTick_Handler(void)
{
    report.ticks++;
    SCB_ICSR = SCB_ICSR_PENDSVSET;
}

void tasks_start(void)
{
    SYST_RVR = TICK_CYCLES;
    SYST_CVR = 0;
    SYST_CSR = SYST_CSR_RUN;
    __asm volatile("svc 0");
    __builtin_unreachable();
}

__attribute__((naked, noinline)) uint32_t weighed(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    __asm volatile("svc 1\n bx lr");
}
