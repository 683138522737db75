/* The verifier: for each rule one block that breaks it, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ir/ir.h"

#include <stdlib.h>
#include <string.h>

struct rule {
    const char *text, *message; /* message NULL: the block is right */
};

static void parse(struct ir_block *block, const char *text)
{
    char all[1024], message[256];
    snprintf(all, sizeof all, "block\n0 00001000 x\n%s", text);
    if (!ir_parse(block, all, message, sizeof message))
        fail_msg("%s in\n%s", message, all);
}

static void check(struct ir_block *block, bool check_flags, const struct rule *rule)
{
    char message[256] = "";
    bool good = ir_verify(block, check_flags, message, sizeof message);
    if (rule->message ? good || !strstr(message, rule->message) : !good)
        fail_msg("message '%s', not '%s', for\n%s", message, rule->message ? rule->message : "", rule->text);
}

static void check_all(const struct rule *rules, size_t count, bool check_flags)
{
    const struct ir_host_flags host = {0};
    struct ir_block *block = malloc(sizeof *block);
    for (size_t i = 0; i < count; i++) {
        parse(block, rules[i].text);
        for (unsigned j = 0; j < block->op_count; j++)
            ir_op_flags(&block->ops[j], &host);
        check(block, check_flags, &rules[i]);
    }
    free(block);
}
#define CHECK_ALL(rules, flags) check_all(rules, sizeof(rules) / sizeof(rules)[0], flags)

static void test_operands(void **state)
{
    static const struct rule rules[] = {
        {"mov.4 eax, ebx\n exit 0", NULL},
        {"mov.8 eax, ebx\n exit 0", "op 0 (mov): width 8"},
        {"mov.3 eax, ebx\n exit 0", "width 3"},
        {"mov eax, ebx\n exit 0", "width 0"},
        {"bsf.1 al, bl\n exit 0", "width 1"},
        {"mov.4 5, ebx\n exit 0", "operand dst is of a kind"},
        {"movzx.4.1 eax, 5\n exit 0", "operand a is of a kind"},
        {"imul3.4 eax, ebx, ecx\n exit 0", "operand b is of a kind"},
        {"lea.4 m, [eax]\n exit 0", "operand dst is of a kind"},
        {"segment.4 eax, ds.4 r [ebx]\n exit 0", "operand dst is of a kind"},
        {"check_target 5\n exit 0", "operand a is of a kind"},
        {"exit_indirect m", "operand a is of a kind"},
        {"exit 0 return", "no such branch"},
        {"exit 1 call", "no such branch"},
        {"exit 0 call", NULL},
        {"exit_indirect eax call", NULL},
        {"exit_indirect eax return", NULL},
        {"xchg.4 eax, 5\n exit 0", "operand a is of a kind"},
        {"probe.4 r [ebx]\n xadd.4 eax, m\n exit 0", "operand a is of a kind"},
        {"cmpxchg8b.8 eax\n exit 0", "operand dst is of a kind"},
        {"probe.4 rw [ebx]\n mov.4 m, m\n exit 0", "two operands in memory"},
        {"mov.1 al, 0x80\n exit 0", "not sign-extended from 1 bytes"},
        {"mov.1 al, -0x80\n exit 0", NULL},
        {"mov.2 ax, 0x8000\n exit 0", "not sign-extended from 2 bytes"},
        {"shl.4 eax, 0\n exit 0", "shift count not in 1..31"},
        {"shl.4 eax, 32\n exit 0", "shift count not in 1..31"},
        {"shl.4 eax, dl\n exit 0", "neither constant nor CL"},
        {"shld.4 eax, ecx, dl\n exit 0", "neither constant nor CL"},
        {"shld.4 eax, ecx, cl\n exit 0", NULL},
        {"movzx.2.2 ax, bx\n exit 0", "not narrower"},
        {"movzx.4.4 eax, ebx\n exit 0", "not narrower"},
        {"lock add.4 eax, ebx\n exit 0", "lock without"},
        {"probe.4 rw [ebx]\n lock shl.4 m, 1\n exit 0", "lock without"},
        {"probe.4 rw [ebx]\n lock add.4 m, 1\n exit 0", NULL},
        {"probe r [ebx]\n exit 0", "access of 0 bytes"},
        {"segment.4 t0, ds.0 r [ebx]\n exit 0", "access of 0 bytes"},
        {"raise 32", "no such exception"},
    };
    CHECK_ALL(rules, false);
}

/* What the text form cannot say. */
static void test_fields(void **state)
{
    struct ir_block *block = malloc(sizeof *block);
#define BROKEN(given, change, expected)                                                                                \
    do {                                                                                                               \
        struct ir_op *op;                                                                                              \
        parse(block, given);                                                                                           \
        op = &block->ops[0];                                                                                           \
        (void)op;                                                                                                      \
        change;                                                                                                        \
        check(block, false, &(struct rule){given, expected});                                                          \
    } while (0)
    BROKEN("mov.4 eax, ebx\n exit 0", op->opcode = IR_OPCODE_COUNT, "no such op");
    BROKEN("mov.4 eax, ebx\n exit 0", op->dst.number = 8, "no register");
    BROKEN("mov.4 eax, ebx\n exit 0", op->a.kind = 17, "operand a is of a kind");
    BROKEN("mov.1 ah, bl\n exit 0", op->dst.number = 4, "no register");
    BROKEN("mov.1 ah, bl\n exit 0", op->width = 4, "high byte");
    BROKEN("mov.4 t0, ebx\n exit 0", block->temp_count = 0, "a temp nobody made");
    BROKEN("clc\n exit 0", op->dst = ir_guest(0), "operand dst is of a kind");
    BROKEN("probe.4 r [ebx]\n exit 0", op->access = 3, "no such access");
    BROKEN("probe.4 r [ebx]\n exit 0", op->probe = 3, "no such kind of probe");
    BROKEN("fpu none, none {x87 0 0 d8 c1}\n exit 0", op->fpu.unit = 4, "no such unit");
    BROKEN("fpu none, none {sse 0 1 58 c1}\n exit 0", op->fpu.map = 4, "map 4 is not of that unit");
    BROKEN("fpu none, none {x87 0 0 d8 c1}\n exit 0", op->fpu.flags = 3, "no such effect on flags");
    BROKEN("fpu none, none {x87 0 0 d8 c1}\n exit 0", op->fpu.segment = 6, "no such segment");
    BROKEN("segment.4 t0, ds.4 r [ebx]\n exit 0", op->segment = 6, "no such segment");
    BROKEN("probe.4 r [ebx*8]\n exit 0", op->address.scale = 4, "scale 4");
    BROKEN("probe.4 r [ebx]\n exit 0", op->address.base = ir_mem(), "in the address is of a kind");
    BROKEN("probe.4 r [ebx]\n exit 0", op->address.index = ir_const(1), "in the address is of a kind");
    BROKEN("setcc.z.1 al\n exit 0", op->condition = 16, "no such condition");
    BROKEN("exit_loop.4 zero 1\n exit 0", op->loop = 4, "no such kind of loop");
    BROKEN("exit_if.z 1\n exit 0", block->links[1].used = false, "link is not used");
    BROKEN("exit 0", op->link = 2, "link is not used");
    BROKEN("clc\n exit 0", op->insn = 1, "belongs to no instruction");
    BROKEN("clc\n1 0 y\n exit 0", op->insn = 1; block->ops[1].insn = 0, "earlier instruction");
    BROKEN("clc\n exit 0", block->op_count = 0, "no end");
    BROKEN("clc\n exit 0", block->overflow = true, "overflowed");
    free(block);
}

static void test_block(void **state)
{
    static const struct rule rules[] = {
        {"clc", "the block has no end"},
        {"exit_if.z 1", "the block has no end"},
        {"interpret", "the block has no end"},
        {"interpret leaves", NULL},
        {"exit 0\n clc\n exit 0", "an end, and ops behind it"},
        {"interpret leaves\n exit 0", "an end, and ops behind it"},
        {"raise 6", NULL},
        {"mov.4 eax, t0\n exit 0", "t0 is used before it is defined"},
        {"mov.4 t0, eax\n probe.4 r [t0+t1]\n exit 0", "t1 is used before it is defined"},
        {"add.4 t0, 5\n exit 0", "t0 is used before it is defined"},
        {"mov.4 t0, eax\n interpret\n1 0 y\n mov.4 eax, t0\n exit 0", "t0 is used before it is defined"},
        {"mov.4 t0, eax\n callout t0\n exit 0", NULL},
        {"mov.4 t0, eax\n mov.4 t1, ebx\n mov.4 t2, ecx\n add.4 t0, t1\n add.4 t0, t2\n exit 0",
         "more than 2 temps are live"},
        {"mov.4 t0, eax\n mov.4 t1, ebx\n mov.4 t2, ecx\n mov.4 eax, t0\n mov.4 ebx, t1\n exit 0",
         "more than 2 temps are live"},
        {"mov.4 t0, eax\n mov.4 t1, ebx\n add.4 t0, t1\n mov.4 t2, ecx\n add.4 t0, t2\n mov.4 eax, t0\n exit 0", NULL},
    };
    CHECK_ALL(rules, false);
}

static void test_probed_operand(void **state)
{
    static const struct rule rules[] = {
        {"mov.4 eax, m\n exit 0", "m without a probe"},
        {"probe.4 r [ebx]\n1 0 y\n mov.4 eax, m\n exit 0", "m without a probe"},
        {"probe.4 r [ebx]\n interpret\n mov.4 eax, m\n exit 0", "m without a probe"},
        {"probe.2 r [ebx]\n mov.4 eax, m\n exit 0", "wider than what was probed"},
        {"probe.1 r [ebx]\n movzx.4.2 eax, m\n exit 0", "wider than what was probed"},
        {"probe.2 r [ebx]\n movzx.4.2 eax, m\n exit 0", NULL},
        {"probe.4 r [ebx]\n mov.4 m, eax\n exit 0", "probed for reading"},
        {"probe.4 w [ebx]\n mov.4 eax, m\n exit 0", "probed for writing"},
        {"probe.4 w [ebx]\n add.4 m, eax\n exit 0", "probed for writing"},
        {"probe.4 w [ebx]\n mov.4 m, eax\n exit 0", NULL},
        {"probe.4 rw [ebx]\n add.4 m, eax\n exit 0", NULL},
        {"probe.4 rw [ebx]\n add.4 m, eax\n add.4 m, eax\n exit 0", "used after it was written"},
        {"probe.4 rw [ebx]\n xadd.4 m, eax\n mov.4 ecx, m\n exit 0", "used after it was written"},
        {"probe.4 w [ebx]\n exit 0", "op 0 (probe): probe for writing, and nothing writes"},
        {"probe.4 rw [ebx]\n mov.4 t0, m\n probe.4 r [ecx]\n mov.4 eax, m\n exit 0", "nothing writes"},
        {"probe.4 r [ebx]\n mov.4 eax, m\n add.4 ecx, m\n exit 0", NULL},
        {"probe.4 r [ebx]\n exit 0", NULL},
    };
    CHECK_ALL(rules, false);
}

static void test_fpu_ops(void **state)
{
    static const struct rule rules[] = {
        {"fpu none, none {x87 0 0 d8 c1}\n exit 0", NULL},
        {"fpu none, none {x87 0 0 d8 01}\n exit 0", "ModRM names memory, and there is no m"},
        {"fpu none, none {x87 0 0 d7 c1}\n exit 0", "opcode d7 is not of the x87"},
        {"fpu none, none {x87 66 0 d8 c1}\n exit 0", "prefix 66"},
        {"fpu none, none {sse 67 1 58 c1}\n exit 0", "prefix 67"},
        {"fpu none, none {x87 0 1 d8 c1}\n exit 0", "map 1 is not of that unit"},
        {"fpu none, none {mmx 0 0 d8 c1}\n exit 0", "map 0 is not of that unit"},
        {"fpu none, none {mmx 0 1 ef c1 xmm_read 1}\n exit 0", "no such XMM registers"},
        {"fpu none, none {sse 0 1 58 c1 xmm_read 80 xmm_written 80}\n exit 0", NULL},
        {"fpu none, none {sse 0 1 58 c1 xmm_written 100}\n exit 0", "no such XMM registers"},
        {"fpu none, none {sse 0 1 58 c1 pointers 1}\n exit 0", "only x87 instructions note pointers"},
        {"fpu none, none {x87 0 0 d8 c1 pointers 7ff}\n exit 0", NULL},
        {"fpu none, none {x87 0 0 d8 c1 pointers 800}\n exit 0", "FOP has 11 bits"},
        {"fpu none, none {mmx 0 1 77 none}\n exit 0", NULL},
        {"fpu none, none {x87 0 0 9b none}\n exit 0", NULL},
        {"fpu none, none {x87 0 0 9b c1}\n exit 0", "opcode 9b is not of the x87"},
        {"fpu none, none {x87 0 0 d8 none}\n exit 0", "opcode d8 is not of the x87"},
        {"fpu.4 ebx, none {mmx 0 1 77 none}\n exit 0", "operands, and no ModRM"},
        {"fpu none, none {mmx 0 1 77 none reg}\n exit 0", "operands, and no ModRM"},
        /* general registers */
        {"fpu.4 ebx, none {sse 0 1 50 d9 reg}\n exit 0", NULL},
        {"fpu.4 none, ebx {sse f3 1 2a cb rm}\n exit 0", NULL},
        {"fpu.2 bx, none {sse 0 1 50 d9 reg}\n exit 0", "general register of 2 bytes"},
        {"fpu.4 ebx, none {sse 0 1 50 d9}\n exit 0", "general registers of operands and encoding differ"},
        {"fpu.4 none, none {sse 0 1 50 d9 reg}\n exit 0", "general registers of operands and encoding differ"},
        {"fpu.4 ebx, ecx {sse 0 1 50 d9 reg}\n exit 0", "general registers of operands and encoding differ"},
        {"fpu.4 ebx, ecx {sse 0 1 50 d9 reg rm}\n exit 0", "two general registers"},
        {"mov.4 t0, eax\n fpu.4 none, t0 {sse f3 1 2a cb rm}\n exit 0", "operand a is of a kind"},
        {"fpu.4 t0, none {sse 0 1 50 d9 reg}\n exit 0", "operand dst is of a kind"},
        {"fpu.4 none, 5 {sse f3 1 2a cb rm}\n exit 0", "operand a is of a kind"},
        {"fpu.1 none, ah {sse f3 1 2a cb rm}\n exit 0", "operand a is of a kind"},
        {"fpu.2 ax, none {x87 0 0 df e0}\n exit 0", NULL},
        {"fpu.4 eax, none {x87 0 0 df e0}\n exit 0", "FNSTSW writes AX"},
        {"fpu.2 cx, none {x87 0 0 df e0}\n exit 0", "FNSTSW writes AX"},
        {"fpu.2 none, ax {x87 0 0 df e0}\n exit 0", "FNSTSW writes AX"},
        {"fpu none, none {x87 0 0 df e0}\n exit 0", "general registers of operands and encoding differ"},
        /* memory */
        {"probe.8.fpu r [ebx]\n fpu none, m {x87 0 0 dc 03}\n exit 0", NULL},
        {"probe.4.fpu r [ebx]\n fpu.8 none, m {x87 0 0 d8 03}\n exit 0", NULL},
        {"probe.10.fpu w [ebx]\n fpu m, none {x87 0 0 db 3b}\n exit 0", NULL},
        {"probe.16.fpu_aligned r [ebx]\n fpu none, m {sse 0 1 28 0b xmm_written 2}\n exit 0", NULL},
        {"probe.4.fpu r [ebx]\n fpu.4 ecx, m {sse f3 1 2d 0b reg}\n exit 0", NULL},
        {"probe.4.fpu r [ebx]\n fpu.4 none, m {sse f3 1 2a 0b rm}\n exit 0",
         "registers of operands and encoding differ"},
        {"probe.4.fpu r [ebx]\n fpu.4 ecx, m {sse f3 1 2d cb reg}\n exit 0", "m, and ModRM names a register"},
        {"fpu none, m {x87 0 0 dc 03}\n exit 0", "m without a probe"},
        {"probe.8 r [ebx]\n fpu none, m {x87 0 0 dc 03}\n exit 0", "m was not probed for the FPU"},
        {"probe.4.fpu r [ebx]\n mov.4 eax, m\n exit 0", "m was probed for the FPU"},
        {"probe.4.fpu r [ebx]\n fpu none, none {x87 0 0 d8 c1}\n exit 0",
         "op 0 (probe): probe for the FPU, and no FPU"},
        {"probe.4.fpu w [ebx]\n exit 0", "op 0 (probe): probe for the FPU, and no FPU"},
        {"probe.8.fpu r [ebx]\n1 0 y\n fpu none, m {x87 0 0 dc 03}\n exit 0", "op 0 (probe): probe for the FPU"},
        {"probe.8.fpu r [ebx]\n fpu none, m {x87 0 0 dc 03}\n fpu none, m {x87 0 0 dc 03}\n exit 0",
         "m was probed for one FPU op only"},
        {"probe.8.fpu w [ebx]\n fpu none, m {x87 0 0 dc 03}\n exit 0", "was probed for writing"},
        {"probe.8.fpu r [ebx]\n fpu m, none {x87 0 0 dd 13}\n exit 0", "was probed for reading"},
        {"probe.8.fpu rw [ebx]\n fpu m, none {x87 0 0 dd 13}\n exit 0", "no FPU op updates memory"},
        {"probe.8.fpu r [ebx]\n fpu m, m {x87 0 0 dd 13}\n exit 0", "two operands in memory"},
        {"probe.12.fpu r [ebx]\n fpu none, m {x87 0 0 dd 03}\n exit 0", "no operand of the FPU has 12 bytes"},
        {"probe.8.fpu_aligned r [ebx]\n fpu none, m {sse 0 1 28 0b}\n exit 0", "no operand of the FPU has 8 bytes"},
        /* It may fault, and always changes something. */
        {"mov.4 eax, ebx\n fpu none, none {x87 0 0 d8 c1}\n exit 0", "may fault"},
        {"fpu none, none {x87 0 0 d8 c1}\n probe.4 r [ebx]\n exit 0", "may fault"},
        {"fpu none, none {x87 0 0 d8 c1}\n fpu none, none {x87 0 0 d8 c1}\n exit 0", "may fault"},
        {"fpu none, none {x87 0 0 d8 c1}\n mov.4 eax, ebx\n exit 0", NULL},
    };
    CHECK_ALL(rules, false);
}

static void test_faults_before_changes(void **state)
{
    static const struct rule rules[] = {
        {"mov.4 eax, ebx\n probe.4 r [ecx]\n exit 0", "may fault"},
        {"mov.4 eax, ebx\n1 0 y\n probe.4 r [ecx]\n exit 0", NULL},
        {"mov.4 t0, ebx\n probe.4 r [ecx]\n exit 0", NULL},
        {"cmp.4 eax, ebx\n probe.4 r [ecx]\n exit 0", "may fault"},
        {"clc\n probe.4 r [ecx]\n exit 0", "may fault"},
        {"cld\n probe.4 r [ecx]\n exit 0", "may fault"},
        {"cdq.4\n segment.4 t0, ds.4 r [ecx]\n exit 0", "may fault"},
        {"xchg.4 eax, ebx\n check_target ecx\n exit 0", "may fault"},
        {"probe.4 w [ebx]\n mov.4 m, eax\n step_forward\n exit 0", "may fault"},
        {"mov.4 ecx, eax\n div.4 ebx\n exit 0", "may fault"},
        {"mov.4 ecx, eax\n callout\n exit 0", "may fault"},
        {"mov.4 ecx, eax\n raise 6", "may fault"},
        {"div.4 ebx\n mov.4 ecx, eax\n exit 0", NULL},
    };
    CHECK_ALL(rules, false);
}

/* After the flag pass. */
static void test_flags(void **state)
{
    static const struct rule rules[] = {
        {"exit 0 {place eflags}", NULL},
        {"exit 0", "leaves with the flags nowhere"},
        {"exit 0 {place home}", "leaves with the flags at home, where they are not"},
        {"park\n exit 0 {place eflags home}", NULL},
        {"add.4 eax, ebx\n park\n add.4 eax, ebx\n exit 0 {place home}", "at home, where they are not"},
        {"park\n probe.4 r [ebx]\n exit 0 {place eflags}", "in EFLAGS, where they are not"},
        {"park\n probe.4 r [ebx]\n exit 0 {place home}", NULL},
        {"park\n probe.4 r [ebx]\n unpark\n exit 0 {place eflags home}", NULL},
        {"probe.4 r [ebx]\n exit 0 {place eflags}", "neither at home nor recomputable"},
        {"div.4 ebx\n exit 0 {place eflags}", "neither at home nor recomputable"},
        {"interpret leaves", "a call, and the flags are not at home"},
        {"park\n interpret leaves", NULL},
        {"park\n callout\n1 0 y\n adc.4 eax, ebx\n exit 0 {place eflags}", "reads flags 01"},
        {"park\n callout\n1 0 y\n unpark_carry\n adc.4 eax, ebx\n exit 0 {place eflags}", NULL},
        {"fpu none, none {x87 0 0 d8 c1}\n exit 0 {place eflags}", "neither at home nor recomputable"},
        {"park\n fpu none, none {x87 0 0 d8 c1}\n exit 0 {place eflags home}", NULL},
        {"cmp.4 eax, ebx\n1 0 y\n fpu none, none {x87 0 0 d8 c1} {recipe 0}\n exit 0 {place eflags}", NULL},
        {"cmp.4 eax, ebx\n1 0 y\n fpu.4 eax, none {sse 0 1 50 c1 reg} {recipe 0}\n2 0 z\n probe.4 r [ebx] {recipe 0}\n"
         " exit 0 {place eflags}",
         "is not there any more"},
        {"park\n fpu none, none {x87 0 0 db f1 sets_flags}\n exit 0 {place eflags}", NULL},
        {"park\n fpu none, none {x87 0 0 db f1 sets_flags}\n exit 0 {place home}", "at home, where they are not"},
        {"park\n fpu none, none {x87 0 0 db f1 sets_flags}\n1 0 y\n fpu none, none {x87 0 0 d8 c1}\n exit 0 {place "
         "eflags}",
         "neither at home nor recomputable"},
        {"park\n probe.4 r [ebx]\n1 0 y\n fpu none, none {x87 0 0 da c1 reads_flags}\n exit 0 {place home}",
         "reads flags 45"},
        {"park\n callout\n1 0 y\n unpark_carry\n setcc.be.1 al\n exit 0 {place home}", "reads flags 40"},
        {"park\n callout\n1 0 y\n inc.4 eax\n exit 0 {place eflags}", "in EFLAGS, where they are not"},
        {"unpark\n exit 0 {place eflags}", "the flags are not at home"},
        {"exit 0 call {place eflags}", "a call or return, and the flags are not at home"},
        {"park\n exit 0 call {place eflags home}", NULL},
        {"unpark_carry\n exit 0 {place eflags}", "the flags are not at home"},
        {"park\n probe.4 r [ebx]\n park\n exit 0 {place home}", "reads flags d7"},
        /* recipes */
        {"cmp.4 eax, ebx\n1 0 y\n probe.4 r [ebx] {recipe 0}\n recompute {recipe 0}\n exit 0 {place eflags}", NULL},
        {"cmp.4 eax, ebx\n1 0 y\n mov.4 eax, 1\n2 0 z\n probe.4 r [ebx] {recipe 0}\n recompute {recipe 0}\n"
         " exit 0 {place eflags}",
         "is not there any more"},
        {"cmp.4 eax, ebx\n1 0 y\n mov.1 bh, 1\n2 0 z\n probe.4 r [ebx] {recipe 0}\n recompute {recipe 0}\n"
         " exit 0 {place eflags}",
         "is not there any more"},
        {"cmp.4 eax, ebx\n test.4 eax, ebx\n1 0 y\n probe.4 r [ebx] {recipe 0}\n exit 0 {place eflags}",
         "not the one that defined the flags last"},
        {"probe.4 r [ebx] {recipe 1}\n cmp.4 eax, ebx\n exit 0 {place eflags}",
         "not the one that defined the flags last"},
        {"bt.4 eax, ebx\n1 0 y\n probe.4 r [ebx] {recipe 0}\n exit 0 {place eflags}", "does not define all flags"},
        {"cmp.4 eax, ebx\n1 0 y\n inc.4 ecx {recipe 0}\n2 0 z\n probe.4 r [ebx] {recipe 1}\n recompute {recipe 1}\n"
         " exit 0 {place eflags}",
         NULL},
        {"cmp.4 eax, ebx\n1 0 y\n inc.4 eax {recipe 0}\n2 0 z\n probe.4 r [ebx] {recipe 1}\n recompute {recipe 1}\n"
         " exit 0 {place eflags}",
         "what the carry's recipe, op 0, needs is not there"},
        {"inc.4 eax\n1 0 y\n probe.4 r [ebx] {recipe 0}\n exit 0 {place eflags}", "has no recipe"},
    };
    CHECK_ALL(rules, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operands), cmocka_unit_test(test_fields),
        cmocka_unit_test(test_block),    cmocka_unit_test(test_probed_operand),
        cmocka_unit_test(test_fpu_ops),  cmocka_unit_test(test_faults_before_changes),
        cmocka_unit_test(test_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
