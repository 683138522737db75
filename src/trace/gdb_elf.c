/* The ELF files of gdb_jit.h. */
#include "trace/gdb_jit.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENTS 2

enum { SECTION_NONE, SECTION_TEXT, SECTION_EH_FRAME, SECTION_SYMBOLS, SECTION_STRINGS, SECTION_NAMES, SECTION_COUNT };
static const char section_names[SECTION_COUNT][12] = {"", ".text", ".eh_frame", ".symtab", ".strtab", ".shstrtab"};

static size_t align(size_t n)
{
    return (n + 15) & ~(size_t)15;
}

static void put_symbols(Elf64_Sym *table, char *strings, const struct gdb_jit_symbol *symbols, size_t count)
{
    uint32_t name = 1; /* the first is empty, as is the first symbol */

    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(symbols[i].name) + 1;

        table[i + 1] = (Elf64_Sym){
            .st_name = name,
            .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
            .st_shndx = SECTION_TEXT,
            .st_value = symbols[i].address,
            .st_size = symbols[i].size,
        };
        memcpy(strings + name, symbols[i].name, length);
        name += (uint32_t)length;
    }
}

uint8_t *gdb_jit_build(uint64_t address, uint64_t size, const struct gdb_jit_symbol *symbols, size_t symbol_count,
                       const uint8_t *eh_frame, size_t eh_frame_size, size_t *file_size)
{
    size_t strings_size = 1;

    for (size_t i = 0; i < symbol_count; i++)
        strings_size += strlen(symbols[i].name) + 1;
    const size_t headers = sizeof(Elf64_Ehdr) + SEGMENTS * sizeof(Elf64_Phdr) + SECTION_COUNT * sizeof(Elf64_Shdr);
    const size_t eh_frame_at = align(headers), symbols_at = align(eh_frame_at + eh_frame_size);
    const size_t symbols_size = (symbol_count + 1) * sizeof(Elf64_Sym), strings_at = symbols_at + symbols_size;
    const size_t names_at = strings_at + strings_size, total = names_at + sizeof section_names;
    uint8_t *file = calloc(1, total);

    if (!file)
        return NULL;
    *(Elf64_Ehdr *)(void *)file = (Elf64_Ehdr){
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE},
        .e_type = ET_EXEC, /* addresses are what they are */
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof(Elf64_Ehdr),
        .e_shoff = sizeof(Elf64_Ehdr) + SEGMENTS * sizeof(Elf64_Phdr),
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = SEGMENTS,
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = SECTION_COUNT,
        .e_shstrndx = SECTION_NAMES,
    };
    Elf64_Phdr *segments = (Elf64_Phdr *)(void *)(file + sizeof(Elf64_Ehdr));
    segments[0] = (Elf64_Phdr){
        .p_type = PT_LOAD,
        .p_flags = PF_X | PF_R,
        .p_vaddr = address,
        .p_paddr = address,
        .p_memsz = size,
    };
    segments[1] = (Elf64_Phdr){
        .p_type = PT_LOAD,
        .p_flags = PF_R,
        .p_offset = eh_frame_at,
        .p_vaddr = (uint64_t)(uintptr_t)(file + eh_frame_at),
        .p_paddr = (uint64_t)(uintptr_t)(file + eh_frame_at),
        .p_filesz = eh_frame_size,
        .p_memsz = eh_frame_size,
    };
    Elf64_Shdr *sections = (Elf64_Shdr *)(void *)(segments + SEGMENTS);
    sections[SECTION_TEXT] = (Elf64_Shdr){
        .sh_type = SHT_NOBITS, /* gdb reads the program's memory */
        .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
        .sh_addr = address,
        .sh_size = size,
        .sh_addralign = 16,
    };
    sections[SECTION_EH_FRAME] = (Elf64_Shdr){
        .sh_type = eh_frame ? SHT_PROGBITS : SHT_NOBITS,
        .sh_flags = SHF_ALLOC,
        .sh_addr = (uint64_t)(uintptr_t)(file + eh_frame_at),
        .sh_offset = eh_frame_at,
        .sh_size = eh_frame_size,
        .sh_addralign = 8,
    };
    sections[SECTION_SYMBOLS] = (Elf64_Shdr){
        .sh_type = SHT_SYMTAB,
        .sh_offset = symbols_at,
        .sh_size = symbols_size,
        .sh_link = SECTION_STRINGS,
        .sh_info = 1, /* the first global one */
        .sh_addralign = 8,
        .sh_entsize = sizeof(Elf64_Sym),
    };
    sections[SECTION_STRINGS] = (Elf64_Shdr){
        .sh_type = SHT_STRTAB,
        .sh_offset = strings_at,
        .sh_size = strings_size,
        .sh_addralign = 1,
    };
    sections[SECTION_NAMES] = (Elf64_Shdr){
        .sh_type = SHT_STRTAB,
        .sh_offset = names_at,
        .sh_size = sizeof section_names,
        .sh_addralign = 1,
    };
    for (unsigned i = 0; i < SECTION_COUNT; i++)
        sections[i].sh_name = i * (uint32_t)sizeof section_names[0];
    if (eh_frame)
        memcpy(file + eh_frame_at, eh_frame, eh_frame_size);
    put_symbols((Elf64_Sym *)(void *)(file + symbols_at), (char *)file + strings_at, symbols, symbol_count);
    memcpy(file + names_at, section_names, sizeof section_names);
    *file_size = total;
    return file;
}
