/* Unwinding information (.eh_frame, System V ABI for AMD64, 3.7; DWARF 4, 6.4) for code made at run time, found out by
 * following what the code does to the stack pointer.
 *
 *     caller's frame       C
 *     return address       <- canonical frame address - 8
 *     saved registers      pushed by the entry routine ...
 *     padding              ... which then jumps into
 *     the frame's end      which the vCPU, in r15, keeps
 *     calls                as many as the guest's code has made and not returned from
 *     [rsp]                the body: all code that runs on this frame
 *     return address       of a routine that the body calls
 */
#ifndef DRAGOMAN_TRACE_UNWIND_H
#define DRAGOMAN_TRACE_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum unwind_kind {
    UNWIND_ENTRY,  /* called by C; makes the frame and jumps into a body. The first routine, and only it */
    UNWIND_BODY,   /* jumped to, or called for the guest; may itself jump anywhere: its code is not looked at */
    UNWIND_CALLED, /* called by a body */
    UNWIND_FIXED   /* a body that may come into being later */
};

struct unwind_routine {
    uint64_t address;
    uint64_t size;
    const uint8_t *code; /* of what is at ADDRESS; UNWIND_FIXED: unused */
    enum unwind_kind kind;
};

/* .eh_frame for COUNT routines, ended by a zero; the caller frees it. NULL: out of memory, or code that makes no sense.
 * FRAME_END: where the address of the frame's end is, from r15 on. */
uint8_t *unwind_describe(const struct unwind_routine *routines, size_t count, int32_t frame_end, size_t *size);

#endif
