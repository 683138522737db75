/* Registers as gdb numbers them: the order in the target description. */
#include "cpu/descriptor.h"
#include "cpu/model.h"
#include "monitor/gdbstub_internal.h"

#include <string.h>

enum {
    REG_GPR = 0,
    REG_EIP = 8,
    REG_EFLAGS = 9,
    REG_SEGMENT = 10,
    REG_ST = 16,
    REG_FPU_CONTROL = 24,
    REG_XMM = 32,
    REG_MXCSR = 40,
    REG_CR = 41,
    REG_EFER = 45,
    REG_BASE = 46, /* of the segments, in gdb's order of them */
    REG_LIP = 52,
    REG_COUNT = 53
};

/* gdb's order */
static const uint8_t segments[] = {SEG_CS, SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS};

unsigned gdb_register_count(void)
{
    return REG_COUNT;
}

/* The full tag word from the abridged one (Intel SDM vol. 2, FXSAVE, table 3-52): 0 valid, 1 zero,
 * 2 special, 3 empty. */
static uint16_t full_tag_word(const struct x87_state *x87)
{
    unsigned top = (x87->fsw >> 11) & 7;
    uint16_t tags = 0;
    for (unsigned physical = 0; physical < 8; physical++) {
        unsigned tag = 3;
        if (x87->ftw >> physical & 1) {
            const uint8_t *st = x87->st[(physical - top) & 7];
            uint64_t mantissa;
            uint16_t exponent;
            memcpy(&mantissa, st, 8);
            memcpy(&exponent, st + 8, 2);
            exponent &= 0x7fff;
            if (exponent == 0)
                tag = mantissa ? 2 : 1;
            else if (exponent == 0x7fff || !(mantissa >> 63))
                tag = 2;
            else
                tag = 0;
        }
        tags |= (uint16_t)(tag << (2 * physical));
    }
    return tags;
}

static uint8_t abridged_tag_word(uint32_t tags)
{
    uint8_t abridged = 0;
    for (unsigned physical = 0; physical < 8; physical++)
        if ((tags >> (2 * physical) & 3) != 3)
            abridged |= (uint8_t)(1u << physical);
    return abridged;
}

static uint32_t read_fpu_control(const struct x87_state *x87, unsigned which)
{
    switch (which) {
    case 0:
        return x87->fcw;
    case 1:
        return x87->fsw;
    case 2:
        return full_tag_word(x87);
    case 3:
        return x87->fcs;
    case 4:
        return x87->fip;
    case 5:
        return x87->fds;
    case 6:
        return x87->fdp;
    default:
        return x87->fop;
    }
}

static void write_fpu_control(struct x87_state *x87, unsigned which, uint32_t value)
{
    switch (which) {
    case 0:
        x87->fcw = (uint16_t)value;
        break;
    case 1:
        x87->fsw = (uint16_t)value;
        break;
    case 2:
        x87->ftw = abridged_tag_word(value);
        break;
    case 3:
        x87->fcs = (uint16_t)value;
        break;
    case 4:
        x87->fip = value;
        break;
    case 5:
        x87->fds = (uint16_t)value;
        break;
    case 6:
        x87->fdp = value;
        break;
    default:
        x87->fop = value & 0x7ff;
        break;
    }
}

static unsigned put32(uint8_t *to, uint32_t value)
{
    memcpy(to, &value, 4);
    return 4;
}

unsigned gdb_read_register(const struct vcpu *cpu, unsigned number, uint8_t *to)
{
    const struct cpu_state *s = &cpu->state;
    if (number < REG_EIP)
        return put32(to, (uint32_t)s->gpr[number]);
    if (number == REG_EIP)
        return put32(to, (uint32_t)s->rip);
    if (number == REG_EFLAGS)
        return put32(to, cpu_eflags(cpu));
    if (number < REG_ST)
        return put32(to, s->segment[segments[number - REG_SEGMENT]].selector);
    if (number < REG_FPU_CONTROL) {
        memcpy(to, s->x87.st[number - REG_ST], 10);
        return 10;
    }
    if (number < REG_XMM)
        return put32(to, read_fpu_control(&s->x87, number - REG_FPU_CONTROL));
    if (number < REG_MXCSR) {
        memcpy(to, &s->xmm[number - REG_XMM], 16);
        return 16;
    }
    if (number == REG_MXCSR)
        return put32(to, s->mxcsr);
    if (number < REG_EFER) {
        uint32_t control[] = {s->cr0, (uint32_t)s->cr2, (uint32_t)s->cr3, s->cr4};
        return put32(to, control[number - REG_CR]);
    }
    if (number == REG_EFER) {
        memcpy(to, &s->efer, 8);
        return 8;
    }
    if (number < REG_LIP)
        return put32(to, (uint32_t)s->segment[segments[number - REG_BASE]].base);
    if (number == REG_LIP)
        return put32(to, (uint32_t)(s->segment[SEG_CS].base + (uint32_t)s->rip));
    return 0;
}

/* As a far jump within the present privilege level would load it. */
static bool load_code_segment(struct vcpu *cpu, uint16_t selector)
{
    unsigned cpl = cpu_cpl(cpu);
    struct descriptor descriptor;

    TRY(cpu_read_descriptor(cpu, selector, EXC_GP, &descriptor));
    unsigned dpl = descriptor_dpl(&descriptor);
    if (!descriptor_is_code(&descriptor) || !descriptor_present(&descriptor) ||
        (descriptor_is_conforming(&descriptor) ? dpl > cpl : dpl != cpl))
        return false;
    cpu_segment_from_descriptor(cpu, &cpu->state.segment[SEG_CS], (uint16_t)((selector & ~3u) | cpl), &descriptor);
    cpu_update_mode(cpu);
    return true;
}

/* A selector written by the debugger loads the segment as the guest would; what would fault changes nothing. */
static bool write_segment(struct vcpu *cpu, unsigned segment, uint16_t selector)
{
    struct pending_exception before = cpu->exception;
    bool ok = true;

    if (cpu->state.segment[segment].selector == selector)
        return true;
    if (!cpu_in_protected_mode(cpu)) {
        cpu_load_segment_real(cpu, segment, selector);
        cpu_update_mode(cpu);
    } else {
        ok = segment == SEG_CS ? load_code_segment(cpu, selector) : cpu_load_segment(cpu, segment, selector);
    }
    if (!ok)
        cpu->exception = before;
    return ok;
}

/* Bits that no program could change otherwise: VM belongs to the segments' meaning. */
static void write_eflags(struct vcpu *cpu, uint32_t value)
{
    uint32_t fixed = FLAG_VM | FLAG_FIXED;
    uint32_t kept = cpu_eflags(cpu) & fixed;
    cpu_set_eflags(cpu, (value & cpu->model->eflags_mask & ~fixed) | kept);
}

bool gdb_write_register(struct vcpu *cpu, unsigned number, const uint8_t *from)
{
    struct cpu_state *s = &cpu->state;
    uint8_t now[GDB_REGISTER_MAX];
    unsigned size = gdb_read_register(cpu, number, now);
    uint32_t value = 0;
    if (!size)
        return false;
    memcpy(&value, from, 4);
    if (number < REG_EIP)
        s->gpr[number] = value;
    else if (number == REG_EIP)
        s->rip = value;
    else if (number == REG_EFLAGS)
        write_eflags(cpu, value);
    else if (number < REG_ST)
        return write_segment(cpu, segments[number - REG_SEGMENT], (uint16_t)value);
    else if (number < REG_FPU_CONTROL)
        memcpy(s->x87.st[number - REG_ST], from, 10);
    else if (number < REG_XMM)
        write_fpu_control(&s->x87, number - REG_FPU_CONTROL, value);
    else if (number < REG_MXCSR)
        memcpy(&s->xmm[number - REG_XMM], from, 16);
    else if (number == REG_MXCSR)
        s->mxcsr = value & cpu->model->mxcsr_mask;
    else /* for looking: writing one has effects that only the guest can order */
        return !memcmp(now, from, size);
    return true;
}
