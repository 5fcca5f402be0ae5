/* The sample application: publishes a reading once a second, and obeys commands.
 *
 * Everything that fails is logged and tried again: there is no way to the end of main.
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

/* Between one attempt and the next. */
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
            /* If the broker would not have us, the settings may be wrong, and corrected by now. */
            known = session_run(&settings);
        }
        clock_sleep(RETRY_MS);
    }
}
