/* I2C1 with a thermometer, polled and by direct memory access, and SPI1 with a memory both ways. */

#include "dma.h"
#include "report.h"

#define I2C1 0x40005400
#define I2C1_CR1 REGISTER(I2C1)
#define I2C1_CR2 REGISTER(I2C1 + 0x04)
#define I2C1_ISR REGISTER(I2C1 + 0x18)
#define I2C1_ICR REGISTER(I2C1 + 0x1C)
#define I2C1_RXDR REGISTER(I2C1 + 0x24)
#define I2C1_TXDR REGISTER(I2C1 + 0x28)
#define I2C_ON 1u
#define I2C_RXDMAEN (1u << 15)
#define I2C_READS (1u << 10)
#define I2C_START (1u << 13)
#define I2C_AUTOEND (1u << 25)
#define I2C_BYTES(count) ((count) << 16)
#define ISR_TXIS 2u
#define ISR_RXNE 4u
#define ISR_NACKF (1u << 4)
#define ISR_STOPF (1u << 5)
#define ISR_TC (1u << 6)

#define THERMOMETER (0x18u << 1)
#define ABSENT (0x2Au << 1)
#define AMBIENT 5u

#define GPIOA_MODER REGISTER(0x42020000)
#define GPIOA_BSRR REGISTER(0x42020018)
#define PIN_4 (1u << 4)

#define SPI1 0x40013000
#define SPI1_CR1 REGISTER(SPI1)
#define SPI1_CR2 REGISTER(SPI1 + 0x04)
#define SPI1_CFG1 REGISTER(SPI1 + 0x08)
#define SPI1_CFG2 REGISTER(SPI1 + 0x0C)
#define SPI1_SR REGISTER(SPI1 + 0x14)
#define SPI1_TXDR REGISTER(SPI1 + 0x20)
#define SPI1_RXDR REGISTER(SPI1 + 0x30)
#define SPI_ON 1u
#define SPI_STARTED (1u << 9)
#define CFG1_EIGHT_BITS 7u
#define CFG1_DMA (3u << 14)
#define CFG2_MASTER (1u << 22)
#define SR_EOT (1u << 3)

#define MEMORY_WRITE 2u
#define MEMORY_READ 3u
#define LENGTH 40u

static void point_at(uint32_t device, uint8_t pointer)
{
    I2C1_CR2 = device | I2C_BYTES(1) | I2C_START;
    if (wait_for(&I2C1_ISR, ISR_TXIS)) {
        I2C1_TXDR = pointer;
    }
    wait_for(&I2C1_ISR, ISR_TC);
}

static uint32_t read_byte(void)
{
    wait_for(&I2C1_ISR, ISR_RXNE);
    return I2C1_RXDR;
}

void test_i2c(void)
{
    I2C1_CR1 = I2C_ON;
    I2C1_CR2 = ABSENT | I2C_AUTOEND | I2C_START;
    report("nobody answers", I2C1_ISR & (ISR_NACKF | ISR_STOPF), ISR_NACKF | ISR_STOPF);
    I2C1_ICR = ISR_NACKF | ISR_STOPF;
    point_at(THERMOMETER, AMBIENT);
    I2C1_CR2 = THERMOMETER | I2C_BYTES(2) | I2C_READS | I2C_AUTOEND | I2C_START;
    uint32_t high = read_byte();
    report("temperature", (high << 8 | read_byte()) & 0x1FFF, 0x0194);
    report("it has stopped", wait_for(&I2C1_ISR, ISR_STOPF), 1);
    I2C1_ICR = ISR_STOPF;
    static volatile uint8_t bytes[2];
    I2C1_CR1 = I2C_ON | I2C_RXDMAEN;
    point_at(THERMOMETER, AMBIENT);
    dma_start(3, DMA_I2C1_RX, &I2C1_RXDR, bytes, 2);
    I2C1_CR2 = THERMOMETER | I2C_BYTES(2) | I2C_READS | I2C_AUTOEND | I2C_START;
    dma_wait(3, 1);
    report("temperature by direct memory access", (uint32_t)(bytes[0] << 8 | bytes[1]) & 0x1FFF, 0x0194);
}

/* One exchange of LENGTH bytes with the memory, selected by its pin. */
static void exchange(const uint8_t *out, uint8_t *in, uint32_t exchanges)
{
    GPIOA_BSRR = PIN_4 << 16;
    SPI1_CFG1 = CFG1_EIGHT_BITS | CFG1_DMA;
    SPI1_CFG2 = CFG2_MASTER;
    SPI1_CR2 = LENGTH;
    dma_start(1, DMA_SPI1_RX, &SPI1_RXDR, in, LENGTH);
    dma_start(2, DMA_SPI1_TX, out, &SPI1_TXDR, LENGTH);
    SPI1_CR1 = SPI_ON;
    SPI1_CR1 = SPI_ON | SPI_STARTED;
    wait_for(&SPI1_SR, SR_EOT);
    dma_wait(1, exchanges);
    dma_wait(2, exchanges);
    SPI1_CR1 = 0;
    GPIOA_BSRR = PIN_4;
}

void test_spi(void)
{
    static uint8_t out[LENGTH];
    static uint8_t in[LENGTH];
    GPIOA_BSRR = PIN_4;
    GPIOA_MODER = (GPIOA_MODER & ~(3u << 8)) | 1u << 8;
    for (uint32_t at = 3; at < LENGTH; at++) {
        out[at] = (uint8_t)(7 * at);
    }
    out[0] = MEMORY_WRITE;
    exchange(out, in, 1);
    out[0] = MEMORY_READ;
    exchange(out, in, 2);
    uint32_t same = 0;
    for (uint32_t at = 3; at < LENGTH; at++) {
        same += in[at] == out[at];
    }
    report("bytes of the memory", same, LENGTH - 3);
}
