// The kernels as a process of the host: what the guest program is compared with.
//
//   native [PERCENT [NAME...]]      amount of work; only these kernels
//
// For each kernel one line `end NAME COUNT CHECKSUM SECONDS`, in processor seconds. Kernels that need
// privileges do not exist here.
#define _GNU_SOURCE
#include "kernels.h"

#include <asm/ldt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

extern const uint8_t code16[], code16_end[];

// One 16-bit segment of 64 KiB at `base`; the selector, or 0 where the kernel does not allow such segments.
static unsigned make_segment(unsigned entry, const void *base, unsigned contents)
{
    struct user_desc segment = {
        .entry_number = entry,
        .base_addr = (unsigned)(uintptr_t)base,
        .limit = 0xffff,
        .contents = contents,
    };
    if (syscall(SYS_modify_ldt, 0x11, &segment, sizeof(segment)) != 0)
        return 0;
    return entry << 3 | 7; // local table, privilege level 3
}

uint32_t platform_run_code16(uint32_t count, uint8_t *data)
{
    uint8_t *code = ((struct arena *)data)->code;
    memcpy(code, code16, (size_t)(code16_end - code16));
    unsigned code_selector = make_segment(0, code, MODIFY_LDT_CONTENTS_CODE);
    unsigned data_selector = make_segment(1, data, MODIFY_LDT_CONTENTS_DATA);
    if (!code_selector || !data_selector)
        return 0;
    struct {
        uint32_t offset;
        uint32_t selector;
    } target = {0, code_selector};
    uint32_t result;
    __asm__ volatile("pushl %%ds\n\t"
                     "movl %3, %%ds\n\t"
                     "lcall *%%ss:(%2)\n\t"
                     "popl %%ds"
                     : "=a"(result), "+c"(count)
                     : "b"(&target), "r"(data_selector)
                     : "edx", "esi", "memory", "cc");
    return result & 0xffff;
}

static double cpu_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static bool wanted(const char *name, int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        if (!strcmp(argv[i], name))
            return true;
    return argc <= 2;
}

int main(int argc, char **argv)
{
    unsigned percent = argc > 1 ? (unsigned)atoi(argv[1]) : 100;
    struct arena *arena = mmap(NULL, sizeof(*arena), PROT_READ | PROT_WRITE | PROT_EXEC,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (arena == MAP_FAILED) {
        perror("native: memory that is writable and executable");
        return 1;
    }
    for (const struct kernel *kernel = kernels; kernel->name; kernel++) {
        if (!wanted(kernel->name, argc, argv))
            continue;
        uint32_t count = (uint32_t)((uint64_t)kernel->count * percent / 100);
        double before = cpu_seconds();
        uint32_t sum = kernel->run(count, arena);
        printf("end %s %u %08x %.6f\n", kernel->name, count, sum, cpu_seconds() - before);
        fflush(stdout);
    }
    return 0;
}
