/* What the host processor has and does. See host.h. */
#include "backend-x86_64/host.h"

#include <cpuid.h>
#include <string.h>

bool host_has_lahf(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & 1);
}

#define ALL_FLAGS 0x8d5u
/* Flags after INSTRUCTION for operands in rax, rdx, rcx, rbx, started with FLAGS. */
#define RUN(result, flags, instruction, a0, c0, b0)                                                                  \
    do {                                                                                                              \
        uint64_t a_ = (a0), d_ = 0, c_ = (c0), b_ = (b0), f_ = (flags);                                               \
        __asm__ volatile("lea -128(%%rsp), %%rsp; push %4; popfq; " instruction "; pushfq; pop %4; lea 128(%%rsp), %%rsp"                                          \
                         : "+a"(a_), "+d"(d_), "+c"(c_), "+b"(b_), "+r"(f_)                                           \
                         :                                                                                            \
                         : "cc", "memory");                                                                           \
        result = (uint32_t)f_ & ALL_FLAGS;                                                                            \
    } while (0)

/* Flags whose value afterwards depends on what they were before, over some operands. */
#define KEPT(instruction, mask)                                                                                       \
    do {                                                                                                              \
        uint32_t kept_ = 0;                                                                                           \
        for (unsigned i_ = 0; i_ < 64; i_++) {                                                                        \
            uint64_t a0_ = (uint32_t)(i_ * 2654435761u) ^ i_, b0_ = (i_ * 40503u) | 1, c0_ = i_ % 31 + 1;             \
            uint32_t clear_, set_;                                                                                    \
            RUN(clear_, 0x202, instruction, a0_, c0_, b0_);                                                           \
            RUN(set_, 0x202 | ALL_FLAGS, instruction, a0_, c0_, b0_);                                                 \
            kept_ |= clear_ ^ set_;                                                                                   \
        }                                                                                                             \
        mask |= pack(kept_);                                                                                          \
    } while (0)

static uint8_t pack(uint32_t eflags)
{
    return (uint8_t)((eflags & 0xd5) | (eflags & 0x800 ? IRF_O : 0));
}

static bool division_writes_flags(void)
{
    for (unsigned i = 0; i < 64; i++) {
        uint32_t clear, set;

        RUN(clear, 0x202, "divl %%ebx", i * 2654435761u, 0, (i * 40503u) | 1);
        RUN(set, 0x202 | ALL_FLAGS, "divl %%ebx", i * 2654435761u, 0, (i * 40503u) | 1);
        if (clear != 0 || set != ALL_FLAGS)
            return true;
        RUN(clear, 0x202, "idivl %%ebx", i * 1234567u, 0, (i * 40503u) | 1);
        RUN(set, 0x202 | ALL_FLAGS, "idivl %%ebx", i * 1234567u, 0, (i * 40503u) | 1);
        if (clear != 0 || set != ALL_FLAGS)
            return true;
    }
    return false;
}

void host_probe_flags(struct ir_host_flags *flags)
{
    memset(flags, 0, sizeof *flags);
    KEPT("shll %%cl, %%eax", flags->shift_kept);
    KEPT("shrl %%cl, %%eax", flags->shift_kept);
    KEPT("sarl %%cl, %%eax", flags->shift_kept);
    KEPT("shlw %%cl, %%ax", flags->shift_kept);
    KEPT("shrb %%cl, %%al", flags->shift_kept);
    KEPT("sarw %%cl, %%ax", flags->shift_kept);
    KEPT("roll %%cl, %%eax", flags->rotate_kept);
    KEPT("rorw %%cl, %%ax", flags->rotate_kept);
    KEPT("rcll %%cl, %%eax", flags->rotate_kept);
    KEPT("rclb %%cl, %%al", flags->rotate_kept);
    KEPT("rcrw %%cl, %%ax", flags->rotate_kept);
    flags->rotate_kept &= IRF_O; /* the others are kept by the book */
    KEPT("shldl %%cl, %%ebx, %%eax", flags->double_kept);
    KEPT("shrdl %%cl, %%ebx, %%eax", flags->double_kept);
    KEPT("shldw %%cl, %%bx, %%ax", flags->double_kept);
    KEPT("mull %%ebx", flags->multiply_kept);
    KEPT("imull %%ebx, %%eax", flags->multiply_kept);
    KEPT("imulw %%bx", flags->multiply_kept);
    KEPT("bsfl %%eax, %%edx", flags->scan_kept);
    KEPT("bsrl %%eax, %%edx", flags->scan_kept);
    KEPT("btl %%ecx, %%eax", flags->bit_kept);
    KEPT("btsl %%ecx, %%eax", flags->bit_kept);
    flags->bit_kept &= (uint8_t)~IRF_C;
    flags->divide_writes = division_writes_flags();
    flags->divide_kept = flags->divide_writes ? IRF_ALL : 0;
}
