/* What perf is told: its map, and the jitdump file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "trace/jitdump.h"
#include "trace/perf_map.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct folder {
    char path[64];
    char content[65536];
    size_t length;
};

static int set_up(void **state)
{
    struct folder *f = calloc(1, sizeof *f);

    strcpy(f->path, "/tmp/dragoman-profilers-XXXXXX");
    *state = f;
    return mkdtemp(f->path) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct folder *f = *state;
    static const char *const names[][2] = {{"perf", "map"}, {"jit", "dump"}, {"jit", "txt"}};

    for (size_t i = 0; i < 3; i++) {
        char path[160];

        snprintf(path, sizeof path, "%s/%s-%d.%s", f->path, names[i][0], (int)getpid(), names[i][1]);
        unlink(path);
    }
    rmdir(f->path);
    free(f);
    return 0;
}

static const char *read_back(struct folder *f, const char *before, const char *after)
{
    char path[160];

    snprintf(path, sizeof path, "%s/%s%d%s", f->path, before, (int)getpid(), after);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    f->length = fread(f->content, 1, sizeof f->content - 1, file);
    f->content[f->length] = 0;
    fclose(file);
    return f->content;
}

static void test_map(void **state)
{
    struct folder *f = *state;
    struct error err;
    struct perf_map *map = perf_map_open(f->path, &err);

    assert_non_null(map);
    perf_map_add(map, 0x7f0012340000, 0x1a5, "tier1:guest 0xc0101234 (prot32 cpl0)");
    perf_map_add(map, 0x10, 1, "thunk:enter");
    perf_map_flush(map);
    assert_string_equal(read_back(f, "perf-", ".map"), "7f0012340000 1a5 tier1:guest 0xc0101234 (prot32 cpl0)\n"
                                                       "10 1 thunk:enter\n");
    perf_map_restart(map);
    perf_map_add(map, 0x20, 2, "x");
    perf_map_flush(map);
    assert_string_equal(read_back(f, "perf-", ".map"), "20 2 x\n");
    perf_map_close(map);
    perf_map_close(NULL);
}

static void test_map_refused(void **state)
{
    struct folder *f = *state;
    struct error err;
    char path[160];

    assert_null(perf_map_open("/nonexistent", &err));
    assert_non_null(strstr(err.message, "-perfmap: cannot create '/nonexistent/perf-"));
    /* Somebody else's link in a folder for all. */
    snprintf(path, sizeof path, "%s/perf-%d.map", f->path, (int)getpid());
    assert_int_equal(symlink("/tmp/elsewhere", path), 0);
    assert_null(perf_map_open(f->path, &err));
    assert_int_not_equal(access("/tmp/elsewhere", F_OK), 0);
}

static uint32_t get_32(const struct folder *f, size_t at)
{
    uint32_t value;

    assert_true(at + 4 <= f->length);
    memcpy(&value, f->content + at, 4);
    return value;
}

static uint64_t get_64(const struct folder *f, size_t at)
{
    return get_32(f, at) | (uint64_t)get_32(f, at + 4) << 32;
}

static uint64_t monotonic(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void test_dump(void **state)
{
    struct folder *f = *state;
    struct error err;
    uint64_t begin = monotonic();
    struct jitdump *dump = jitdump_open(f->path, &err);
    static const uint8_t code[] = {0x90, 0x90, 0xc3};

    assert_non_null(dump);
    assert_int_equal(jitdump_list(dump, "first"), 1);
    assert_int_equal(jitdump_list(dump, "second"), 2);
    const struct jitdump_line lines[] = {{0x5000, 1}, {0x5002, 2}};
    jitdump_add(dump, 0x5000, code, sizeof code, "a name", lines, 2);
    jitdump_add(dump, 0x5000, code, 1, "", NULL, 0); /* the address again */
    jitdump_close(dump);
    uint64_t end = monotonic();

    assert_string_equal(read_back(f, "jit-", ".txt"), "first\nsecond\n");
    read_back(f, "jit-", ".dump");
    char listing[160];
    snprintf(listing, sizeof listing, "%s/jit-%d.txt", f->path, (int)getpid());
    size_t name = strlen(listing) + 1, at = 0;
    assert_memory_equal(f->content, "DTiJ", 4);
    assert_int_equal(get_32(f, 4), 1);
    assert_int_equal(get_32(f, 8), 40);
    assert_int_equal(get_32(f, 12), EM_X86_64);
    assert_int_equal(get_32(f, 20), getpid());
    assert_in_range(get_64(f, 24), begin, end);
    assert_int_equal(get_64(f, 32), 0); /* times are the operating system's */
    at = 40;
    uint64_t last = get_64(f, 24);

    /* Lines come before the code. */
    assert_int_equal(get_32(f, at), 2);
    size_t size = get_32(f, at + 4);
    assert_int_equal(size, 32 + 2 * (16 + name));
    assert_in_range(get_64(f, at + 8), last, end);
    assert_int_equal(get_64(f, at + 16), 0x5000);
    assert_int_equal(get_64(f, at + 24), 2);
    for (size_t i = 0; i < 2; i++) {
        size_t entry = at + 32 + i * (16 + name);

        assert_int_equal(get_64(f, entry), lines[i].address);
        assert_int_equal(get_32(f, entry + 8), lines[i].line);
        assert_string_equal(f->content + entry + 16, listing);
    }
    at += size;
    for (unsigned i = 0; i < 2; i++) {
        size_t name_size = i ? 1 : 7, code_size = i ? 1 : 3;

        assert_int_equal(get_32(f, at), 0);
        assert_int_equal(get_32(f, at + 4), 56 + name_size + code_size);
        assert_in_range(get_64(f, at + 8), last, end);
        last = get_64(f, at + 8);
        assert_int_equal(get_32(f, at + 16), getpid());
        assert_int_equal(get_64(f, at + 24), 0x5000);
        assert_int_equal(get_64(f, at + 32), 0x5000);
        assert_int_equal(get_64(f, at + 40), code_size);
        assert_int_equal(get_64(f, at + 48), i); /* each its own number */
        assert_string_equal(f->content + at + 56, i ? "" : "a name");
        assert_memory_equal(f->content + at + 56 + name_size, code, code_size);
        at += get_32(f, at + 4);
    }
    assert_int_equal(get_32(f, at), 3);
    assert_int_equal(get_32(f, at + 4), 16);
    assert_int_equal(at + 16, f->length);
}

static void test_dump_refused(void **state)
{
    struct error err;

    assert_null(jitdump_open("/nonexistent", &err));
    assert_non_null(strstr(err.message, "-jitdump: cannot create jit-"));
    jitdump_close(NULL);
}

/* perf learns of the file from its being mapped as if it were code. */
static void test_dump_is_mapped(void **state)
{
    struct folder *f = *state;
    struct error err;
    struct jitdump *dump = jitdump_open(f->path, &err);
    char wanted[64], line[512];
    bool found = false;

    snprintf(wanted, sizeof wanted, "/jit-%d.dump", (int)getpid());
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps))
        found |= strstr(line, wanted) && strstr(line, " r-xp ");
    fclose(maps);
    jitdump_close(dump);
    assert_true(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_map, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_map_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dump, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dump_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dump_is_mapped, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
