//! What a Rust application's link needs: `sdk/rust/openvisor-app/openvisor.ld`, the C linker script with a default for
//! every interrupt, and the table of interrupts, `sdk/rust/openvisor-app/src/lines.rs`.

use std::fmt::Write as _;

use super::GeneratedFile;
use super::linker;
use super::model::Model;
use super::rust::BANNER;

/// The exceptions that have a handler, beside reset.
const EXCEPTIONS: &str =
    "NMI HardFault MemManage BusFault UsageFault SecureFault SVC DebugMon PendSV SysTick";

/// The interrupt lines of the STM32U585, 0 to 125, in order; `sdk/lib/startup.c` has the same, as a test shows.
pub(super) const LINES: &str = "
    WWDG PVD_PVM RTC RTC_S TAMP RAMCFG FLASH FLASH_S GTZC RCC RCC_S EXTI0 EXTI1 EXTI2 EXTI3 EXTI4 EXTI5
    EXTI6 EXTI7 EXTI8 EXTI9 EXTI10 EXTI11 EXTI12 EXTI13 EXTI14 EXTI15 IWDG SAES GPDMA1_Channel0
    GPDMA1_Channel1 GPDMA1_Channel2 GPDMA1_Channel3 GPDMA1_Channel4 GPDMA1_Channel5 GPDMA1_Channel6
    GPDMA1_Channel7 ADC1 DAC1 FDCAN1_IT0 FDCAN1_IT1 TIM1_BRK TIM1_UP TIM1_TRG_COM TIM1_CC TIM2 TIM3 TIM4
    TIM5 TIM6 TIM7 TIM8_BRK TIM8_UP TIM8_TRG_COM TIM8_CC I2C1_EV I2C1_ER I2C2_EV I2C2_ER SPI1 SPI2 USART1
    USART2 USART3 UART4 UART5 LPUART1 LPTIM1 LPTIM2 TIM15 TIM16 TIM17 COMP OTG_FS CRS FMC OCTOSPI1 PWR_S3WU
    SDMMC1 SDMMC2 GPDMA1_Channel8 GPDMA1_Channel9 GPDMA1_Channel10 GPDMA1_Channel11 GPDMA1_Channel12
    GPDMA1_Channel13 GPDMA1_Channel14 GPDMA1_Channel15 I2C3_EV I2C3_ER SAI1 SAI2 TSC AES RNG FPU HASH PKA
    LPTIM3 SPI3 I2C4_ER I2C4_EV MDF1_FLT0 MDF1_FLT1 MDF1_FLT2 MDF1_FLT3 UCPD1 ICACHE OTFDEC1 OTFDEC2 LPTIM4
    DCACHE1 ADF1_FLT0 ADC4 LPDMA1_Channel0 LPDMA1_Channel1 LPDMA1_Channel2 LPDMA1_Channel3 DMA2D DCMI_PSSI
    OCTOSPI2 MDF1_FLT4 MDF1_FLT5 CORDIC FMAC LSECSSD
";

/// What `openvisor_app::tests!` describes its tests with, for the runner; nothing in other images.
const TESTS: &str = "\
  /* The tests of an image of tests, for the runner: a header, then a description of each. */
  .openvisor.tests : ALIGN(4)
  {
    KEEP(*(.openvisor.tests.header))
    _tests_start = .;
    KEEP(*(.openvisor.tests.case))
    _tests_end = .;
  } > FLASH

";

/// The section that follows.
const AFTER_TESTS: &str = "  .ARM.extab :\n";

/// The linker script and the table.
pub(super) fn files(model: &Model) -> Result<[GeneratedFile; 2], String> {
    Ok([script(model), table()?])
}

fn script(model: &Model) -> GeneratedFile {
    let c_script = String::from_utf8(linker::file(model).bytes).expect("the linker script is text");
    let mut text = c_script.replace(
        "link lib/startup.c",
        "depend on openvisor-app and name the application's main by its entry!",
    );
    text = text.replace(AFTER_TESTS, &format!("{TESTS}{AFTER_TESTS}"));
    text.push_str("\n/* An interrupt without a handler of the application's is a crash. */\n");
    for exception in EXCEPTIONS.split_whitespace() {
        let _ = writeln!(text, "PROVIDE({exception}_Handler = Default_Handler);");
    }
    for line in LINES.split_whitespace() {
        let _ = writeln!(text, "PROVIDE({line}_IRQHandler = Default_Handler);");
    }
    GeneratedFile::text("sdk/rust/openvisor-app/openvisor.ld", text)
}

/// The lines' numbers, and the handlers in their order.
fn table() -> Result<GeneratedFile, String> {
    let lines: Vec<&str> = LINES.split_whitespace().collect();
    let numbers = lines.iter().enumerate().fold(String::new(), |mut text, (number, line)| {
        let _ = writeln!(text, "/// `{line}`.\npub const {line}: u32 = {number};");
        text
    });
    let declared = lines.iter().fold(String::new(), |text, line| format!("{text}fn {line}_IRQHandler();\n"));
    let listed = lines.iter().fold(String::new(), |text, line| format!("{text}{line}_IRQHandler, "));
    let text = format!(
        "{BANNER}//! The interrupt lines of the STM32U585, by number.

        #![allow(non_upper_case_globals, reason = \"the names of the chip's manual\")]

        {numbers}
        unsafe extern \"C\" {{ {declared} }}

        /// The handler of each line: a function of the application's of that name, or the one that crashes.
        pub(crate) static HANDLERS: [unsafe extern \"C\" fn(); {count}] = [{listed}];
        ",
        count = lines.len()
    );
    Ok(GeneratedFile::text("sdk/rust/openvisor-app/src/lines.rs", super::rust::formatted(&text)?))
}
