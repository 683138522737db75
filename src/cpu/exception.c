/* Raising exceptions, and the rules of their delivery: double and triple faults, error codes, the RF
 * image, debug status (Intel SDM vol. 3, chapter 6 and 17.3). */
#include "cpu/exception.h"

#include "cpu/debug.h"
#include "cpu/interrupt.h"
#include "trace/trace.h"

#include <string.h>

#define ERROR_EXT 1u /* Intel SDM vol. 3, 6.13 */

#define DR6_BREAKPOINTS  0x0000000fu
#define DEBUGCTL_LBR_BTF 3u

/* #AC can meet #AC for ever when its handler runs at CPL 3 on a misaligned stack; processors hang there. The
 * guest hangs too, but the instruction is restarted every so often so that the machine stays controllable. */
#define NESTED_EVENTS_MAX 16

/* ---- raising ---- */

static bool raise(struct vcpu *cpu, struct pending_exception exception)
{
    exception.valid = true;
    cpu->exception = exception;
    return false;
}

bool cpu_raise(struct vcpu *cpu, enum exception_vector vector)
{
    return raise(cpu, (struct pending_exception){.vector = (uint8_t)vector});
}

bool cpu_raise_error(struct vcpu *cpu, enum exception_vector vector, uint32_t error)
{
    return raise(cpu, (struct pending_exception){.vector = (uint8_t)vector, .has_error = true, .error = error});
}

bool cpu_raise_memory_fault(struct vcpu *cpu)
{
    const struct mmu_fault *fault = &cpu->mmu.fault;

    if (fault->kind == MMU_FAULT_ALIGNMENT)
        return cpu_raise_error(cpu, EXC_AC, 0);
    return raise(cpu, (struct pending_exception){
                          .vector = EXC_PF, .has_error = true, .error = fault->error_code, .cr2 = fault->address});
}

bool cpu_raise_debug(struct vcpu *cpu, uint32_t status, bool trap)
{
    return raise(cpu, (struct pending_exception){.vector = EXC_DB, .debug_status = status, .trap = trap});
}

/* ---- counted time: the trace hash ---- */

static void count_event(struct vcpu *cpu, enum trace_event kind, unsigned vector, uint32_t error)
{
    const struct cpu_state *s = &cpu->state;
    uint64_t words[13] = {vector, error, s->segment[SEG_CS].selector, (uint32_t)s->rip, s->system_flags};

    for (unsigned i = 0; i < 8; i++)
        words[5 + i] = (uint32_t)s->gpr[i];
    trace_hash_event(cpu->trace_hash, kind, words, ARRAY_SIZE(words));
}

/* ---- one attempt ---- */

bool interrupt_deliver(struct vcpu *cpu, const struct event *event)
{
    bool delivered;

    cpu->in_delivery = true;
    if (cpu_in_real_mode(cpu))
        delivered = interrupt_deliver_real(cpu, event);
    else if (event->is_int_n && cpu_in_vm86(cpu))
        delivered = interrupt_deliver_vm86_int_n(cpu, event);
    else
        delivered = interrupt_deliver_protected(cpu, event);
    cpu->in_delivery = false;

    if (delivered) {
        cpu->state.interrupt_shadow = 0;
    } else if (!event->is_software && cpu->exception.has_error && cpu->exception.vector != EXC_PF) {
        cpu->exception.error |= ERROR_EXT;
    }
    return delivered;
}

/* ---- double and triple faults, Intel SDM vol. 3, table 6-5 ---- */

enum fault_class { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT };

static enum fault_class class_of_vector(unsigned vector)
{
    switch (vector) {
    case EXC_DE:
    case EXC_TS:
    case EXC_NP:
    case EXC_SS:
    case EXC_GP:
        return CONTRIBUTORY;
    case EXC_PF:
        return PAGE_FAULT;
    case EXC_DF:
        return DOUBLE_FAULT;
    default:
        return BENIGN;
    }
}

enum nested_outcome { SERIAL, DOUBLE, SHUTDOWN };

static enum nested_outcome outcome_of(const struct event *first, unsigned second_vector)
{
    static const enum nested_outcome table[4][4] = {
        /* second:          benign   contributory  page fault  double fault */
        [BENIGN] = {SERIAL, SERIAL, SERIAL, SERIAL},
        [CONTRIBUTORY] = {SERIAL, DOUBLE, SERIAL, SERIAL},
        [PAGE_FAULT] = {SERIAL, DOUBLE, DOUBLE, SERIAL},
        [DOUBLE_FAULT] = {SERIAL, SHUTDOWN, SHUTDOWN, SHUTDOWN},
    };

    return table[first->is_exception ? class_of_vector(first->vector) : BENIGN][class_of_vector(second_vector)];
}

static void shut_down(struct vcpu *cpu)
{
    LOG(cpu->log, INT, "triple fault at %04x:%08x", cpu->state.segment[SEG_CS].selector, (uint32_t)cpu->state.rip);
    cpu->exception.valid = false;
    cpu->state.halted = true;
    if (cpu->environment.triple_fault)
        cpu->environment.triple_fault(cpu->environment.opaque);
}

/* The EFLAGS image of an exception: RF is set for faults so that the restarted instruction does not hit its
 * breakpoint again, but not for the breakpoint's own #DB, nor for traps and aborts (Intel SDM vol. 3, 17.3.1.1). */
static uint32_t eflags_of_exception(const struct vcpu *cpu, const struct pending_exception *exception)
{
    uint32_t eflags = cpu_eflags(cpu);
    bool is_fault = !exception->trap && exception->vector != EXC_DF && exception->vector != EXC_MC;

    if (exception->vector == EXC_DB)
        is_fault = is_fault && (exception->debug_status & DR6_BD);
    return is_fault ? eflags | FLAG_RF : eflags;
}

static struct event event_of_exception(const struct vcpu *cpu, const struct pending_exception *exception)
{
    return (struct event){
        .vector = exception->vector,
        .is_exception = true,
        .has_error = exception->has_error,
        .error = exception->error,
        .eflags = eflags_of_exception(cpu, exception),
        .return_rip = (uint32_t)cpu->state.rip,
    };
}

/* What an exception leaves in CR2, DR6 and DR7 before its handler runs. */
static void record_status(struct vcpu *cpu, const struct pending_exception *exception)
{
    struct cpu_state *s = &cpu->state;

    if (exception->vector == EXC_PF)
        s->cr2 = exception->cr2;
    if (exception->vector == EXC_DB) { /* Intel SDM vol. 3, 17.2.3 and 17.2.4 */
        s->dr[6] = (s->dr[6] & ~(uint64_t)DR6_BREAKPOINTS) | (exception->debug_status & DR6_WRITABLE) | DR6_FIXED;
        if (s->dr[7] & DR7_GD)
            debug_set_dr7(cpu, (uint32_t)s->dr[7] & ~DR7_GD);
        s->debugctl &= ~(uint64_t)DEBUGCTL_LBR_BTF;
    }
}

static struct pending_exception take_exception(struct vcpu *cpu)
{
    struct pending_exception taken = cpu->exception;

    cpu->exception.valid = false;
    return taken;
}

/* EVENT: for exceptions; NULL. */
static void trace_delivery(struct vcpu *cpu, const char *kind, uint8_t vector, const struct event *event)
{
    const struct segment *cs = &cpu->state.segment[SEG_CS];
    struct trace_int told = {
        .kind = kind,
        .vector = vector,
        .has_error = event && event->has_error,
        .error = event ? event->error : 0,
        .has_address = event && vector == EXC_PF,
        .address = cpu->state.cr2,
        .has_eax = !strcmp(kind, "software"),
        .eax = (uint32_t)cpu->state.gpr[GPR_AX],
        .cs = cs->selector,
        .eip = (uint32_t)cpu->state.rip,
        .linear = (uint32_t)(cs->base + (uint32_t)cpu->state.rip),
        .cpl = (uint8_t)cpu_cpl(cpu),
        .cr3 = cpu->state.cr3,
    };

    trace_int(cpu->log, &told);
}

static void count_exception(struct vcpu *cpu, const struct event *event)
{
    cpu->stats->exceptions++;
    if (unlikely(cpu->trace_hash))
        count_event(cpu, TRACE_EXCEPTION, event->vector, event->error);
    if (event->vector == EXC_PF)
        cpu->stats->page_faults++;
    if (LOG_ENABLED(cpu->log, INT))
        trace_delivery(cpu, "exception", event->vector, event);
}

static void deliver_until_taken(struct vcpu *cpu, struct event event)
{
    for (unsigned round = 0; round < NESTED_EVENTS_MAX; round++) {
        if (event.is_exception)
            count_exception(cpu, &event);
        if (interrupt_deliver(cpu, &event))
            return;

        struct pending_exception second = take_exception(cpu);
        record_status(cpu, &second);
        switch (outcome_of(&event, second.vector)) {
        case SERIAL:
            break;
        case DOUBLE:
            second = (struct pending_exception){.vector = EXC_DF, .has_error = true};
            break;
        case SHUTDOWN:
            shut_down(cpu);
            return;
        }
        event = event_of_exception(cpu, &second);
    }
}

void cpu_deliver_exception(struct vcpu *cpu)
{
    struct pending_exception exception = take_exception(cpu);

    cpu->mmu.devices_alone = false;
    if (unlikely(cpu->trace_hash))
        trace_hash_account(cpu->trace_hash);
    record_status(cpu, &exception);
    deliver_until_taken(cpu, event_of_exception(cpu, &exception));
}

/* ---- interrupts ---- */

bool interrupt_deliver_software(struct vcpu *cpu, uint8_t vector, enum interrupt_source source, uint64_t return_rip)
{
    struct event event = {
        .vector = vector,
        .is_software = source == INTERRUPT_SOFTWARE || source == INTERRUPT_SOFTWARE_EXCEPTION,
        .is_int_n = source == INTERRUPT_SOFTWARE,
        .eflags = cpu_eflags(cpu) & ~FLAG_RF, /* cleared as the instruction began: Intel SDM vol. 3, 17.3.1.1 */
        .return_rip = (uint32_t)return_rip,
    };

    if (unlikely(cpu->trace_hash))
        count_event(cpu, TRACE_SOFTWARE_INTERRUPT, vector, 0);
    if (LOG_ENABLED(cpu->log, INT))
        trace_delivery(cpu, "software", vector, NULL);
    return interrupt_deliver(cpu, &event);
}

bool cpu_deliver_interrupt(struct vcpu *cpu, uint8_t vector, enum interrupt_source source)
{
    if (source != INTERRUPT_EXTERNAL && source != INTERRUPT_NMI)
        return interrupt_deliver_software(cpu, vector, source, cpu->state.rip);

    if (source == INTERRUPT_NMI)
        cpu->state.nmi_blocked = true; /* until IRET: Intel SDM vol. 3, 6.7.1 */
    cpu->stats->interrupts++;
    if (unlikely(cpu->trace_hash)) {
        trace_hash_account(cpu->trace_hash);
        count_event(cpu, TRACE_INTERRUPT, vector, 0);
    }
    if (LOG_ENABLED(cpu->log, INT))
        trace_delivery(cpu, "interrupt", vector, NULL);
    deliver_until_taken(
        cpu, (struct event){.vector = vector, .eflags = cpu_eflags(cpu), .return_rip = (uint32_t)cpu->state.rip});
    return true;
}

static bool poll_nmi(struct vcpu *cpu)
{
    atomic_fetch_and(&cpu->attention, ~(unsigned)ATTENTION_NMI);
    if (cpu->state.nmi_blocked || !atomic_exchange(&cpu->nmi_pending, false)) /* IRET posts it again */
        return false;
    cpu->state.halted = false;
    cpu_deliver_interrupt(cpu, EXC_NMI, INTERRUPT_NMI);
    return true;
}

bool cpu_poll_interrupts(struct vcpu *cpu)
{
    /* The shadow of MOV SS and POP SS holds back NMI too, that of STI only maskable interrupts (Intel SDM
     * vol. 3, 6.8.3; vol. 2, STI). The requests stay posted, so that the next boundary looks again. */
    if (cpu->state.interrupt_shadow & INHIBIT_MOV_SS)
        return false;
    if (poll_nmi(cpu))
        return true;
    if (cpu->state.interrupt_shadow)
        return false;

    /* Cleared before the line is read: a rising edge meanwhile posts it anew. With IF = 0 nothing is lost, as
     * cpu_set_eflags() looks at the line. */
    atomic_fetch_and(&cpu->attention, ~(unsigned)ATTENTION_INTERRUPT);
    if (!(cpu->state.system_flags & FLAG_IF) || !atomic_load(&cpu->interrupt_line))
        return false;
    int vector = cpu->environment.acknowledge_interrupt(cpu->environment.opaque);
    if (vector < 0)
        return false;
    cpu->state.halted = false;
    cpu_deliver_interrupt(cpu, (uint8_t)vector, INTERRUPT_EXTERNAL);
    if ((cpu->state.system_flags & FLAG_IF) && atomic_load(&cpu->interrupt_line))
        atomic_fetch_or(&cpu->attention, ATTENTION_INTERRUPT);
    return true;
}
