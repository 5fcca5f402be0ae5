/* GPDMA1's channels 0 to 3, with their interrupts: in memory, and with a serial port. */

#include "dma.h"

#include "report.h"

#define CHANNEL(channel, offset) REGISTER(0x40020050 + 0x80 * (channel) + (offset))
#define CFCR(channel) CHANNEL(channel, 0x0C)
#define CSR(channel) CHANNEL(channel, 0x10)
#define CCR(channel) CHANNEL(channel, 0x14)
#define CTR1(channel) CHANNEL(channel, 0x40)
#define CTR2(channel) CHANNEL(channel, 0x44)
#define CBR1(channel) CHANNEL(channel, 0x48)
#define CSAR(channel) CHANNEL(channel, 0x4C)
#define CDAR(channel) CHANNEL(channel, 0x50)
#define CCR_EN 1u
#define CCR_RESET 2u
#define FLAG_COMPLETE (1u << 8)
#define CTR1_SOURCE_MOVES (1u << 3)
#define CTR1_DESTINATION_MOVES (1u << 19)
#define CTR2_DESTINATION_ASKS (1u << 10)
#define FIRST_LINE 29u
#define CHANNELS 4u
#define PERIPHERALS 0x40000000u

#define USART2_CR1 REGISTER(0x40004400)
#define USART2_CR3 REGISTER(0x40004408)
#define USART2_BRR REGISTER(0x4000440C)
#define USART2_ISR REGISTER(0x4000441C)
#define USART2_RDR REGISTER(0x40004424)
#define USART2_TDR REGISTER(0x40004428)
#define CR1_BOTH_WAYS 0xDu
#define CR3_DMA 0xC0u
#define BAUD_115200 1389u

static volatile uint32_t completions[CHANNELS];

void GPDMA1_Channel0_IRQHandler(void);
void GPDMA1_Channel1_IRQHandler(void);
void GPDMA1_Channel2_IRQHandler(void);
void GPDMA1_Channel3_IRQHandler(void);

static void note(uint32_t channel)
{
    if ((CSR(channel) & FLAG_COMPLETE) != 0) {
        CFCR(channel) = FLAG_COMPLETE;
        completions[channel]++;
    }
}

void GPDMA1_Channel0_IRQHandler(void)
{
    note(0);
}

void GPDMA1_Channel1_IRQHandler(void)
{
    note(1);
}

void GPDMA1_Channel2_IRQHandler(void)
{
    note(2);
}

void GPDMA1_Channel3_IRQHandler(void)
{
    note(3);
}

static uint32_t address(const volatile void *place)
{
    return (uint32_t)(uintptr_t)place;
}

void dma_start(uint32_t channel, enum Dma_Request request, const volatile void *from, volatile void *to, uint32_t bytes)
{
    uint32_t moves = 0;
    moves |= address(from) < PERIPHERALS ? CTR1_SOURCE_MOVES : 0;
    moves |= address(to) < PERIPHERALS ? CTR1_DESTINATION_MOVES : 0;
    CTR1(channel) = moves;
    CTR2(channel) = (uint32_t)request | (address(to) < PERIPHERALS ? 0 : CTR2_DESTINATION_ASKS);
    CBR1(channel) = bytes;
    CSAR(channel) = address(from);
    CDAR(channel) = address(to);
    interrupt_enable(FIRST_LINE + channel);
    CCR(channel) = FLAG_COMPLETE | CCR_EN;
}

uint32_t dma_completions(uint32_t channel)
{
    return completions[channel];
}

void dma_wait(uint32_t channel, uint32_t expected)
{
    while (completions[channel] < expected) {
        wait_for_interrupt();
    }
}

uint32_t dma_left(uint32_t channel)
{
    return CBR1(channel) & 0xFFFF;
}

void dma_stop(uint32_t channel)
{
    CCR(channel) = CCR_RESET;
}

void test_memory_to_memory(void)
{
    static uint8_t from[100];
    static uint8_t to[100];
    for (uint32_t at = 0; at < sizeof from; at++) {
        from[at] = (uint8_t)(3 * at + 1);
    }
    dma_start(0, DMA_SOFTWARE, from, to, sizeof from);
    dma_wait(0, 1);
    uint32_t same = 0;
    for (uint32_t at = 0; at < sizeof from; at++) {
        same += from[at] == to[at];
    }
    report("bytes moved in memory", same, sizeof from);
    report("completions", dma_completions(0), 1);
}

/* The test that reads this answers "pong". */
void test_serial_by_dma(void)
{
    static const uint8_t ping[] = "ping\n";
    static uint8_t answer[4];
    USART2_BRR = BAUD_115200;
    USART2_CR3 = CR3_DMA;
    USART2_CR1 = CR1_BOTH_WAYS;
    uint32_t before[] = { dma_completions(1), dma_completions(2) };
    dma_start(1, DMA_USART2_RX, &USART2_RDR, answer, sizeof answer);
    dma_start(2, DMA_USART2_TX, ping, &USART2_TDR, sizeof ping - 1);
    dma_wait(2, before[1] + 1);
    dma_wait(1, before[0] + 1);
    uint32_t word = (uint32_t)answer[0] << 24 | (uint32_t)answer[1] << 16 | (uint32_t)answer[2] << 8 | answer[3];
    report("answer by serial port", word, 0x706F6E67);
}
