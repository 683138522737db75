/* The processor's side: a 32-bit program that owns nothing but the arena and itself.
 *
 * It runs the cases of a batch. Each is entered by a far jump with all registers loaded and left in one
 * of two ways: by a far jump to `epilogue` (the terminator behind the code), which costs no system call, or by
 * a signal. Nothing of a case survives: the handler does not return but goes on with the next case.
 *
 * No C library: its thread pointer, stack, vDSO and heap would be in the way of wild accesses. A system call made
 * by a case (INT 80h, SYSENTER) is caught by a seccomp filter, which lets pass only this program's own. */
#include "abi.h"

#include <asm/ldt.h>
#include <asm/unistd.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <stddef.h>

#define SHARED ((struct oracle_shared *)HARNESS_SHARED)
#define ALIAS  ((uint8_t *)HARNESS_ALIAS)

/* What the assembly below exchanges with C; offsets are its. */
struct exchange {
    uint32_t gpr[8];         /*  0 */
    uint32_t eip, cs;        /* 32: far pointer */
    uint32_t esp, ss;        /* 40: far pointer */
    uint32_t eflags;         /* 48 */
    uint32_t es, ds, fs, gs; /* 52 56 60 64 */
    uint32_t saved_esp;      /* 68 */
    uint32_t normal;         /* 72 */
    uint32_t pad[5];
};
__attribute__((used, aligned(64))) struct exchange cur;
__attribute__((used, aligned(64))) struct exchange res;
__attribute__((used, aligned(64))) uint8_t case_fx[512];
__attribute__((used, aligned(64))) static uint8_t main_stack[16384];
__attribute__((aligned(64))) static uint8_t signal_stack[65536];
static uint8_t private_base[ARENA_SIZE_BYTES] __attribute__((aligned(64)));

void enter_case(const uint8_t *fx);
void leave_case(void) __attribute__((noreturn));
void signal_entry(void);
extern const uint8_t epilogue[], epilogue_end[], harness_begin[], harness_end[];

__asm__(".text\n"
        "harness_begin:\n"
        ".globl _start\n_start:\n"
        "    movl %esp, %eax\n"
        "    movl $main_stack+16384, %esp\n"
        "    xorl %ebp, %ebp\n"
        "    call helper_main\n"
        "    ud2\n"

        "enter_case:\n"
        "    movl 4(%esp), %eax\n"
        "    pushal\n"
        "    movl %esp, cur+68\n"
        "    fxrstor (%eax)\n"
        "    movl cur+52, %eax\n    movl %eax, %es\n"
        "    movl cur+60, %eax\n    movl %eax, %fs\n"
        "    movl cur+64, %eax\n    movl %eax, %gs\n"
        "    movl cur+4, %ecx\n    movl cur+8, %edx\n    movl cur+12, %ebx\n"
        "    movl cur+20, %ebp\n    movl cur+24, %esi\n    movl cur+28, %edi\n"
        "    movl cur+0, %eax\n"
        "    pushl cur+48\n    popfl\n"
        "    movw %cs:cur+56, %ds\n"
        "    lssl %cs:cur+40, %esp\n"
        "    ljmpl *%cs:cur+32\n"

        /* GS is the flat data segment, see generate.c; nothing else is known. */
        "epilogue:\n"
        "    movl %eax, %gs:res+0\n    movl %ecx, %gs:res+4\n    movl %edx, %gs:res+8\n    movl %ebx, %gs:res+12\n"
        "    movl %esp, %gs:res+16\n    movl %ebp, %gs:res+20\n    movl %esi, %gs:res+24\n    movl %edi, %gs:res+28\n"
        "    movl %es, %eax\n    movl %eax, %gs:res+52\n"
        "    movl %ds, %eax\n    movl %eax, %gs:res+56\n"
        "    movl %fs, %eax\n    movl %eax, %gs:res+60\n"
        "    movl %ss, %eax\n    movl %eax, %gs:res+44\n"
        "    movl $0x2b, %eax\n    movl %eax, %ss\n    movl %gs:cur+68, %esp\n"
        "    pushfl\n    popl %gs:res+48\n"
        "    movl %eax, %ds\n    movl %eax, %es\n"
        "    movl $1, res+72\n"
        "    fxsave case_fx\n"
        "leave_case:\n"
        "    pushl $2\n    popfl\n"
        "    movl cur+68, %esp\n"
        "    popal\n"
        "    ret\n"
        "epilogue_end:\n"
        /* A case may have set AC, which C code does not expect. */
        "signal_entry:\n"
        "    pushl $2\n    popfl\n"
        "    addl $4, %esp\n" /* the restorer, which is unmapped */
        "    call on_signal\n"
        /* On with the case (rt_sigreturn). NT and ID are not taken from the frame but are what they are here. */
        "    pushl %eax\n    popfl\n"
        "    movl $173, %eax\n"
        "    int $0x80\n"
        "harness_end:\n"
        ".section .note.GNU-stack,\"\",@progbits\n.text\n");

static int call(int number, uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t e)
{
    int result;

    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
    return result;
}
#define CALL(number, a, b, c, d, e)                                                                                    \
    call(__NR_##number, (uint32_t)(a), (uint32_t)(b), (uint32_t)(c), (uint32_t)(d), (uint32_t)(e))

static void fail(uint32_t code)
{
    SHARED->failure = code;
    for (;;)
        CALL(exit_group, code & 0xff, 0, 0, 0, 0);
}

void *memcpy(void *to, const void *from, size_t n)
{
    void *result = to;

    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    return result;
}
void *memset(void *to, int value, size_t n)
{
    void *result = to;

    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory");
    return result;
}

/* ---- signals ---- */

struct signal_context { /* the kernel's struct sigcontext_32 */
    uint32_t gs, fs, es, ds, edi, esi, ebp, esp, ebx, edx, ecx, eax, trapno, err, eip, cs, eflags, esp_at_signal, ss;
    uint32_t fpstate, oldmask, cr2;
};
struct user_context {
    uint32_t flags, link, stack[3];
    struct signal_context mc;
};

static struct oracle_output *output;
static uint32_t wants_fpu;

#define SIGNAL_SYS 31

#include "helper_step.h"

/* What EFLAGS has to be on return: on_signal() comes back only for a case that goes on. */
__attribute__((used)) uint32_t on_signal(int number, void *info, struct user_context *context)
{
    struct signal_context *mc = &context->mc;
    uint32_t eip = mc->eip;
    uint32_t linear_cs = mc->cs & 0xffff;

    (void)info;
    res.normal = 0;
    output->end = END_FAULT;
    if (step.wanted && mc->trapno == 1 && number != SIGNAL_SYS && on_step(mc))
        return (mc->eflags & 0x204000) | 2;
    if (step.wanted && !step.own_trap)
        mc->eflags &= ~0x100u;
    /* The IRET to an EIP beyond the limit faulted in the jump's or the last instruction's place. */
    if (step.wanted && step.started && mc->trapno == 13 && !mc->err && mc->eip > code_limit(mc->cs & 0xffff))
        mc->eflags |= 0x10000;
    if (output->end != END_FAULT) { /* on_step() has said it */
    } else if (number == SIGNAL_SYS) {
        output->end = END_DISCARD;
    } else if (linear_cs == SELECTOR_USER_CODE32 && eip >= (uint32_t)harness_begin && eip < (uint32_t)harness_end) {
        if (eip == (uint32_t)epilogue)
            output->end = mc->trapno == 1 && !(step.wanted && !step.own_trap) ? END_FAULT /* TF */
                                                                              : END_NORMAL /* GS was not flat */;
        else if (eip < (uint32_t)epilogue)
            output->end = END_SETUP;
        else
            output->end = END_DISCARD;
    } else if (linear_cs == SELECTOR_USER_CODE32 && eip >= HARNESS_BEGIN && eip < HARNESS_END) {
        if (mc->trapno != 14)
            output->end = END_DISCARD;
    }
    if (output->end == END_NORMAL) { /* as if it had come there by itself */
        mc->eip = mc->cs = 0;
        mc->eflags &= ~0x10000u;
        mc->trapno = mc->err = mc->cr2 = 0;
    }
    output->boundary = step.done;
    if (output->end == END_STOPPED)
        mc->trapno = mc->err = mc->cr2 = 0;
    output->vector = mc->trapno;
    output->error = mc->err;
    output->cr2 = mc->cr2;
    take_registers(&output->registers, mc);
    if (wants_fpu && mc->fpstate) /* behind the 112 bytes of the FSAVE image */
        memcpy(output->registers.fx, (const void *)(mc->fpstate + 112), 512);
    leave_case();
}

struct kernel_sigaction {
    void (*handler)(void);
    uint32_t flags;
    void (*restorer)(void);
    uint32_t mask[2];
};
#define SA_FLAGS (4u /* SIGINFO */ | 0x08000000u /* ONSTACK */ | 0x40000000u /* NODEFER */)

static void install_signals(void)
{
    static const uint8_t numbers[] = {4 /* ILL */, 5 /* TRAP */, 7 /* BUS */, 8 /* FPE */, 11 /* SEGV */, SIGNAL_SYS};
    static struct kernel_sigaction action = {.handler = signal_entry, .flags = SA_FLAGS};
    struct {
        void *sp;
        int flags;
        uint32_t size;
    } stack = {signal_stack, 0, sizeof signal_stack};

    CALL(sigaltstack, &stack, 0, 0, 0, 0);
    for (unsigned i = 0; i < sizeof numbers; i++)
        if (CALL(rt_sigaction, numbers[i], &action, 0, 8, 0))
            fail(10);
}

/* ---- the arena, segments, system calls ---- */

static int map(uint32_t at, uint32_t length, uint32_t protection, int fd, uint32_t offset)
{
    struct {
        uint32_t at, length, protection, flags, fd, offset;
    } args = {at, length, protection, 0x01 | 0x10 | 0x8000 /* SHARED | FIXED | POPULATE */, (uint32_t)fd, offset};

    return CALL(mmap, &args, 0, 0, 0, 0) != (int)at;
}

static void map_arena(void)
{
    int fd = CALL(memfd_create, "arena", 0, 0, 0, 0);

    if (fd < 0 || CALL(ftruncate, fd, ARENA_SIZE_BYTES, 0, 0, 0))
        fail(20);
    if (map(HARNESS_ALIAS, ARENA_SIZE_BYTES, 3, fd, 0))
        fail(21);
    for (unsigned i = 0; i < ARENA_SIZE_BYTES; i += ARENA_PAGE)
        *(volatile uint8_t *)(ALIAS + i) = 1;
    for (unsigned i = 0; i < ARENA_PAGES; i++) {
        if (map(arena_linear[i], ARENA_PAGE,
                i < ARENA_CODE_PAGES   ? 7
                : i == ARENA_READ_ONLY ? 1
                                       : 3,
                fd, i * ARENA_PAGE))
            fail(22);
        if (i != ARENA_READ_ONLY)
            *(volatile uint8_t *)arena_linear[i] = 2;
    }
}

static void load_ldt(void)
{
    static struct user_desc entries[] = {
#define X(n, name, base, limit_, bits32, contents_, only, pages, absent)                                               \
    {.entry_number = n,                                                                                                \
     .base_addr = base,                                                                                                \
     .limit = limit_,                                                                                                  \
     .seg_32bit = bits32,                                                                                              \
     .contents = contents_,                                                                                            \
     .read_exec_only = only,                                                                                           \
     .limit_in_pages = pages,                                                                                          \
     .seg_not_present = absent,                                                                                        \
     .useable = 1},
        ORACLE_LDT(X)
#undef X
    };

    for (unsigned i = 0; i < ORACLE_LDT_COUNT; i++)
        if (CALL(modify_ldt, 0x11, &entries[i], sizeof entries[i], 0, 0))
            fail(30 + i);
}

/* Stack, vDSO and what else the kernel put outside HARNESS_BEGIN..HARNESS_END. */
static void unmap_the_rest(void)
{
    CALL(munmap, 0x1000, HARNESS_BEGIN - 0x1000, 0, 0, 0);
    CALL(munmap, HARNESS_END, 0xffffe000u - HARNESS_END, 0, 0, 0);
}

static void restrict_calls(void)
{
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, HARNESS_BEGIN, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, HARNESS_END, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    static struct sock_fprog program = {sizeof code / sizeof code[0], code};

    if (CALL(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || CALL(prctl, PR_SET_SECCOMP, 2, &program, 0, 0))
        fail(60);
}

/* ---- cases ---- */

static void run_case(const struct oracle_input *in, struct oracle_output *out)
{
    for (unsigned i = 0; i < in->patch_count; i++)
        memcpy(ALIAS + in->patches[i].offset, in->patches[i].bytes, in->patches[i].length);
    memcpy(ALIAS + in->code_offset, in->code, in->code_length);
    for (unsigned i = 0; i < 8; i++)
        cur.gpr[i] = (uint32_t)in->registers.gpr[i];
    cur.eip = (uint32_t)in->registers.rip;
    cur.cs = in->registers.segment[ORACLE_CS];
    cur.esp = cur.gpr[4];
    cur.ss = in->registers.segment[ORACLE_SS];
    cur.eflags = in->registers.eflags;
    cur.es = in->registers.segment[ORACLE_ES];
    cur.ds = in->registers.segment[ORACLE_DS];
    cur.fs = in->registers.segment[ORACLE_FS];
    cur.gs = in->registers.segment[ORACLE_GS];
    output = out;
    wants_fpu = in->uses_fpu;
    step.wanted = in->boundary;
    step.done = 0;
    step.started = step.own_trap = 0;
    if (in->boundary)
        cur.eflags |= 0x100;
    out->boundary = 0;

    enter_case(in->uses_fpu ? in->registers.fx : SHARED->default_fx);

    out = output;
    __asm__ volatile("fninit");
    if (res.normal) {
        out->end = END_NORMAL;
        out->vector = out->error = out->cr2 = 0;
        if (in->uses_fpu)
            memcpy(out->registers.fx, case_fx, sizeof case_fx);
        for (unsigned i = 0; i < 8; i++)
            out->registers.gpr[i] = res.gpr[i];
        out->registers.rip = 0;
        out->registers.eflags = res.eflags;
        out->registers.segment[ORACLE_ES] = (uint16_t)res.es;
        out->registers.segment[ORACLE_CS] = 0;
        out->registers.segment[ORACLE_SS] = (uint16_t)res.ss;
        out->registers.segment[ORACLE_DS] = (uint16_t)res.ds;
        out->registers.segment[ORACLE_FS] = (uint16_t)res.fs;
        out->registers.segment[ORACLE_GS] = SELECTOR_USER_DATA;
    }
    oracle_collect(ALIAS, private_base, out);
}

__attribute__((used, noreturn)) void helper_main(void)
{
    uint32_t generation = 0, done = 0;

    if (map(HARNESS_SHARED, sizeof(struct oracle_shared), 3, 3, 0))
        CALL(exit_group, 99, 0, 0, 0, 0);
    CALL(prctl, PR_SET_PDEATHSIG, 9, 0, 0, 0);
    unmap_the_rest();
    map_arena();
    load_ldt();
    install_signals();
    restrict_calls();
    SHARED->epilogue = (uint32_t)epilogue;
    for (unsigned i = 0; i < sizeof(struct oracle_shared); i += ARENA_PAGE)
        (void)*((volatile uint8_t *)SHARED + i);
    for (;;) {
        uint32_t request;

        __atomic_store_n(&SHARED->reply, done, __ATOMIC_RELEASE);
        CALL(futex, &SHARED->reply, FUTEX_WAKE, 1, 0, 0);
        while ((request = __atomic_load_n(&SHARED->request, __ATOMIC_ACQUIRE)) == done)
            CALL(futex, &SHARED->request, FUTEX_WAIT, done, 0, 0);
        if (SHARED->base_generation != generation) {
            generation = SHARED->base_generation;
            memcpy(private_base, SHARED->base, ARENA_SIZE_BYTES);
            memcpy(ALIAS, private_base, ARENA_SIZE_BYTES);
        }
        for (uint32_t i = SHARED->first; i < SHARED->count; i++) {
            uint32_t ran;

            SHARED->current = i;
            run_case(&SHARED->input[i], &SHARED->output[i]);
            /* The end came before the boundaries that were left. */
            for (i = ran = SHARED->current; i + 1 < SHARED->count && SHARED->input[i + 1].follows; i++)
                memcpy(&SHARED->output[i + 1], &SHARED->output[ran], sizeof SHARED->output[ran]);
        }
        done = request;
    }
}
