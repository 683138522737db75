/* The processor as judge of lengths: a child that is stepped over one instruction at the end of a page. What is not
 * there yet is a fetch fault at the page's end, so the shortest beginning without that fault is the instruction. */
#ifndef DRAGOMAN_TESTS_ORACLE_DECODER_JUDGE_H
#define DRAGOMAN_TESTS_ORACLE_DECODER_JUDGE_H

#include "decoder_answers.h"

enum judgement { JUDGE_UNKNOWN, JUDGE_UNDEFINED, JUDGE_DEFINED };

struct judge;

/* NULL where processes may not be traced. */
struct judge *judge_create(void);
void judge_destroy(struct judge *judge);
/* *LENGTH is the instruction's. JUDGE_UNDEFINED: it raises #UD once that much is there. */
enum judgement judge_ask(struct judge *judge, enum decoder_mode mode, const uint8_t bytes[DECODER_BYTES],
                         unsigned *length);

#endif
