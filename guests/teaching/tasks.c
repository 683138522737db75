/* The two tasks.  They run in ring 3: no ports, no interrupts to switch off, no memory but their own
 * pages, and int 0x80 as the only door. */
#include "kernel.h"

static uint32_t call(enum syscall number, uint32_t first, uint32_t second)
{
    uint32_t answer;
    __asm__ volatile("int $0x80" : "=a"(answer) : "a"(number), "b"(first), "c"(second) : "memory");
    return answer;
}

/* At TASK_DATA, the same address in both tasks. */
struct private_data {
    uint32_t counter;
    char text[64];
};
static struct private_data *const mine = (struct private_data *)TASK_DATA;

static uint32_t append(uint32_t length, const char *text)
{
    while (*text)
        mine->text[length++] = *text++;
    return length;
}

static uint32_t append_number(uint32_t length, uint32_t value)
{
    uint32_t scale = 1;
    while (value / scale >= 10)
        scale *= 10;
    for (; scale; scale /= 10)
        mine->text[length++] = (char)('0' + value / scale % 10);
    return length;
}

/* Keeps the processor busy until the clock has moved on by TICKS. Nothing in here gives the processor
 * away: that the other task runs meanwhile is the timer's doing. */
static void work(uint32_t ticks)
{
    uint32_t start = call(SYSCALL_TICKS, 0, 0);
    while (call(SYSCALL_TICKS, 0, 0) - start < ticks) {
        for (volatile uint32_t i = 0; i < 1000; i++) {
        }
    }
}

static void rounds_of_work(const char *name, uint32_t rounds)
{
    for (uint32_t i = 0; i < rounds; i++) {
        mine->counter++;
        if (rounds < 100) {
            uint32_t length = append(0, name);
            length = append(length, ": round ");
            length = append_number(length, mine->counter);
            length = append(length, "\r\n");
            call(SYSCALL_WRITE, (uint32_t)mine->text, length);
            work(3);
        } else {
            uint32_t length = append(append(0, name), " ");
            call(SYSCALL_STATUS, (uint32_t)mine->text, append_number(length, mine->counter));
            work(1);
            call(SYSCALL_SLEEP, TICKS_PER_SECOND / 10, 0);
        }
    }
}

void task_counter(uint32_t rounds)
{
    rounds_of_work("counter", rounds);
    /* A pointer to kernel memory: the system call refuses it. */
    if (call(SYSCALL_WRITE, 0x100000, 16) == (uint32_t)-1) {
        uint32_t length = append(0, "counter: the kernel keeps its memory to itself\r\n");
        call(SYSCALL_WRITE, (uint32_t)mine->text, length);
    }
    call(SYSCALL_EXIT, mine->counter, 0);
}

void task_intruder(uint32_t rounds)
{
    rounds_of_work("intruder", rounds);
    uint32_t length = append(0, "intruder: writing to kernel memory\r\n");
    call(SYSCALL_WRITE, (uint32_t)mine->text, length);
    *(volatile uint32_t *)0x100000 = 0;
    length = append(0, "intruder: still here, which is WRONG\r\n");
    call(SYSCALL_WRITE, (uint32_t)mine->text, length);
    call(SYSCALL_EXIT, 0, 0);
}
