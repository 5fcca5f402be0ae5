/* Output on USART3, and functions shared by the tests of peripherals. */

#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "processor.h"

void report_start(void);
/* "NAME: good", or "NAME: VALUE" in hexadecimal digits if it is not what was expected. */
void report(const char *name, uint32_t found, uint32_t expected);
void report_line(const char *text);

/* Waits until the bits of a register are all set; false after too many reads. */
bool wait_for(volatile uint32_t *reg, uint32_t bits);

void test_timers(void);
void test_crc(void);
void test_memory_to_memory(void);
void test_serial(void);
void test_serial_by_dma(void);
void test_i2c(void);
void test_spi(void);

#endif
