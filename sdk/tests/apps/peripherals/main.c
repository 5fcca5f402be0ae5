/* Tests the board's peripherals by their registers, interrupts included, with a thermometer at 0x18 of I2C1, at 25.25
 * degrees, a memory on SPI1 selected by PA4, and a test that answers what USART2 sends (serial.c). Makes no system calls. */

#include "report.h"

int main(void)
{
    report_start();
    test_timers();
    test_crc();
    test_memory_to_memory();
    test_i2c();
    test_spi();
    test_serial_by_dma();
    test_serial();
    report_line("end");
    for (;;) {
        wait_for_interrupt();
    }
}
