/* {name}: asks for the network, and logs a line a second and each change of the network.
 *
 * The hypervisor writes notifications into a buffer of the application and raises an interrupt of its choice; the
 * handler takes them one by one. Constructors of global objects run before main; there are no exceptions and no heap.
 */

#include <stdint.h>

#include "mv_names.h"
#include "mv_syscalls.h"

namespace {

/* Buffers of the log start at, and are, multiples of 512 bytes. */
alignas(512) uint8_t log_buffer[1024];

volatile uint32_t &peripheral(uint32_t address)
{
    return *reinterpret_cast<volatile uint32_t *>(address);
}

void log_text(const char *text)
{
    uint16_t length = 0;
    while (text[length] != '\0') {
        length++;
    }
    (void)mvServerLog(reinterpret_cast<const uint8_t *>(text), length);
}

/* Logs a call that was refused; without this a mistake goes unnoticed. */
bool accepted(const char *call, MvStatus status)
{
    if (status != MV_STATUS_OKAY) {
        log_text(call);
        log_text(mv_status_name(status));
    }
    return status == MV_STATUS_OKAY;
}

class Clock {
public:
    void start()
    {
        uint32_t hertz = 0;
        if (accepted("mvGetHClk", mvGetHClk(&hertz))) {
            peripheral(0xE000E014) = hertz / 100 - 1; /* SYST_RVR */
            peripheral(0xE000E010) = 7;               /* SYST_CSR: the processor's clock, with an interrupt, on */
        }
    }

    void tick() { milliseconds_ = milliseconds_ + 10; }
    uint32_t now() const { return milliseconds_; }

private:
    volatile uint32_t milliseconds_ = 0;
};

class Network {
public:
    /* Notifications come as an interrupt that no peripheral of this application uses: TIM1_BRK. */
    static constexpr uint32_t line = 41;

    void request()
    {
        MvNotificationHandle centre;
        MvNotificationSetup setup{};
        setup.irq = line;
        setup.buffer = records_;
        setup.buffer_size = sizeof records_;
        if (!accepted("mvSetupNotifications", mvSetupNotifications(&setup, &centre))) {
            return;
        }
        peripheral(0xE000E100 + 4 * (line / 32)) = 1u << line % 32; /* NVIC_ISER */
        MvRequestNetworkParams params{};
        params.version = 1;
        params.v1.notification_handle = centre;
        params.v1.notification_tag = tag;
        (void)accepted("mvRequestNetwork", mvRequestNetwork(&params, &handle_));
    }

    /* For the interrupt handler. */
    void take_notifications()
    {
        for (; records_[next_].event_type != MV_EVENTTYPE_NOEVENT; next_ = (next_ + 1) % count) {
            changed_ = changed_ || records_[next_].tag == tag;
            records_[next_].event_type = MV_EVENTTYPE_NOEVENT;
        }
    }

    void log_change()
    {
        MvNetworkStatus status;
        if (changed_) {
            changed_ = false;
            if (accepted("mvGetNetworkStatus", mvGetNetworkStatus(handle_, &status))) {
                log_text(mv_network_status_name(status));
            }
        }
    }

private:
    static constexpr uint32_t count = 8;
    static constexpr uint32_t tag = 1;

    alignas(8) MvNotification records_[count]{};
    MvNetworkHandle handle_{};
    uint32_t next_ = 0;
    volatile bool changed_ = false;
};

Clock system_clock;
Network network;

} // namespace

extern "C" void SysTick_Handler(void);
extern "C" void TIM1_BRK_IRQHandler(void);

void SysTick_Handler(void)
{
    system_clock.tick();
}

void TIM1_BRK_IRQHandler(void)
{
    network.take_notifications();
}

int main()
{
    (void)mvServerLoggingInit(log_buffer, sizeof log_buffer);
    log_text("{name} starts");
    system_clock.start();
    network.request();
    uint32_t next = 0;
    for (;;) {
        network.log_change();
        if (system_clock.now() >= next) {
            log_text("hello from {name}");
            next += 1000;
        }
        __asm volatile("wfi");
    }
}
