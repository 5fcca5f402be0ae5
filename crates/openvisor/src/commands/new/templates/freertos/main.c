/* {name}: two FreeRTOS tasks. One asks for the network and logs its changes, the other logs a line a second. */

#include <stdint.h>

#include "FreeRTOS.h"
#include "task.h"

#include "mv_names.h"
#include "mv_syscalls.h"

#define NVIC_ISER(line) (*(volatile uint32_t *)(0xE000E100u + 4 * ((line) / 32)))
#define NVIC_IPR(line) (*(volatile uint8_t *)(0xE000E400u + (line)))

/* Notifications come as this interrupt, one that no peripheral of this application uses: TIM1_BRK. */
#define NOTIFICATION_LINE 41u
#define NOTIFICATIONS 8u
#define STACK_WORDS 512u

/* Buffers of the log start at, and are, multiples of 512 bytes. */
static uint8_t log_buffer[1024] __attribute__((aligned(512)));
static struct MvNotification notifications[NOTIFICATIONS] __attribute__((aligned(8)));
static TaskHandle_t network_task;
uint32_t core_hertz;

void TIM1_BRK_IRQHandler(void);
void vApplicationIdleHook(void);

/* Takes the notifications and wakes the task that waits for them. */
void TIM1_BRK_IRQHandler(void)
{
    static uint32_t next;
    BaseType_t woken = pdFALSE;
    for (; notifications[next].event_type != MV_EVENTTYPE_NOEVENT; next = (next + 1) % NOTIFICATIONS) {
        notifications[next].event_type = MV_EVENTTYPE_NOEVENT;
        vTaskNotifyGiveFromISR(network_task, &woken);
    }
    portYIELD_FROM_ISR(woken);
}

/* Nothing to do until the next interrupt. */
void vApplicationIdleHook(void)
{
    __asm volatile("wfi");
}

static void log_text(const char *text)
{
    uint16_t length = 0;
    while (text[length] != '\0') {
        length++;
    }
    (void)mvServerLog((const uint8_t *)text, length);
}

/* Logs a call that was refused; without this a mistake goes unnoticed. */
static void expect(const char *call, enum MvStatus status)
{
    if (status != MV_STATUS_OKAY) {
        log_text(call);
        log_text(mv_status_name(status));
    }
}

static void watch_network(void *unused)
{
    (void)unused;
    MvNotificationHandle centre;
    MvNetworkHandle network;
    const struct MvNotificationSetup setup = {
        .irq = NOTIFICATION_LINE,
        .buffer = notifications,
        .buffer_size = sizeof notifications,
    };
    expect("mvSetupNotifications", mvSetupNotifications(&setup, &centre));
    /* The handler uses FreeRTOS: not more urgent than configMAX_SYSCALL_INTERRUPT_PRIORITY. */
    NVIC_IPR(NOTIFICATION_LINE) = configMAX_SYSCALL_INTERRUPT_PRIORITY;
    NVIC_ISER(NOTIFICATION_LINE) = 1u << NOTIFICATION_LINE % 32;
    const struct MvRequestNetworkParams request = {
        .version = 1,
        .v1 = { .notification_handle = centre, .notification_tag = 1 },
    };
    expect("mvRequestNetwork", mvRequestNetwork(&request, &network));
    for (;;) {
        enum MvNetworkStatus status;
        ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
        expect("mvGetNetworkStatus", mvGetNetworkStatus(network, &status));
        log_text(mv_network_status_name(status));
    }
}

static void say_hello(void *unused)
{
    (void)unused;
    TickType_t last = xTaskGetTickCount();
    for (;;) {
        log_text("hello from {name}");
        xTaskDelayUntil(&last, pdMS_TO_TICKS(1000));
    }
}

int main(void)
{
    (void)mvServerLoggingInit(log_buffer, sizeof log_buffer);
    log_text("{name} starts");
    expect("mvGetHClk", mvGetHClk(&core_hertz));
    configASSERT(xTaskCreate(watch_network, "network", STACK_WORDS, NULL, 2, &network_task) == pdPASS);
    configASSERT(xTaskCreate(say_hello, "hello", STACK_WORDS, NULL, 1, NULL) == pdPASS);
    vTaskStartScheduler();
    return 1; /* Only if there is too little heap: a crash, which is reported. */
}
