/* See jitdump.h. */
#define _GNU_SOURCE /* gettid */
#include "trace/jitdump.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MAGIC   0x4a695444u /* "JiTD" where the least significant byte is the last */
#define VERSION 1u

enum record_id { CODE_LOAD = 0, CODE_MOVE = 1, CODE_DEBUG_INFO = 2, CODE_CLOSE = 3 };

struct file_header {
    uint32_t magic, version, size;
    uint32_t machine; /* as in ELF */
    uint32_t unused;
    uint32_t pid;
    uint64_t time;
    uint64_t flags;
};
_Static_assert(sizeof(struct file_header) == 40, "as in the specification");

struct record_header {
    uint32_t id, size; /* of the whole record */
    uint64_t time;
};

struct load_record {
    struct record_header header;
    uint32_t pid, tid;
    uint64_t vma, address, size, index; /* then the name with its 0, then the code */
};
_Static_assert(sizeof(struct load_record) == 56, "as in the specification");

struct debug_record {
    struct record_header header;
    uint64_t address, count; /* then the entries */
};

struct debug_entry {
    uint64_t address;
    uint32_t line, discriminator; /* then the file's name with its 0 */
};

struct jitdump {
    FILE *file, *listing;
    void *mark; /* a page of FILE, executable */
    size_t page;
    char listing_path[PATH_MAX];
    uint32_t lines;
    uint64_t count;
};

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void discard(struct jitdump *dump)
{
    if (dump->file)
        fclose(dump->file);
    if (dump->listing)
        fclose(dump->listing);
    free(dump);
}

struct jitdump *jitdump_open(const char *folder, struct error *err)
{
    struct jitdump *dump = calloc(1, sizeof *dump);
    char path[PATH_MAX], absolute[PATH_MAX];

    if (!dump) {
        error_set(err, "-jitdump: out of memory");
        return NULL;
    }
    if (!realpath(folder, absolute) ||
        (size_t)snprintf(path, sizeof path, "%s/jit-%d.dump", absolute, (int)getpid()) >= sizeof path ||
        (size_t)snprintf(dump->listing_path, sizeof dump->listing_path, "%s/jit-%d.txt", absolute, (int)getpid()) >=
            sizeof dump->listing_path ||
        !(dump->file = fopen(path, "w+e")) || !(dump->listing = fopen(dump->listing_path, "we"))) {
        error_set(err, "-jitdump: cannot create jit-%d.dump and .txt in '%s': %s", (int)getpid(), folder,
                  strerror(errno));
        discard(dump);
        return NULL;
    }
    dump->page = (size_t)sysconf(_SC_PAGESIZE);
    struct file_header header = {
        .magic = MAGIC,
        .version = VERSION,
        .size = sizeof header,
        .machine = EM_X86_64,
        .pid = (uint32_t)getpid(),
        .time = now(),
    };
    bool ok = fwrite(&header, sizeof header, 1, dump->file) == 1 && fflush(dump->file) == 0;
    dump->mark = ok ? mmap(NULL, dump->page, PROT_READ | PROT_EXEC, MAP_PRIVATE, fileno(dump->file), 0) : MAP_FAILED;
    if (dump->mark == MAP_FAILED) {
        error_set(err, "-jitdump: cannot map '%s' (a file system without programs?): %s", path, strerror(errno));
        discard(dump);
        return NULL;
    }
    return dump;
}

uint32_t jitdump_list(struct jitdump *dump, const char *text)
{
    fprintf(dump->listing, "%s\n", text);
    return ++dump->lines;
}

static void add_lines(struct jitdump *dump, uint64_t address, const struct jitdump_line *lines, size_t count)
{
    size_t name = strlen(dump->listing_path) + 1;
    struct debug_record record = {
        .header = {CODE_DEBUG_INFO, 0, now()},
        .address = address,
        .count = count,
    };

    record.header.size = (uint32_t)(sizeof record + count * (sizeof(struct debug_entry) + name));
    fwrite(&record, sizeof record, 1, dump->file);
    for (size_t i = 0; i < count; i++) {
        struct debug_entry entry = {lines[i].address, lines[i].line, 0};

        fwrite(&entry, sizeof entry, 1, dump->file);
        fwrite(dump->listing_path, name, 1, dump->file);
    }
}

void jitdump_add(struct jitdump *dump, uint64_t address, const void *code, size_t size, const char *name,
                 const struct jitdump_line *lines, size_t line_count)
{
    size_t name_size = strlen(name) + 1;

    if (line_count) /* they must come first */
        add_lines(dump, address, lines, line_count);
    struct load_record record = {
        .header = {CODE_LOAD, (uint32_t)(sizeof record + name_size + size), now()},
        .pid = (uint32_t)getpid(),
        .tid = (uint32_t)gettid(),
        .vma = address,
        .address = address,
        .size = size,
        .index = dump->count++,
    };
    fwrite(&record, sizeof record, 1, dump->file);
    fwrite(name, name_size, 1, dump->file);
    fwrite(code, size, 1, dump->file);
    fflush(dump->file); /* whole records, even if the emulator is killed */
    fflush(dump->listing);
}

void jitdump_close(struct jitdump *dump)
{
    struct record_header close = {CODE_CLOSE, sizeof close, now()};

    if (!dump)
        return;
    fwrite(&close, sizeof close, 1, dump->file);
    munmap(dump->mark, dump->page);
    discard(dump);
}
