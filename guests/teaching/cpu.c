/* Segments, the task state segment and the interrupt gates (SDM vol. 3, chapters 3, 6 and 7). */
#include "kernel.h"

struct descriptor {
    uint16_t limit_low, base_low;
    uint8_t base_middle, access, flags_limit_high, base_high;
} __attribute__((packed));

struct gate {
    uint16_t offset_low, selector;
    uint8_t zero, access;
    uint16_t offset_high;
} __attribute__((packed));

struct table_pointer {
    uint16_t limit;
    uint32_t base;
} __attribute__((packed));

enum descriptor_access {
    ACCESS_PRESENT = 0x80,
    ACCESS_RING3 = 3 << 5,
    ACCESS_CODE = 0x1b, /* execute, read, accessed */
    ACCESS_DATA = 0x13, /* read, write, accessed */
    ACCESS_TASK_STATE = 0x09,
    ACCESS_INTERRUPT_GATE = 0x0e
};

/* Of the 26 fields of a task state segment we use two: the stack to switch to on the way from ring 3
 * to ring 0. The task switching of the processor itself is not used; the scheduler is software. */
static struct {
    uint32_t link, esp0, ss0, others[22];
    uint16_t trap, io_map_base;
} __attribute__((packed)) task_state;

static struct descriptor gdt[6];
static struct gate idt[VECTOR_SYSTEM_CALL + 1];

extern const uint32_t interrupt_stubs[49]; /* interrupts.asm: vectors 0..47, then 80h */

static struct descriptor make_descriptor(uint32_t base, uint32_t limit, unsigned access, unsigned flags)
{
    return (struct descriptor){.limit_low = (uint16_t)limit,
                               .base_low = (uint16_t)base,
                               .base_middle = (uint8_t)(base >> 16),
                               .access = (uint8_t)(ACCESS_PRESENT | access),
                               .flags_limit_high = (uint8_t)(flags << 4 | limit >> 16),
                               .base_high = (uint8_t)(base >> 24)};
}

static void set_gate(unsigned vector, uint32_t stub, unsigned access)
{
    idt[vector] = (struct gate){.offset_low = (uint16_t)stub,
                                .selector = KERNEL_CODE,
                                .access = (uint8_t)(ACCESS_PRESENT | access),
                                .offset_high = (uint16_t)(stub >> 16)};
}

void cpu_init(void)
{
    enum { GRANULAR_32_BIT = 0xc }; /* the limit counts pages; 32-bit operands */
    gdt[1] = make_descriptor(0, 0xfffff, ACCESS_CODE, GRANULAR_32_BIT);
    gdt[2] = make_descriptor(0, 0xfffff, ACCESS_DATA, GRANULAR_32_BIT);
    gdt[3] = make_descriptor(0, 0xfffff, ACCESS_CODE | ACCESS_RING3, GRANULAR_32_BIT);
    gdt[4] = make_descriptor(0, 0xfffff, ACCESS_DATA | ACCESS_RING3, GRANULAR_32_BIT);
    gdt[5] = make_descriptor((uint32_t)&task_state, sizeof task_state - 1, ACCESS_TASK_STATE, 0);
    struct table_pointer gdt_pointer = {sizeof gdt - 1, (uint32_t)gdt};
    __asm__ volatile("lgdt %0\n\t"
                     "ljmp %1, $1f\n"
                     "1:\tmov %2, %%ds\n\tmov %2, %%es\n\tmov %2, %%fs\n\tmov %2, %%gs\n\tmov %2, %%ss"
                     :
                     : "m"(gdt_pointer), "i"(KERNEL_CODE), "r"(KERNEL_DATA)
                     : "memory");

    task_state.ss0 = KERNEL_DATA;
    task_state.io_map_base = sizeof task_state; /* beyond the limit: no port is open to ring 3 */
    __asm__ volatile("ltr %w0" : : "r"(TASK_STATE));

    for (unsigned vector = 0; vector < 48; vector++)
        set_gate(vector, interrupt_stubs[vector], ACCESS_INTERRUPT_GATE);
    /* The only gate that ring 3 may call with INT. */
    set_gate(VECTOR_SYSTEM_CALL, interrupt_stubs[48], ACCESS_INTERRUPT_GATE | ACCESS_RING3);
    struct table_pointer idt_pointer = {sizeof idt - 1, (uint32_t)idt};
    __asm__ volatile("lidt %0" : : "m"(idt_pointer));
}

void cpu_set_kernel_stack(uint32_t top)
{
    task_state.esp0 = top;
}

struct frame *interrupt_dispatch(struct frame *frame)
{
    if (frame->vector == VECTOR_SYSTEM_CALL)
        return syscall_dispatch(frame);
    if (frame->vector < VECTOR_IRQ0)
        return exception_dispatch(frame);
    timer_interrupt(frame->vector - VECTOR_IRQ0);
    if (frame->vector != VECTOR_IRQ0)
        return frame;
    /* Every tick ends the present task's turn: preemption. */
    tasks[scheduler_current()].preemptions++;
    return scheduler_switch(frame);
}
