/* A channel of GPDMA1 that transfers bytes. */

#ifndef DMA_H
#define DMA_H

#include <stdint.h>

/* Requests of peripherals, and none at all. */
enum Dma_Request {
    DMA_SPI1_RX = 6,
    DMA_SPI1_TX = 7,
    DMA_I2C1_RX = 12,
    DMA_USART2_RX = 26,
    DMA_USART2_TX = 27,
    DMA_SOFTWARE = 1 << 9,
};

/* Starts a transfer; the address of a peripheral's register is not incremented. */
void dma_start(uint32_t channel, enum Dma_Request request, const volatile void *from, volatile void *to, uint32_t bytes);
/* The number of transfer complete interrupts of the channel. */
uint32_t dma_completions(uint32_t channel);
void dma_wait(uint32_t channel, uint32_t completions);
/* The channel's remaining bytes. */
uint32_t dma_left(uint32_t channel);
/* Aborts the channel's transfer. */
void dma_stop(uint32_t channel);

#endif
