/* The sample application: publishes a reading once a second, and executes commands.
 *
 * Everything that fails is logged and retried: main never returns.
 */

#include <stdbool.h>

#include "channel.h"
#include "clock.h"
#include "device_id.h"
#include "led.h"
#include "log.h"
#include "network.h"
#include "session.h"
#include "settings.h"

/* The pause between two attempts. */
#define RETRY_MS 1000u

static struct Settings settings;

static void start(void)
{
    log_start();
    clock_start();
    log_line("device %s", device_id());
    led_start();
    channel_start();
    network_start();
}

int main(void)
{
    bool known = false;
    start();
    for (;;) {
        network_wait();
        if (!known) {
            known = settings_fetch(&settings);
        }
        if (known) {
            /* If the broker refused the connection, the settings may have been corrected meanwhile. */
            known = session_run(&settings);
        }
        clock_sleep(RETRY_MS);
    }
}
