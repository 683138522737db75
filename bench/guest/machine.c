// The kernels on the bare machine: tables, paging, the serial line, and the kernels that need privileges.
//
// There is no clock in here. Each kernel prints `begin NAME COUNT`, then a line with a dot when its work is
// done, then `end NAME COUNT CHECKSUM`; whoever listens takes the time between the first two lines.
//
// Words of the multiboot command line: scale=PERCENT, and names of kernels (none: all).
#include "kernels.h"

#include <stdbool.h>

enum { COM1 = 0x3f8, LINE_STATUS = COM1 + 5, DEBUG_EXIT = 0xf4 };
enum { MULTIBOOT_LOADED = 0x2badb002 };
enum { CODE32 = 0x08, TASK = 0x38 };
enum { PAGE_PRESENT = 1, PAGE_WRITABLE = 2, PAGE_USER = 4 };
enum { MAPPED_TABLES = 4 }; // of 4 MiB each

extern void load_tables(const void *gdt_pointer, const void *idt_pointer);
extern uint32_t run_real(uint32_t count), run_user(void (*function)(void), uint32_t count);
extern void user_syscalls(void);
extern void handle_syscall(void), handle_leave_user(void), handle_page_fault(void), handle_other(void);
extern uint8_t *real_data;

struct table_pointer {
    uint16_t limit;
    uint32_t base;
} __attribute__((packed));

static uint32_t page_directory[1024] __attribute__((aligned(4096)));
static uint32_t page_tables[MAPPED_TABLES][1024] __attribute__((aligned(4096)));
static uint8_t fault_page[4096] __attribute__((aligned(4096)));
static struct arena arena __attribute__((aligned(4096)));
static uint32_t task_segment[26];
static uint8_t task_stack[4096] __attribute__((aligned(16)));
static uint64_t idt[256];
static uint64_t gdt[8] = {
    [1] = 0x00cf9b000000ffff, // flat code and data, rings 0 and 3
    [2] = 0x00cf93000000ffff, [3] = 0x00cffb000000ffff, [4] = 0x00cff3000000ffff,
    [5] = 0x00009b000000ffff, // 64 KiB at 0, 16-bit, for the way to real mode
    [6] = 0x000093000000ffff,
};
uint32_t *fault_entry; // start.asm: the page-table entry of fault_page

static void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

static uint8_t in8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void print(const char *text)
{
    for (; *text; text++) {
        while (!(in8(LINE_STATUS) & 0x20)) // holding register empty
            ;
        out8(COM1, (uint8_t)*text);
    }
}

static void print_number(uint32_t value, uint32_t base, int digits)
{
    char text[12], *at = text + sizeof(text) - 1;
    *at = 0;
    do {
        *--at = "0123456789abcdef"[value % base];
        value /= base;
    } while (value || --digits > 0 && text + sizeof(text) - 1 - at < 8 && base == 16);
    print(at);
}

// Returns when the last bit is on the line, so that slow lines do not run into the measured time.
static void print_end_of_line(void)
{
    print("\n");
    while (!(in8(LINE_STATUS) & 0x40))
        ;
}

static void __attribute__((noreturn)) power_off(void)
{
    print("done\n");
    out8(DEBUG_EXIT, 0); // isa-debug-exit
    for (;;)
        __asm__ volatile("cli\n\thlt");
}

void guest_fault(void)
{
    print("fault: an exception that no kernel expects\n");
    power_off();
}

static void set_gate(unsigned vector, void (*handler)(void), unsigned privilege)
{
    uint32_t offset = (uint32_t)(uintptr_t)handler;
    idt[vector] =
        (uint64_t)(offset >> 16) << 48 | (uint64_t)(0x8e00 | privilege << 13) << 32 | CODE32 << 16 | (offset & 0xffff);
}

static void set_up_tables(void)
{
    for (unsigned vector = 0; vector < 32; vector++)
        set_gate(vector, handle_other, 0);
    set_gate(14, handle_page_fault, 0);
    set_gate(0x80, handle_syscall, 3);
    set_gate(0x81, handle_leave_user, 3);
    uint32_t task = (uint32_t)(uintptr_t)task_segment;
    task_segment[1] = (uint32_t)(uintptr_t)(task_stack + sizeof(task_stack)); // ESP0, SS0
    task_segment[2] = 0x10;
    gdt[TASK / 8] = (uint64_t)(task >> 24) << 56 | (uint64_t)0x89 << 40 | (uint64_t)(task & 0xffffff) << 16 |
                    (sizeof(task_segment) - 1);
    struct table_pointer gdt_pointer = {sizeof(gdt) - 1, (uint32_t)(uintptr_t)gdt};
    struct table_pointer idt_pointer = {sizeof(idt) - 1, (uint32_t)(uintptr_t)idt};
    load_tables(&gdt_pointer, &idt_pointer);
}

// Everything at its own address, for ring 3 too, in pages of 4 KiB; x87 and SSE switched on.
static void set_up_processor(void)
{
    for (uint32_t page = 0; page < MAPPED_TABLES * 1024; page++)
        page_tables[page / 1024][page % 1024] = page << 12 | PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER;
    for (uint32_t table = 0; table < MAPPED_TABLES; table++)
        page_directory[table] = (uint32_t)(uintptr_t)page_tables[table] | PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER;
    uint32_t page = (uint32_t)(uintptr_t)fault_page >> 12;
    fault_entry = &page_tables[page / 1024][page % 1024];
    uint32_t cr0, cr4;
    __asm__ volatile("movl %0, %%cr3" ::"r"(page_directory) : "memory");
    __asm__ volatile("movl %%cr0, %0" : "=r"(cr0));
    cr0 = (cr0 & ~0x6000000cu) | 0x80000022; // PG, NE, MP; caches on, no EM, no TS
    __asm__ volatile("movl %0, %%cr0" ::"r"(cr0) : "memory");
    __asm__ volatile("movl %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("movl %0, %%cr4" ::"r"(cr4 | 0x600)); // OSFXSR, OSXMMEXCPT
    __asm__ volatile("fninit");
}

uint32_t platform_run_code16(uint32_t count, uint8_t *data)
{
    for (uint32_t i = 0; i < 65536; i++)
        real_data[i] = data[i];
    return run_real(count);
}

// Into ring 0 and back, by interrupt gate and IRET.
static uint32_t run_syscalls(uint32_t count, struct arena *unused)
{
    return run_user(user_syscalls, count);
}

// A page is taken away and its next access faults: what an operating system's memory management does.
static uint32_t run_faults(uint32_t count, struct arena *unused)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        *fault_entry &= ~(uint32_t)PAGE_PRESENT;
        __asm__ volatile("invlpg %0" ::"m"(*fault_page) : "memory");
        fault_page[i & 4095]++;
        sum += *(volatile uint8_t *)&fault_page[i & 4095];
    }
    return sum;
}

// The whole TLB is flushed, and eight pages are touched.
static uint32_t run_flushes(uint32_t count, struct arena *memory)
{
    uint32_t sum = 0;
    for (uint32_t page = 0; page < 8; page++)
        memory->data[page * 4096] = (uint8_t)page;
    for (uint32_t i = 0; i < count; i++) {
        __asm__ volatile("movl %0, %%cr3" ::"r"(page_directory) : "memory");
        for (uint32_t page = 0; page < 8; page++)
            sum += ((volatile uint8_t *)memory->data)[page * 4096];
    }
    return sum;
}

static const struct kernel privileged_kernels[] = {
    {"syscalls", run_syscalls, 1000000},
    {"faults", run_faults, 600000},
    {"flushes", run_flushes, 300000},
    {0},
};

static bool has_word(const char *line, const char *word)
{
    for (bool at_start = true; *line; at_start = *line == ' ', line++) {
        const char *a = line, *b = word;
        while (*b && *a == *b)
            a++, b++;
        if (at_start && !*b && (!*a || *a == ' '))
            return true;
    }
    return false;
}

static uint32_t read_scale(const char *line)
{
    for (; *line; line++) {
        const char *a = line, *b = "scale=";
        while (*b && *a == *b)
            a++, b++;
        uint32_t value = 0;
        for (; !*b && *a >= '0' && *a <= '9'; a++)
            value = value * 10 + (uint32_t)(*a - '0');
        if (value)
            return value;
    }
    return 100;
}

static bool names_a_kernel(const char *line, const struct kernel *list)
{
    for (; list->name; list++)
        if (has_word(line, list->name))
            return true;
    return false;
}

static void run_kernels(const struct kernel *list, const char *line, bool all, uint32_t percent)
{
    for (; list->name; list++) {
        if (!all && !has_word(line, list->name))
            continue;
        uint32_t count = list->count / 100 * percent + list->count % 100 * percent / 100;
        print("begin ");
        print(list->name);
        print_end_of_line();
        uint32_t sum = list->run(count, &arena);
        print(".\nend ");
        print(list->name);
        print(" ");
        print_number(count, 10, 1);
        print(" ");
        print_number(sum, 16, 8);
        print_end_of_line();
    }
}

// The command line (Multiboot Specification, 3.3: flags bit 2, cmdline at offset 16), or "".
static const char *find_command_line(uint32_t magic, const uint32_t *information)
{
    if (magic == MULTIBOOT_LOADED && information[0] & 4)
        return (const char *)(uintptr_t)information[4];
    return "";
}

void guest_main(uint32_t magic, const uint32_t *information)
{
    static char line[256];
    const char *from = find_command_line(magic, information);
    for (unsigned i = 0; i + 1 < sizeof(line) && from[i]; i++)
        line[i] = from[i];
    out8(COM1 + 3, 3); // 8 bits, no parity; FIFO on
    out8(COM1 + 2, 7);
    set_up_tables();
    set_up_processor();
    print("\n");
    bool all = !names_a_kernel(line, kernels) && !names_a_kernel(line, privileged_kernels);
    uint32_t percent = read_scale(line);
    run_kernels(kernels, line, all, percent);
    run_kernels(privileged_kernels, line, all, percent);
    power_off();
}
