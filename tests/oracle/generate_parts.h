/* What the generator's files share; generate.h is for everybody else. */
#ifndef DRAGOMAN_TESTS_ORACLE_GENERATE_PARTS_H
#define DRAGOMAN_TESTS_ORACLE_GENERATE_PARTS_H

#include "generate.h"
#include "state_values.h"

struct template
{
    uint8_t prefix; /* 0, 66, F2, F3 */
    uint8_t map;    /* 0: one byte, 1: 0F */
    uint8_t opcode;
    uint8_t modrm;
};

struct template_list {
    struct template *items;
    unsigned count, room;
};

struct generator {
    struct decoder decoder;
    ZydisDecoder full16, full32; /* everything Zydis knows */
    struct template_list memory[ORACLE_MODES][ROW_COUNT], other[ORACLE_MODES][ROW_COUNT];
    bool enabled[ROW_COUNT];
    uint16_t rows[ROW_COUNT];
    unsigned row_count;
    bool no_arbitrary;
};

struct making {
    struct generator *g;
    struct random random;
    struct oracle_input *in;
    enum oracle_mode mode;
    bool trap; /* end by INT3 */
};

/* generate.c: up to 15 bytes of code. */
void put_random_instruction(struct making *m, uint16_t row, uint8_t *code);
void put_arbitrary_bytes(struct making *m, uint8_t *code);
/* What the case needs for INSN's sake. */
void note_instruction(struct making *m, const struct decoded_instruction *insn);

/* generate_state.c: segments, and registers with ESP in the arena. */
void choose_segments(struct making *m);
void choose_registers(struct making *m);
/* Where in the code pages. */
uint32_t choose_place(struct random *r, uint16_t cs);
/* Registers, operands and memory such that something happens in INSN, which is the first or stands near it. */
void prepare_instruction(struct making *m, const struct decoded_instruction *insn);

#endif
