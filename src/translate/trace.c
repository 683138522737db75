/* What -d op, op_opt and out_asm show of a translation. */
#include "translate/translate_private.h"

#include <string.h>

void trace_ir(struct translator *t, const char *title)
{
    FILE *out = t->cpu->log->file;

    fprintf(out, "IR %s:\n", title);
    ir_print(out, t->ir);
}

void trace_pass(void *opaque, const struct ir_pass *pass, const struct ir_block *block)
{
    struct translator *t = opaque;

    trace_ir(t, pass->name);
}

void trace_host_code(struct translator *t, const struct translation *made)
{
    FILE *out = t->cpu->log->file;
    uint32_t at = made->start;

    fprintf(out, "OUT: 0x%08x, %u guest instructions, %u bytes at %llx; entries: flags in EFLAGS +%x, at home +%x\n",
            made->key.eip, made->insn_count, made->end - made->start,
            (unsigned long long)cache_address(&t->cache, made->start), made->entry_eflags - made->start,
            made->entry_home - made->start);
    while (at < made->end) {
        ZydisDisassembledInstruction text;
        const uint8_t *code = t->cache.executable + at;
        char hex[3 * 15 + 1] = "";

        if (at == made->hot_end)
            fprintf(out, "  -- out of line\n");
        if (!ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, cache_address(&t->cache, at), code,
                                                made->end - at, &text))) {
            fprintf(out, "  +%04x: %02x ?\n", at - made->start, *code);
            at++;
            continue;
        }
        for (unsigned i = 0; i < text.info.length; i++)
            snprintf(hex + 3 * i, 4, "%02x ", code[i]);
        fprintf(out, "  +%04x: %-30s %s\n", at - made->start, hex, text.text);
        at += text.info.length;
    }
    fflush(out);
}
