#include "device_id.h"

#include <stdint.h>

#include "log.h"
#include "mv_syscalls.h"

#define DEVICE_ID_LENGTH 34u

static char id[DEVICE_ID_LENGTH + 1];

const char *device_id(void)
{
    if (id[0] == '\0') {
        log_success("mvGetDeviceId", mvGetDeviceId((uint8_t *)id, DEVICE_ID_LENGTH));
    }
    return id;
}
