/* The teaching kernel: a small multitasking system in a handful of files, to be read in this order:
 *
 *   start.asm       real mode, protected mode
 *   kernel.c        the order of things; the prompt
 *   cpu.c           segments, task state segment, interrupt gates
 *   interrupts.asm  the ways into the kernel
 *   paging.c        page tables; one address space a task
 *   timer.c         interrupt controllers and timer
 *   scheduler.c     tasks and how the processor goes round among them
 *   syscalls.c      what tasks may ask for; what happens when they misbehave
 *   console.c       text on the screen and on the serial line; power off
 *   tasks.c         the two tasks, in ring 3 */
#ifndef TEACHING_KERNEL_H
#define TEACHING_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- cpu.c ---- */

enum selector { KERNEL_CODE = 0x08, KERNEL_DATA = 0x10, USER_CODE = 0x18 | 3, USER_DATA = 0x20 | 3, TASK_STATE = 0x28 };

enum vector { VECTOR_PAGE_FAULT = 14, VECTOR_IRQ0 = 0x20, VECTOR_SYSTEM_CALL = 0x80 };

/* What is on the stack after a stub of interrupts.asm, lowest address first. */
struct frame {
    uint32_t gs, fs, es, ds;
    uint32_t edi, esi, ebp, unused_esp, ebx, edx, ecx, eax;
    uint32_t vector, error_code;
    uint32_t eip, cs, eflags;
    uint32_t esp, ss; /* only if the interrupt came from ring 3 */
};

void cpu_init(void);
/* The stack the processor switches to when an interrupt comes in ring 3. */
void cpu_set_kernel_stack(uint32_t top);
struct frame *interrupt_dispatch(struct frame *frame); /* called by interrupts.asm */

static inline void port_write8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
static inline void port_write16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}
static inline uint8_t port_read8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

/* ---- paging.c ---- */

#define PAGE 4096u
/* Each task has two pages of its own here: data, then stack. The same address in every task, yet
 * other memory: that is what an address space is. */
#define TASK_DATA      0x40000000u
#define TASK_STACK_TOP (TASK_DATA + 2 * PAGE)

void paging_init(void);
/* A new address space: the kernel, the tasks' code, and two fresh pages. Returns its CR3. */
uint32_t paging_create_space(void);
void paging_use(uint32_t cr3);
/* May ring 3 in the present space read LENGTH bytes at ADDRESS? */
bool paging_user_may_read(uint32_t address, uint32_t length);
extern uint8_t user_begin[], user_end[]; /* kernel.ld */

/* ---- timer.c ---- */

enum { TICKS_PER_SECOND = 100 };
extern volatile uint32_t timer_ticks;
void timer_init(void);
void timer_interrupt(unsigned irq); /* acknowledges it */

/* ---- scheduler.c ---- */

enum task_state { TASK_UNUSED, TASK_READY, TASK_ENDED };
struct task {
    const char *name;
    enum task_state state;
    struct frame *frame; /* where it stopped */
    uint32_t cr3;
    uint32_t kernel_stack_top;
    uint32_t wake_tick;   /* not to be run before */
    uint32_t preemptions; /* how often the timer took the processor away */
    uint32_t exit_code;
};
enum { TASK_COUNT = 3 }; /* task 0 is the kernel itself: what runs when nothing else can */
extern struct task tasks[TASK_COUNT];

void scheduler_init(void);
void scheduler_start(unsigned number, const char *name, void (*code)(uint32_t rounds), uint32_t rounds);
unsigned scheduler_current(void);
/* The frame to go on with; FRAME is where the present task stopped. */
struct frame *scheduler_switch(struct frame *frame);
void scheduler_end_current(uint32_t exit_code);

/* ---- syscalls.c ---- */

/* int 0x80: EAX the number, EBX ECX EDX the arguments, EAX the answer. */
enum syscall { SYSCALL_EXIT, SYSCALL_WRITE, SYSCALL_TICKS, SYSCALL_SLEEP, SYSCALL_STATUS, SYSCALL_COUNT };

struct frame *syscall_dispatch(struct frame *frame);
struct frame *exception_dispatch(struct frame *frame);

/* ---- console.c ---- */

void console_init(void);
void console_write(const char *text, uint32_t length);
/* %s %u %x (8 digits) and %%. */
void console_print(const char *format, ...);
/* Replaces the text at the right end of the screen's first line, a field for each task. */
void console_status(unsigned field, const char *text, uint32_t length);
/* A character from the serial line, or -1. */
int console_read(void);
__attribute__((noreturn)) void machine_power_off(void);
void machine_reset(void);

/* ---- tasks.c, in ring 3 ---- */

void task_counter(uint32_t rounds);
void task_intruder(uint32_t rounds);

#endif
