/* TIM3 compares, and the CRC unit. */

#include "report.h"

#define TIM3 0x40000400
#define TIM3_CR1 REGISTER(TIM3)
#define TIM3_DIER REGISTER(TIM3 + 0x0C)
#define TIM3_SR REGISTER(TIM3 + 0x10)
#define TIM3_EGR REGISTER(TIM3 + 0x14)
#define TIM3_CNT REGISTER(TIM3 + 0x24)
#define TIM3_PSC REGISTER(TIM3 + 0x28)
#define TIM3_ARR REGISTER(TIM3 + 0x2C)
#define TIM3_CCR1 REGISTER(TIM3 + 0x34)
#define TIM3_CCR2 REGISTER(TIM3 + 0x38)
#define TIM3_LINE 46u
#define SR_CC1IF 2u
#define SR_CC2IF 4u

#define CRC_DR REGISTER(0x40023000)
#define CRC_DR_BYTE (*(volatile uint8_t *)0x40023000)
#define CRC_CR REGISTER(0x40023008)
#define CR_RESET 1u
#define CR_REVERSED_IN_BYTES (1u << 5)
#define CR_REVERSED_OUT (1u << 7)

static volatile uint32_t matches[2];
static volatile uint32_t counts[2];

void TIM3_IRQHandler(void);

/* The counter is read shortly after the match, and counts microseconds. */
void TIM3_IRQHandler(void)
{
    uint32_t flags = TIM3_SR;
    TIM3_SR = ~flags;
    for (uint32_t channel = 0; channel < 2; channel++) {
        if ((flags & (SR_CC1IF << channel)) != 0) {
            matches[channel]++;
            counts[channel] = TIM3_CNT;
        }
    }
}

void test_timers(void)
{
    TIM3_PSC = 159;
    TIM3_ARR = 999;
    TIM3_CCR1 = 250;
    TIM3_CCR2 = 750;
    TIM3_EGR = 1;
    TIM3_SR = 0;
    TIM3_DIER = SR_CC1IF | SR_CC2IF;
    interrupt_clear(TIM3_LINE);
    interrupt_enable(TIM3_LINE);
    TIM3_CR1 = 1;
    while (matches[1] < 3) {
        wait_for_interrupt();
    }
    TIM3_CR1 = 0;
    report("matches of channel 1", matches[0], 3);
    report("its last", counts[0], 250);
    report("the other's last", counts[1], 750);
}

void test_crc(void)
{
    CRC_CR = CR_RESET | CR_REVERSED_IN_BYTES | CR_REVERSED_OUT;
    for (const char *text = "123456789"; *text != 0; text++) {
        CRC_DR_BYTE = (uint8_t)*text;
    }
    report("CRC-32", ~CRC_DR, 0xCBF43926);
}
