/* One virtual processor: its architectural state and what its engines need at hand.
 *
 * The layout is a contract: gpr is at offset 0, so that a register operand is a byte offset into the
 * structure in predecoded operations and in generated code. */
#ifndef DRAGOMAN_CPU_VCPU_H
#define DRAGOMAN_CPU_VCPU_H

#include "base/clock.h"
#include "base/compiler.h"
#include "base/log.h"
#include "base/stats.h"
#include "base/trace_hash.h"
#include "mmu/mmu.h"
#include "mmu/ports.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gpr { GPR_AX, GPR_CX, GPR_DX, GPR_BX, GPR_SP, GPR_BP, GPR_SI, GPR_DI, GPR_R8, GPR_ZERO = 16, GPR_SLOTS = 17 };
enum segment_number { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_COUNT };

/* EFLAGS, Intel SDM vol. 1, 3.4.3 */
#define FLAG_CF 0x00000001u
#define FLAG_FIXED 0x00000002u
#define FLAG_PF 0x00000004u
#define FLAG_AF 0x00000010u
#define FLAG_ZF 0x00000040u
#define FLAG_SF 0x00000080u
#define FLAG_TF 0x00000100u
#define FLAG_IF 0x00000200u
#define FLAG_DF 0x00000400u
#define FLAG_OF 0x00000800u
#define FLAG_IOPL 0x00003000u
#define FLAG_NT 0x00004000u
#define FLAG_RF 0x00010000u
#define FLAG_VM 0x00020000u
#define FLAG_AC 0x00040000u
#define FLAG_VIF 0x00080000u
#define FLAG_VIP 0x00100000u
#define FLAG_ID 0x00200000u
#define FLAG_ARITHMETIC (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

/* Control registers, Intel SDM vol. 3, 2.5 */
#define CR0_PE 0x00000001u
#define CR0_MP 0x00000002u
#define CR0_EM 0x00000004u
#define CR0_TS 0x00000008u
#define CR0_ET 0x00000010u
#define CR0_NE 0x00000020u
#define CR0_WP 0x00010000u
#define CR0_AM 0x00040000u
#define CR0_NW 0x20000000u
#define CR0_CD 0x40000000u
#define CR0_PG 0x80000000u
#define CR4_VME 0x0001u
#define CR4_PVI 0x0002u
#define CR4_TSD 0x0004u
#define CR4_DE 0x0008u
#define CR4_PSE 0x0010u
#define CR4_PAE 0x0020u
#define CR4_MCE 0x0040u
#define CR4_PGE 0x0080u
#define CR4_PCE 0x0100u
#define CR4_OSFXSR 0x0200u
#define CR4_OSXMMEXCPT 0x0400u
#define EFER_SCE 0x001u
#define EFER_LME 0x100u
#define EFER_LMA 0x400u
#define EFER_NXE 0x800u

/* A segment register with its hidden part.
 *
 *   attributes: descriptor bits 40..55
 *     15 14  13 12  11..8   7  6 5  4  3..0
 *      G D/B  L AVL   0     P  DPL  S  type
 *
 * read_end/write_end: first offset past what a plain expand-up check may touch for that kind of
 * access (limit + 1), or 0 when every access must take the careful path (null, expand-down, wrong
 * type, limit check always failing). An access of SIZE bytes at OFFSET is fine if
 * offset + size <= end. */
struct segment {
    uint64_t base;
    uint64_t read_end;
    uint64_t write_end;
    uint32_t limit; /* in bytes, inclusive, G applied */
    uint16_t selector;
    uint16_t attributes;
};

#define SEGMENT_TYPE(s) ((s)->attributes & 0x0f)
#define SEGMENT_ACCESSED 0x0001u
#define SEGMENT_WRITABLE 0x0002u   /* data; for code: readable */
#define SEGMENT_EXPAND_DOWN 0x0004u /* data; for code: conforming */
#define SEGMENT_CODE 0x0008u
#define SEGMENT_S 0x0010u
#define SEGMENT_DPL_SHIFT 5
#define SEGMENT_DPL(s) (((s)->attributes >> SEGMENT_DPL_SHIFT) & 3)
#define SEGMENT_P 0x0080u
#define SEGMENT_L 0x2000u
#define SEGMENT_DB 0x4000u
#define SEGMENT_G 0x8000u

struct descriptor_table {
    uint64_t base;
    uint16_t limit;
};

union xmm_register {
    uint8_t u8[16];
    uint16_t u16[8];
    uint32_t u32[4];
    uint64_t u64[2];
};

/* The x87 state as FXSAVE orders it. Out of date while cpu->fpu_resident, except the pointers, which
 * the engines keep here (the host's own would show host addresses). */
struct x87_state {
    uint16_t fcw;
    uint16_t fsw;
    uint8_t ftw; /* abridged: bit n set = physical register n not empty */
    uint16_t fop;
    uint32_t fip;
    uint16_t fcs;
    uint32_t fdp;
    uint16_t fds;
    uint8_t st[8][16]; /* ST(0)..ST(7), 80 bits each */
};

/* Everything a program or an operating system could observe; what lockstep compares, what snapshots
 * save. */
struct cpu_state {
    uint64_t gpr[GPR_SLOTS]; /* [GPR_ZERO] is always 0: "no register" in addresses */
    uint64_t rip;            /* of the next instruction; stale inside a block (see interp/op.h) */

    /* Arithmetic flags as LAHF and SETO leave them in AX, the form in which translated code parks
     * them too:   15 SF | 14 ZF | 13 0 | 12 AF | 11 0 | 10 PF | 9 1 | 8 CF | 7..1 0 | 0 OF */
    uint16_t arithmetic_flags;
    uint32_t system_flags; /* all other EFLAGS bits (DF, TF, IF, IOPL, NT, RF, VM, AC, VIF, VIP, ID) */

    struct segment segment[SEG_COUNT];
    struct segment ldtr, tr;
    struct descriptor_table gdtr, idtr;
    uint32_t cr0, cr4;
    uint64_t cr2, cr3;
    uint64_t dr[8]; /* 4 and 5 unused */
    uint64_t efer;

    uint32_t mxcsr;
    _Alignas(16) union xmm_register xmm[16];
    struct x87_state x87;

    /* MSRs with storage */
    uint64_t apic_base, pat, misc_enable;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t mtrr_physical_base[8], mtrr_physical_mask[8], mtrr_fixed[11], mtrr_default_type;
    uint64_t tsc_offset; /* TSC = virtual time * frequency + offset */
    uint64_t debugctl, bios_signature;
    uint64_t mcg_status, mcg_control, mc_control[5]; /* machine check: P6 has 5 banks, Pentium 4 has 4 */
    uint64_t performance_select[2], performance_counter[2];

    bool halted;
    bool nmi_blocked;      /* from NMI to IRET */
    uint8_t interrupt_shadow; /* INHIBIT_* for the one instruction after STI, MOV SS, POP SS */
    bool a20_enabled;
};

#define INHIBIT_STI 1u
#define INHIBIT_MOV_SS 2u /* also holds back debug traps */

/* ---- the mode word: everything about mode that decides what a block of code means ----
 *
 *  31..28 |  27..16 segment shapes, 2 bits each: ES CS SS DS FS GS | 15 | 14 OBSERVED | 13 SINGLE | 12 COUNTED
 *  11 OSFXSR | 10 MP | 9 TS | 8 EM | 7 AC | 6..5 CPL | 4 LONG | 3 VM86 | 2 PE | 1 SS.B | 0 CS.D
 */
#define MODE_CS_D (1u << 0)
#define MODE_SS_B (1u << 1)
#define MODE_PE (1u << 2)
#define MODE_VM86 (1u << 3)
#define MODE_LONG (1u << 4)
#define MODE_CPL_SHIFT 5
#define MODE_CPL(mode) (((mode) >> MODE_CPL_SHIFT) & 3)
#define MODE_AC (1u << 7) /* EFLAGS.AC & CR0.AM at CPL 3 */
#define MODE_EM (1u << 8)
#define MODE_TS (1u << 9)
#define MODE_MP (1u << 10)
#define MODE_OSFXSR (1u << 11)
#define MODE_COUNTED (1u << 12)
#define MODE_SINGLE (1u << 13) /* engine-internal: blocks of one instruction (TF, shadows, debugger) */
#define MODE_OBSERVED (1u << 14) /* engine-internal: blocks decoded for a profile, beside their translations */
#define MODE_SHAPE_SHIFT 16
#define MODE_SHAPE(mode, seg) (((mode) >> (MODE_SHAPE_SHIFT + 2 * (seg))) & 3)
enum segment_shape {
    SHAPE_OTHER, /* every access is checked against read_end/write_end and the base is added */
    SHAPE_FLAT,  /* base 0, limit 4 GiB, readable and writable (code: readable): no check at all */
    SHAPE_64K    /* writable expand-up data (code: readable), limit >= FFFFh, base a multiple of 16: 16-bit offsets
                  * need no limit check apart from operands that straddle FFFFh, and those are misaligned */
};

/* ---- exceptions, Intel SDM vol. 3, table 6-1 ---- */
enum exception_vector {
    EXC_DE = 0, EXC_DB = 1, EXC_NMI = 2, EXC_BP = 3, EXC_OF = 4, EXC_BR = 5, EXC_UD = 6, EXC_NM = 7, EXC_DF = 8,
    EXC_TS = 10, EXC_NP = 11, EXC_SS = 12, EXC_GP = 13, EXC_PF = 14, EXC_MF = 16, EXC_AC = 17, EXC_MC = 18, EXC_XM = 19
};

struct pending_exception {
    bool valid;
    uint8_t vector;
    bool has_error;
    uint32_t error;
    uint64_t cr2;         /* #PF: written to CR2 on delivery */
    uint32_t debug_status; /* #DB: bits to set in DR6 on delivery */
    bool trap;            /* RIP already points behind the instruction (TF, data breakpoints, task T bit) */
};

/* Reasons for a vCPU to leave its chain of blocks at the next block boundary. */
enum attention_bit {
    ATTENTION_INTERRUPT = 1u << 0, /* the interrupt line is up (or just became enabled): have a look */
    ATTENTION_NMI = 1u << 1,       /* nmi_pending: have a look */
    ATTENTION_STOP = 1u << 2,      /* pause, quit, snapshot: return from the run loop */
    ATTENTION_FLUSH = 1u << 3,     /* mmu_apply_posted() */
    ATTENTION_TIMER = 1u << 4,     /* counted time: a deadline was moved */
    ATTENTION_RESET = 1u << 5,
    ATTENTION_EVENT = 1u << 6,     /* shadow, trap or pending exception: the slow loop must look */
    ATTENTION_INVALIDATED = 1u << 7, /* the running block was invalidated: leave at the next instruction */
    ATTENTION_PROFILE = 1u << 8    /* the next blocks are to be observed (interp_native.observe) */
};

/* What the processor needs from the board. */
struct cpu_environment {
    void *opaque;
    int (*acknowledge_interrupt)(void *opaque); /* INTA: vector, or -1 if nobody asks. Takes the device lock. */
    void (*set_ferr)(void *opaque, bool level); /* FERR# towards IRQ 13; takes the device lock */
    void (*triple_fault)(void *opaque);         /* shutdown cycle: the board resets or stops */
    void (*a20_gate)(void *opaque);             /* unused */
    /* IA32_APIC_BASE was written; takes the device lock. NULL: nobody cares. */
    void (*set_apic_base)(void *opaque, uint64_t value);
};

/* What a debugger outside the machine watches: data, at linear addresses (cpu/debug.h). */
enum watch_kind { WATCH_WRITE = 1, WATCH_READ = 2, WATCH_ACCESS = WATCH_WRITE | WATCH_READ };
#define WATCHPOINT_MAX_LENGTH 4096u
#define WATCHPOINT_COUNT      32

struct watchpoint {
    uint64_t address;
    uint32_t length; /* bytes, 1 to WATCHPOINT_MAX_LENGTH */
    enum watch_kind kind;
};

struct watchpoints {
    struct watchpoint list[WATCHPOINT_COUNT];
    unsigned count;
    bool hit;
    enum watch_kind hit_kind; /* of the watchpoint */
    bool hit_write;           /* the access was a write */
    uint64_t hit_address;     /* first byte of the watchpoint that the access touched */
};

struct cpu_model;
struct instruction_row;

/* What translated code keeps at hand in the vCPU (backend-x86_64/). */
struct native_context {
    void *translator;       /* struct translator *, or NULL */
    void *jump_cache;       /* struct native_jump *: where indirect branches are looked up */
    uint64_t fault_address; /* host return address of the call that met a guest fault */
    /* Guest calls that translated code has not returned from are on the host's stack, too: thunks.h */
    uint64_t caller_stack;  /* RSP of native enter: no calls */
    uint64_t stack_limit;   /* RSP from which on calls are forgotten */
    uint64_t stack;         /* RSP of the translated code that has called C */
    uint64_t returns_generation; /* mmu.generation that they rest on */
    uint32_t bounce_linear; /* of the write that a bounce buffer stands for */
    uint32_t bounce_size;
    bool leave;             /* the running translation is gone: leave at the next instruction boundary */
    _Alignas(16) uint8_t bounce[32]; /* operands that cannot be accessed directly */
    uint32_t unpark_table[512]; /* hosts without SAHF: what makes EFLAGS of OF << 8 | flags (thunks.c) */
};

/* What a descriptor came to when it was loaded into a data segment register: a function of its eight bytes, the selector and
 * the CPL. Only of those that passed all checks and were marked as accessed. */
struct segment_memo {
    uint64_t key;       /* selector | CPL << 16 | SEGMENT_MEMO_VALID */
    uint32_t low, high; /* the descriptor */
    uint32_t shape;     /* enum segment_shape */
    struct segment loaded;
};
#define SEGMENT_MEMOS      16u
#define SEGMENT_MEMO_VALID (1ull << 32)

struct vcpu {
    struct cpu_state state; /* first: gpr at offset 0 */

    /* ---- hot, derived ---- */
    uint32_t mode;               /* the mode word; cpu_update_mode() after anything it depends on */
    atomic_uint attention;       /* set of attention_bit */
    int64_t budget;              /* instructions until the run loop must be left */
    uint64_t instructions;       /* retired, up to the last block boundary */
    uint64_t next_rip;           /* see cpu/callout.h */
    struct pending_exception exception;
    struct mmu mmu;

    /* ---- cold ---- */
    atomic_bool interrupt_line;  /* INTR as the local APIC or the PIC drives it */
    atomic_bool nmi_pending;     /* an NMI edge not yet delivered (it waits while nmi_blocked) */
    atomic_bool init_pending;    /* an INIT not yet taken: the thread that runs the vCPU calls cpu_init() */
    uint32_t pending_debug;      /* DR6 bits collected during this instruction (data, I/O breakpoints) */
    bool fpu_resident;           /* x87 state is in this thread's host FPU, MXCSR in force */
    uint32_t host_mxcsr;
    int fault_vector;            /* of a host fault that an instruction with two possible ones met */
    bool ferr;                   /* FERR# is asserted (CR0.NE = 0 and an x87 error was waited for) */
    atomic_bool ignne;           /* IGNNE# is asserted: cpu_set_ignne() in cpu/fpu.h */
    _Alignas(16) uint8_t fpu_scratch[16]; /* operands of x87, MMX and SSE instructions on the careful path */
    bool in_delivery;            /* delivering an event: contributory faults become #DF */
    unsigned index;
    const struct cpu_model *model;
    struct port_space *ports;
    struct clock *clock;
    struct log *log;
    struct stats *stats;
    struct cpu_environment environment;
    struct segment_memo segment_memo[SEGMENT_MEMOS]; /* by bits of the selector */
    uint64_t tsc_hz;
    void *engine;                /* struct interp *, later struct translator * */
    struct native_context native;
    void (*kick)(struct vcpu *cpu); /* wakes the vCPU thread out of HLT; any thread */
    void *kick_opaque;
    struct watchpoints watchpoints; /* the debugger's: no part of the processor's state */
    struct trace_hash *trace_hash;  /* counted time: told of every event; or NULL */
};

static_assert(offsetof(struct vcpu, state.gpr) == 0, "register operands are offsets into struct vcpu");

/* ---- flags ---- */
always_inline uint32_t cpu_arithmetic_to_eflags(uint16_t packed)
{
    return ((packed >> 8) & (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF)) | ((uint32_t)(packed & 1) << 11);
}
always_inline uint16_t cpu_eflags_to_arithmetic(uint32_t eflags)
{
    return (uint16_t)(((eflags & (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF)) << 8) | ((eflags >> 11) & 1) | 0x200);
}
always_inline uint32_t cpu_eflags(const struct vcpu *cpu)
{
    return cpu_arithmetic_to_eflags(cpu->state.arithmetic_flags) | cpu->state.system_flags | FLAG_FIXED;
}
/* Stores all bits; the caller has decided what may change. Calls cpu_update_mode when AC or VM changed,
 * and raises ATTENTION_EVENT/INTERRUPT when TF or IF demand a look. */
void cpu_set_eflags(struct vcpu *cpu, uint32_t eflags);

/* ---- mode ---- */
always_inline unsigned cpu_cpl(const struct vcpu *cpu)
{
    return MODE_CPL(cpu->mode);
}
always_inline bool cpu_in_real_mode(const struct vcpu *cpu) { return !(cpu->mode & MODE_PE); }
always_inline bool cpu_in_vm86(const struct vcpu *cpu) { return cpu->mode & MODE_VM86; }
always_inline bool cpu_in_protected_mode(const struct vcpu *cpu)
{
    return (cpu->mode & (MODE_PE | MODE_VM86)) == MODE_PE;
}
/* Recomputes cpu->mode from CR0, CR4, EFER, EFLAGS.VM/AC, the segment registers and CPL, and tells the
 * mmu its class and alignment check. CPL: 0 in real mode, 3 in V86, else SS.DPL (which loads keep equal
 * to the CPL), except while cpu_set_cpl() is in force. */
void cpu_update_mode(struct vcpu *cpu);
/* The same when nothing but segment register SEG, neither CS nor SS, has changed. */
void cpu_update_data_segment(struct vcpu *cpu, unsigned seg);
/* The same when its shape is known. */
static inline void cpu_set_data_shape(struct vcpu *cpu, unsigned seg, uint32_t shape)
{
    unsigned shift = MODE_SHAPE_SHIFT + 2 * seg;

    cpu->mode = (cpu->mode & ~(3u << shift)) | shape << shift;
}
/* Recomputes read_end/write_end of a segment from its limit and attributes. */
void cpu_update_segment_ends(const struct vcpu *cpu, struct segment *segment);

/* Sets every architectural register to its value after RESET (Intel SDM vol. 3, table 9-1); A20 on;
 * the x87 and SSE state too. */
void cpu_reset(struct vcpu *cpu);
/* The same after INIT: x87, SSE, MSRs, TSC, CR0.CD and NW, A20 and what the caches hold stay (Intel SDM vol. 3,
 * table 9-1). */
void cpu_init(struct vcpu *cpu);

/* INTR; NMI edge; INIT. Any thread. */
void cpu_set_interrupt_line(struct vcpu *cpu, bool level);
void cpu_post_nmi(struct vcpu *cpu);
void cpu_post_init(struct vcpu *cpu);
void cpu_post_attention(struct vcpu *cpu, unsigned bits);

uint64_t cpu_read_tsc(struct vcpu *cpu);

#endif
