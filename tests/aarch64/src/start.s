// QEMU's `virt` starts here at exception level 1, with floating point and memory management off. Without the latter
// all memory is a device's, and words must be aligned there: so the first 4 GiB are mapped to themselves.
    .section .text._start
    .global _start
_start:
    mov x0, #3 << 20              // CPACR_EL1.FPEN: floating point and NEON
    msr cpacr_el1, x0
    adrp x0, stack_end
    add x0, x0, :lo12:stack_end
    mov sp, x0
    adr x0, vectors
    msr vbar_el1, x0
    mov x0, #0xff                 // memory of kind 0 is cached, that of kind 1 a device's
    msr mair_el1, x0
    ldr x0, =0x803520             // 32 bits of address, pages of 4 KiB, cached walks, no upper half
    msr tcr_el1, x0
    adrp x0, map
    add x0, x0, :lo12:map
    msr ttbr0_el1, x0
    isb
    mrs x0, sctlr_el1
    mov x1, #0x1005               // M, C and I
    orr x0, x0, x1
    msr sctlr_el1, x0
    isb
    bl main
1:  b 1b

// Any exception ends the run, with exit code 1.
fault:
    mov w0, #0x18
    adrp x1, exit
    add x1, x1, :lo12:exit
    hlt #0xf000

    .balign 2048
vectors:
    .rept 16
    b fault
    .balign 128
    .endr

    .section .rodata
    .balign 8
exit:
    .quad 0x20026, 1
    .balign 64
map:
    .quad 0x00000405              // devices
    .quad 0x40000701              // memory
    .quad 0
    .quad 0

    .section .bss
    .balign 16
    .space 1 << 20
stack_end:
