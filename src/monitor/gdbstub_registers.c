/* Registers as gdb numbers them: the order in the target description. */
#include "cpu/model.h"
#include "cpu/segmentation.h"
#include "monitor/gdbstub_internal.h"

#include <string.h>

#define INT_REGISTER(name) "<reg name=\"" name "\" bitsize=\"32\" type=\"int32\"/>"
#define X87_REGISTER(name) "<reg name=\"" name "\" bitsize=\"80\" type=\"i387_ext\"/>"
#define X87_CONTROL(name)  "<reg name=\"" name "\" bitsize=\"32\" type=\"int\" group=\"float\"/>"
#define XMM_REGISTER(name) "<reg name=\"" name "\" bitsize=\"128\" type=\"vec128\"/>"

/* Feature and register names as gdb's manual prescribes them ("i386 Features"). */
const char gdb_target_xml[] =
    "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\">"
    "<target version=\"1.0\"><architecture>i386</architecture>"
    "<feature name=\"org.gnu.gdb.i386.core\">"
    "<flags id=\"i386_eflags\" size=\"4\">"
    "<field name=\"CF\" start=\"0\" end=\"0\"/><field name=\"\" start=\"1\" end=\"1\"/>"
    "<field name=\"PF\" start=\"2\" end=\"2\"/><field name=\"AF\" start=\"4\" end=\"4\"/>"
    "<field name=\"ZF\" start=\"6\" end=\"6\"/><field name=\"SF\" start=\"7\" end=\"7\"/>"
    "<field name=\"TF\" start=\"8\" end=\"8\"/><field name=\"IF\" start=\"9\" end=\"9\"/>"
    "<field name=\"DF\" start=\"10\" end=\"10\"/><field name=\"OF\" start=\"11\" end=\"11\"/>"
    "<field name=\"NT\" start=\"14\" end=\"14\"/><field name=\"RF\" start=\"16\" end=\"16\"/>"
    "<field name=\"VM\" start=\"17\" end=\"17\"/><field name=\"AC\" start=\"18\" end=\"18\"/>"
    "<field name=\"VIF\" start=\"19\" end=\"19\"/><field name=\"VIP\" start=\"20\" end=\"20\"/>"
    "<field name=\"ID\" start=\"21\" end=\"21\"/></flags>" INT_REGISTER("eax") INT_REGISTER("ecx") INT_REGISTER("edx")
        INT_REGISTER(
            "ebx") "<reg name=\"esp\" bitsize=\"32\" type=\"data_ptr\"/><reg name=\"ebp\" bitsize=\"32\" "
                   "type=\"data_ptr\"/>" INT_REGISTER("esi")
                       INT_REGISTER(
                           "edi") "<reg name=\"eip\" bitsize=\"32\" type=\"code_ptr\"/><reg name=\"eflags\" "
                                  "bitsize=\"32\" type=\"i386_eflags\"/>" INT_REGISTER("cs") INT_REGISTER("ss")
                                      INT_REGISTER("ds") INT_REGISTER("es") INT_REGISTER("fs") INT_REGISTER("gs")
                                          X87_REGISTER("st0") X87_REGISTER("st1") X87_REGISTER("st2") X87_REGISTER(
                                              "st3") X87_REGISTER("st4") X87_REGISTER("st5") X87_REGISTER("st6")
                                              X87_REGISTER("st7") X87_CONTROL("fctrl") X87_CONTROL("fstat") X87_CONTROL(
                                                  "ftag") X87_CONTROL("fiseg") X87_CONTROL("fioff") X87_CONTROL("foseg")
                                                  X87_CONTROL("fooff") X87_CONTROL(
                                                      "fop") "</feature>"
                                                             "<feature name=\"org.gnu.gdb.i386.sse\">"
                                                             "<vector id=\"v4f\" type=\"ieee_single\" "
                                                             "count=\"4\"/><vector id=\"v2d\" type=\"ieee_double\" "
                                                             "count=\"2\"/>"
                                                             "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/><vector "
                                                             "id=\"v8i16\" type=\"int16\" count=\"8\"/>"
                                                             "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/><vector "
                                                             "id=\"v2i64\" type=\"int64\" count=\"2\"/>"
                                                             "<union id=\"vec128\"><field name=\"v4_float\" "
                                                             "type=\"v4f\"/><field name=\"v2_double\" type=\"v2d\"/>"
                                                             "<field name=\"v16_int8\" type=\"v16i8\"/><field "
                                                             "name=\"v8_int16\" type=\"v8i16\"/>"
                                                             "<field name=\"v4_int32\" type=\"v4i32\"/><field "
                                                             "name=\"v2_int64\" type=\"v2i64\"/>"
                                                             "<field name=\"uint128\" type=\"uint128\"/></union>"
                                                             "<flags id=\"i386_mxcsr\" size=\"4\">"
                                                             "<field name=\"IE\" start=\"0\" end=\"0\"/><field "
                                                             "name=\"DE\" start=\"1\" end=\"1\"/>"
                                                             "<field name=\"ZE\" start=\"2\" end=\"2\"/><field "
                                                             "name=\"OE\" start=\"3\" end=\"3\"/>"
                                                             "<field name=\"UE\" start=\"4\" end=\"4\"/><field "
                                                             "name=\"PE\" start=\"5\" end=\"5\"/>"
                                                             "<field name=\"DAZ\" start=\"6\" end=\"6\"/><field "
                                                             "name=\"IM\" start=\"7\" end=\"7\"/>"
                                                             "<field name=\"DM\" start=\"8\" end=\"8\"/><field "
                                                             "name=\"ZM\" start=\"9\" end=\"9\"/>"
                                                             "<field name=\"OM\" start=\"10\" end=\"10\"/><field "
                                                             "name=\"UM\" start=\"11\" end=\"11\"/>"
                                                             "<field name=\"PM\" start=\"12\" end=\"12\"/><field "
                                                             "name=\"FZ\" start=\"15\" "
                                                             "end=\"15\"/></flags>" XMM_REGISTER("xmm0") XMM_REGISTER(
                                                                 "xmm1") XMM_REGISTER("xmm2") XMM_REGISTER("xmm3")
                                                                 XMM_REGISTER("xmm4") XMM_REGISTER("xmm5")
                                                                     XMM_REGISTER("xmm6") XMM_REGISTER(
                                                                         "xmm7") "<reg name=\"mxcsr\" bitsize=\"32\" "
                                                                                 "type=\"i386_mxcsr\" "
                                                                                 "group=\"vector\"/>"
                                                                                 "</feature>"
                                                                                 "<feature "
                                                                                 "name=\"org.dragoman.i386."
                                                                                 "system\">" INT_REGISTER(
                                                                                     "cr0") INT_REGISTER("cr2")
                                                                                     INT_REGISTER("cr3") INT_REGISTER(
                                                                                         "cr4") "<reg name=\"efer\" "
                                                                                                "bitsize=\"64\" "
                                                                                                "type=\"int64\"/>"
                                                                                                "</feature></target>";

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
    REG_COUNT = 46
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
    return 0;
}

/* A selector written by the debugger loads the segment as the guest would; what would fault changes
 * nothing, and so does CS in protected mode, where a load means a far jump. */
static void write_segment(struct vcpu *cpu, unsigned segment, uint16_t selector)
{
    if (cpu->state.segment[segment].selector == selector)
        return;
    if (!cpu_in_protected_mode(cpu)) {
        cpu_load_segment_real(cpu, segment, selector);
        cpu_update_mode(cpu);
    } else if (segment != SEG_CS) {
        struct pending_exception before = cpu->exception;
        if (!cpu_load_segment(cpu, segment, selector))
            cpu->exception = before;
    }
}

/* Bits that no program could change otherwise: VM belongs to the segments' meaning. */
static void write_eflags(struct vcpu *cpu, uint32_t value)
{
    uint32_t fixed = FLAG_VM | FLAG_FIXED;
    uint32_t kept = cpu_eflags(cpu) & fixed;
    cpu_set_eflags(cpu, (value & cpu->model->eflags_mask & ~fixed) | kept);
}

unsigned gdb_write_register(struct vcpu *cpu, unsigned number, const uint8_t *from)
{
    struct cpu_state *s = &cpu->state;
    uint8_t scratch[GDB_REGISTER_MAX];
    unsigned size = gdb_read_register(cpu, number, scratch);
    uint32_t value = 0;
    if (!size)
        return 0;
    memcpy(&value, from, 4);
    if (number < REG_EIP)
        s->gpr[number] = value;
    else if (number == REG_EIP)
        s->rip = value;
    else if (number == REG_EFLAGS)
        write_eflags(cpu, value);
    else if (number < REG_ST)
        write_segment(cpu, segments[number - REG_SEGMENT], (uint16_t)value);
    else if (number < REG_FPU_CONTROL)
        memcpy(s->x87.st[number - REG_ST], from, 10);
    else if (number < REG_XMM)
        write_fpu_control(&s->x87, number - REG_FPU_CONTROL, value);
    else if (number < REG_MXCSR)
        memcpy(&s->xmm[number - REG_XMM], from, 16);
    else if (number == REG_MXCSR)
        s->mxcsr = value & cpu->model->mxcsr_mask;
    /* Control registers are for looking: writing one has effects that only the guest can order. */
    return size;
}
