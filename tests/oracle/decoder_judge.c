/* See decoder_judge.h. */
#define _GNU_SOURCE
#include "decoder_judge.h"

#include <asm/ldt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define CODE_END  0x10001000ull /* of the only page; as an address it also fits a 16-bit segment's base and offset */
#define CODE_PAGE (CODE_END - 0x1000)
#define BASE16    (CODE_END - 0x8000)
/* No memory is there, nor near enough for a displacement of 16 bits. */
#define REGISTERS 0x30003000ull

struct judge {
    pid_t child;
    struct user_regs_struct start;
};

static void child_main(void)
{
    struct user_desc code16 = {.base_addr = BASE16, .limit = 0xffff, .contents = 2, .useable = 1};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    munmap((void *)CODE_PAGE, 0x2000);
    if (mmap((void *)CODE_PAGE, 0x1000, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
             0) == MAP_FAILED)
        _exit(1);
    if (syscall(SYS_modify_ldt, 0x11, &code16, sizeof code16) || ptrace(PTRACE_TRACEME, 0, NULL, NULL))
        _exit(1);
    raise(SIGSTOP);
    _exit(1);
}

static bool start_child(struct judge *judge)
{
    int status;

    judge->child = fork();
    if (judge->child == 0)
        child_main();
    if (judge->child < 0 || waitpid(judge->child, &status, 0) != judge->child || !WIFSTOPPED(status)) {
        judge->child = 0;
        return false;
    }
    return !ptrace(PTRACE_GETREGS, judge->child, NULL, &judge->start);
}

static void stop_child(struct judge *judge)
{
    if (judge->child > 0) {
        kill(judge->child, SIGKILL);
        waitpid(judge->child, NULL, 0);
    }
    judge->child = 0;
}

struct judge *judge_create(void)
{
    struct judge *judge = calloc(1, sizeof *judge);

    if (start_child(judge))
        return judge;
    stop_child(judge);
    free(judge);
    return NULL;
}

void judge_destroy(struct judge *judge)
{
    stop_child(judge);
    free(judge);
}

enum step { STEP_LOST, STEP_FETCH, STEP_UNDEFINED, STEP_DONE };

/* The first LENGTH of BYTES, up to the end of the page. */
static enum step step(struct judge *judge, enum decoder_mode mode, const uint8_t *bytes, unsigned length)
{
    static const uint16_t selectors[] = {7, 0x23, 0x33};
    struct user_regs_struct r = judge->start;
    uint64_t words[2] = {0};
    siginfo_t info;
    int status;

    if (!judge->child && !start_child(judge))
        return STEP_LOST;
    memcpy((uint8_t *)words + sizeof words - length, bytes, length);
    for (unsigned i = 0; i < 2; i++)
        if (ptrace(PTRACE_POKEDATA, judge->child, CODE_END - 16 + 8 * i, words[i]))
            goto lost;
    uint64_t linear = CODE_END - length;
    r.cs = selectors[mode];
    r.ss = r.ds = r.es = 0x2b;
    r.fs = r.gs = 0;
    r.fs_base = r.gs_base = 0;
    r.rip = mode == DECODER_16 ? linear - BASE16 : linear;
    r.eflags = 0x202;
    r.rbx = r.rcx = r.rdx = r.rsi = r.rdi = r.rbp = r.rsp = REGISTERS;
    r.r8 = r.r9 = r.r10 = r.r11 = r.r12 = r.r13 = r.r14 = r.r15 = REGISTERS;
    r.rax = UINT64_MAX; /* no system call has that number */
    r.orig_rax = UINT64_MAX;
    if (ptrace(PTRACE_SETREGS, judge->child, NULL, &r) || ptrace(PTRACE_SINGLESTEP, judge->child, NULL, NULL) ||
        waitpid(judge->child, &status, 0) != judge->child)
        goto lost;
    if (!WIFSTOPPED(status)) {
        judge->child = 0;
        return STEP_LOST;
    }
    struct user_regs_struct after;
    if (ptrace(PTRACE_GETSIGINFO, judge->child, NULL, &info) || ptrace(PTRACE_GETREGS, judge->child, NULL, &after))
        goto lost;
    switch (WSTOPSIG(status)) {
    case SIGILL:
        return after.rip == r.rip ? STEP_UNDEFINED : STEP_LOST;
    case SIGSEGV:
        if (info.si_code != SI_KERNEL)
            return (uint64_t)info.si_addr == CODE_END && after.rip == r.rip ? STEP_FETCH : STEP_DONE;
        return length == DECODER_BYTES ? STEP_LOST : STEP_DONE; /* #GP, at the limit perhaps for the length */
    default: /* SIGTRAP, and whatever else an instruction that was decoded may raise */
        return STEP_DONE;
    }
lost:
    stop_child(judge);
    return STEP_LOST;
}

enum judgement judge_ask(struct judge *judge, enum decoder_mode mode, const uint8_t bytes[DECODER_BYTES],
                         unsigned *length)
{
    for (unsigned n = 1; n <= DECODER_BYTES; n++) {
        switch (step(judge, mode, bytes, n)) {
        case STEP_LOST:
            return JUDGE_UNKNOWN;
        case STEP_FETCH:
            break;
        case STEP_UNDEFINED:
            *length = n;
            return JUDGE_UNDEFINED;
        case STEP_DONE:
            *length = n;
            return JUDGE_DEFINED;
        }
    }
    *length = DECODER_BYTES + 1; /* too long */
    return JUDGE_UNKNOWN;
}
