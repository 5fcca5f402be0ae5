#include "report.h"

#define USART3_CR1 REGISTER(0x40004800)
#define USART3_BRR REGISTER(0x4000480C)
#define USART3_ISR REGISTER(0x4000481C)
#define USART3_TDR REGISTER(0x40004828)
#define CR1_TRANSMITS 9u
#define BAUD_1000000 160u
#define ISR_TXE (1u << 7)
#define LOOKS 1000000u

void report_start(void)
{
    USART3_BRR = BAUD_1000000;
    USART3_CR1 = CR1_TRANSMITS;
}

static void put_character(char character)
{
    while ((USART3_ISR & ISR_TXE) == 0) {
    }
    USART3_TDR = (uint8_t)character;
}

static void put(const char *text)
{
    while (*text != 0) {
        put_character(*text++);
    }
}

static void put_number(uint32_t number)
{
    for (uint32_t digit = 8; digit-- > 0;) {
        put_character("0123456789abcdef"[number >> 4 * digit & 0xF]);
    }
}

void report_line(const char *text)
{
    put(text);
    put("\n");
}

void report(const char *name, uint32_t found, uint32_t expected)
{
    put(name);
    put(": ");
    if (found == expected) {
        put("good");
    } else {
        put_number(found);
    }
    put("\n");
}

bool wait_for(volatile uint32_t *reg, uint32_t bits)
{
    for (uint32_t look = 0; look < LOOKS; look++) {
        if ((*reg & bits) == bits) {
            return true;
        }
    }
    return false;
}
