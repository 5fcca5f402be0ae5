#include "led.h"

#include "log.h"
#include "mv_syscalls.h"
#include "processor.h"

/* The clock controller is shared with the hypervisor and accessed through it; the GPIO bank is not shared. */
#define RCC_AHB2ENR1 0x46020C8Cu
#define RCC_AHB2ENR1_GPIOA 1u
#define GPIOA_MODER REGISTER(0x42020000)
#define GPIOA_BSRR REGISTER(0x42020018)
#define PIN 5u
#define MODE_OUTPUT 1u

void led_start(void)
{
    log_success("mvPeriphPoke32", mvPeriphPoke32(RCC_AHB2ENR1, RCC_AHB2ENR1_GPIOA, RCC_AHB2ENR1_GPIOA));
    GPIOA_MODER = (GPIOA_MODER & ~(3u << (2 * PIN))) | MODE_OUTPUT << (2 * PIN);
    led_set(false);
}

/* The low half of BSRR sets pins, the high half resets them. */
void led_set(bool on)
{
    GPIOA_BSRR = 1u << (on ? PIN : PIN + 16);
}
