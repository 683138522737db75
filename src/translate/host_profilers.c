/* See host_profilers.h. */
#define _GNU_SOURCE /* mremap */
#include "translate/host_profilers.h"

#include "trace/gdb_jit.h"
#include "trace/jitdump.h"
#include "trace/perf_map.h"
#include "trace/unwind.h"

#include <Zydis/Zydis.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct host_profilers {
    const struct code_cache *cache;
    struct perf_map *perf_map;
    struct jitdump *jitdump;
    struct gdb_jit *gdb_jit;
    struct codegen_mark *marks; /* with JITDUMP */
    unsigned segment;           /* that the last translation went into */
    uint64_t evictions;
};

/* ---- thunks ---- */

struct thunk {
    const char *name;
    uint32_t start, end;
    enum unwind_kind kind;
};

#define MAX_MARKS      4096u
#define MAX_THUNKS     32
#define LAST_THUNK_END 64u /* bytes: what the last one has at most */

static int by_start(const void *a, const void *b)
{
    const struct thunk *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

/* The thunks in the order of their code. */
static size_t list_thunks(const struct native_thunks *t, struct thunk *list)
{
    const struct thunk fixed[] = {
        {"enter", t->enter, 0, UNWIND_ENTRY},
        {"leave_eflags", t->leave_eflags, 0, UNWIND_BODY},
        {"leave_home", t->leave_home, 0, UNWIND_BODY},
        {"leave_at_eflags", t->leave_at_eflags, 0, UNWIND_BODY},
        {"leave_at_home", t->leave_at_home, 0, UNWIND_BODY},
        {"commit", t->commit, 0, UNWIND_CALLED},
        {"segment", t->segment, 0, UNWIND_CALLED},
        {"fpu_operand", t->fpu_operand, 0, UNWIND_CALLED},
        {"call", t->call, 0, UNWIND_CALLED},
        {"lookup_flat", t->lookup_flat, 0, UNWIND_BODY},
        {"lookup_other", t->lookup_other, 0, UNWIND_BODY},
        {"return_flat", t->return_flat, 0, UNWIND_BODY},
        {"return_other", t->return_other, 0, UNWIND_BODY},
        {"returned", t->returned, 0, UNWIND_BODY},
        {"divide", t->divide, 0, UNWIND_BODY},
    };
    static const char *const reads[] = {"read8", "read16", "read32", "read64"};
    static const char *const writes[] = {"write8", "write16", "write32", "write64"};
    static const char *const updates[] = {"update8", "update16", "update32", "update64"};
    size_t count = sizeof fixed / sizeof fixed[0];

    memcpy(list, fixed, sizeof fixed);
    for (unsigned i = 0; i < 4; i++) {
        list[count++] = (struct thunk){reads[i], t->read[i], 0, UNWIND_CALLED};
        list[count++] = (struct thunk){writes[i], t->write[i], 0, UNWIND_CALLED};
        list[count++] = (struct thunk){updates[i], t->update[i], 0, UNWIND_CALLED};
    }
    qsort(list, count, sizeof *list, by_start);
    for (size_t i = 0; i < count; i++)
        list[i].end = i + 1 < count ? list[i + 1].start : list[i].start + LAST_THUNK_END;
    return count;
}

/* ---- names ---- */

static const char *mode_name(uint32_t mode)
{
    if (!(mode & MODE_PE))
        return "real";
    if (mode & MODE_VM86)
        return "v86";
    return mode & MODE_CS_D ? "prot32" : "prot16";
}

static void perf_name(const struct translation *t, char *name, size_t size)
{
    uint32_t mode = t->key.mode;
    bool by_paragraph = !(mode & MODE_PE) || (mode & MODE_VM86);

    if (by_paragraph)
        snprintf(name, size, "tier1:guest 0x%08x (%s %04x:%04x)", t->linear, mode_name(mode),
                 (unsigned)(t->key.cs_base >> 4) & 0xffff, t->key.eip);
    else
        snprintf(name, size, "tier1:guest 0x%08x (%s cpl%u)", t->linear, mode_name(mode), MODE_CPL(mode));
}

/* ---- lines ---- */

static void list_instruction(const struct translation *t, unsigned n, const uint8_t *code, size_t length, bool wide,
                             char *text, size_t size)
{
    ZydisDisassembledInstruction insn;
    uint32_t eip = t->insn_eip[n];
    bool known = ZYAN_SUCCESS(ZydisDisassembleIntel(wide ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16,
                                                    eip, code, length, &insn));

    snprintf(text, size, "%08x  %s", (uint32_t)(t->key.cs_base + eip), known ? insn.text : "?");
}

/* The translation's guest code goes to the listing; LINES: which host code belongs to which of its lines, the first one
 * for what belongs to no instruction. Returns how many. */
static size_t add_listing(struct host_profilers *p, const struct translation *t, const char *name,
                          const struct codegen_mark *marks, size_t mark_count, struct jitdump_line *lines)
{
    struct memory *memory = p->cache->cpu->mmu.memory;
    uint32_t numbers[IR_MAX_INSNS];
    uint8_t code[PAGE_SIZE];
    char text[160];
    size_t in_page = PAGE_SIZE - (t->key.physical & PAGE_MASK), length = t->length < in_page ? t->length : in_page;
    size_t count = 0;
    uint64_t base = cache_address(p->cache, 0);
    uint32_t title = jitdump_list(p->jitdump, name);

    memory_read_bytes(memory, t->key.physical, code, length);
    for (unsigned n = 0; n < t->insn_count; n++) {
        size_t at = (uint32_t)(t->insn_eip[n] - t->key.eip);

        if (at < length)
            list_instruction(t, n, code + at, length - at, t->key.mode & MODE_CS_D, text, sizeof text);
        else
            snprintf(text, sizeof text, "%08x  ?", (uint32_t)(t->key.cs_base + t->insn_eip[n]));
        numbers[n] = jitdump_list(p->jitdump, text);
    }
    lines[count++] = (struct jitdump_line){base + t->start, title};
    for (size_t i = 0; i < mark_count && marks[i].offset < t->end; i++) {
        uint32_t line = marks[i].insn >= 0 && marks[i].insn < t->insn_count ? numbers[marks[i].insn] : title;
        uint64_t address = base + marks[i].offset;

        if (address == lines[count - 1].address)
            lines[count - 1].line = line;
        else if (address > lines[count - 1].address && line != lines[count - 1].line)
            lines[count++] = (struct jitdump_line){address, line};
    }
    return count;
}

static void dump(struct host_profilers *p, const struct translation *t, const char *name,
                 const struct codegen_mark *marks, size_t mark_count)
{
    struct jitdump_line *lines = malloc((mark_count + 1) * sizeof *lines);
    size_t count = lines ? add_listing(p, t, name, marks, mark_count, lines) : 0;

    jitdump_add(p->jitdump, cache_address(p->cache, t->start), p->cache->executable + t->start, t->end - t->start, name,
                lines, count);
    free(lines);
}

/* ---- perf's map ---- */

/* perf looks into its map only for memory that is of no file, or of /dev/zero, as which shared memory without a name
 * counts; what is of a memfd it takes for a library. So the code range is replaced, at the same two addresses. */
static bool make_anonymous(const struct code_cache *cache, struct error *err)
{
    size_t size = cache->size;
    void *writable = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (writable == MAP_FAILED)
        return error_set(err, "-perfmap: cannot map another code cache: %s", strerror(errno));
    memcpy(writable, cache->writable, cache->segments_start); /* the thunks are all there is */
    /* A size of 0 makes a second mapping of the same pages. perf hears of memory as it becomes executable, not of
     * moves. */
    if (mremap(writable, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, cache->executable) == MAP_FAILED ||
        mremap(writable, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, cache->writable) == MAP_FAILED ||
        mprotect(cache->executable, size, PROT_READ | PROT_EXEC) != 0)
        return error_set(err, "-perfmap: cannot map the code cache as perf wants it: %s", strerror(errno));
    return true;
}

static void map_thunks(struct host_profilers *p)
{
    struct thunk thunks[MAX_THUNKS];
    size_t count = list_thunks(&p->cache->thunks, thunks);
    char name[64];

    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "thunk:%s", thunks[i].name);
        perf_map_add(p->perf_map, cache_address(p->cache, thunks[i].start), thunks[i].end - thunks[i].start, name);
    }
}

static void map(struct host_profilers *p, const struct translation *t)
{
    char name[80];

    perf_name(t, name, sizeof name);
    perf_map_add(p->perf_map, cache_address(p->cache, t->start), t->end - t->start, name);
}

/* Code was thrown away, and new code comes to where it was. */
static void map_again(struct host_profilers *p)
{
    perf_map_restart(p->perf_map);
    map_thunks(p);
    for (unsigned number = 0; number < CACHE_SEGMENTS; number++)
        for (unsigned i = 0; i < p->cache->segments[number].count; i++)
            map(p, p->cache->segments[number].translations[i]);
}

/* ---- gdb ---- */

static bool show_to_gdb(struct host_profilers *p, struct error *err)
{
    const struct code_cache *cache = p->cache;
    struct thunk thunks[MAX_THUNKS];
    struct unwind_routine routines[MAX_THUNKS + 1];
    struct gdb_jit_symbol symbols[MAX_THUNKS];
    size_t count = list_thunks(&cache->thunks, thunks), size = 0;

    for (size_t i = 0; i < count; i++) {
        routines[i].address = symbols[i].address = cache_address(cache, thunks[i].start);
        routines[i].size = symbols[i].size = thunks[i].end - thunks[i].start;
        routines[i].code = cache->executable + thunks[i].start;
        routines[i].kind = thunks[i].kind;
        snprintf(symbols[i].name, sizeof symbols[i].name, "thunk_%s", thunks[i].name);
    }
    /* All that will ever be translated runs on the frame that the first thunk makes. */
    routines[count] = (struct unwind_routine){
        .address = cache_address(cache, cache->segments_start),
        .size = cache->size - cache->segments_start,
        .kind = UNWIND_FIXED,
    };
    uint8_t *eh_frame = unwind_describe(routines, count + 1, NATIVE_OFFSET(native.caller_stack), &size);
    if (!eh_frame)
        return error_set(err, "-gdbjit: the thunks cannot be described");
    p->gdb_jit = gdb_jit_create(cache_address(cache, 0), cache->segments_start, symbols, count, eh_frame, size, err);
    free(eh_frame);
    return p->gdb_jit != NULL;
}

static void add_to_gdb(struct host_profilers *p, const struct translation *t)
{
    struct gdb_jit_symbol symbol = {.address = cache_address(p->cache, t->start), .size = t->end - t->start};

    snprintf(symbol.name, sizeof symbol.name, "guest_0x%08x_%s", t->linear, mode_name(t->key.mode));
    gdb_jit_add(p->gdb_jit, t->segment, &symbol);
}

/* ---- all of them ---- */

bool host_profilers_create(struct host_profilers **profilers, const struct code_cache *cache,
                           const struct translate_options *options, struct error *err)
{
    *profilers = NULL;
    if (!options->perf_map && !options->jitdump && !options->gdb_jit)
        return true;
    struct host_profilers *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(err, "out of memory");
    p->cache = cache;
    p->evictions = cache->evictions;
    p->segment = cache->current;
    p->marks = options->jitdump ? malloc(MAX_MARKS * sizeof *p->marks) : NULL;
    if ((options->perf_map && (!(p->perf_map = perf_map_open("/tmp", err)) || !make_anonymous(cache, err))) ||
        (options->jitdump && !(p->jitdump = jitdump_open(".", err))) || (options->gdb_jit && !show_to_gdb(p, err))) {
        host_profilers_destroy(p);
        return false;
    }
    if (p->perf_map)
        map_thunks(p);
    if (p->jitdump) {
        struct thunk thunks[MAX_THUNKS];
        size_t count = list_thunks(&cache->thunks, thunks);

        for (size_t i = 0; i < count; i++) {
            char name[64];

            snprintf(name, sizeof name, "thunk:%s", thunks[i].name);
            jitdump_add(p->jitdump, cache_address(cache, thunks[i].start), cache->executable + thunks[i].start,
                        thunks[i].end - thunks[i].start, name, NULL, 0);
        }
    }
    *profilers = p;
    return true;
}

static void forget_evicted(struct host_profilers *p)
{
    uint64_t evictions = p->cache->evictions - p->evictions;

    p->evictions = p->cache->evictions;
    for (uint64_t i = 0; i < evictions && i < CACHE_SEGMENTS; i++) {
        p->segment = (p->segment + 1) % CACHE_SEGMENTS;
        if (p->gdb_jit)
            gdb_jit_drop(p->gdb_jit, p->segment);
    }
}

void host_profilers_request_marks(struct host_profilers *p, struct codegen_request *request)
{
    if (!p || request->marks || !p->marks)
        return;
    request->marks = p->marks;
    request->mark_capacity = MAX_MARKS;
}

void host_profilers_made(struct host_profilers *p, const struct translation *t, const struct codegen_request *request,
                         const struct codegen_result *result)
{
    char name[80];

    if (!p)
        return;
    bool evicted = p->evictions != p->cache->evictions;
    if (evicted)
        forget_evicted(p);
    p->segment = p->cache->current;
    if (p->perf_map && evicted)
        map_again(p); /* T is among them */
    else if (p->perf_map)
        map(p, t);
    if (p->perf_map)
        perf_map_flush(p->perf_map);
    if (p->jitdump) {
        perf_name(t, name, sizeof name);
        dump(p, t, name, request->marks, request->marks ? result->mark_count : 0);
    }
    if (p->gdb_jit)
        add_to_gdb(p, t);
}

void host_profilers_destroy(struct host_profilers *p)
{
    if (!p)
        return;
    perf_map_close(p->perf_map);
    jitdump_close(p->jitdump);
    gdb_jit_destroy(p->gdb_jit);
    free(p->marks);
    free(p);
}
