/* External flash: identifies the chip, and writes, reads, overwrites and erases a text.
 *
 * Writing changes ones to zeros and never back; only erasing, 4096 bytes at a time, sets ones again. The text is
 * left in the flash at the end, so that the next start finds it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "log.h"
#include "mv_names.h"
#include "mv_syscalls.h"
#include "text.h"

/* The text's offset in the application's part, and the sector that contains it. */
#define SECTOR 4096u
#define PLACE (SECTOR - 8u)
#define AREA (2u * SECTOR)

static const char text[] = "written across two sectors";

static MvExternalFlashHandle flash;
static uint8_t bytes[sizeof text];

static bool info(void)
{
    struct MvExternalFlashInfo about = { .version = 1 };
    if (!log_success("mvExternalFlashGetInfo", mvExternalFlashGetInfo(flash, &about))) {
        return false;
    }
    log_line("flash: chip 0x%06lx, %lu bytes, %lu handles", about.v1.chip_id, about.v1.size, about.v1.num_handles);
    return about.v1.size >= AREA;
}

static bool erase(void)
{
    return log_success("mvExternalFlashEraseBlocking", mvExternalFlashEraseBlocking(flash, 0, AREA));
}

static bool write(const char *what)
{
    return log_success("mvExternalFlashWriteBlocking",
        mvExternalFlashWriteBlocking(flash, PLACE, sizeof text, (const uint8_t *)what));
}

static bool read(void)
{
    return log_success("mvExternalFlashReadBlocking", mvExternalFlashReadBlocking(flash, PLACE, sizeof bytes, bytes));
}

static bool is_erased(void)
{
    for (uint32_t index = 0; index < sizeof bytes; index++) {
        if (bytes[index] != 0xFF) {
            return false;
        }
    }
    return true;
}

static bool holds_text(void)
{
    for (uint32_t index = 0; index < sizeof text; index++) {
        if (bytes[index] != (uint8_t)text[index]) {
            return false;
        }
    }
    return true;
}

/* Each step logs its result, and the next is taken only if it succeeded. */
static bool use(void)
{
    static const char zeros[sizeof text];
    if (!info() || !read()) {
        return false;
    }
    log_line("flash: the text of the last time is %s", holds_text() ? "there" : "not there");
    if (!erase() || !read()) {
        return false;
    }
    log_line("flash: after erasing: %s", is_erased() ? "all ones" : "NOT all ones");
    if (!write(text) || !read()) {
        return false;
    }
    log_line("flash: after writing: %s", holds_text() ? (const char *)bytes : "NOT the text");
    if (!write(zeros) || !write(text) || !read()) {
        return false;
    }
    log_line("flash: zeros %s by writing", holds_text() ? "DO become ones" : "do not become ones");
    return erase() && write(text);
}

int main(void)
{
    log_start();
    clock_start();
    if (log_success("mvExternalFlashOpen", mvExternalFlashOpen(&flash))) {
        use();
        log_success("mvExternalFlashClose", mvExternalFlashClose(&flash));
    } else {
        log_line("flash: none that can be used here");
    }
    log_line("flash: done");
    clock_rest();
}
