/* USART2 as drivers use it: polled, by interrupt and by direct memory access, with FIFOs and without. The test at its other
 * end answers "say TEXT\n" with TEXT. */

#include "dma.h"
#include "report.h"

#define USART2 0x40004400
#define USART2_CR1 REGISTER(USART2)
#define USART2_CR2 REGISTER(USART2 + 0x04)
#define USART2_CR3 REGISTER(USART2 + 0x08)
#define USART2_BRR REGISTER(USART2 + 0x0C)
#define USART2_RTOR REGISTER(USART2 + 0x14)
#define USART2_RQR REGISTER(USART2 + 0x18)
#define USART2_ISR REGISTER(USART2 + 0x1C)
#define USART2_ICR REGISTER(USART2 + 0x20)
#define USART2_RDR REGISTER(USART2 + 0x24)
#define USART2_TDR REGISTER(USART2 + 0x28)
#define USART2_LINE 62u
#define BAUD_115200 1389u

#define CR1_BOTH_WAYS 0xDu
#define CR1_IDLEIE (1u << 4)
#define CR1_TCIE (1u << 6)
#define CR1_TXEIE (1u << 7)
#define CR1_CMIE (1u << 14)
#define CR1_RTOIE (1u << 26)
#define CR1_FIFOEN (1u << 29)
#define CR1_RXFFIE (1u << 31)
#define CR2_RTOEN (1u << 23)
#define CR2_LOOKS_FOR(character) ((uint32_t)(character) << 24)
#define CR3_DMAR (1u << 6)
#define CR3_RXFTIE (1u << 28)
#define CR3_RX_HALF (2u << 25)
#define RQR_RXFRQ (1u << 3)
#define ISR_IDLE (1u << 4)
#define ISR_RXNE (1u << 5)
#define ISR_TC (1u << 6)
#define ISR_TXE (1u << 7)
#define ISR_RTOF (1u << 11)
#define ISR_CMF (1u << 17)
#define ISR_RXFF (1u << 24)
#define ISR_RXFT (1u << 26)
/* Flags that make the driver read what was received. */
#define ISR_TAKES (ISR_IDLE | ISR_RTOF | ISR_CMF | ISR_RXFF | ISR_RXFT)

#define ROOM 32u

static volatile uint8_t taken[ROOM];
static volatile uint32_t count;
/* How often each flag made the driver read. */
static volatile uint32_t thresholds;
static volatile uint32_t ends;
/* The text that is being sent by interrupt. */
static const char *volatile sending;

void USART2_IRQHandler(void);

static void take(void)
{
    while ((USART2_ISR & ISR_RXNE) != 0 && count < ROOM) {
        taken[count] = (uint8_t)USART2_RDR;
        count++;
    }
}

static void send_next(void)
{
    if (*sending != 0) {
        USART2_TDR = (uint8_t)*sending++;
    } else {
        USART2_CR1 = (USART2_CR1 & ~CR1_TXEIE) | CR1_TCIE;
    }
}

void USART2_IRQHandler(void)
{
    uint32_t flags = USART2_ISR;
    uint32_t enabled = USART2_CR1;
    USART2_ICR = flags & (ISR_IDLE | ISR_RTOF | ISR_CMF);
    thresholds += (flags & (ISR_RXFT | ISR_RXFF)) != 0;
    ends += (flags & (ISR_IDLE | ISR_RTOF | ISR_CMF)) != 0;
    if ((flags & ISR_TAKES) != 0 && (USART2_CR3 & CR3_DMAR) == 0) {
        take();
    }
    if ((enabled & CR1_TXEIE) != 0 && (flags & ISR_TXE) != 0) {
        send_next();
    }
    if ((enabled & CR1_TCIE) != 0 && (flags & ISR_TC) != 0) {
        USART2_CR1 &= ~CR1_TCIE;
        sending = 0;
    }
}

static void start(uint32_t first, uint32_t second, uint32_t third)
{
    USART2_CR1 = 0;
    USART2_BRR = BAUD_115200;
    USART2_RTOR = 40;
    USART2_CR2 = second;
    USART2_CR3 = third;
    USART2_CR1 = first;
    USART2_CR1 = first | CR1_BOTH_WAYS;
    count = 0;
    thresholds = 0;
    ends = 0;
    interrupt_clear(USART2_LINE);
    interrupt_enable(USART2_LINE);
}

static void ask_polled(const char *text)
{
    for (; *text != 0; text++) {
        wait_for(&USART2_ISR, ISR_TXE);
        USART2_TDR = (uint8_t)*text;
    }
    wait_for(&USART2_ISR, ISR_TC);
}

static void ask_by_interrupt(const char *text)
{
    sending = text;
    USART2_CR1 |= CR1_TXEIE;
    while (sending != 0) {
    }
}

/* The first received characters, the first in the lowest byte. */
static uint32_t first_four(void)
{
    uint32_t word = 0;
    for (uint32_t at = 0; at < 4 && at < count; at++) {
        word |= (uint32_t)taken[at] << 8 * at;
    }
    return word;
}

static void await_end(void)
{
    while (ends == 0) {
    }
}

static void test_polled(void)
{
    start(0, 0, 0);
    ask_polled("say poll\n");
    for (uint32_t at = 0; at < 4; at++) {
        wait_for(&USART2_ISR, ISR_RXNE);
        take();
    }
    report("serial, polled", first_four(), 0x6C6C6F70);
    report("serial, the line becomes idle", wait_for(&USART2_ISR, ISR_IDLE), 1);
}

static void test_by_interrupt(void)
{
    start(CR1_FIFOEN | CR1_IDLEIE, 0, CR3_RXFTIE | CR3_RX_HALF);
    ask_by_interrupt("say abcdef\n");
    await_end();
    report("serial, threshold and idle line", thresholds << 16 | ends << 8 | count, 0x010106);
    start(CR1_FIFOEN | CR1_RTOIE, CR2_RTOEN, 0);
    ask_by_interrupt("say abc\n");
    await_end();
    report("serial, receiver timeout", count << 24 | first_four(), 0x03636261);
    start(CR1_CMIE, CR2_LOOKS_FOR(';'), 0);
    ask_by_interrupt("say hi;\n");
    await_end();
    report("serial, character match", count << 24 | first_four(), 0x033B6968);
    start(CR1_FIFOEN | CR1_RXFFIE, 0, 0);
    ask_by_interrupt("say 12345678\n");
    while (thresholds == 0) {
    }
    report("serial, full FIFO", count, 8);
}

static void test_by_dma(void)
{
    static volatile uint8_t bytes[16];
    start(CR1_IDLEIE, 0, CR3_DMAR);
    dma_start(3, DMA_USART2_RX, &USART2_RDR, bytes, sizeof bytes);
    ask_by_interrupt("say hello\n");
    await_end();
    report("serial, direct memory access until idle", dma_left(3) << 16 | (uint32_t)bytes[0] << 8 | bytes[4], 11u << 16 | 0x686F);
    dma_stop(3);
}

/* A character that is still on the line when the receiver is flushed is not lost. */
static void test_flush(void)
{
    start(0, 0, 0);
    ask_polled("say onetwo\n");
    while (count < 3) {
        take();
    }
    USART2_RQR = RQR_RXFRQ;
    while (count < 6) {
        take();
    }
    report("serial, after a flush", (uint32_t)taken[3] << 16 | (uint32_t)taken[4] << 8 | taken[5], 0x74776F);
}

void test_serial(void)
{
    test_polled();
    test_by_interrupt();
    test_by_dma();
    test_flush();
    USART2_CR1 = 0;
}
