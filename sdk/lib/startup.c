/* From reset to main: the stack's limit, the initial values of RAM, constructors, and a default for every interrupt.
 *
 * An application handles an interrupt by defining a function with the line's name, such as TIM2_IRQHandler.
 */

#include <stdint.h>

extern int main(void);

/* Set by the linker script. */
extern uint32_t _stack_top[];
extern uint32_t _data_start[], _data_end[], _data_load[];
extern uint32_t _bss_start[], _bss_end[];
extern uint32_t _stack_limit[];
extern void (*const __preinit_array_start[])(void), (*const __preinit_array_end[])(void);
extern void (*const __init_array_start[])(void), (*const __init_array_end[])(void);

void Reset_Handler(void);
void Default_Handler(void);

/* A stack that grows beyond its limit is a crash with that cause, before it has overwritten a variable. */
static void limit_stack(void)
{
    __asm volatile("msr msplim, %0" : : "r"(_stack_limit));
}

static void copy_initial_data(void)
{
    const uint32_t *from = _data_load;
    for (uint32_t *to = _data_start; to < _data_end; to++, from++) {
        *to = *from;
    }
}

static void clear_bss(void)
{
    for (uint32_t *word = _bss_start; word < _bss_end; word++) {
        *word = 0;
    }
}

static void call_each(void (*const *from)(void), void (*const *end)(void))
{
    for (; from < end; from++) {
        (*from)();
    }
}

/* Constructors of global objects in C++, and functions with the attribute `constructor` in C. What would run at the
 * end of the program, such as destructors of global objects, is never called: main does not return. */
static void run_constructors(void)
{
    call_each(__preinit_array_start, __preinit_array_end);
    call_each(__init_array_start, __init_array_end);
}

void Reset_Handler(void)
{
    limit_stack();
    copy_initial_data();
    clear_bss();
    run_constructors();
    main();
    Default_Handler();
}

/* An interrupt without a handler, or a fault. A loop would hang silently; an undefined instruction makes it a
 * crash, which the hypervisor reports before it restarts the application. */
void Default_Handler(void)
{
    __asm volatile("udf #0");
    __builtin_unreachable();
}

#define HANDLER(name) void name(void) __attribute__((weak, alias("Default_Handler")));
#define IRQ(name) HANDLER(name##_IRQHandler)

/* The lines of the STM32U585, 0 to 125, in order. */
#define EACH_IRQ(X) \
    X(WWDG) X(PVD_PVM) X(RTC) X(RTC_S) X(TAMP) X(RAMCFG) X(FLASH) X(FLASH_S) \
    X(GTZC) X(RCC) X(RCC_S) X(EXTI0) X(EXTI1) X(EXTI2) X(EXTI3) X(EXTI4) \
    X(EXTI5) X(EXTI6) X(EXTI7) X(EXTI8) X(EXTI9) X(EXTI10) X(EXTI11) X(EXTI12) \
    X(EXTI13) X(EXTI14) X(EXTI15) X(IWDG) X(SAES) X(GPDMA1_Channel0) X(GPDMA1_Channel1) X(GPDMA1_Channel2) \
    X(GPDMA1_Channel3) X(GPDMA1_Channel4) X(GPDMA1_Channel5) X(GPDMA1_Channel6) X(GPDMA1_Channel7) X(ADC1) X(DAC1) \
    X(FDCAN1_IT0) \
    X(FDCAN1_IT1) X(TIM1_BRK) X(TIM1_UP) X(TIM1_TRG_COM) X(TIM1_CC) X(TIM2) X(TIM3) X(TIM4) \
    X(TIM5) X(TIM6) X(TIM7) X(TIM8_BRK) X(TIM8_UP) X(TIM8_TRG_COM) X(TIM8_CC) X(I2C1_EV) \
    X(I2C1_ER) X(I2C2_EV) X(I2C2_ER) X(SPI1) X(SPI2) X(USART1) X(USART2) X(USART3) \
    X(UART4) X(UART5) X(LPUART1) X(LPTIM1) X(LPTIM2) X(TIM15) X(TIM16) X(TIM17) \
    X(COMP) X(OTG_FS) X(CRS) X(FMC) X(OCTOSPI1) X(PWR_S3WU) X(SDMMC1) X(SDMMC2) \
    X(GPDMA1_Channel8) X(GPDMA1_Channel9) X(GPDMA1_Channel10) X(GPDMA1_Channel11) \
    X(GPDMA1_Channel12) X(GPDMA1_Channel13) X(GPDMA1_Channel14) X(GPDMA1_Channel15) \
    X(I2C3_EV) X(I2C3_ER) X(SAI1) X(SAI2) X(TSC) X(AES) X(RNG) X(FPU) \
    X(HASH) X(PKA) X(LPTIM3) X(SPI3) X(I2C4_ER) X(I2C4_EV) X(MDF1_FLT0) X(MDF1_FLT1) \
    X(MDF1_FLT2) X(MDF1_FLT3) X(UCPD1) X(ICACHE) X(OTFDEC1) X(OTFDEC2) X(LPTIM4) X(DCACHE1) \
    X(ADF1_FLT0) X(ADC4) X(LPDMA1_Channel0) X(LPDMA1_Channel1) X(LPDMA1_Channel2) X(LPDMA1_Channel3) X(DMA2D) \
    X(DCMI_PSSI) \
    X(OCTOSPI2) X(MDF1_FLT4) X(MDF1_FLT5) X(CORDIC) X(FMAC) X(LSECSSD)

HANDLER(NMI_Handler)
HANDLER(HardFault_Handler)
HANDLER(MemManage_Handler)
HANDLER(BusFault_Handler)
HANDLER(UsageFault_Handler)
HANDLER(SecureFault_Handler)
HANDLER(SVC_Handler)
HANDLER(DebugMon_Handler)
HANDLER(PendSV_Handler)
HANDLER(SysTick_Handler)
EACH_IRQ(IRQ)

typedef void (*Handler)(void);

#define ENTRY(name) name##_IRQHandler,

struct VectorTable {
    uint32_t *stack_top;
    Handler core[15];
    Handler lines[126];
};

__attribute__((section(".isr_vector"), used)) static const struct VectorTable vectors = {
    .stack_top = _stack_top,
    .core = {
        Reset_Handler, NMI_Handler, HardFault_Handler, MemManage_Handler, BusFault_Handler, UsageFault_Handler,
        SecureFault_Handler, 0, 0, 0, SVC_Handler, DebugMon_Handler, 0, PendSV_Handler, SysTick_Handler,
    },
    .lines = { EACH_IRQ(ENTRY) },
};

_Static_assert(sizeof(struct VectorTable) == 4 * (16 + 126), "one word for the stack, one for each vector");
