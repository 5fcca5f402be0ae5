/* The header on its own, as an application in C++ uses it. Compiled, never run. */

#include "mv_syscalls.h"

MvStatus request_network(MvNotificationHandle centre, MvNetworkHandle &network);
MvStatus wake_reason(MvWakeReason &reason);

MvStatus request_network(MvNotificationHandle centre, MvNetworkHandle &network)
{
    MvRequestNetworkParams params{};
    params.version = 1;
    params.v1.notification_handle = centre;
    params.v1.notification_tag = 7;
    return mvRequestNetwork(&params, &network);
}

MvStatus wake_reason(MvWakeReason &reason)
{
    return mvGetWakeReason(&reason);
}
