/* A program that does what a timeline reports: changes pins, writes to a serial port, has calls refused, restarts. As a factory test
 * it logs a line and passes. */

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "log.h"
#include "mv_syscalls.h"
#include "processor.h"

#define GPIOB 0x42020400u
#define GPIO_MODER(port) REGISTER((port) + 0x00)
#define GPIO_BSRR(port) REGISTER((port) + 0x18)
#define PIN 11u

#define USART2_CR1 REGISTER(0x40004400)
#define USART2_ISR REGISTER(0x4000441C)
#define USART2_TDR REGISTER(0x40004428)
#define UE_AND_TE 0x9u
#define ISR_TXE (1u << 7)

#define LINE 41u
#define RECORDS 8u
/* Neither aligned nor long enough: an early demonstration opened a channel of opaque bytes so. */
#define SMALL 16u

static struct MvNotification records[RECORDS] __attribute__((aligned(8)));
static uint8_t receive_buffer[SMALL + 1] __attribute__((aligned(512)));
static uint8_t send_buffer[512] __attribute__((aligned(512)));
static uint8_t test_log[512] __attribute__((aligned(512)));

static const char TEST_LINE[] = "the test logs this";

static void factory_test(void)
{
    if (mvTestLoggingInit(test_log, sizeof test_log) == MV_STATUS_OKAY) {
        (void)mvTestLog((const uint8_t *)TEST_LINE, sizeof TEST_LINE - 1);
        (void)mvTestingComplete(0);
    }
}

static void move_pins(void)
{
    GPIO_MODER(GPIOB) = (GPIO_MODER(GPIOB) & ~(3u << 2 * PIN)) | 1u << 2 * PIN;
    GPIO_BSRR(GPIOB) = 1u << PIN;
    GPIO_BSRR(GPIOB) = 1u << (PIN + 16);
}

static void write_to_serial_port(const char *text)
{
    USART2_CR1 = UE_AND_TE;
    for (; *text != '\0'; text++) {
        /* A character written before the register is free replaces the one in it. */
        while ((USART2_ISR & ISR_TXE) == 0) {
        }
        USART2_TDR = (uint8_t)*text;
    }
}

static void open_channel(void)
{
    const struct MvNotificationSetup setup = { .irq = LINE, .buffer = records, .buffer_size = sizeof records };
    MvNotificationHandle centre;
    MvNetworkHandle network;
    MvChannelHandle channel;
    (void)mvSetupNotifications(&setup, &centre);
    const struct MvRequestNetworkParams request = {
        .version = 1,
        .v1 = { .notification_handle = centre, .notification_tag = 1 },
    };
    (void)mvRequestNetwork(&request, &network);
    const struct MvOpenChannelParams params = {
        .version = 1,
        .v1 = {
            .notification_handle = centre,
            .notification_tag = 2,
            .network_handle = network,
            .receive_buffer = receive_buffer + 1,
            .receive_buffer_len = SMALL,
            .send_buffer = send_buffer,
            .send_buffer_len = sizeof send_buffer,
            .channel_type = MV_CHANNELTYPE_OPAQUEBYTES,
            .endpoint = { .data = NULL, .length = 0 },
        },
    };
    for (uint32_t times = 0; times < 3; times++) {
        (void)mvOpenChannel(&params, &channel);
    }
}

int main(void)
{
    factory_test();
    log_start();
    clock_start();
    log_line("this is a line of the log");
    move_pins();
    write_to_serial_port("a line\r\nand a pro");
    clock_sleep(20);
    write_to_serial_port("mpt> ");
    open_channel();
    clock_sleep(1200);
    (void)mvRestart(MV_RESTARTMODE_AUTOAPPLYUPDATE);
    clock_rest();
}
