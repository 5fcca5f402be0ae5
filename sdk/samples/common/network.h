/* The network: asked for once, watched ever after. */

#ifndef NETWORK_H
#define NETWORK_H

#include "mv_syscalls.h"

/** Asks for the network, as often as it takes. */
void network_start(void);

/** Logs the status if it changed since the last time. */
void network_watch(void);

/** Returns once the network is connected. */
void network_wait(void);

/** Gives the network up; it goes down when nobody else needs it. */
void network_stop(void);

/** The network handle that channels go over. */
MvNetworkHandle network_handle(void);

#endif
