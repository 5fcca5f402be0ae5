/* Start-up code with the names that ST's uses: copies .data, clears .bss, runs the constructors, calls main. */

    .syntax unified
    .thumb

    .section .isr_vector, "a", %progbits
    .global vectors
vectors:
    .word _estack
    .word Reset_Handler

    .section .text.Reset_Handler, "ax", %progbits
    .global Reset_Handler
    .type Reset_Handler, %function
    .thumb_func
Reset_Handler:
    ldr r0, =_sdata
    ldr r1, =_edata
    ldr r2, =_sidata
copy:
    cmp r0, r1
    bhs copied
    ldr r3, [r2], #4
    str r3, [r0], #4
    b copy
copied:
    ldr r0, =_sbss
    ldr r1, =_ebss
    movs r3, #0
clear:
    cmp r0, r1
    bhs cleared
    str r3, [r0], #4
    b clear
cleared:
    ldr r4, =__init_array_start
    ldr r5, =__init_array_end
construct:
    cmp r4, r5
    bhs constructed
    ldr r3, [r4], #4
    blx r3
    b construct
constructed:
    bl main
    udf #0
    .size Reset_Handler, . - Reset_Handler
