/* Ten tasks under a pre-emptive scheduler, and eight handlers that are pended from outside at any instruction. Each of
 * them checks that none of its state was lost. Makes no system calls: only the processor is tested. */

#include "processor.h"
#include "report.h"
#include "switch.h"
#include "tasks.h"

#define SCB_SHPR2 REGISTER(0xE000ED1C)
#define SCB_SHPR3 REGISTER(0xE000ED20)
#define SCB_CPACR REGISTER(0xE000ED88)
#define CPACR_UNIT (0xFu << 20)
#define FPCCR REGISTER(0xE000EF34)
#define FPCCR_LSPEN (1u << 30)
/* PendSV and SysTick have the lowest priority, SVC the highest. */
#define PRIORITY_LEAST 0xF0u

volatile struct Report report;

static void introduce(void)
{
    register volatile struct Report *r0 __asm("r0") = &report;
    __asm volatile("bkpt #1" : : "r"(r0) : "memory");
}

static void enable_unit(void)
{
    SCB_CPACR |= CPACR_UNIT;
    __asm volatile("dsb\n isb" ::: "memory");
    if (report.eager != 0) {
        FPCCR &= ~FPCCR_LSPEN;
    }
}

int main(void)
{
    introduce();
    enable_unit();
    task_add(task_conditionals, PRIVILEGED);
    task_add(task_registers, PRIVILEGED);
    task_add(task_round_up, PRIVILEGED);
    task_add(task_round_down, UNPRIVILEGED);
    task_add(task_exact, PRIVILEGED);
    task_add(task_adding, PRIVILEGED);
    task_add(task_multiples, UNPRIVILEGED);
    task_add(task_compiled, PRIVILEGED);
    task_add(task_ending, PRIVILEGED);
    task_add(task_sleeper, PRIVILEGED);
    SCB_SHPR2 = 0;
    SCB_SHPR3 = PRIORITY_LEAST << 24 | PRIORITY_LEAST << 16;
    tasks_start();
}
