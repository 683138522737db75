/* The verifier's parts. Private to this room. */
#ifndef DRAGOMAN_IR_VERIFY_H
#define DRAGOMAN_IR_VERIFY_H

#include "ir/operands.h"

struct verifier {
    const struct ir_block *block;
    unsigned index; /* of the op looked at */
    char *message;
    size_t message_size;
};

/* Writes the message "op 3 (add): REASON" for the op looked at. Always false. */
__attribute__((format(printf, 2, 3))) bool ir_verify_fail(struct verifier *v, const char *reason, ...);

bool ir_verify_operands(struct verifier *v); /* verify_operands.c: each op by itself */
bool ir_verify_flags(struct verifier *v);    /* verify_flags.c: after the flag pass */

#endif
