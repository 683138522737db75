/* x87 and SSE state in memory: FXSAVE FXRSTOR FNSAVE FRSTOR FNSTENV FLDENV LDMXCSR STMXCSR.
 *
 * The host's own instructions take and load the state; what is different in memory are the last
 * instruction and data pointers, which are the guest's, and the four layouts of the environment. */
#include "cpu/callouts.h"
#include "cpu/fpu.h"
#include "cpu/fxsave.h"
#include "cpu/model.h"

#include <string.h>

/* What FNSTENV and FNSAVE write in the 32-bit protected layout, the one the host uses in 64-bit mode. */
struct host_environment {
    uint32_t fcw, fsw, ftw, fip, fcs_fop, fdp, fds;
};
struct host_save {
    struct host_environment environment;
    uint8_t st[80];
};
static_assert(sizeof(struct host_environment) == 28 && sizeof(struct host_save) == 108, "as the host writes them");

#define ENVIRONMENT_SIZE(args) ((args)->operand_size == 2 ? 14u : 28u)
#define SAVED_REGISTERS_SIZE   80u
#define FOP_MASK               0x7ffu

/* #NM, and for instructions that wait, #MF or what CR0.NE = 0 puts in its place. */
static bool check_available(struct vcpu *cpu)
{
    return cpu->state.cr0 & (CR0_EM | CR0_TS) ? cpu_raise(cpu, EXC_NM) : true;
}

/* *AGAIN: the instruction is to be tried again after a look at interrupts. */
static bool check_pending(struct vcpu *cpu, bool *again)
{
    *again = false;
    if (!cpu_fpu_error_pending(cpu))
        return true;
    switch (cpu_fpu_meet_error(cpu)) {
    case FPU_ERROR_RAISE:
        return cpu_raise(cpu, EXC_MF);
    case FPU_ERROR_FREEZE:
        cpu->next_rip = cpu->state.rip;
        cpu_post_attention(cpu, ATTENTION_INTERRUPT);
        *again = true;
        return true;
    default:
        return true;
    }
}

static bool check_alignment(struct vcpu *cpu, uint64_t linear, unsigned alignment)
{
    if (cpu->mmu.alignment_check && (linear & (alignment - 1)))
        return cpu_raise_error(cpu, EXC_AC, 0);
    return true;
}

/* ---- the environment: Intel SDM vol. 1, figures 8-9 to 8-12 ---- */

static bool real_layout(const struct vcpu *cpu)
{
    return !cpu_in_protected_mode(cpu);
}

/* In real and virtual-8086 mode the pointers are linear addresses.
 *
 *   32-bit protected    32-bit real               16-bit protected   16-bit real
 *   0 FCW               0 FCW                     0 FCW              0 FCW
 *   4 FSW               4 FSW                     2 FSW              2 FSW
 *   8 FTW               8 FTW                     4 FTW              4 FTW
 *  12 FIP              12 FIP 15..0               6 FIP              6 FIP 15..0
 *  16 FOP << 16 | FCS  16 FIP 31..16 << 12 | FOP  8 FCS              8 FIP 19..16 << 12 | FOP
 *  20 FDP              20 FDP 15..0              10 FDP             10 FDP 15..0
 *  24 FDS              24 FDP 31..16 << 12       12 FDS             12 FDP 19..16 << 12
 *
 * Upper halves of 32-bit words that hold 16 bits are written as ones, as processors do. */
static void environment_to_memory(const struct vcpu *cpu, const struct callout_args *args,
                                  const struct host_environment *host, uint8_t *memory)
{
    const struct x87_state *x87 = &cpu->state.x87;
    uint32_t instruction = ((uint32_t)x87->fcs << 4) + x87->fip, data = ((uint32_t)x87->fds << 4) + x87->fdp;
    uint32_t words[7] = {host->fcw, host->fsw, host->ftw};

    if (real_layout(cpu)) {
        words[3] = 0xffff0000u | instruction;
        words[4] = (instruction >> 16 << 12) | x87->fop;
        words[5] = 0xffff0000u | data;
        words[6] = data >> 16 << 12;
    } else {
        words[3] = x87->fip;
        words[4] = args->operand_size == 2 ? x87->fcs : (uint32_t)x87->fop << 16 | x87->fcs;
        words[5] = x87->fdp;
        words[6] = 0xffff0000u | x87->fds;
    }
    for (unsigned i = 0; i < 7; i++) {
        uint16_t half = (uint16_t)words[i];

        if (args->operand_size == 2)
            memcpy(memory + 2 * i, &half, 2);
        else
            memcpy(memory + 4 * i, &words[i], 4);
    }
}

static void environment_from_memory(struct vcpu *cpu, const struct callout_args *args, const uint8_t *memory,
                                    struct host_environment *host)
{
    struct x87_state *x87 = &cpu->state.x87;
    uint32_t words[7] = {0};

    for (unsigned i = 0; i < 7; i++) {
        if (args->operand_size == 2)
            memcpy(&words[i], memory + 2 * i, 2);
        else
            memcpy(&words[i], memory + 4 * i, 4);
    }
    *host = (struct host_environment){.fcw = words[0], .fsw = words[1], .ftw = words[2]};
    if (real_layout(cpu)) {
        x87->fip = (words[3] & 0xffff) | (words[4] >> 12 << 16);
        x87->fcs = 0;
        x87->fop = words[4] & FOP_MASK;
        x87->fdp = (words[5] & 0xffff) | (words[6] >> 12 << 16);
        x87->fds = 0;
    } else {
        x87->fip = words[3];
        x87->fcs = (uint16_t)words[4];
        x87->fop = words[4] >> 16 & FOP_MASK; /* the 16-bit layout has none */
        x87->fdp = words[5];
        x87->fds = (uint16_t)words[6];
    }
}

/* The instructions below may be called with the state in cpu->state (tests, other engines): it becomes
 * resident for the time. */
static bool become_resident(struct vcpu *cpu)
{
    bool was = cpu->fpu_resident;

    cpu_fpu_load(cpu);
    return was;
}

static bool leave(struct vcpu *cpu, bool was_resident, bool result)
{
    if (!was_resident)
        cpu_fpu_spill(cpu);
    return result;
}

/* ---- operands in memory ----
 *
 * The environment and the registers are accessed in parts, whose addresses wrap singly at 16 bits. What faults lead to
 * shows in which order processors look at them: FNSTENV and its kind at the first part, then at the last byte, FXSAVE
 * and FXRSTOR the other way round, then both at the rest. */

struct long_operand {
    const struct callout_args *args;
    unsigned size;
    unsigned environment; /* length of the parts of operand size at the beginning */
    unsigned stride;      /* from register to register behind them */
};

static unsigned part_size(const struct long_operand *o, unsigned at)
{
    if (at < o->environment)
        return o->args->operand_size;
    return (at - o->environment) % o->stride ? o->stride - 8 : 8;
}

static struct long_operand environment_operand(const struct callout_args *args, unsigned registers_size)
{
    unsigned environment = ENVIRONMENT_SIZE(args);

    return (struct long_operand){args, environment + registers_size, environment, 10};
}

static bool wraps(const struct long_operand *o)
{
    return o->args->address_size == 2 && o->args->offset + o->size > 0x10000;
}

static bool check_part(struct vcpu *cpu, const struct long_operand *o, unsigned at, unsigned size,
                       enum mmu_access access)
{
    return cpu_probe_data(cpu, o->args->segment, callout_offset_behind(o->args, at), size, access);
}

/* Operands that wrap are checked part by part as they are accessed: what is done until one faults stays done. */
static bool check_rest(struct vcpu *cpu, const struct long_operand *o, enum mmu_access access)
{
    return wraps(o) || check_part(cpu, o, 0, o->size, access);
}

/* Returns how many bytes were read before a fault. */
static unsigned read_operand(struct vcpu *cpu, const struct long_operand *o, uint8_t *to)
{
    unsigned segment = o->args->segment;

    if (!wraps(o))
        return cpu_read_data_bytes(cpu, segment, o->args->offset, to, o->size) ? o->size : 0;
    for (unsigned at = 0; at < o->size; at += part_size(o, at))
        if (!cpu_read_data_bytes(cpu, segment, callout_offset_behind(o->args, at), to + at, part_size(o, at)))
            return at;
    return o->size;
}

static bool write_operand(struct vcpu *cpu, const struct long_operand *o, const uint8_t *from)
{
    unsigned segment = o->args->segment;

    if (!wraps(o))
        return cpu_write_data_bytes(cpu, segment, o->args->offset, from, o->size);
    for (unsigned at = 0; at < o->size; at += part_size(o, at))
        TRY(cpu_write_data_bytes(cpu, segment, callout_offset_behind(o->args, at), from + at, part_size(o, at)));
    return true;
}

/* Memory checks that must precede any change: limit and type, #AC, paging. */
static bool check_operand(struct vcpu *cpu, const struct long_operand *o, enum mmu_access access)
{
    const struct callout_args *args = o->args;
    unsigned size = args->operand_size;
    uint64_t linear;

    TRY(access == MMU_WRITE ? cpu_check_segment_write(cpu, args->segment, args->offset, size, &linear)
                            : cpu_check_segment_read(cpu, args->segment, args->offset, size, &linear));
    TRY(check_alignment(cpu, linear, size));
    return check_part(cpu, o, 0, size, access) && check_part(cpu, o, o->size - 1, 1, access) &&
           check_rest(cpu, o, access);
}

/* FLDENV or FRSTOR met a fault behind the first GOT bytes: the status and tag words and the registers that were read
 * are loaded, the pointers if all of them were read. */
static bool load_partially(struct vcpu *cpu, const struct long_operand *o, const uint8_t *memory, unsigned got)
{
    unsigned word = o->args->operand_size;
    struct host_save host;
    uint16_t value;

    if (got < 2 * word)
        return false;
    bool was_resident = become_resident(cpu);
    __asm__ volatile("fnstenv %0" : "=m"(host.environment)); /* masks all exceptions */
    memcpy(&value, memory + word, 2);
    host.environment.fsw = value;
    if (got >= 3 * word) {
        memcpy(&value, memory + 2 * word, 2);
        host.environment.ftw = value;
    }
    __asm__ volatile("fldenv %0" : : "m"(host.environment));
    if (got >= o->environment) {
        struct host_environment unused;

        environment_from_memory(cpu, o->args, memory, &unused);
    }
    if (got > o->environment) {
        __asm__ volatile("fnsave %0" : "=m"(host));
        for (unsigned at = 0; o->environment + at + 10 <= got; at += 10)
            memcpy(host.st + at, memory + o->environment + at, 10);
        __asm__ volatile("frstor %0" : : "m"(host));
    }
    cpu_fpu_update_error_line(cpu);
    return leave(cpu, was_resident, false);
}

bool callout_fnstenv(struct vcpu *cpu, const struct callout_args *args)
{
    struct host_environment host;
    uint8_t memory[28];
    const struct long_operand operand = environment_operand(args, 0);

    TRY(check_available(cpu));
    TRY(check_operand(cpu, &operand, MMU_WRITE));
    bool was_resident = become_resident(cpu);
    __asm__ volatile("fnstenv %0" : "=m"(host)); /* masks all exceptions */
    environment_to_memory(cpu, args, &host, memory);
    bool done = write_operand(cpu, &operand, memory);
    if (!done)
        __asm__ volatile("fldenv %0" : : "m"(host));
    cpu_fpu_update_error_line(cpu);
    return leave(cpu, was_resident, done);
}

bool callout_fnsave(struct vcpu *cpu, const struct callout_args *args)
{
    struct host_save host;
    uint8_t memory[108];
    const struct long_operand operand = environment_operand(args, SAVED_REGISTERS_SIZE);

    TRY(check_available(cpu));
    TRY(check_operand(cpu, &operand, MMU_WRITE));
    bool was_resident = become_resident(cpu);
    __asm__ volatile("fnsave %0" : "=m"(host)); /* and FNINIT */
    environment_to_memory(cpu, args, &host.environment, memory);
    memcpy(memory + operand.environment, host.st, sizeof host.st);
    bool done = write_operand(cpu, &operand, memory);
    if (done) {
        struct x87_state *x87 = &cpu->state.x87;

        x87->fop = x87->fcs = x87->fds = 0;
        x87->fip = x87->fdp = 0;
    } else {
        __asm__ volatile("frstor %0" : : "m"(host));
    }
    cpu_fpu_update_error_line(cpu);
    return leave(cpu, was_resident, done);
}

bool callout_fldenv(struct vcpu *cpu, const struct callout_args *args)
{
    struct host_environment host;
    uint8_t memory[28];
    const struct long_operand operand = environment_operand(args, 0);
    bool again;

    TRY(check_available(cpu));
    TRY(check_pending(cpu, &again));
    if (again)
        return true;
    TRY(check_operand(cpu, &operand, MMU_READ));
    unsigned got = read_operand(cpu, &operand, memory);
    if (got < operand.size)
        return load_partially(cpu, &operand, memory, got);
    bool was_resident = become_resident(cpu);
    environment_from_memory(cpu, args, memory, &host);
    __asm__ volatile("fnclex; fldenv %0" : : "m"(host)); /* FLDENV waits; what was pending has been dealt with */
    cpu_fpu_update_error_line(cpu);
    return leave(cpu, was_resident, true);
}

bool callout_frstor(struct vcpu *cpu, const struct callout_args *args)
{
    struct host_save host;
    uint8_t memory[108];
    const struct long_operand operand = environment_operand(args, SAVED_REGISTERS_SIZE);
    bool again;

    TRY(check_available(cpu));
    TRY(check_pending(cpu, &again));
    if (again)
        return true;
    TRY(check_operand(cpu, &operand, MMU_READ));
    unsigned got = read_operand(cpu, &operand, memory);
    if (got < operand.size)
        return load_partially(cpu, &operand, memory, got);
    bool was_resident = become_resident(cpu);
    environment_from_memory(cpu, args, memory, &host.environment);
    memcpy(host.st, memory + operand.environment, sizeof host.st);
    __asm__ volatile("fnclex; frstor %0" : : "m"(host));
    cpu_fpu_update_error_line(cpu);
    return leave(cpu, was_resident, true);
}

/* ---- FXSAVE, FXRSTOR: Intel SDM vol. 1, 10.5 ---- */

/* Operands off a 16-byte boundary are #GP(0); with alignment checking in force processors give #AC to
 * those off a 4-byte boundary. Both come behind the limit and before the segment's type. */
static bool check_fxsave_operand(struct vcpu *cpu, const struct long_operand *o, enum mmu_access access)
{
    const struct callout_args *args = o->args;
    uint64_t linear;

    TRY(check_available(cpu));
    TRY(cpu_check_segment_limit(cpu, args->segment, args->offset, 4, &linear));
    TRY(check_alignment(cpu, linear, 4));
    if (linear & 15)
        return cpu_raise_error(cpu, EXC_GP, 0);
    return check_part(cpu, o, o->size - 1, 1, access) && check_rest(cpu, o, access);
}

static bool has_xmm(const struct vcpu *cpu)
{
    return cpu_has(cpu->model, FEATURE_SSE) && (cpu->state.cr4 & CR4_OSFXSR);
}

bool callout_fxsave(struct vcpu *cpu, const struct callout_args *args)
{
    const struct x87_state *x87 = &cpu->state.x87;
    struct fxsave_image image;
    const struct long_operand checked = {args, sizeof image, 0, 16};

    TRY(check_fxsave_operand(cpu, &checked, MMU_WRITE));
    bool was_resident = become_resident(cpu);
    fxsave_from_host(&image);
    leave(cpu, was_resident, true);

    image.reserved0 = 0;
    image.reserved1 = image.reserved2 = 0;
    image.fop = x87->fop;
    image.fip = x87->fip;
    image.fcs = x87->fcs;
    image.fdp = x87->fdp;
    image.fds = x87->fds;
    image.mxcsr_mask = cpu->model->mxcsr_mask;
    if (!cpu_has(cpu->model, FEATURE_SSE))
        image.mxcsr = 0;
    memcpy(image.xmm, cpu->state.xmm, 8 * sizeof image.xmm[0]);
    /* Without OSFXSR the XMM part stays as it is; what lies behind XMM7 is never written. */
    const struct long_operand written = {args, has_xmm(cpu) ? FXSAVE_XMM_END : FXSAVE_X87_END, 0, 16};
    return write_operand(cpu, &written, (const uint8_t *)&image);
}

bool callout_fxrstor(struct vcpu *cpu, const struct callout_args *args)
{
    struct x87_state *x87 = &cpu->state.x87;
    struct fxsave_image image;
    bool xmm = has_xmm(cpu);
    const struct long_operand checked = {args, sizeof image, 0, 16};
    const struct long_operand wanted = {args, xmm ? FXSAVE_XMM_END : FXSAVE_X87_END, 0, 16};

    TRY(check_fxsave_operand(cpu, &checked, MMU_READ));
    memset(&image, 0, sizeof image);
    if (read_operand(cpu, &wanted, (uint8_t *)&image) < wanted.size)
        return false;
    if (xmm && (image.mxcsr & ~cpu->model->mxcsr_mask))
        return cpu_raise_error(cpu, EXC_GP, 0);

    bool was_resident = become_resident(cpu);
    x87->fop = image.fop & FOP_MASK;
    x87->fip = image.fip;
    x87->fcs = image.fcs;
    x87->fdp = image.fdp;
    x87->fds = image.fds;
    if (xmm)
        memcpy(cpu->state.xmm, image.xmm, 8 * sizeof image.xmm[0]);
    else
        image.mxcsr = cpu_get_mxcsr(cpu);
    image.fip = image.fdp = 0;
    image.fop = image.fcs = image.fds = 0;
    /* The error summary follows from flags and masks; the host must not see one that contradicts them. */
    image.fsw &= (uint16_t) ~(X87_ES | X87_B);
    if (image.fsw & ~image.fcw & X87_EXCEPTIONS)
        image.fsw |= X87_ES | X87_B;
    for (unsigned i = 0; i < 8; i++)
        memset(image.st[i] + 10, 0, 6);
    image.mxcsr_mask = 0;
    fxsave_to_host(&image);
    cpu->state.mxcsr = image.mxcsr;
    cpu_fpu_update_error_line(cpu);
    return leave(cpu, was_resident, true);
}

/* ---- MXCSR ---- */

static bool check_sse_available(struct vcpu *cpu)
{
    if ((cpu->state.cr0 & CR0_EM) || !(cpu->state.cr4 & CR4_OSFXSR))
        return cpu_raise(cpu, EXC_UD);
    return cpu->state.cr0 & CR0_TS ? cpu_raise(cpu, EXC_NM) : true;
}

bool callout_ldmxcsr(struct vcpu *cpu, const struct callout_args *args)
{
    uint64_t value;

    TRY(check_sse_available(cpu));
    TRY(cpu_read_data(cpu, args->segment, args->offset, 4, &value));
    if (value & ~(uint64_t)cpu->model->mxcsr_mask)
        return cpu_raise_error(cpu, EXC_GP, 0);
    cpu_set_mxcsr(cpu, (uint32_t)value);
    return true;
}

bool callout_stmxcsr(struct vcpu *cpu, const struct callout_args *args)
{
    TRY(check_sse_available(cpu));
    return cpu_write_data(cpu, args->segment, args->offset, 4, cpu_get_mxcsr(cpu));
}
