/* Words of the IR's text form, for printer and parser. Private to this room.
 *
 *     [lock] name[.condition][.width[.narrow]] operands [{notes}] [; comment]
 *
 *     mov.4 eax, t0              register names follow the operand's width; ah, ch, dh, bh: high bytes
 *     movsx.4.1 ecx, m           m: what the last probe found
 *     lock add.4 m, -0x10
 *     probe.4 rw [ebx+esi*4+8]   size of the access; r, w, or rw to update
 *     probe.8.fpu r [ebx]        kind of probe: fpu, fpu_aligned
 *     segment.2 t0, ds.4 r [ebx] width of the offset; segment and size of the access
 *     selector.4 t0, ds          a segment register's selector
 *     set_selector.4 es, t0
 *     repeat.4 movs.1 ds         width of the addresses; movs or stos, size of the elements; segment of the source
 *     exit_if.nz 1               link
 *     exit 0 call                the branch is a call, which returns to link 1; exit_indirect: call, return
 *     exit_loop.4 zero 1         what loops: count, zero, not_zero, counter_zero; link
 *     raise 6                    vector
 *     interpret leaves           the dispatcher goes on behind it
 *     fpu.4 none, m {sse f3 1 58 c1 xmm_read 3 xmm_written 1}
 *                                destination and source, either of which may be none; unit, prefix, map, opcode and ModRM
 *                                (or none) in hexadecimal; then what there is of: imm and its byte, reg and rm (general
 *                                registers), pointers, FOP and, with memory, the segment, sets_flags, reads_flags,
 *                                xmm_read and xmm_written and their sets
 *     probe.4 r [ebx] {recipe 3} number of the op whose flags are meant, or "home"
 *     exit 0 {place eflags home}
 */
#ifndef DRAGOMAN_IR_TEXT_H
#define DRAGOMAN_IR_TEXT_H

#include "ir/operands.h"

extern const char ir_text_conditions[16][4];
extern const char ir_text_segments[6][3]; /* in the encoding's order: ES CS SS DS FS GS */
extern const char ir_text_accesses[3][3];
extern const char ir_text_loops[4][16];
extern const char ir_text_repeats[2][5];
extern const char ir_text_branches[3][8]; /* the first is not written */
extern const char ir_text_link_kinds[3][12];
extern const char ir_text_probe_kinds[3][12]; /* the first is not written */
extern const char ir_text_fpu_units[4][8];
extern const char ir_text_fpu_flags[3][12]; /* the first is not written */
extern const char ir_text_high[4][3];
/* The name of general register NUMBER as an operand of WIDTH bytes. */
extern const char ir_text_registers[3][8][4]; /* by log2(width) */

static inline const char *ir_text_register(unsigned number, unsigned width)
{
    return ir_text_registers[width == 1 ? 0 : width == 2 ? 1 : 2][number & 7];
}

/* CALLOUT and EXIT_CALLOUT take no operand when the instruction has none in memory. */
static inline bool ir_a_is_optional(const struct ir_op *op)
{
    return op->opcode == IR_CALLOUT || op->opcode == IR_EXIT_CALLOUT;
}

#endif
