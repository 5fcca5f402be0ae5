/* Who this device is. */

#ifndef DEVICE_ID_H
#define DEVICE_ID_H

/** The device's identifier, 34 characters; empty if the hypervisor will not say. */
const char *device_id(void);

#endif
