/* A code cache on a processor with 1 MiB of memory, and translations whose code can be run: each leaves with a token
 * that is a link of the translation that was run last. */
#ifndef DRAGOMAN_TESTS_CACHE_FIXTURE_H
#define DRAGOMAN_TESTS_CACHE_FIXTURE_H

#include "../cpu/system_fixture.h"
#include "backend-x86_64/host.h"
#include "cache/cache.h"

#include <stdio.h>

struct cached {
    struct fixture *machine;
    struct vcpu *cpu;
    struct code_cache cache;
    struct ir_block *block;
    struct codegen_result *result;
    bool host_lahf;
    bool inline_caches; /* of indirect branches */
};

static void cached_written(void *opaque, uint64_t page, unsigned offset, unsigned length, unsigned flags)
{
    struct cached *c = opaque;

    if (flags & PAGE_FLAG_CODE)
        cache_page_written(&c->cache, page, offset, length);
}

static uint64_t cached_lines(void *opaque, uint64_t page)
{
    struct cached *c = opaque;

    return cache_code_lines(&c->cache, page);
}

static inline struct cached *cached_create(uint32_t size)
{
    struct cached *c = calloc(1, sizeof *c);
    struct error err = {""};

    c->machine = fixture_create("pentium3");
    c->cpu = c->machine->cpu;
    fixture_enter_protected(c->machine, 0);
    struct native_functions functions = {.ram = c->machine->memory->ram, .code_lines = c->machine->memory->code_lines};
    c->host_lahf = host_has_lahf();
    if (!cache_init(&c->cache, c->cpu, size, &functions, c->host_lahf, &err))
        fail_msg("%s", err.message);
    memory_add_written_listener(c->machine->memory, cached_written, c);
    memory_add_code_source(c->machine->memory, cached_lines, c);
    c->block = malloc(sizeof *c->block);
    c->result = malloc(sizeof *c->result);
    return c;
}

static inline void cached_destroy(struct cached *c)
{
    cache_finish(&c->cache);
    fixture_destroy(c->machine);
    free(c->block);
    free(c->result);
    free(c);
}

/* Compiles c->block as a translation of LENGTH bytes at c->block->linear, and enters it. */
static inline struct translation *cached_insert(struct cached *c, uint64_t physical, unsigned length)
{
    struct emitter *e = cache_begin(&c->cache);
    struct translation *t = calloc(1, sizeof *t);
    struct native_call calls[8];
    struct codegen_request request = {.block = c->block,
                                      .thunks = &c->cache.thunks,
                                      .calls = calls,
                                      .call_capacity = 8,
                                      .link_tokens = {&t->links[0], &t->links[1]},
                                      .single_round = !c->inline_caches,
                                      .host_lahf = c->host_lahf};
    unsigned first = (physical & PAGE_MASK) >> CODE_LINE_SHIFT;
    unsigned last = ((physical & PAGE_MASK) + length - 1) >> CODE_LINE_SHIFT;

    t->start = e->position;
    assert_true(codegen(&request, e, c->result));
    const struct codegen_result *r = c->result;
    t->key = (struct translation_key){
        .physical = physical, .cs_limit = UINT32_MAX, .eip = c->block->eip, .mode = c->block->mode};
    t->linear = c->block->linear;
    t->entry_eflags = r->entry_eflags;
    t->entry_home = r->entry_home;
    t->hot_end = r->hot_end;
    t->end = r->end;
    t->length = (uint16_t)length;
    t->insn_count = (uint16_t)c->block->insn_count;
    t->page = physical >> PAGE_SHIFT;
    t->lines = (~0ull << first) & (~0ull >> (63 - last));
    t->site_count = r->site_count;
    t->sites = malloc((r->site_count + 1) * sizeof *t->sites);
    memcpy(t->sites, r->sites, r->site_count * sizeof *t->sites);
    for (unsigned i = 0; i < 2; i++) {
        t->links[i].from = t;
        t->links[i].exit = r->exits[i];
        t->links[i].eip = c->block->links[i].eip;
        t->links[i].kind = i == 0 && r->indirect ? IR_LINK_INDIRECT : c->block->links[i].kind;
    }
    assert_true(cache_insert(&c->cache, t));
    return t;
}

static inline void cached_parse(struct cached *c, const char *text)
{
    char message[256];

    if (!ir_parse(c->block, text, message, sizeof message))
        fail_msg("%s in\n%s", message, text);
    for (unsigned i = 0; i < c->block->op_count; i++) {
        static const struct ir_host_flags host;
        ir_op_flags(&c->block->ops[i], &host);
    }
}

/* A block at LINEAR that goes to TARGET, by the way that the linear addresses ask for. */
static inline struct translation *cached_make(struct cached *c, uint32_t linear, unsigned length, uint32_t target)
{
    char text[256];
    const char *kind = linear >> PAGE_SHIFT != target >> PAGE_SHIFT ? "other_page"
                       : target > linear                            ? "forward"
                                                                    : "backward";

    snprintf(text, sizeof text,
             "block eip=%08x mode=%08x linear=%08x\nlink 0 %s %08x\n0 %08x+2 jmp\nexit 0 {place home}\n", linear,
             c->cpu->mode, linear, kind, target, linear);
    cached_parse(c, text);
    return cached_insert(c, linear, length);
}

static inline struct translation *cached_find(struct cached *c, uint32_t linear)
{
    struct translation_key key = {.physical = linear, .cs_limit = UINT32_MAX, .eip = linear, .mode = c->cpu->mode};

    return cache_find(&c->cache, &key);
}

/* Runs T; the translation whose stub was left by, or NULL with *LEFT told. */
static inline struct translation *cached_run(struct cached *c, const struct translation *t, uint64_t *left)
{
    typedef uint64_t enter_fn(struct vcpu *, uint64_t);
    enter_fn *enter = (enter_fn *)(uintptr_t)cache_address(&c->cache, c->cache.thunks.enter);
    uint64_t token = enter(c->cpu, cache_address(&c->cache, t->entry_home));

    if (left)
        *left = token;
    return token < 4096 ? NULL : ((struct translation_link *)(uintptr_t)token)->from;
}

/* The execute entry of LINEAR's page is there. */
static inline void cached_fetch(struct cached *c, uint32_t linear)
{
    assert_true(mmu_translate_execute(&c->cpu->mmu, linear).ok);
}

#endif
