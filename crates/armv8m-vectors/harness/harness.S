@ Runs cases on the reference machine (mps2-an505, a Cortex-M33) and writes their outcomes to a file.
@
@ Built and loaded by the recorder (src/recorder.rs), which knows the same addresses and record layouts.
@
@ A case in:  number of blocks, then for each its address, its halfwords, and the halfwords padded to a word;
@             then start, FPSCR, S0-S31, APSR, R0-R12, SP, LR. The number 0xFFFFFFFF ends the cases.
@ A case out: status (0, or CFSR with bit 31 set), R0-R12, SP, LR, APSR, FPSCR, S0-S31, data window, end window.

        .syntax unified
        .cpu    cortex-m33
        .fpu    fpv5-sp-d16
        .thumb

        .equ    EXIT,           0x80000000      @ where a case branches at its end
        .equ    DATA,           0x80004000
        .equ    DATA_SIZE,      256
        .equ    END,            0x80fffff0
        .equ    END_SIZE,       16
        .equ    CASES,          0x80800000
        .equ    OUTCOMES,       0x80c00000
        .equ    OUTCOME_SIZE,   472
        .equ    STACK,          0x10100000

        .text
vectors:
        .word   STACK
        .word   reset + 1
        .rept   14
        .word   faulted + 1
        .endr

        .thumb_func
reset:
        ldr     r0, =0xe000ed88                 @ CPACR: the floating-point unit is on
        ldr     r1, [r0]
        orr     r1, r1, #0xf00000
        str     r1, [r0]
        ldr     r0, =0xe000ef34                 @ FPCCR: no automatic state, frames stay basic
        movs    r1, #0
        str     r1, [r0]
        dsb
        isb
        ldr     r0, =EXIT                       @ a jump through a literal, which changes no register
        ldr     r1, =0xf000f8df                 @ LDR.W PC, [PC]
        str     r1, [r0]
        ldr     r1, =exit + 1
        str     r1, [r0, #4]
        ldr     r10, =CASES
        ldr     r11, =OUTCOMES

next:
        ldr     r0, [r10], #4
        cmp     r0, #-1
        beq     finish
block:
        ldr     r1, [r10], #4
        ldr     r2, [r10], #4
halfword:
        ldrh    r3, [r10], #2
        strh    r3, [r1], #2
        subs    r2, r2, #1
        bne     halfword
        add     r10, r10, #2
        bic     r10, r10, #3
        subs    r0, r0, #1
        bne     block

        adr     r0, case_end
        add     r1, r10, #(4 * (2 + 32 + 1 + 15))
        str     r1, [r0]
        adr     r0, outcome
        str     r11, [r0]
        ldr     r1, [r10], #4
        orr     r1, r1, #1
        adr     r0, start
        str     r1, [r0]
        ldr     r1, [r10], #4
        vldmia  r10!, {s0-s31}
        vmsr    fpscr, r1
        ldr     r1, [r10], #4
        clrex
        dsb
        isb
        msr     apsr_nzcvqg, r1
        ldr     sp, [r10, #52]
        ldr     lr, [r10, #56]
        ldmia   r10, {r0-r12}
        ldr     pc, start

        .balign 4
start:          .word 0
outcome:        .word 0
case_end:       .word 0

@ Every register and flag is a result. PSP stores bits 31..2 of R0, PRIMASK bit 0 and FAULTMASK bit 1, which frees R0.
        .thumb_func
exit:
        msr     psp, r0
        msr     primask, r0
        lsr.w   r0, r0, #1
        msr     faultmask, r0
        ldr     r0, outcome
        add     r0, r0, #8
        stmia   r0!, {r1-r12}
        mov     r1, sp
        mov     r2, lr
        mrs     r3, apsr
        vmrs    r4, fpscr
        stmia   r0!, {r1-r4}
        vstmia  r0!, {s0-s31}
        mrs     r1, psp
        mrs     r2, primask
        mrs     r3, faultmask
        orr     r1, r1, r2
        orr     r1, r1, r3, lsl #1
        movs    r2, #0
        msr     faultmask, r2
        msr     primask, r2
        msr     basepri, r2
        ldr     r3, outcome
        str     r2, [r3]
        str     r1, [r3, #4]
        ldr     r1, =DATA
        movs    r2, #DATA_SIZE / 4
copy_data:
        ldr     r3, [r1], #4
        str     r3, [r0], #4
        subs    r2, r2, #1
        bne     copy_data
        ldr     r1, =END
        movs    r2, #END_SIZE / 4
copy_end:
        ldr     r3, [r1], #4
        str     r3, [r0], #4
        subs    r2, r2, #1
        bne     copy_end
advance:
        ldr     sp, =STACK
        ldr     r10, case_end
        ldr     r11, outcome
        add     r11, r11, #OUTCOME_SIZE
        b       next

@ The case faulted: its status is CFSR, and thread mode continues with the next case.
        .thumb_func
faulted:
        ldr     sp, =STACK - 32
        ldr     r0, =0xe000ed28
        ldr     r1, [r0]
        str     r1, [r0]                        @ CFSR and HFSR are cleared by writing ones
        ldr     r2, [r0, #4]
        str     r2, [r0, #4]
        orr     r1, r1, #0x80000000
        ldr     r0, outcome
        str     r1, [r0]
        movs    r0, #0
        msr     basepri, r0
        msr     primask, r0
        ldr     r0, =advance
        str     r0, [sp, #24]
        ldr     r0, =0x01000000
        str     r0, [sp, #28]
        ldr     lr, =0xfffffff9
        bx      lr

@ Semihosting: SYS_OPEN for writing, SYS_WRITE, SYS_CLOSE, SYS_EXIT.
finish:
        movs    r0, #1
        adr     r1, open
        bkpt    0xab
        adr     r4, write
        str     r0, [r4]
        ldr     r1, =OUTCOMES
        sub     r1, r11, r1
        str     r1, [r4, #8]
        movs    r0, #5
        mov     r1, r4
        bkpt    0xab
        movs    r0, #2
        mov     r1, r4
        bkpt    0xab
        movs    r0, #0x18
        ldr     r1, =0x20026
        bkpt    0xab
        b       .

        .balign 4
open:   .word   name, 5, name_end - name - 1
write:  .word   0, OUTCOMES, 0
name:   .asciz  "outcomes.bin"
name_end:
        .balign 4
        .ltorg
