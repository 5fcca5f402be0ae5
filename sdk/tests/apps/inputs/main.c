/* Logs its inputs: levels of PC13, taps of an accelerometer at 0x19 of I2C1 whose interrupt 1 is wired to PB11,
 * lines at USART2 of 115200 baud, and overruns there. It polls, and never ends. */

#include "clock.h"
#include "log.h"
#include "processor.h"

#define GPIOB_MODER REGISTER(0x42020400)
#define GPIOB_IDR REGISTER(0x42020410)
#define GPIOC_MODER REGISTER(0x42020800)
#define GPIOC_IDR REGISTER(0x42020810)
#define TAP_PIN 11u
#define BUTTON_PIN 13u

#define I2C1 0x40005400
#define I2C1_CR1 REGISTER(I2C1)
#define I2C1_CR2 REGISTER(I2C1 + 0x04)
#define I2C1_ISR REGISTER(I2C1 + 0x18)
#define I2C1_ICR REGISTER(I2C1 + 0x1C)
#define I2C1_TXDR REGISTER(I2C1 + 0x28)
#define CR2_WRITES_TWO (2u << 16 | 1u << 25 | 1u << 13)
#define ISR_TXIS (1u << 1)
#define ISR_STOPF (1u << 5)
#define ACCELEROMETER (0x19u << 1)

#define USART2 0x40004400
#define USART2_CR1 REGISTER(USART2)
#define USART2_BRR REGISTER(USART2 + 0x0C)
#define USART2_ISR REGISTER(USART2 + 0x1C)
#define USART2_ICR REGISTER(USART2 + 0x20)
#define USART2_RDR REGISTER(USART2 + 0x24)
#define BAUD_115200 1389u
#define CR1_RECEIVES 5u
#define ISR_ORE (1u << 3)
#define ISR_RXNE (1u << 5)

#define LONGEST_LINE 40u

static void set(uint8_t reg, uint8_t value)
{
    I2C1_CR2 = ACCELEROMETER | CR2_WRITES_TWO;
    const uint8_t bytes[] = { reg, value };
    for (uint32_t at = 0; at < sizeof bytes; at++) {
        while ((I2C1_ISR & (ISR_TXIS | ISR_STOPF)) == 0) {
        }
        I2C1_TXDR = bytes[at];
    }
    while ((I2C1_ISR & ISR_STOPF) == 0) {
    }
    I2C1_ICR = ISR_STOPF;
}

/* Single clicks on z beyond 1.6 g for at most 100 ms, at 100 samples a second, by interrupt 1. */
static void look_for_taps(void)
{
    I2C1_CR1 = 1;
    set(0x22, 0x80);
    set(0x38, 0x10);
    set(0x3A, 100);
    set(0x3B, 10);
    set(0x3C, 2);
    set(0x20, 0x57);
}

static void receive(void)
{
    static char line[LONGEST_LINE + 1];
    static uint32_t length;
    uint32_t flags = USART2_ISR;
    if ((flags & ISR_ORE) != 0) {
        USART2_ICR = ISR_ORE;
        log_line("overrun");
    }
    if ((flags & ISR_RXNE) == 0) {
        return;
    }
    char character = (char)USART2_RDR;
    if (character != '\n' && length < LONGEST_LINE) {
        line[length++] = character;
        return;
    }
    line[length] = 0;
    log_line("line %s", line);
    length = 0;
}

int main(void)
{
    log_start();
    clock_start();
    GPIOB_MODER &= ~(3u << 2 * TAP_PIN);
    GPIOC_MODER &= ~(3u << 2 * BUTTON_PIN);
    USART2_BRR = BAUD_115200;
    USART2_CR1 = CR1_RECEIVES;
    look_for_taps();
    uint32_t button = 0;
    uint32_t tapped = 0;
    for (;;) {
        uint32_t level = GPIOC_IDR >> BUTTON_PIN & 1;
        if (level != button) {
            button = level;
            log_line("PC13 %lu", (unsigned long)level);
        }
        level = GPIOB_IDR >> TAP_PIN & 1;
        if (level != tapped) {
            tapped = level;
            log_line("tap %lu", (unsigned long)level);
        }
        receive();
    }
}
