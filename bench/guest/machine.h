// The bare machine's parts: start.asm, v86.asm, monitor.c, machine.c.
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include "kernels.h"

#include <stdbool.h>

// start.asm
void load_tables(const void *gdt_pointer, const void *idt_pointer);
uint32_t run_real(uint32_t count, uint32_t loop);
uint32_t run_user(void (*function)(void), uint32_t count);
void user_syscalls(void);
void handle_syscall(void), handle_leave_user(void), handle_page_fault(void), handle_other(void);
extern uint8_t *const real_data, *const real_code16; // where the 16-bit data and code are, both below 1 MiB

// v86.asm
uint32_t run_v86(uint32_t count, uint32_t loop, uint32_t code_segment, uint32_t entry, uint32_t data_segment);
void handle_general_protection(void);

// What handle_general_protection() has on its stack: PUSHAD's registers and the frame of a fault in virtual-8086 mode.
struct v86_frame {
    uint32_t edi, esi, ebp, esp_of_pushad, ebx, edx, ecx, eax;
    uint32_t error, eip, cs, eflags, esp, ss, es, ds, fs, gs;
};

// monitor.c: false if the program is at its end.
bool monitor_handle_fault(struct v86_frame *frame);

// machine.c
void guest_fault(void) __attribute__((noreturn));

#endif
