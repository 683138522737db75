// The kernels as a process of the host: what the guest program is compared with. Without a C library, so that
// building it needs nothing but a compiler that knows -m32.
//
//   native [WORD...]      the words of the guest's command line (machine.c)
//
// Prints what the guest prints, but with the processor seconds of the process behind each dot. Kernels that need
// privileges do not exist here.
#include "kernels.h"

#include <stdbool.h>

// Linux's interface for 32-bit processes (modify_ldt(2), mmap2(2), clock_gettime(2)).
enum { CALL_WRITE = 4, CALL_MODIFY_LDT = 123, CALL_MMAP2 = 192, CALL_EXIT_GROUP = 252, CALL_CLOCK_GETTIME = 265 };
enum { READ_WRITE_EXECUTE = 1 | 2 | 4, PRIVATE = 2, ANONYMOUS = 0x20, POPULATE = 0x8000 };
enum { LDT_WRITE = 0x11, SEGMENT_DATA = 0, SEGMENT_CODE = 2, CLOCK_OF_PROCESS = 2 };

struct user_desc {
    uint32_t entry_number, base_addr, limit;
    uint32_t seg_32bit : 1, contents : 2, read_exec_only : 1, limit_in_pages : 1, seg_not_present : 1, useable : 1;
};

static long call_system(long number, long a, long b, long c, long d, long e, long f)
{
    long arguments[2] = {number, f}, result; // EBP is the sixth argument
    __asm__ volatile("pushl %%ebp\n\t"
                     "movl 4(%%eax), %%ebp\n\t"
                     "movl (%%eax), %%eax\n\t"
                     "int $0x80\n\t"
                     "popl %%ebp"
                     : "=a"(result)
                     : "a"(arguments), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
                     : "memory", "cc");
    return result;
}

static void __attribute__((noreturn)) leave(int code)
{
    for (;;)
        call_system(CALL_EXIT_GROUP, code, 0, 0, 0, 0, 0);
}

static uint32_t length_of(const char *text)
{
    uint32_t length = 0;
    while (text[length])
        length++;
    return length;
}

static void print(const char *text)
{
    uint32_t length = length_of(text);
    while (length) {
        long written = call_system(CALL_WRITE, 1, (long)text, (long)length, 0, 0, 0);
        if (written <= 0)
            leave(1);
        text += written, length -= (uint32_t)written;
    }
}

static void print_number(uint32_t value, uint32_t base, int digits)
{
    char text[12], *at = text + sizeof(text) - 1;
    *at = 0;
    do {
        *--at = "0123456789abcdef"[value % base];
        value /= base;
        digits--;
    } while (value || digits > 0);
    print(at);
}

// One 16-bit segment of 64 KiB at `base`; the selector, or 0 where the kernel does not allow such segments.
static uint16_t make_segment(unsigned entry, const void *base, unsigned contents)
{
    struct user_desc segment = {
        .entry_number = entry,
        .base_addr = (unsigned)(uintptr_t)base,
        .limit = 0xffff,
        .contents = contents,
    };
    if (call_system(CALL_MODIFY_LDT, LDT_WRITE, (long)&segment, sizeof(segment), 0, 0, 0) != 0)
        return 0;
    return (uint16_t)(entry << 3 | 7); // local table, privilege level 3
}

uint32_t platform_run_code16(enum code16_mode mode, enum code16_loop loop, uint32_t count, const uint8_t *data)
{
    extern const uint8_t code16[], code16_end[];
    struct arena *arena = (struct arena *)data;
    for (uint32_t i = 0; i < (uint32_t)(code16_end - code16); i++)
        arena->code[i] = code16[i];
    uint16_t windows[CODE16_WINDOWS], code = make_segment(0, arena->code, SEGMENT_CODE);
    for (unsigned i = 0; i < CODE16_WINDOWS; i++) {
        windows[i] = make_segment(1 + i, arena->data + i * CODE16_WINDOW_STEP, SEGMENT_DATA);
        if (!code || !windows[i])
            return 0;
    }
    code16_place_segments(loop, arena->data, windows);
    return call_segment16(count, loop, code, windows[0]);
}

static void print_processor_seconds(void)
{
    struct {
        uint32_t seconds, nanoseconds;
    } time;
    call_system(CALL_CLOCK_GETTIME, CLOCK_OF_PROCESS, (long)&time, 0, 0, 0, 0);
    print_number(time.seconds, 10, 1);
    print(".");
    print_number(time.nanoseconds, 10, 9);
}

static bool is_same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static bool is_wanted(const struct kernel *kernel, char **words)
{
    for (; *words; words++)
        if (is_same(kernel->name, *words) || is_same(kernel->suite, *words))
            return true;
    return false;
}

static uint32_t read_number(char **words, const char *name, uint32_t otherwise)
{
    for (; *words; words++) {
        const char *a = *words, *b = name;
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

static void run_kernel(const struct kernel *kernel, uint32_t percent, uint32_t rounds, struct arena *arena)
{
    uint32_t count = kernel->count / 100 * percent + kernel->count % 100 * percent / 100, sum = 0;
    print("begin ");
    print(kernel->name);
    print(" ");
    print(kernel->suite);
    print(" ");
    print_processor_seconds();
    print("\n");
    for (uint32_t round = 0; round < rounds; round++) {
        sum = kernel->run(count, arena);
        print(". ");
        print_processor_seconds();
        print("\n");
    }
    print("end ");
    print(kernel->name);
    print(" ");
    print_number(count, 10, 1);
    print(" ");
    print_number(sum, 16, 8);
    print("\n");
}

static void __attribute__((noreturn, used)) run(uint32_t *stack)
{
    char **words = (char **)(stack + 2); // argc, argv[0]
    if (!stack[0])
        words--;
    long memory =
        call_system(CALL_MMAP2, 0, sizeof(struct arena), READ_WRITE_EXECUTE, PRIVATE | ANONYMOUS | POPULATE, -1, 0);
    if ((unsigned long)memory > -4096ul) {
        print("native: no memory that is writable and executable\n");
        leave(1);
    }
    bool all = true;
    for (const struct kernel *kernel = kernels; kernel->name; kernel++)
        all = all && !is_wanted(kernel, words);
    uint32_t percent = read_number(words, "scale=", 100), rounds = read_number(words, "rounds=", 1);
    for (const struct kernel *kernel = kernels; kernel->name; kernel++)
        if (all || is_wanted(kernel, words))
            run_kernel(kernel, percent, rounds, (struct arena *)memory);
    leave(0);
}

__asm__(".globl _start\n"
        "_start: movl %esp, %eax\n\t"
        "andl $-16, %esp\n\t"
        "subl $12, %esp\n\t"
        "pushl %eax\n\t"
        "call run\n");
