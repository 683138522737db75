/* Tasks, and round robin among those that are ready.
 *
 * A task that does not run is its address space and its frame: the registers that the interrupt stub
 * saved on the task's kernel stack. To switch is to remember one frame and return another. */
#include "kernel.h"

enum { KERNEL_STACK_SIZE = 4096 };

struct task tasks[TASK_COUNT];
static unsigned current;
static uint8_t kernel_stacks[TASK_COUNT][KERNEL_STACK_SIZE] __attribute__((aligned(16)));

void scheduler_init(void)
{
    uint32_t cr3;
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    /* What runs now becomes task 0. It stays in ring 0, so it needs no stack to come in by. */
    tasks[0] = (struct task){.name = "kernel", .state = TASK_READY, .cr3 = cr3};
}

void scheduler_start(unsigned number, const char *name, void (*code)(uint32_t), uint32_t rounds)
{
    struct task *task = &tasks[number];
    uint32_t top = (uint32_t)kernel_stacks[number] + KERNEL_STACK_SIZE;
    struct frame *frame = (struct frame *)(top - sizeof *frame);
    uint32_t cr3 = paging_create_space();

    /* The task's first frame looks as if it had been interrupted just before its first instruction.
     * Its argument is on its stack, above a return address that it must never use. */
    paging_use(cr3);
    uint32_t *user_stack = (uint32_t *)TASK_STACK_TOP;
    *--user_stack = rounds;
    *--user_stack = 0;
    paging_use(tasks[0].cr3);
    *frame = (struct frame){.gs = USER_DATA,
                            .fs = USER_DATA,
                            .es = USER_DATA,
                            .ds = USER_DATA,
                            .eip = (uint32_t)code,
                            .cs = USER_CODE,
                            .eflags = 0x202, /* interrupts on, IOPL 0 */
                            .esp = (uint32_t)user_stack,
                            .ss = USER_DATA};
    *task = (struct task){.name = name, .frame = frame, .cr3 = cr3, .kernel_stack_top = top, .state = TASK_READY};
}

unsigned scheduler_current(void)
{
    return current;
}

static bool can_run(const struct task *task)
{
    return task->state == TASK_READY && (int32_t)(timer_ticks - task->wake_tick) >= 0;
}

struct frame *scheduler_switch(struct frame *frame)
{
    tasks[current].frame = frame;
    unsigned next = current;
    do
        next = (next + 1) % TASK_COUNT;
    while (!can_run(&tasks[next])); /* task 0 always can */
    current = next;
    cpu_set_kernel_stack(tasks[next].kernel_stack_top);
    paging_use(tasks[next].cr3);
    return tasks[next].frame;
}

void scheduler_end_current(uint32_t exit_code)
{
    tasks[current].state = TASK_ENDED;
    tasks[current].exit_code = exit_code;
}
