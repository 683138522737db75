/* A code range, the thunks, a vCPU and some memory: enough to run what codegen() makes of IR text.
 *
 * Guest linear memory: 16 pages from 1000h on; the page at 8000h can be read only (its writes go through the bounce
 * buffer), the page at 9000h not at all (bounce for both), the page at A000h has code in its second line (bounce there,
 * direct elsewhere), a fault is met from 11000h on. */
#ifndef DRAGOMAN_TESTS_BACKEND_CODE_HARNESS_H
#define DRAGOMAN_TESTS_BACKEND_CODE_HARNESS_H

#define _GNU_SOURCE
#include "backend-x86_64/codegen.h"
#include "backend-x86_64/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define CODE_SIZE      (1u << 20)
#define HARNESS_FLAT   (MODE_CS_D | MODE_SS_B | MODE_PE | 0x555u << MODE_SHAPE_SHIFT)
#define TABLE_BYTES    ((size_t)8 << 20)
#define READ_ONLY_PAGE 8u
#define BOUNCED_PAGE   9u
#define CODE_PAGE      10u
#define FAULT_PAGE     17u

struct harness {
    struct vcpu *cpu;
    uint8_t *code;
    struct emitter emitter;
    struct native_thunks thunks;
    struct ir_host_flags host_flags;
    struct ir_block *block;
    struct codegen_result *result;
    struct native_call calls[16];
    bool host_lahf;
    uint8_t memory[FAULT_PAGE + 1][4096];
    uint64_t code_lines[FAULT_PAGE + 1];
    unsigned c_calls;    /* of any of the functions below */
    unsigned misaligned; /* the stack was not as the ABI wants it */
    bool leave_at_commit;
    bool leave_at_call;
    bool forget_at_call;  /* the calls on the host's stack */
    uint64_t seen_offset; /* of the last call of an instruction */
    uint16_t seen_flags;  /* at home then */
    uint64_t seen_gpr[8];
};

static struct harness *the_harness; /* for the functions that the thunks call */

#define LINK_TOKEN(n) ((void *)(uintptr_t)(0x7f0000001000ull + 0x1000 * (n)))

static void harness_note(struct harness *h, void *frame)
{
    h->c_calls++;
    h->misaligned += ((uintptr_t)frame & 15) != 0;
}
#define NOTE() harness_note(the_harness, __builtin_frame_address(0))

static uint8_t *harness_byte(uint32_t linear)
{
    return linear >> 12 < FAULT_PAGE ? &the_harness->memory[linear >> 12][linear & 0xfff] : NULL;
}

static uint64_t harness_fill(struct vcpu *cpu, uint32_t linear, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        uint8_t *byte = harness_byte(linear + i);

        if (!byte) {
            cpu->mmu.fault.address = linear + i;
            return 0;
        }
        cpu->native.bounce[i] = *byte;
    }
    cpu->native.bounce_linear = linear;
    cpu->native.bounce_size = size;
    return (uint64_t)(uintptr_t)cpu->native.bounce - linear;
}

static uint64_t harness_read(struct vcpu *cpu, uint32_t linear, unsigned size)
{
    NOTE();
    return harness_fill(cpu, linear, size);
}

static uint64_t harness_write(struct vcpu *cpu, uint32_t linear, unsigned size)
{
    NOTE();
    uint64_t addend = harness_fill(cpu, linear, size);
    memset(cpu->native.bounce, 0xee, size); /* a write shows nothing of what was there */
    return addend;
}

static uint64_t harness_update(struct vcpu *cpu, uint32_t linear, unsigned size)
{
    NOTE();
    return harness_fill(cpu, linear, size);
}

static uint64_t harness_commit(struct vcpu *cpu)
{
    NOTE();
    for (unsigned i = 0; i < cpu->native.bounce_size; i++)
        *harness_byte(cpu->native.bounce_linear + i) = cpu->native.bounce[i];
    return the_harness->leave_at_commit;
}

static uint64_t harness_segment(struct vcpu *cpu, uint32_t offset, unsigned what)
{
    NOTE();
    const struct segment *s = &cpu->state.segment[what & 7];
    uint64_t end = (uint64_t)offset + (what >> 8);

    return end > (what & 8 ? s->write_end : s->read_end) ? UINT64_MAX : (uint32_t)(s->base + offset);
}

static uint64_t harness_call(struct vcpu *cpu, const struct native_call *call, uint32_t offset)
{
    NOTE();
    the_harness->seen_offset = offset;
    the_harness->seen_flags = cpu->state.arithmetic_flags;
    memcpy(the_harness->seen_gpr, cpu->state.gpr, sizeof the_harness->seen_gpr);
    cpu->state.gpr[GPR_DX] = 0xd0d0; /* a call may change registers and flags */
    cpu->state.rip = call->next_eip;
    if (the_harness->forget_at_call)
        native_forget_calls(cpu);
    return the_harness->leave_at_call || call->ends;
}

static const struct native_functions harness_functions = {.read = harness_read,
                                                          .write = harness_write,
                                                          .update = harness_update,
                                                          .commit = harness_commit,
                                                          .segment = harness_segment,
                                                          .call = harness_call};

static inline void *harness_map(size_t size, int protection)
{
    void *p = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    assert_true(p != MAP_FAILED);
    return p;
}

static inline struct harness *harness_create(bool host_lahf)
{
    struct harness *h = calloc(1, sizeof *h);
    struct vcpu *cpu = aligned_alloc(64, (sizeof *cpu + 63) & ~(size_t)63);

    memset(cpu, 0, sizeof *cpu);
    h->cpu = cpu;
    h->host_lahf = host_lahf;
    h->code = harness_map(CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
    h->emitter = (struct emitter){.writable = h->code, .end = CODE_SIZE};
    h->block = malloc(sizeof *h->block);
    h->result = malloc(sizeof *h->result);
    host_probe_flags(&h->host_flags);
    struct native_functions functions = harness_functions;
    functions.ram = &h->memory[0][0];
    functions.code_lines = h->code_lines;
    h->code_lines[CODE_PAGE] = 1u << 1;
    thunks_prepare(h->cpu);
    thunks_emit(&h->emitter, &functions, host_lahf, &h->thunks);
    cpu->mmu.read_table = harness_map(TABLE_BYTES, PROT_READ | PROT_WRITE);
    cpu->mmu.write_table = harness_map(TABLE_BYTES, PROT_READ | PROT_WRITE);
    cpu->mmu.shared_table = harness_map(TABLE_BYTES, PROT_READ | PROT_WRITE);
    cpu->mmu.execute_table = harness_map(TABLE_BYTES, PROT_READ | PROT_WRITE);
    cpu->native.jump_cache = calloc(NATIVE_JUMP_COUNT, sizeof(struct native_jump));
    for (unsigned page = 1; page < FAULT_PAGE; page++) {
        uint64_t entry = (uint64_t)(uintptr_t)h->memory[page] - ((uint64_t)page << 12);

        if (page != BOUNCED_PAGE)
            cpu->mmu.read_table[page] = entry;
        if (page == CODE_PAGE)
            cpu->mmu.shared_table[page] = entry;
        else if (page != BOUNCED_PAGE && page != READ_ONLY_PAGE)
            cpu->mmu.write_table[page] = entry;
    }
    for (unsigned i = 0; i < SEG_COUNT; i++)
        cpu->state.segment[i] = (struct segment){.limit = UINT32_MAX, .read_end = 1ull << 32, .write_end = 1ull << 32};
    cpu->mode = HARNESS_FLAT;
    cpu->state.arithmetic_flags = 0x200;
    the_harness = h;
    return h;
}

static inline void harness_destroy(struct harness *h)
{
    munmap(h->cpu->mmu.read_table, TABLE_BYTES);
    munmap(h->cpu->mmu.write_table, TABLE_BYTES);
    munmap(h->cpu->mmu.shared_table, TABLE_BYTES);
    munmap(h->cpu->mmu.execute_table, TABLE_BYTES);
    munmap(h->code, CODE_SIZE);
    free(h->cpu->native.jump_cache);
    free(h->cpu);
    free(h->block);
    free(h->result);
    free(h);
}

/* Parses "block ..." (PASSES: runs the passes over it) and compiles it. */
static inline void harness_compile(struct harness *h, const char *text, bool passes)
{
    char message[256] = "";

    if (!ir_parse(h->block, text, message, sizeof message))
        fail_msg("%s in\n%s", message, text);
    if (passes && !ir_verify(h->block, false, message, sizeof message)) /* in release builds too */
        fail_msg("%s in\n%s", message, text);
    if (passes && !ir_run_passes(h->block, &h->host_flags, 0, NULL, NULL, message, sizeof message))
        fail_msg("%s in\n%s", message, text);
    for (unsigned i = 0; i < h->block->op_count && !passes; i++)
        ir_op_flags(&h->block->ops[i], &h->host_flags);
    struct codegen_request request = {.block = h->block,
                                      .thunks = &h->thunks,
                                      .calls = h->calls,
                                      .call_capacity = 16,
                                      .link_tokens = {LINK_TOKEN(0), LINK_TOKEN(1)},
                                      .host_lahf = h->host_lahf};
    if (h->emitter.position > CODE_SIZE - 65536)
        h->emitter.position = 16384;
    h->emitter.position = (h->emitter.position + 15) & ~15u;
    if (!codegen(&request, &h->emitter, h->result))
        fail_msg("not compiled:\n%s", text);
}

/* Runs the block compiled last from its entry with the flags at home; returns what native_enter() does. */
static inline uint64_t harness_run(struct harness *h)
{
    typedef uint64_t enter_fn(struct vcpu *, uint64_t);
    enter_fn *enter = (enter_fn *)(uintptr_t)(h->code + h->thunks.enter);

    the_harness = h;
    return enter(h->cpu, (uint64_t)(uintptr_t)(h->code + h->result->entry_home));
}

/* EFLAGS' arithmetic bits <-> the vCPU's. */
static inline void harness_set_flags(struct harness *h, uint32_t eflags)
{
    h->cpu->state.arithmetic_flags = cpu_eflags_to_arithmetic(eflags);
}
static inline uint32_t harness_flags(const struct harness *h)
{
    return cpu_arithmetic_to_eflags(h->cpu->state.arithmetic_flags);
}

#endif
