/* How long an instruction is, defined or not.
 *
 * Zydis gives no length for what is no instruction. Processors have one: they find an instruction's end from prefixes,
 * opcode map and ModRM alone, fetch it all, and only then see that it is undefined. So an undefined instruction that
 * runs over the end of a page or segment is #PF or #GP, and one of more than 15 bytes is #GP. */
#ifndef DRAGOMAN_CPU_DECODE_LENGTH_H
#define DRAGOMAN_CPU_DECODE_LENGTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the instruction at CODE, of which AVAILABLE bytes can be looked at; 0 if those are not enough to tell. The
 * result may exceed AVAILABLE, and 15. CODE32: CS.D. */
unsigned decode_length(const uint8_t *code, size_t available, bool code32);

#endif
