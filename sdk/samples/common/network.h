/* The network: requested once, then monitored. */

#ifndef NETWORK_H
#define NETWORK_H

#include "mv_syscalls.h"

/** Requests the network, and retries until that succeeds. */
void network_start(void);

/** Logs the status if it changed since the last time. */
void network_watch(void);

/** Returns once the network is connected. */
void network_wait(void);

/** Releases the network, which goes down when it is not needed otherwise. */
void network_stop(void);

/** The network handle that channels go over. */
MvNetworkHandle network_handle(void);

#endif
