/* The human monitor: command lines and their answers, as QEMU's monitor documents them. */
#ifndef DRAGOMAN_MONITOR_HMP_H
#define DRAGOMAN_MONITOR_HMP_H

#include "monitor/text.h"
#include "vm/board_pc.h"
#include "vm/vm.h"

struct monitors;
struct readline;
struct readline_completions;

/* State of one human monitor. */
struct hmp {
    struct monitors *set;
    struct vm *vm;
    char format;                    /* of the last x, xp, print: o d u x i c */
    unsigned size;                  /* 1, 2, 4, 8 */
    const struct readline *history; /* for `info history`; may be NULL */
};

/* Arguments of a command, parsed by its specification: see hmp_arguments.c. */
struct hmp_arguments {
    unsigned count; /* of /FMT */
    char format;
    unsigned size; /* 0: none was given (only with format i) */
    int64_t integers[4];
    unsigned integer_count;
    char strings[4][1024];
    unsigned string_count;
    bool flag; /* -X was given */
    char option[64]; /* the value of -X; empty: not given */
};

struct hmp_command {
    const char *name; /* alternatives separated by | */
    /* One character an argument: '/' format, 'l' expression, 'i' expression of 32 bits, 's' word or
     * quoted string, 'F' the same, called a file name in messages, 'S' the rest of the line,
     * '-' an optional flag, whose letter follows, and '=' if it takes a word; '?' behind one: it may be missing. */
    const char *arguments;
    const char *parameters; /* for help */
    const char *help;
    void (*run)(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);
};

void hmp_init(struct hmp *hmp, struct monitors *set);
/* Runs one line; what it prints, with plain newlines, is added to OUT. */
void hmp_execute(struct hmp *hmp, const char *line, struct text *out);
void hmp_complete(const char *line, struct readline_completions *out);
void hmp_add_carriage_returns(struct text *out, const char *data, size_t length);
/* Whether NAME is one of the alternatives of COMMAND's name. */
bool hmp_name_matches(const char *alternatives, const char *name);

/* hmp_arguments.c */
bool hmp_parse_arguments(struct hmp *hmp, const struct hmp_command *command, const char *text,
                         struct hmp_arguments *out, struct error *err);

/* hmp_info.c */
extern const struct hmp_command hmp_info_commands[]; /* ended by a NULL name */

/* hmp_info_cpu.c */
void hmp_info_registers(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);
void hmp_info_mem(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);
void hmp_info_tlb(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);

/* hmp_info_jit.c */
void hmp_info_jit(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);

/* hmp_memory.c */
void hmp_x(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);
void hmp_xp(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);
void hmp_print(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);
void hmp_sum(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);
void hmp_gva2gpa(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);
void hmp_port_read(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);
void hmp_port_write(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);

/* hmp_display.c */
void hmp_screendump(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);
void hmp_sendkey(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);
void hmp_mouse_move(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);
void hmp_mouse_button(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);
void hmp_mouse_set(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);
void hmp_info_mice(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);

/* hmp_block.c */
void hmp_change(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);
void hmp_eject(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);
void hmp_boot_set(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);
void hmp_info_block(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);
void hmp_info_blockstats(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);
void hmp_info_pci(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out);
/* "retain", "read-only" or "read-write". */
bool monitor_parse_access(const char *text, enum board_access *access);

/* memory_save.c: shared with QMP. The machine is frozen inside. */
bool monitor_save_physical(struct vm *vm, uint64_t address, uint64_t size, const char *path, struct error *err);
bool monitor_save_virtual(struct vm *vm, unsigned vcpu, uint64_t address, uint64_t size, const char *path,
                          struct error *err);
/* Reads guest-virtual memory as vCPU INDEX maps it now (frozen). False if some of it is not mapped. */
bool monitor_read_virtual(struct vm *vm, unsigned vcpu, uint64_t address, void *to, size_t length);

#endif
