/* What a debugger of the emulator is shown: ELF files, and the list of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "trace/gdb_jit.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The interface, as a debugger knows it. */
struct jit_code_entry {
    struct jit_code_entry *next_entry, *prev_entry;
    const char *symfile_addr;
    uint64_t symfile_size;
};
extern struct jit_descriptor {
    uint32_t version, action_flag;
    struct jit_code_entry *relevant_entry, *first_entry;
} __jit_debug_descriptor;

static const Elf64_Shdr *find_section(const uint8_t *file, const char *name)
{
    const Elf64_Ehdr *header = (const void *)file;
    const Elf64_Shdr *sections = (const void *)(file + header->e_shoff);
    const char *names = (const char *)file + sections[header->e_shstrndx].sh_offset;

    for (unsigned i = 0; i < header->e_shnum; i++)
        if (!strcmp(names + sections[i].sh_name, name))
            return &sections[i];
    fail_msg("no section %s", name);
    return NULL;
}

static const Elf64_Sym *find_symbol(const uint8_t *file, const char *name)
{
    const Elf64_Shdr *table = find_section(file, ".symtab"), *strings = find_section(file, ".strtab");
    const Elf64_Sym *symbols = (const void *)(file + table->sh_offset);

    for (size_t i = 1; i < table->sh_size / sizeof *symbols; i++)
        if (!strcmp((const char *)file + strings->sh_offset + symbols[i].st_name, name))
            return &symbols[i];
    return NULL;
}

static void test_elf(void **state)
{
    static const struct gdb_jit_symbol symbols[] = {{0x10000, 0x10, "one"}, {0x10010, 0x20, "another"}};
    static const uint8_t frames[] = {1, 2, 3, 4, 0};
    size_t size;
    uint8_t *file = gdb_jit_build(0x10000, 0x30, symbols, 2, frames, sizeof frames, &size);

    assert_non_null(file);
    const Elf64_Ehdr *header = (const void *)file;
    assert_memory_equal(header->e_ident, ELFMAG, SELFMAG);
    assert_int_equal(header->e_machine, EM_X86_64);
    const Elf64_Shdr *text = find_section(file, ".text"), *eh_frame = find_section(file, ".eh_frame");
    assert_int_equal(text->sh_addr, 0x10000);
    assert_int_equal(text->sh_size, 0x30);
    assert_int_equal(text->sh_type, SHT_NOBITS);
    assert_int_equal(eh_frame->sh_size, sizeof frames);
    assert_memory_equal(file + eh_frame->sh_offset, frames, sizeof frames);
    assert_int_equal(eh_frame->sh_addr % 8, 0);
    /* Sections that are loaded lie in segments. */
    const Elf64_Phdr *segments = (const void *)(file + header->e_phoff);
    assert_int_equal(segments[1].p_vaddr, eh_frame->sh_addr);
    assert_int_equal(segments[1].p_memsz, eh_frame->sh_size);
    const Elf64_Sym *symbol = find_symbol(file, "another");
    assert_non_null(symbol);
    assert_int_equal(symbol->st_value, 0x10010);
    assert_int_equal(symbol->st_size, 0x20);
    assert_int_equal(ELF64_ST_TYPE(symbol->st_info), STT_FUNC);
    const Elf64_Shdr *last = find_section(file, ".shstrtab");
    assert_int_equal(last->sh_offset + last->sh_size, size);
    free(file);
}

static unsigned count_files(void)
{
    unsigned count = 0;

    for (struct jit_code_entry *e = __jit_debug_descriptor.first_entry; e; e = e->next_entry)
        count++;
    return count;
}

/* The file that has symbol NAME; NULL: none. Nobody must be changing the list. */
static struct jit_code_entry *find_file(const char *name)
{
    for (struct jit_code_entry *e = __jit_debug_descriptor.first_entry; e; e = e->next_entry)
        if (find_symbol((const uint8_t *)e->symfile_addr, name))
            return e;
    return NULL;
}

static struct gdb_jit *create(void)
{
    static const struct gdb_jit_symbol thunk = {0x1000, 0x10, "thunk"};
    static const uint8_t frames[] = {0, 0, 0, 0};
    struct error err;
    struct gdb_jit *jit = gdb_jit_create(0x1000, 0x1000, &thunk, 1, frames, sizeof frames, &err);

    assert_non_null(jit);
    return jit;
}

static void add(struct gdb_jit *jit, unsigned group, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        struct gdb_jit_symbol symbol = {0x10000u + 16u * i, 16, ""};

        strcpy(symbol.name, "block0000");
        for (unsigned digit = 8, n = i; digit >= 5; digit--, n /= 10)
            symbol.name[digit] = (char)('0' + n % 10);
        gdb_jit_add(jit, group, &symbol);
    }
}

static void test_batches(void **state)
{
    struct gdb_jit *jit = create();

    assert_int_equal(__jit_debug_descriptor.version, 1);
    assert_int_equal(count_files(), 1);
    assert_non_null(find_file("thunk"));
    add(jit, 3, 0, GDB_JIT_BATCH + 1);
    struct jit_code_entry *full = find_file("block0000");
    assert_non_null(full);
    assert_ptr_equal(find_file("block0255"), full);
    const Elf64_Shdr *text = find_section((const uint8_t *)full->symfile_addr, ".text");
    assert_int_equal(text->sh_addr, 0x10000);
    assert_int_equal(text->sh_size, 16 * GDB_JIT_BATCH);
    /* Another group needs another file. */
    add(jit, 4, 1000, 1);
    assert_non_null(find_file("block0256"));
    assert_ptr_not_equal(find_file("block0256"), full);
    gdb_jit_drop(jit, 3);
    assert_null(find_file("block0000"));
    assert_null(find_file("block0256"));
    assert_non_null(find_file("thunk"));
    gdb_jit_destroy(jit);
    assert_int_equal(count_files(), 0);
}

static struct jit_code_entry *wait_for(struct gdb_jit *jit, const char *name)
{
    for (unsigned i = 0; i < 100; i++) {
        struct timespec t = {0, 20 * GDB_JIT_DELAY_NS}; /* by then it is over: see find_file() */

        nanosleep(&t, NULL);
        gdb_jit_drop(jit, 999); /* none: but what was done before is seen */
        struct jit_code_entry *found = find_file(name);
        if (found)
            return found;
    }
    fail_msg("%s is never shown", name);
    return NULL;
}

/* What does not fill a file is shown a moment later, and then with what comes after. */
static void test_late(void **state)
{
    struct gdb_jit *jit = create();

    add(jit, 0, 0, 3);
    wait_for(jit, "block0002");
    assert_int_equal(count_files(), 2);
    add(jit, 0, 3, 1);
    struct jit_code_entry *later = wait_for(jit, "block0003");
    assert_ptr_equal(find_file("block0000"), later);
    assert_int_equal(count_files(), 2);
    gdb_jit_drop(jit, 0);
    assert_int_equal(count_files(), 1);
    /* The group's place is used again. */
    add(jit, 0, 0, 1);
    wait_for(jit, "block0000");
    assert_null(find_file("block0003"));
    gdb_jit_destroy(jit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elf),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
