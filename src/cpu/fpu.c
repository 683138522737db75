/* The guest's x87 state and MXCSR in the host, and the error lines FERR# and IGNNE#. */
#include "cpu/fpu.h"

#include "cpu/fxsave.h"

#include <string.h>

/* FXRSTOR loads the XMM registers too. */
#define XMM_REGISTERS                                                                                                  \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",         \
        "xmm13", "xmm14", "xmm15"

static uint32_t host_get_mxcsr(void)
{
    uint32_t value;

    __asm__ volatile("stmxcsr %0" : "=m"(value));
    return value;
}

static void host_set_mxcsr(uint32_t value)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(value) : "memory");
}

void fxsave_from_host(struct fxsave_image *image)
{
    __asm__ volatile("fxsave %0" : "=m"(*image));
}

void fxsave_to_host(const struct fxsave_image *image)
{
    __asm__ volatile("fxrstor %0" : : "m"(*image) : "memory", XMM_REGISTERS);
}

void cpu_fpu_load(struct vcpu *cpu)
{
    const struct x87_state *x87 = &cpu->state.x87;
    struct fxsave_image image;

    if (cpu->fpu_resident)
        return;
    memset(&image, 0, sizeof image);
    image.fcw = x87->fcw;
    image.fsw = x87->fsw;
    image.ftw = x87->ftw;
    image.mxcsr = cpu->state.mxcsr & MXCSR_DEFINED;
    memcpy(image.st, x87->st, sizeof image.st);
    cpu->host_mxcsr = host_get_mxcsr();
    fxsave_to_host(&image);
    cpu->fpu_resident = true;
}

void cpu_fpu_spill(struct vcpu *cpu)
{
    struct x87_state *x87 = &cpu->state.x87;
    struct fxsave_image image;

    if (!cpu->fpu_resident)
        return;
    fxsave_from_host(&image);
    x87->fcw = image.fcw;
    x87->fsw = image.fsw;
    x87->ftw = image.ftw;
    memcpy(x87->st, image.st, sizeof x87->st);
    cpu->state.mxcsr = image.mxcsr;
    __asm__ volatile("fninit");
    host_set_mxcsr(cpu->host_mxcsr);
    cpu->fpu_resident = false;
}

void cpu_fpu_reset(struct vcpu *cpu)
{
    cpu_fpu_spill(cpu);
    cpu->state.x87 = (struct x87_state){.fcw = 0x0040, .ftw = 0xff};
    memset(cpu->state.xmm, 0, sizeof cpu->state.xmm);
    cpu->state.mxcsr = MXCSR_INIT;
    cpu_fpu_update_error_line(cpu);
}

uint32_t cpu_get_mxcsr(const struct vcpu *cpu)
{
    return cpu->fpu_resident ? host_get_mxcsr() : cpu->state.mxcsr;
}

void cpu_set_mxcsr(struct vcpu *cpu, uint32_t value)
{
    cpu->state.mxcsr = value & MXCSR_DEFINED;
    if (cpu->fpu_resident)
        host_set_mxcsr(cpu->state.mxcsr);
}

/* ---- errors ---- */

static void set_ferr(struct vcpu *cpu, bool level)
{
    cpu->ferr = level;
    if (!cpu->environment.set_ferr)
        return;
    /* The board's code runs under the host's MXCSR. */
    uint32_t guest_mxcsr = host_get_mxcsr();
    if (cpu->fpu_resident)
        host_set_mxcsr(cpu->host_mxcsr);
    cpu->environment.set_ferr(cpu->environment.opaque, level);
    if (cpu->fpu_resident)
        host_set_mxcsr(guest_mxcsr);
}

/* Errors are reported when the next waiting instruction meets them ("deferred"), the one way in which
 * all processors report most of them. A processor that freezes with interrupts disabled stays frozen
 * until NMI or RESET; so do we, without blocking the thread: the instruction is simply tried again. */
enum fpu_error_action cpu_fpu_meet_error(struct vcpu *cpu)
{
    if (cpu->state.cr0 & CR0_NE)
        return FPU_ERROR_RAISE;
    if (atomic_load(&cpu->ignne))
        return FPU_ERROR_IGNORE;
    if (!cpu->ferr)
        set_ferr(cpu, true);
    return FPU_ERROR_FREEZE;
}

bool cpu_fpu_error_pending(const struct vcpu *cpu)
{
    uint16_t fsw = cpu->state.x87.fsw;

    if (cpu->fpu_resident)
        __asm__ volatile("fnstsw %0" : "=m"(fsw));
    return fsw & X87_ES;
}

void cpu_fpu_update_error_line(struct vcpu *cpu)
{
    if (!cpu->ferr || cpu_fpu_error_pending(cpu))
        return;
    atomic_store(&cpu->ignne, false);
    set_ferr(cpu, false);
}

void cpu_set_ignne(struct vcpu *cpu, bool level)
{
    atomic_store(&cpu->ignne, level);
}
