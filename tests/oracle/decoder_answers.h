/* What the decoder as the emulator uses it, Zydis with all it knows, and Capstone say of the same bytes. */
#ifndef DRAGOMAN_TESTS_ORACLE_DECODER_ANSWERS_H
#define DRAGOMAN_TESTS_ORACLE_DECODER_ANSWERS_H

#include <stdbool.h>
#include <stdint.h>

#include <Zydis/Zydis.h>

#define DECODER_BYTES 15

enum decoder_mode { DECODER_16, DECODER_32, DECODER_64, DECODER_MODES };

struct decoder_answer {
    bool valid;
    uint8_t length; /* ours, in 16- and 32-bit mode, also where it is undefined */
    char name[24];  /* Capstone's spelling, no prefixes */
};

/* The bytes, taken apart without either library. */
struct encoding {
    enum decoder_mode mode;
    uint8_t bytes[DECODER_BYTES];
    uint8_t prefixes; /* how many bytes, REX among them */
    bool operand_size, address_size, lock, segment;
    uint8_t repeat; /* the last of F2, F3, or 0 */
    uint8_t rex;    /* 0: none, or not directly before the opcode */
    uint8_t map;    /* 0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A */
    uint8_t opcode, modrm;
};

struct decoder_question {
    struct encoding encoding;
    struct decoder_answer ours, capstone;
    bool known; /* to Zydis with everything switched on; looked up where ours and Capstone disagree or ours
                 * is undefined: then this is what it says */
    ZydisDecodedInstruction full;
};

struct decoders;

/* Ours: cpu/decode.c with the model "max"; in 64-bit mode, which that does not have, Zydis with the same switches. NULL
 * with a message on standard error. */
struct decoders *decoders_create(void);
void decoders_destroy(struct decoders *decoders);
void decoders_ask(struct decoders *decoders, enum decoder_mode mode, const uint8_t bytes[DECODER_BYTES],
                  struct decoder_question *question);
/* An extension that no model has. */
bool decoder_is_later(const ZydisDecodedInstruction *z);
bool decoders_agree(const struct decoder_question *question);

#endif
