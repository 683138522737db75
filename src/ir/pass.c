/* The order of the passes, and running them. */
#include "ir/ir.h"

const struct ir_pass ir_passes[] = {
    {"constants", ir_pass_constants, false}, {"addresses", ir_pass_addresses, false}, {"states", ir_pass_states, false},
    {"dead_code", ir_pass_dead_code, false}, {"flags", ir_pass_flags, true},          {NULL, NULL, false},
};

#ifdef NDEBUG
static bool verify_after(const struct ir_block *block, const char *what, bool check_flags, char *message,
                         size_t message_size)
{
    return true;
}
#else
static bool verify_after(const struct ir_block *block, const char *what, bool check_flags, char *message,
                         size_t message_size)
{
    char reason[256];
    if (ir_verify(block, check_flags, reason, sizeof reason)) {
        return true;
    }
    snprintf(message, message_size, "after %s: %s", what, reason);
    return false;
}
#endif

bool ir_run_passes(struct ir_block *block, const struct ir_host_flags *host, uint32_t disabled,
                   void (*observer)(void *opaque, const struct ir_pass *pass, const struct ir_block *block),
                   void *opaque, char *message, size_t message_size)
{
    if (block->overflow) {
        snprintf(message, message_size, "the block has too many ops, temps or instructions");
        return false;
    }
    if (!verify_after(block, "lifting", false, message, message_size)) {
        return false;
    }
    bool flags_placed = false;
    for (unsigned i = 0; ir_passes[i].name; i++) {
        const struct ir_pass *pass = &ir_passes[i];
        if (!pass->required && disabled >> i & 1) {
            continue;
        }
        pass->run(block, host);
        if (block->overflow) {
            snprintf(message, message_size, "pass %s: the block has too many ops", pass->name);
            return false;
        }
        flags_placed |= pass->run == ir_pass_flags;
        if (observer) {
            observer(opaque, pass, block);
        }
        if (!verify_after(block, pass->name, flags_placed, message, message_size)) {
            return false;
        }
    }
    return true;
}
