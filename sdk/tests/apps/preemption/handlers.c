#include "handlers.h"

#include "processor.h"
#include "report.h"
#include "switch.h"
#include "tasks.h"

#define NVIC_ISPR(line) REGISTER(0xE000E200 + 4 * ((line) / 32))
#define NVIC_IPR(line) (*(volatile uint8_t *)(0xE000E400 + (line)))
#define SCB_ICSR REGISTER(0xE000ED04)
/* Only the running exception is active. */
#define SCB_ICSR_RETTOBASE (1u << 11)
#define ROUND_TO_ZERO (3u << 22)

/* By line. Those of 0x50 and more are masked in a critical section. */
static const uint8_t PRIORITIES[LINES] = { 0x00, 0x20, 0x40, 0x10, 0x60, 0x80, 0xA0, 0xC0 };

void GPDMA1_Channel0_IRQHandler(void);
void GPDMA1_Channel1_IRQHandler(void);
void GPDMA1_Channel2_IRQHandler(void);
void GPDMA1_Channel3_IRQHandler(void);
void GPDMA1_Channel4_IRQHandler(void);
void GPDMA1_Channel5_IRQHandler(void);
void GPDMA1_Channel6_IRQHandler(void);
void GPDMA1_Channel7_IRQHandler(void);

void handlers_enable(void)
{
    for (uint32_t line = 0; line < LINES; line++) {
        NVIC_IPR(FIRST_LINE + line) = PRIORITIES[line];
        interrupt_enable(FIRST_LINE + line);
    }
}

static void note(uint32_t line)
{
    report.entered[line]++;
    if ((SCB_ICSR & SCB_ICSR_RETTOBASE) == 0) {
        report.nested++;
    }
}

/* Everything a handler may overwrite without the unit: r0 to r3, r12, and the flags. */
static void spoil_registers(uint32_t with)
{
    __asm volatile(
        "mov r0, %0\n mvn r1, %0\n mov r2, %0\n mvn r3, %0\n mov r12, %0\n msr apsr_nzcvqg, r3\n"
        :
        : "r"(with)
        : "r0", "r1", "r2", "r3", "r12", "cc");
}

/* A handler's first use of the unit finds a reset FPSCR, whatever was interrupted. Its changes do not survive it. */
static void spoil_floats(uint32_t with)
{
    uint32_t fpscr;
    __asm volatile("vmrs %0, fpscr" : "=r"(fpscr));
    expect(DAMAGE_FRESH_FPSCR, fpscr, 0);
    __asm volatile(
        "vmov s0, %0\n vcvt.f32.u32 s1, s0\n vmov.f32 s2, #3.0\n"
        "vmsr fpscr, %1\n"
        "vdiv.f32 s3, s1, s2\n vmov s4, s5, %0, %0\n vmov s6, s7, %0, %0\n vmov s8, s9, %0, %0\n"
        "vmov s10, s11, %0, %0\n vmov s12, s13, %0, %0\n vmov s14, s15, %0, %0\n"
        "vcmp.f32 s3, s2\n"
        :
        : "r"(with), "r"(ROUND_TO_ZERO)
        : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15", "cc");
}

void GPDMA1_Channel0_IRQHandler(void)
{
    note(0);
    spoil_registers(report.entered[0]);
}

void GPDMA1_Channel1_IRQHandler(void)
{
    note(1);
    spoil_floats(report.entered[1]);
}

/* Divides, is interrupted by a handler that uses the unit too, and divides again in the same mode. */
void GPDMA1_Channel2_IRQHandler(void)
{
    note(2);
    spoil_floats(report.entered[2]);
    uint32_t quotients[2];
    uint32_t fpscr;
    __asm volatile("vmov.f32 s0, #1.0\n vmov.f32 s1, #-5.0\n vmov.f32 s2, #3.0\n vdiv.f32 s3, s0, s2\n" ::: "s0",
                   "s1", "s2", "s3");
    report.pended++;
    NVIC_ISPR(FIRST_LINE + LINE_PENDED) = 1u << (FIRST_LINE + LINE_PENDED) % 32;
    __asm volatile("dsb\n isb" ::: "memory");
    __asm volatile("vdiv.f32 s4, s1, s2\n vmov %0, s3\n vmov %1, s4\n vmrs %2, fpscr"
                   : "=r"(quotients[0]), "=r"(quotients[1]), "=r"(fpscr)
                   :
                   : "s4");
    expect(DAMAGE_FLOAT_RESULT, quotients[0], 0x3EAAAAAA);
    expect(DAMAGE_FLOAT_RESULT, quotients[1], 0xBFD55555);
    expect(DAMAGE_FPSCR, fpscr & ROUND_TO_ZERO, ROUND_TO_ZERO);
}

void GPDMA1_Channel3_IRQHandler(void)
{
    note(3);
    spoil_floats(~report.entered[3]);
}

void GPDMA1_Channel4_IRQHandler(void)
{
    note(4);
    uint32_t value = report.entered[4];
    uint32_t same = value;
    for (uint32_t number = 0; number < 4; number++) {
        value = step_conditionally(value, number);
        same = step_plainly(same, number);
    }
    expect(DAMAGE_CONDITIONAL, value, same);
    uint32_t before = critical_enter();
    change_pair(value);
    critical_leave(before);
}

void GPDMA1_Channel5_IRQHandler(void)
{
    note(5);
    report.given++;
    task_wake();
}

void GPDMA1_Channel6_IRQHandler(void)
{
    note(6);
    add_shared(2);
}

/* Masked for a moment, as in a critical section by PRIMASK. */
void GPDMA1_Channel7_IRQHandler(void)
{
    note(7);
    interrupts_hold();
    spoil_registers(report.entered[7]);
    interrupts_release();
}
