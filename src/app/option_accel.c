/* --engine, -accel and --host-features: how guest code is executed. */
#include "app/options.h"

#include "ir/ir.h"

#include <stdio.h>
#include <string.h>

bool options_set_engine(struct vm_options *vm, const char *value, struct error *err)
{
    static const struct {
        const char *name;
        enum vm_engine engine;
    } engines[] = {{"interp", VM_ENGINE_INTERP},
                   {"tier1", VM_ENGINE_TIER1},
                   {"auto", VM_ENGINE_AUTO},
                   {"lockstep", VM_ENGINE_LOCKSTEP}};

    for (size_t i = 0; i < sizeof engines / sizeof engines[0]; i++)
        if (!strcmp(value, engines[i].name)) {
            vm->engine = engines[i].engine;
            return true;
        }
    return error_set(err, "--engine: '%s' is not valid: must be interp, tier1, auto or lockstep%s", value,
                     strcmp(value, "tier2") ? "" : " (there is no second tier yet)");
}

/* "constants:flags" or "all": passes to switch off. */
static bool set_disabled_passes(struct translate_options *t, const char *names, struct error *err)
{
    while (*names) {
        size_t length = strcspn(names, ":");
        bool all = length == 3 && !strncmp(names, "all", 3), known = all;

        for (unsigned i = 0; ir_passes[i].name; i++) {
            bool this = strlen(ir_passes[i].name) == length && !strncmp(ir_passes[i].name, names, length);

            if (this && ir_passes[i].required)
                return error_set(err, "-accel disable-passes: '%s' cannot be switched off", ir_passes[i].name);
            if (this || (all && !ir_passes[i].required))
                t->disabled_passes |= 1u << i;
            known |= this;
        }
        if (!known) {
            char list[200] = "all";

            for (unsigned i = 0; ir_passes[i].name; i++)
                if (!ir_passes[i].required)
                    snprintf(list + strlen(list), sizeof list - strlen(list), ", %s", ir_passes[i].name);
            return error_set(err, "-accel disable-passes: '%.*s' is no pass; there are %s", (int)length, names, list);
        }
        names += length + (names[length] == ':');
    }
    return true;
}

bool options_set_accelerator(struct vm_options *vm, const char *option, const char *text, struct error *err)
{
    struct translate_options *t = &vm->translate;
    char element[256], *value;
    bool overlong, first = true;

    for (; options_next_element(&text, element, sizeof element, &value, &overlong); first = false) {
        uint64_t n = 0;

        if (first && !value) {
            if (strcmp(element, "tcg") && strcmp(element, "translator"))
                return error_set(err, "%s: accelerator '%s' is not available: this emulator runs without one", option,
                                 element);
        } else if (!value) {
            return error_set(err, "%s: '%s' needs a value", option, element);
        } else if (!strcmp(element, "accel")) {
            if (strcmp(value, "tcg"))
                return error_set(err, "%s: accelerator '%s' is not available", option, value);
        } else if (!strcmp(element, "tb-size")) {
            if (!options_parse_number("-accel tb-size", value, 1025, &n, err))
                return false;
            if (n < 1)
                return error_set(err, "-accel tb-size: must be 1 to 1024 (MiB)");
            t->cache_size = (uint32_t)n << 20;
        } else if (!strcmp(element, "threshold")) {
            if (!options_parse_number("-accel threshold", value, 1u << 20, &n, err))
                return false;
            t->threshold = (uint32_t)n;
        } else if (!strcmp(element, "block-limit")) {
            if (!options_parse_number("-accel block-limit", value, IR_MAX_INSNS + 1, &n, err))
                return false;
            if (n < 1)
                return error_set(err, "-accel block-limit: must be 1 to %u", IR_MAX_INSNS);
            t->block_limit = (unsigned)n;
        } else if (!strcmp(element, "one-insn-per-tb")) {
            if (!strcmp(value, "on"))
                t->block_limit = 1;
        } else if (!strcmp(element, "disable-passes")) {
            if (!set_disabled_passes(t, value, err))
                return false;
        } else if (strcmp(element, "thread")) { /* single or multi: the same with one processor */
            return error_set(err, "%s: unknown property '%s'", option, element);
        }
    }
    return !overlong || error_set(err, "%s: value is too long", option);
}

bool options_set_host_features(struct vm_options *vm, const char *value, struct error *err)
{
    if (!strcmp(value, "baseline"))
        vm->translate.baseline = true;
    else if (!strcmp(value, "native"))
        vm->translate.baseline = false;
    else
        return error_set(err, "--host-features: '%s' is not valid: must be native or baseline", value);
    return true;
}
