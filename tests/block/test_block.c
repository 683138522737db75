#define _GNU_SOURCE /* mkdtemp, asprintf */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "block/block.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char folder[64], path[96];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->folder, "/tmp/test-block-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/disk.img", f->folder);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    unlink(f->path);
    assert_int_equal(rmdir(f->folder), 0); /* no temporary file was left behind */
    free(f);
    return 0;
}

static void make(struct fixture *f, size_t size)
{
    FILE *file = fopen(f->path, "wb");
    assert_non_null(file);
    for (size_t i = 0; i < size; i++)
        fputc((int)(i / 512 + i), file);
    fclose(file);
}

static struct block *open_image(struct fixture *f, struct block_options options)
{
    struct error err = {{0}};
    options.path = f->path;
    options.temporary_folder = f->folder;
    struct block *block = block_open(&options, &err);
    if (!block)
        print_message("%s\n", err.message);
    assert_non_null(block);
    return block;
}

static void refuse(struct block_options options, const char *expected)
{
    struct error err = {{0}};
    options.option = "-hda";
    assert_null(block_open(&options, &err));
    if (!strstr(err.message, expected))
        print_message("'%s' lacks '%s'\n", err.message, expected);
    assert_non_null(strstr(err.message, expected));
    assert_non_null(strstr(err.message, "-hda"));
    if (options.path && options.path[0])
        assert_non_null(strstr(err.message, options.path));
}

static void reads_and_writes(void **state)
{
    struct fixture *f = *state;
    uint8_t data[1024], back[1024];
    make(f, 8 * 512);
    struct block *block = open_image(f, (struct block_options){0});
    assert_int_equal(block->sectors, 8);
    assert_false(block->read_only);
    assert_int_equal(block_read(block, 1, 2, data), BLOCK_OK);
    assert_int_equal(data[0], (uint8_t)(1 + 512));
    assert_int_equal(data[512], (uint8_t)(2 + 1024));
    memset(data, 0xa5, sizeof data);
    assert_int_equal(block_write(block, 6, 2, data), BLOCK_OK);
    assert_int_equal(block_flush(block), BLOCK_OK);
    assert_int_equal(block_read(block, 6, 2, back), BLOCK_OK);
    assert_memory_equal(data, back, sizeof data);
    assert_int_equal(block_read(block, 7, 2, back), BLOCK_OUT_OF_RANGE);
    assert_int_equal(block_write(block, 8, 1, back), BLOCK_OUT_OF_RANGE);
    assert_int_equal(block_read(block, UINT64_MAX, 2, back), BLOCK_OUT_OF_RANGE);
    assert_int_equal(block_read(block, 8, 0, back), BLOCK_OK);
    assert_int_equal(block->statistics.sectors_written, 2);
    block_close(block);
    block = open_image(f, (struct block_options){.read_only = true});
    assert_true(block->read_only);
    assert_int_equal(block_read(block, 7, 1, back), BLOCK_OK);
    assert_int_equal(back[0], 0xa5);
    assert_int_equal(block_write(block, 0, 1, back), BLOCK_READ_ONLY);
    assert_int_equal(block_flush(block), BLOCK_OK);
    block_close(block);
}

static void odd_sizes_are_padded(void **state)
{
    struct fixture *f = *state;
    uint8_t data[512];
    make(f, 1000);
    struct block *block = open_image(f, (struct block_options){.read_only = true});
    assert_int_equal(block->sectors, 2);
    memset(data, 0xff, sizeof data);
    assert_int_equal(block_read(block, 1, 1, data), BLOCK_OK);
    assert_int_equal(data[487], (uint8_t)(1 + 999));
    assert_int_equal(data[488], 0);
    assert_int_equal(data[511], 0);
    block_close(block);
    block = open_image(f, (struct block_options){0});
    memset(data, 0x77, sizeof data);
    assert_int_equal(block_write(block, 1, 1, data), BLOCK_OK);
    memset(data, 0, sizeof data);
    assert_int_equal(block_read(block, 1, 1, data), BLOCK_OK);
    assert_int_equal(data[511], 0x77);
    block_close(block);
}

static void bad_files_are_named(void **state)
{
    struct fixture *f = *state;
    refuse((struct block_options){.path = "/nowhere/at/all.img"}, "No such file");
    refuse((struct block_options){.path = f->folder}, "directory");
    refuse((struct block_options){.path = f->folder, .read_only = true}, "directory");
    refuse((struct block_options){.path = "/dev/null"}, "neither a file nor a block device");
    refuse((struct block_options){.path = ""}, "no file name");
    refuse((struct block_options){.path = f->path, .format = "vmdk"}, "format 'vmdk'");
    /* What is no raw image is not taken as one, unless somebody insists. */
    FILE *file = fopen(f->path, "wb");
    fwrite("QFI\xfb\0\0\0\3", 1, 8, file);
    assert_int_equal(fclose(file), 0);
    refuse((struct block_options){.path = f->path}, "qcow2");
    block_close(open_image(f, (struct block_options){.format = "raw"}));
    make(f, 0);
    refuse((struct block_options){.path = f->path}, "empty");
    unlink(f->path);
    assert_int_equal(mkfifo(f->path, 0600), 0);
    refuse((struct block_options){.path = f->path, .read_only = true}, "neither a file"); /* at once */
    unlink(f->path);
    make(f, 512);
    if (geteuid() != 0) {
        chmod(f->path, 0444);
        refuse((struct block_options){.path = f->path}, "Permission denied");
        struct block *block = open_image(f, (struct block_options){.auto_read_only = true});
        assert_true(block->read_only);
        block_close(block);
    }
    refuse((struct block_options){.path = f->path, .snapshot = true, .temporary_folder = "/nowhere"}, "/nowhere");
}

static void locks(void **state)
{
    struct fixture *f = *state;
    make(f, 512);
    struct block *writer = open_image(f, (struct block_options){0});
    refuse((struct block_options){.path = f->path}, "in use");
    refuse((struct block_options){.path = f->path, .read_only = true}, "in use");
    refuse((struct block_options){.path = f->path, .snapshot = true}, "in use");
    block_close(writer);
    struct block *reader = open_image(f, (struct block_options){.read_only = true});
    struct block *other = open_image(f, (struct block_options){.snapshot = true});
    refuse((struct block_options){.path = f->path}, "in use");
    block_close(reader);
    block_close(other);
    block_close(open_image(f, (struct block_options){0}));
}

static void snapshot_leaves_the_file_alone(void **state)
{
    struct fixture *f = *state;
    uint8_t data[64 * 512], model[64 * 512], before[64 * 512];
    uint32_t seed = 1;
    make(f, sizeof model);
    FILE *file = fopen(f->path, "rb");
    assert_int_equal(fread(model, 1, sizeof model, file), sizeof model);
    memcpy(before, model, sizeof model);
    struct block *block = open_image(f, (struct block_options){.snapshot = true});
    assert_true(block->snapshot);
    assert_false(block->read_only);
    for (unsigned i = 0; i < 2000; i++) {
        seed = seed * 1664525 + 1013904223;
        unsigned sector = seed >> 8 & 63, count = 1 + (seed >> 16) % (64 - sector);
        if (seed >> 31) {
            memset(data, (int)(seed >> 4), (size_t)count * 512);
            memcpy(model + sector * 512, data, (size_t)count * 512);
            if (count > 4)
                continue; /* most of it stays the file's */
            assert_int_equal(block_write(block, sector, count, data), BLOCK_OK);
        } else {
            assert_int_equal(block_read(block, sector, count, data), BLOCK_OK);
        }
        /* The model follows what was really written. */
        assert_int_equal(block_read(block, 0, 64, model), BLOCK_OK);
        if (!(seed >> 31))
            assert_memory_equal(data, model + sector * 512, (size_t)count * 512);
        else
            assert_int_equal(model[sector * 512], (uint8_t)(seed >> 4));
    }
    block_close(block);
    rewind(file);
    assert_int_equal(fread(model, 1, sizeof model, file), sizeof model);
    assert_memory_equal(model, before, sizeof model);
    fclose(file);
    block = open_image(f, (struct block_options){.snapshot = true, .read_only = true});
    assert_int_equal(block_write(block, 0, 1, data), BLOCK_READ_ONLY);
    block_close(block);
}

static unsigned error_count;
static char error_text[512];
static void count_error(void *opaque, const char *message)
{
    error_count++;
    snprintf(error_text, sizeof error_text, "%s", message);
}

static void done(struct block_request *request)
{
    ++*(unsigned *)request->opaque;
}

/* A full disk, as a file size limit shows it. */
static void host_trouble_is_told_once(void **state)
{
    struct fixture *f = *state;
    uint8_t data[512] = {1};
    unsigned calls = 0;
    struct rlimit old, small;
    make(f, 512);
    assert_int_equal(truncate(f->path, 1 << 20), 0);
    struct block *block = open_image(f, (struct block_options){.snapshot = true});
    block_set_error_listener(block, count_error, NULL);
    error_count = 0;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(block_write(block, 100, 1, data), BLOCK_NO_SPACE);
    assert_int_equal(block_write(block, 101, 1, data), BLOCK_NO_SPACE);
    assert_int_equal(error_count, 1);
    assert_non_null(strstr(error_text, f->path));
    assert_non_null(strstr(error_text, "write sector 100"));
    assert_int_equal(block_read(block, 100, 1, data), BLOCK_OK);
    assert_int_equal(data[0], 0); /* still the file's */
    assert_int_equal(block_write(block, 1, 1, data), BLOCK_OK);
    struct block_request request = {
        .operation = BLOCK_WRITE, .sector = 200, .count = 1, .data = data, .done = done, .opaque = &calls};
    block_submit(block, &request);
    assert_int_equal(block_wait(block, &request), BLOCK_NO_SPACE);
    assert_false(request.pending);
    assert_int_equal(calls, 1);
    assert_int_equal(error_count, 2);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(block->statistics.errors, 3);
    block_close(block);
    block_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_and_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_sizes_are_padded, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_files_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(locks, setup, teardown),
        cmocka_unit_test_setup_teardown(snapshot_leaves_the_file_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(host_trouble_is_told_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
