/* Makes the mistake that a line at serial port 2 names, and shows on a display at 0x70 of I2C1 how many lines it has received: for
 * tests of what the device reports of an application. It answers each line. */

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "log.h"
#include "mv_syscalls.h"
#include "processor.h"
#include "text.h"

#define I2C1 0x40005400
#define I2C1_CR1 REGISTER(I2C1)
#define I2C1_CR2 REGISTER(I2C1 + 0x04)
#define I2C1_ISR REGISTER(I2C1 + 0x18)
#define I2C1_ICR REGISTER(I2C1 + 0x1C)
#define I2C1_TXDR REGISTER(I2C1 + 0x28)
#define DISPLAY (0x70u << 1)
#define CR2_WRITES(bytes) (DISPLAY | (bytes) << 16 | 1u << 25 | 1u << 13)
#define ISR_TXIS (1u << 1)
#define ISR_STOPF (1u << 5)

#define USART2 0x40004400
#define USART2_CR1 REGISTER(USART2)
#define USART2_BRR REGISTER(USART2 + 0x0C)
#define USART2_ISR REGISTER(USART2 + 0x1C)
#define USART2_RDR REGISTER(USART2 + 0x24)
#define USART2_TDR REGISTER(USART2 + 0x28)
#define BAUD_115200 1389u
#define UE_TE_RE 0xDu
#define ISR_RXNE (1u << 5)
#define ISR_TXE (1u << 7)

#define LINE 51u
#define RECORDS 4u
#define LONGEST_LINE 40u

static struct MvNotification records[RECORDS] __attribute__((aligned(8)));

static void write_to_display(const uint8_t *bytes, uint32_t count)
{
    I2C1_CR2 = CR2_WRITES(count);
    for (uint32_t at = 0; at < count; at++) {
        while ((I2C1_ISR & (ISR_TXIS | ISR_STOPF)) == 0) {
        }
        I2C1_TXDR = bytes[at];
    }
    while ((I2C1_ISR & ISR_STOPF) == 0) {
    }
    I2C1_ICR = ISR_STOPF;
}

/* The last digit of four; the others show zero. */
static void show(uint32_t count)
{
    static const uint8_t segments[] = { 0x3F, 0x06, 0x5B, 0x4F, 0x66, 0x6D, 0x7D, 0x07, 0x7F, 0x6F };
    static const uint8_t on[] = { 0x21, 0x81 };
    write_to_display(&on[0], 1);
    write_to_display(&on[1], 1);
    const uint8_t rows[] = { 0, segments[0], 0, segments[0], 0, 0, 0, segments[0], 0, segments[count % 10] };
    write_to_display(rows, sizeof rows);
}

static void say(const char *text)
{
    for (; *text != '\0'; text++) {
        while ((USART2_ISR & ISR_TXE) == 0) {
        }
        USART2_TDR = (uint8_t)*text;
    }
}

static void read_line(char *line)
{
    uint32_t length = 0;
    for (;;) {
        while ((USART2_ISR & ISR_RXNE) == 0) {
        }
        char character = (char)USART2_RDR;
        if (character == '\n') {
            line[length] = '\0';
            return;
        }
        if (length < LONGEST_LINE) {
            line[length++] = character;
        }
    }
}

/* Its line is never enabled in the NVIC. */
static void wait_for_a_notification(void)
{
    MvNotificationHandle centre;
    const struct MvNotificationSetup setup = {
        .irq = LINE, .buffer = records, .buffer_size = sizeof records
    };
    if (mvSetupNotifications(&setup, &centre) == MV_STATUS_OKAY) {
        struct MvRequestNetworkParams request = {
            .version = 1,
            .v1 = { .notification_handle = centre, .notification_tag = 1 },
        };
        MvNetworkHandle network;
        (void)mvRequestNetwork(&request, &network);
    }
}

static void make(const char *mistake)
{
    uint32_t handle = 0;
    volatile uint32_t *volatile nowhere = (uint32_t *)0x14;
    void (*volatile no_function)(void) = 0;
    if (text_equal(mistake, "line")) {
        wait_for_a_notification();
    } else if (text_equal(mistake, "handle")) {
        (void)mvCloseNotifications(&handle);
    } else if (text_equal(mistake, "pointer")) {
        *nowhere = 1;
    } else if (text_equal(mistake, "function")) {
        no_function();
    }
}

int main(void)
{
    static char line[LONGEST_LINE + 1];
    log_start();
    clock_start();
    USART2_BRR = BAUD_115200;
    USART2_CR1 = UE_TE_RE;
    I2C1_CR1 = 1;
    for (uint32_t count = 1;; count++) {
        say("? ");
        read_line(line);
        show(count);
        say(line);
        say(": done\r\n");
        if (text_equal(line, "return")) {
            return 0;
        }
        make(line);
    }
}
