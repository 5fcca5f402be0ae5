//! From reset to `main`: the vector table, the initial values of RAM, and what an interrupt without a handler does.

use core::arch::global_asm;

use crate::lines::HANDLERS;

/// Names the application's main function, which never returns: `openvisor_app::entry!(main);`
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        const _: () = {
            #[unsafe(export_name = "main")]
            extern "C" fn openvisor_main() -> ! {
                let main: fn() -> ! = $main;
                main()
            }
        };
    };
}

/// A handler, or `None` at a place the architecture reserves.
type Vector = Option<unsafe extern "C" fn()>;

/// What the processor reads at reset and for each exception.
#[repr(C)]
struct VectorTable {
    stack_top: &'static u32,
    core: [Vector; 15],
    lines: [unsafe extern "C" fn(); HANDLERS.len()],
}

unsafe extern "C" {
    /// Set by the linker script; only its address means something.
    safe static _stack_top: u32;
    fn Reset_Handler();
    fn NMI_Handler();
    fn HardFault_Handler();
    fn MemManage_Handler();
    fn BusFault_Handler();
    fn UsageFault_Handler();
    fn SecureFault_Handler();
    fn SVC_Handler();
    fn DebugMon_Handler();
    fn PendSV_Handler();
    fn SysTick_Handler();
}

#[used]
#[unsafe(link_section = ".isr_vector")]
static VECTORS: VectorTable = VectorTable {
    stack_top: &_stack_top,
    core: [
        Some(Reset_Handler),
        Some(NMI_Handler),
        Some(HardFault_Handler),
        Some(MemManage_Handler),
        Some(BusFault_Handler),
        Some(UsageFault_Handler),
        Some(SecureFault_Handler),
        None,
        None,
        None,
        Some(SVC_Handler),
        Some(DebugMon_Handler),
        None,
        Some(PendSV_Handler),
        Some(SysTick_Handler),
    ],
    lines: HANDLERS,
};

// In assembly, because no Rust code may run before the statics have their values. A stack that grows beyond its limit
// is a crash with that cause, before it has overwritten a variable. A default handler that loops would
// hang silently; an undefined instruction makes it a crash, which the hypervisor reports before it restarts the
// application.
global_asm!(
    ".section .text.Reset_Handler,\"ax\",%progbits",
    ".global Reset_Handler",
    ".type Reset_Handler,%function",
    ".thumb_func",
    "Reset_Handler:",
    ".cfi_startproc",
    ".cfi_undefined lr",
    "ldr r0, =_stack_limit",
    "msr msplim, r0",
    "ldr r0, =_data_start",
    "ldr r1, =_data_end",
    "ldr r2, =_data_load",
    "b 2f",
    "1: ldr r3, [r2], #4",
    "str r3, [r0], #4",
    "2: cmp r0, r1",
    "blo 1b",
    "ldr r0, =_bss_start",
    "ldr r1, =_bss_end",
    "movs r2, #0",
    "b 4f",
    "3: str r2, [r0], #4",
    "4: cmp r0, r1",
    "blo 3b",
    "bl main",
    "udf #0",
    ".cfi_endproc",
    ".size Reset_Handler, . - Reset_Handler",
    ".section .text.Default_Handler,\"ax\",%progbits",
    ".global Default_Handler",
    ".type Default_Handler,%function",
    ".thumb_func",
    "Default_Handler:",
    ".cfi_startproc",
    "udf #0",
    ".cfi_endproc",
    ".size Default_Handler, . - Default_Handler",
    ".text",
);
