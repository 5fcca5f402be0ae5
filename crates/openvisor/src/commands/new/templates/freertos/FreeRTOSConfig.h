/* FreeRTOS for {name}, with the port ARM_CM33_NTZ. docs/rtos.md of Openvisor explains the settings. */

#ifndef FREERTOS_CONFIG_H
#define FREERTOS_CONFIG_H

#include <stdint.h>

/* Applications run in the non-secure state, without TrustZone of their own. */
#define configENABLE_TRUSTZONE 0
#define configRUN_FREERTOS_SECURE_ONLY 0
#define configENABLE_MPU 0
/* The SDK computes in software; with 1, compile with -mfloat-abi=softfp -mfpu=fpv5-sp-d16. */
#define configENABLE_FPU 0

/* Four bits of priority: 15 is the least urgent, where the scheduler is. Handlers that use FreeRTOS have 5 to 15. */
#define configPRIO_BITS 4
#define configKERNEL_INTERRUPT_PRIORITY (15 << (8 - configPRIO_BITS))
#define configMAX_SYSCALL_INTERRUPT_PRIORITY (5 << (8 - configPRIO_BITS))

/* What mvGetHClk answers. */
extern uint32_t core_hertz;
#define configCPU_CLOCK_HZ core_hertz
#define configTICK_RATE_HZ 100
#define configTICK_TYPE_WIDTH_IN_BITS TICK_TYPE_WIDTH_32_BITS

#define configUSE_PREEMPTION 1
#define configUSE_TIME_SLICING 1
#define configUSE_IDLE_HOOK 1
#define configUSE_TICK_HOOK 0
#define configMAX_PRIORITIES 8
#define configMINIMAL_STACK_SIZE 256
#define configMAX_TASK_NAME_LEN 16
#define configUSE_MUTEXES 1
#define configUSE_TIMERS 0
#define configSUPPORT_STATIC_ALLOCATION 0
#define configSUPPORT_DYNAMIC_ALLOCATION 1
#define configTOTAL_HEAP_SIZE (64 * 1024)
/* The port sets PSPLIM: an overflow is a crash at once. */
#define configCHECK_FOR_STACK_OVERFLOW 0

#define INCLUDE_vTaskDelay 1
#define INCLUDE_xTaskDelayUntil 1
#define INCLUDE_vTaskSuspend 1

/* An assertion that does not hold is a crash with its place. */
#define configASSERT(holds) do { if (!(holds)) { __asm volatile("udf #3"); } } while (0)

#endif
