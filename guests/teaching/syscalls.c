/* What tasks may ask for with int 0x80, and what becomes of those that break the rules. */
#include "kernel.h"

static uint32_t do_write(const struct frame *frame)
{
    /* A pointer from ring 3 is a claim, not a fact: the kernel could read what the task must not. */
    if (!paging_user_may_read(frame->ebx, frame->ecx))
        return (uint32_t)-1;
    console_write((const char *)frame->ebx, frame->ecx);
    return frame->ecx;
}

static uint32_t do_ticks(const struct frame *frame)
{
    (void)frame;
    return timer_ticks;
}

static uint32_t do_sleep(const struct frame *frame)
{
    tasks[scheduler_current()].wake_tick = timer_ticks + frame->ebx;
    return 0;
}

static uint32_t do_exit(const struct frame *frame)
{
    scheduler_end_current(frame->ebx);
    return 0;
}

static uint32_t do_status(const struct frame *frame)
{
    if (!paging_user_may_read(frame->ebx, frame->ecx))
        return (uint32_t)-1;
    console_status(scheduler_current(), (const char *)frame->ebx, frame->ecx);
    return 0;
}

static uint32_t (*const syscalls[SYSCALL_COUNT])(const struct frame *) = {[SYSCALL_EXIT] = do_exit,
                                                                          [SYSCALL_WRITE] = do_write,
                                                                          [SYSCALL_TICKS] = do_ticks,
                                                                          [SYSCALL_SLEEP] = do_sleep,
                                                                          [SYSCALL_STATUS] = do_status};

struct frame *syscall_dispatch(struct frame *frame)
{
    uint32_t number = frame->eax;
    frame->eax = number < SYSCALL_COUNT ? syscalls[number](frame) : (uint32_t)-1;
    /* Two calls give the processor away. */
    return number == SYSCALL_EXIT || number == SYSCALL_SLEEP ? scheduler_switch(frame) : frame;
}

struct frame *exception_dispatch(struct frame *frame)
{
    uint32_t address;
    __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    if ((frame->cs & 3) != 3) {
        console_print("kernel: exception %u, error code %x, at %x, cr2 %x\r\nteaching kernel: FAIL\r\n", frame->vector,
                      frame->error_code, frame->eip, address);
        machine_power_off();
    }
    /* The task is at fault, so it ends, and only it. */
    console_print("[task %u] ended by exception %u, error code %x, cr2 %x\r\n", scheduler_current(), frame->vector,
                  frame->error_code, frame->vector == VECTOR_PAGE_FAULT ? address : 0);
    scheduler_end_current(frame->vector << 8);
    return scheduler_switch(frame);
}
