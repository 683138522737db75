/* The order of things, and the prompt. */
#include "kernel.h"

enum { MULTIBOOT_LOADER_MAGIC = 0x2badb002, FLOPPY_MAGIC = 0x504f4c46, ROUNDS = 5, FOREVER = 0xffffffff };

static char command_line[128];

/* Called before anything else, while the loader's data is still where it was. */
void save_boot_information(uint32_t magic, uint32_t information)
{
    const char *from = NULL;
    if (magic == MULTIBOOT_LOADER_MAGIC) {
        const uint32_t *fields = (const uint32_t *)information;
        if (fields[0] & 1 << 2) /* Multiboot Specification 3.3: flags, and cmdline at offset 16 */
            from = (const char *)fields[4];
    } else if (magic == FLOPPY_MAGIC) {
        from = (const char *)information;
    }
    for (size_t i = 0; from && from[i] && i < sizeof command_line - 1; i++)
        command_line[i] = from[i];
}

static bool same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

/* Is WORD one of the words of the command line? */
static bool command_line_has(const char *word)
{
    const char *at = command_line;
    while (*at) {
        const char *w = word;
        while (*w && *at == *w)
            at++, w++;
        if (!*w && (*at == ' ' || !*at))
            return true;
        while (*at && *at != ' ')
            at++;
        while (*at == ' ')
            at++;
    }
    return false;
}

static void show_tasks(void)
{
    static const char *const states[] = {"unused", "ready", "ended"};
    for (unsigned i = 0; i < TASK_COUNT; i++)
        console_print("task %u  %s  %s, preempted %u times, cr3 %x\r\n", i, tasks[i].name, states[tasks[i].state],
                      tasks[i].preemptions, tasks[i].cr3);
}

static void obey(const char *line)
{
    if (same(line, "help"))
        console_print("help  tasks  uptime  poweroff  reboot\r\n");
    else if (same(line, "tasks"))
        show_tasks();
    else if (same(line, "uptime"))
        console_print("%u seconds\r\n", timer_ticks / TICKS_PER_SECOND);
    else if (same(line, "poweroff"))
        machine_power_off();
    else if (same(line, "reboot"))
        machine_reset();
    else if (*line)
        console_print("%s? Try help.\r\n", line);
}

/* Waits for a line on the serial console. HLT stops the processor until the next interrupt; the timer's
 * come often enough for a person who types. */
static void read_line(char *line, size_t size)
{
    size_t length = 0;
    for (;;) {
        int c = console_read();
        if (c < 0) {
            __asm__ volatile("hlt");
        } else if (c == '\r' || c == '\n') {
            console_print("\r\n");
            line[length] = 0;
            return;
        } else if ((c == 8 || c == 127) && length > 0) {
            length--;
            console_print("\b \b");
        } else if (c >= ' ' && c < 127 && length + 1 < size) {
            char typed = (char)c;
            line[length++] = typed;
            console_write(&typed, 1);
        }
    }
}

/* With `test` on the command line: waits for both tasks, judges what happened and powers off. */
static void run_test(void)
{
    while (tasks[1].state != TASK_ENDED || tasks[2].state != TASK_ENDED)
        __asm__ volatile("hlt");
    bool shared_fairly = tasks[1].preemptions >= 3 && tasks[2].preemptions >= 3;
    bool ended_as_expected = tasks[1].exit_code == ROUNDS && tasks[2].exit_code == VECTOR_PAGE_FAULT << 8;
    console_print("[scheduler] preemption %s\r\n", shared_fairly ? "works" : "FAILED");
    console_print("[tasks] exit codes %s\r\n", ended_as_expected ? "as expected" : "WRONG");
    console_print("teaching kernel: %s\r\n", shared_fairly && ended_as_expected ? "PASS" : "FAIL");
    machine_power_off();
}

void kernel_main(uint32_t interrupt_answer, uint32_t conventional_kib)
{
    console_init();
    console_print("[real mode] int 60h answered %u; %u KiB of conventional memory\r\n", interrupt_answer & 0xffff,
                  conventional_kib & 0xffff);
    cpu_init();
    console_print("[protected mode] segments, gates and task state segment are in place\r\n");
    paging_init();
    console_print("[paging] on; tasks see their own memory at %x\r\n", TASK_DATA);
    scheduler_init();
    timer_init();
    console_print("[timer] %u interrupts a second\r\n", TICKS_PER_SECOND);

    bool test = command_line_has("test");
    scheduler_start(1, "counter", task_counter, test ? ROUNDS : FOREVER);
    scheduler_start(2, "intruder", task_intruder, test ? ROUNDS : FOREVER);
    __asm__ volatile("sti");
    if (test)
        run_test();

    console_print("Two tasks are running; their counters are at the top right of the screen. Try help.\r\n");
    for (;;) {
        char line[64];
        console_print("> ");
        read_line(line, sizeof line);
        obey(line);
    }
}
