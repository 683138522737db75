// The kernels on the bare machine: tables, paging, the serial line, and the kernels that need privileges.
//
// There is no clock in here. Each kernel prints `begin NAME SUITE @MARK`, then a line with a dot and a mark each time
// its work is done, then `end NAME COUNT CHECKSUM`; whoever listens takes the time between the lines. A mark is the
// time-stamp counter, for those who want to know more exactly how the time between `begin` and the last dot is divided.
//
// Words of the multiboot command line: scale=PERCENT of the usual work, rounds=N to do it N times (N dots), names of
// kernels or suites (none: all). `list`: only `kernel NAME SUITE COUNT WHERE` for each, where WHERE is `anywhere`, or
// `guest` for those that need privileges.
#include "machine.h"

enum { COM1 = 0x3f8, LINE_STATUS = COM1 + 5, DEBUG_EXIT = 0xf4 };
enum { MULTIBOOT_LOADED = 0x2badb002 };
enum { CODE32 = 0x08, TASK = 0x38, SEGMENT16_CODE = 0x40, SEGMENT16_WINDOWS = 0x48 };
enum { PAGE_PRESENT = 1, PAGE_WRITABLE = 2, PAGE_USER = 4 };
enum { MAPPED_TABLES = 4 }; // of 4 MiB each

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
static uint64_t gdt[9 + CODE16_WINDOWS] = {
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

static void print_mark(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    print(" @");
    print_number(high, 16, 8);
    print_number(low, 16, 8);
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

// A 16-bit segment of 64 KiB.
static uint64_t make_segment16(const uint8_t *base, unsigned access)
{
    uint32_t address = (uint32_t)(uintptr_t)base;
    return (uint64_t)access << 40 | (uint64_t)(address & 0xffffff) << 16 | 0xffff;
}

static void set_up_tables(void)
{
    for (unsigned vector = 0; vector < 32; vector++)
        set_gate(vector, handle_other, 0);
    set_gate(13, handle_general_protection, 0);
    set_gate(14, handle_page_fault, 0);
    set_gate(0x80, handle_syscall, 3);
    set_gate(0x81, handle_leave_user, 3);
    uint32_t task = (uint32_t)(uintptr_t)task_segment;
    task_segment[1] = (uint32_t)(uintptr_t)(task_stack + sizeof(task_stack)); // ESP0, SS0
    task_segment[2] = 0x10;
    gdt[TASK / 8] = (uint64_t)(task >> 24) << 56 | (uint64_t)0x89 << 40 | (uint64_t)(task & 0xffffff) << 16 |
                    (sizeof(task_segment) - 1);
    gdt[SEGMENT16_CODE / 8] = make_segment16(real_code16, 0x9b);
    for (unsigned window = 0; window < CODE16_WINDOWS; window++)
        gdt[SEGMENT16_WINDOWS / 8 + window] = make_segment16(real_data + window * CODE16_WINDOW_STEP, 0x93);
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

uint32_t platform_run_code16(enum code16_mode mode, enum code16_loop loop, uint32_t count, const uint8_t *data)
{
    extern const uint8_t code16[], code16_from_v86[];
    uint32_t data_segment = (uint32_t)(uintptr_t)real_data >> 4, code_segment = (uint32_t)(uintptr_t)real_code16 >> 4;
    uint16_t segments[CODE16_WINDOWS];
    for (uint32_t i = 0; i < 65536; i++)
        real_data[i] = data[i];
    for (uint32_t i = 0; i < CODE16_WINDOWS; i++)
        segments[i] = mode == CODE16_PROTECTED ? (uint16_t)(SEGMENT16_WINDOWS + 8 * i)
                                               : (uint16_t)(data_segment + i * (CODE16_WINDOW_STEP / 16));
    code16_place_segments(loop, real_data, segments);
    if (mode == CODE16_REAL)
        return run_real(count, loop);
    if (mode == CODE16_PROTECTED)
        return call_segment16(count, loop, SEGMENT16_CODE, SEGMENT16_WINDOWS);
    return run_v86(count, loop, code_segment, (uint32_t)(code16_from_v86 - code16), data_segment);
}

// A program in virtual-8086 mode that needs its monitor all the time.
static uint32_t run_traps(uint32_t count, struct arena *memory)
{
    extern const uint8_t code16[], code16_service[];
    *(volatile uint16_t *)(0x60 * 4) = (uint16_t)(code16_service - code16);
    *(volatile uint16_t *)(0x60 * 4 + 2) = (uint16_t)((uint32_t)(uintptr_t)real_code16 >> 4);
    return run_code16(CODE16_V86, LOOP_TRAPS, count, memory);
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
    for (uint32_t i = 0; i < sizeof(fault_page); i++)
        fault_page[i] = 0;
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
    {"syscalls", "system", run_syscalls, 1000000},
    {"faults", "system", run_faults, 600000},
    {"flushes", "system", run_flushes, 300000},
    {"v86.traps", "system", run_traps, 150000},
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

// The number behind `name`, as in scale=50.
static uint32_t read_number(const char *line, const char *name, uint32_t otherwise)
{
    for (; *line; line++) {
        const char *a = line, *b = name;
        while (*b && *a == *b)
            a++, b++;
        uint32_t value = 0;
        for (; !*b && *a >= '0' && *a <= '9'; a++)
            value = value * 10 + (uint32_t)(*a - '0');
        if (value)
            return value;
    }
    return otherwise;
}

static bool is_wanted(const char *line, const struct kernel *kernel)
{
    return has_word(line, kernel->name) || has_word(line, kernel->suite);
}

static bool wants_any(const char *line, const struct kernel *list)
{
    for (; list->name; list++)
        if (is_wanted(line, list))
            return true;
    return false;
}

static void run_kernel(const struct kernel *kernel, uint32_t percent, uint32_t rounds)
{
    uint32_t count = kernel->count / 100 * percent + kernel->count % 100 * percent / 100, sum = 0;
    print("begin ");
    print(kernel->name);
    print(" ");
    print(kernel->suite);
    print_mark();
    print_end_of_line();
    for (uint32_t round = 0; round < rounds; round++) {
        sum = kernel->run(count, &arena);
        print(".");
        print_mark();
        print_end_of_line();
    }
    print("end ");
    print(kernel->name);
    print(" ");
    print_number(count, 10, 1);
    print(" ");
    print_number(sum, 16, 8);
    print_end_of_line();
}

static void list_kernels(const struct kernel *list, const char *where)
{
    for (; list->name; list++) {
        print("kernel ");
        print(list->name);
        print(" ");
        print(list->suite);
        print(" ");
        print_number(list->count, 10, 1);
        print(" ");
        print(where);
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
    static char line[1024];
    const char *from = find_command_line(magic, information);
    for (unsigned i = 0; i + 1 < sizeof(line) && from[i]; i++)
        line[i] = from[i];
    out8(COM1 + 3, 3); // 8 bits, no parity; FIFO on
    out8(COM1 + 2, 7);
    set_up_tables();
    set_up_processor();
    print("\n");
    if (has_word(line, "list")) {
        list_kernels(kernels, "anywhere");
        list_kernels(privileged_kernels, "guest");
        power_off();
    }
    bool all = !wants_any(line, kernels) && !wants_any(line, privileged_kernels);
    uint32_t percent = read_number(line, "scale=", 100), rounds = read_number(line, "rounds=", 1);
    for (const struct kernel *kernel = kernels; kernel->name; kernel++)
        if (all || is_wanted(line, kernel))
            run_kernel(kernel, percent, rounds);
    for (const struct kernel *kernel = privileged_kernels; kernel->name; kernel++)
        if (all || is_wanted(line, kernel))
            run_kernel(kernel, percent, rounds);
    power_off();
}
