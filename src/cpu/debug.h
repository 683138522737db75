/* Debug registers: breakpoints and who watches for them (Intel SDM vol. 3, 17.2).
 *
 *   DR7  31..30 LEN3 29..28 R/W3 | ... | 19..18 LEN0 17..16 R/W0 | 15 14 0 | 13 GD | 12 11 0 | 10 1 | 9 GE 8 LE |
 *        7 G3 6 L3 5 G2 4 L2 3 G1 2 L1 1 G0 0 L0
 *   DR6  31..16 ones | 15 BT | 14 BS | 13 BD | 12 0 | 11..4 ones | 3..0 B3..B0
 *
 * Code breakpoints are the engine's to check, before an instruction; data breakpoints are seen by the mmu's observer,
 * I/O breakpoints by the callouts of IN, OUT, INS and OUTS. The last two collect DR6 bits in cpu->pending_debug; the
 * engine turns those into a trap behind the instruction (or iteration). */
#ifndef DRAGOMAN_CPU_DEBUG_H
#define DRAGOMAN_CPU_DEBUG_H

#include "cpu/vcpu.h"

#define DR6_FIXED         0xffff0ff0u
#define DR6_B(n)          (1u << (n))
#define DR6_BD            0x2000u /* debug register access while DR7.GD */
#define DR6_BS            0x4000u /* single step */
#define DR6_BT            0x8000u /* task switch with T set in the TSS */
#define DR6_WRITABLE      (0xfu | DR6_BD | DR6_BS | DR6_BT)
#define DR7_FIXED         0x400u
#define DR7_WRITABLE      0xffff23ffu
#define DR7_ENABLED       0xffu /* L0 G0 ... L3 G3 */
#define DR7_LOCAL_ENABLES 0x55u /* and LE: a task switch clears them */
#define DR7_LE            0x100u
#define DR7_GD            0x2000u

/* Sets DR7 with its fixed bits, what follows from it, and posts ATTENTION_EVENT so that the engine looks at
 * debug_breakpoints_armed() again. For MOV DR, task switches (which clear the local enables), #DB delivery (which
 * clears GD) and the debugger. */
void debug_set_dr7(struct vcpu *cpu, uint32_t value);
/* Recomputes what follows from DR7 and the watchpoints: after reset, a loaded snapshot. */
void debug_update(struct vcpu *cpu);

/* An instruction or data breakpoint is enabled: code must run instruction by instruction, so that the one is looked for
 * before each and the trap of the other is taken behind the very instruction that made the access. */
bool debug_breakpoints_armed_slow(const struct vcpu *cpu);
always_inline bool debug_breakpoints_armed(const struct vcpu *cpu)
{
    return unlikely(cpu->state.dr[7] & DR7_ENABLED) && debug_breakpoints_armed_slow(cpu);
}
/* Before the instruction at LINEAR (CS base added): false with #DB recorded, a fault, if an instruction breakpoint
 * matches and neither RF nor the shadow of MOV SS/POP SS holds it back. Call it before that shadow is cleared. */
bool debug_check_execute(struct vcpu *cpu, uint64_t linear);
/* A data access was made; collects B0..B3 in cpu->pending_debug and posts ATTENTION_EVENT. The mmu's observer calls
 * it. */
void debug_check_data(struct vcpu *cpu, uint64_t linear, unsigned size, enum mmu_access access);
/* A port access was made; likewise. Nothing unless CR4.DE. */
void debug_check_io(struct vcpu *cpu, uint16_t port, unsigned size);

/* ---- watchpoints of a debugger outside ----
 *
 * Beside the guest's breakpoints and unseen by it: DR6 and DR7 do not change, there is no #DB. The first hit is
 * recorded, for which the engine leaves its run loop behind the instruction (the iteration, the delivery of the
 * interrupt) that made the access; it runs nothing more until debug_forget_watchpoint_hit(). Accesses that the
 * processor makes for itself count, those of page walks, fetches and devices do not. While the vCPU is parked. */

/* SET or remove it. False: it cannot be watched (length) or there are WATCHPOINT_COUNT already. True too if it was set,
 * or not, already. */
bool debug_set_watchpoint(struct vcpu *cpu, const struct watchpoint *watchpoint, bool set);
/* Removes all, and the hit. */
void debug_clear_watchpoints(struct vcpu *cpu);
/* cpu->watchpoints.hit says whether there is one. */
void debug_forget_watchpoint_hit(struct vcpu *cpu);

#endif
