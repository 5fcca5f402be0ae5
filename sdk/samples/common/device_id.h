/* The device's identifier. */

#ifndef DEVICE_ID_H
#define DEVICE_ID_H

/** The device's identifier, 34 characters; empty if the call fails. */
const char *device_id(void);

#endif
