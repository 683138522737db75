/* Why the decoder and Capstone disagree where they may. */
#ifndef DRAGOMAN_TESTS_ORACLE_DECODER_REASONS_H
#define DRAGOMAN_TESTS_ORACLE_DECODER_REASONS_H

#include "decoder_answers.h"

enum reason_kind {
    REASON_CAPSTONE, /* Capstone is wrong: the processor must say what our decoder says */
    REASON_MODEL,    /* the processor knows what the model does not have: it cannot judge */
    REASON_NAME,     /* the same instruction by two names: the processor must find our length */
};

struct reason {
    const char *name, *text;
    enum reason_kind kind;
    bool (*applies)(const struct decoder_question *question);
};

/* The first row that applies, or -1. */
int decoder_reason_find(const struct decoder_question *question);
/* NULL behind the last. */
const struct reason *decoder_reason(unsigned number);

#endif
