/* A processor with memory and nothing else, in flat 32-bit protected mode, for tests. */
#ifndef DRAGOMAN_TESTS_INTERP_BARE_MACHINE_H
#define DRAGOMAN_TESTS_INTERP_BARE_MACHINE_H

#include "base/clock.h"
#include "cpu/model.h"
#include "cpu/segmentation.h"
#include "cpu/vcpu.h"
#include "interp/interp.h"

struct bare_machine {
    struct device_lock lock;
    struct log log;
    struct stats stats;
    struct clock *clock;
    struct memory *memory;
    struct port_space *ports;
    struct vcpu *cpu;
    struct interp *interp;
    bool triple_fault;
};

/* Aborts the test on failure. */
struct bare_machine *bare_machine_create(const char *model, uint64_t ram_size);
void bare_machine_destroy(struct bare_machine *machine);
/* Flat 4 GiB segments, CPL 0, EIP = START, ESP = STACK. */
void bare_machine_enter_flat(struct bare_machine *machine, uint32_t start, uint32_t stack);
/* Runs until HLT or BUDGET instructions; returns whether it halted. */
bool bare_machine_run(struct bare_machine *machine, int64_t budget);

#endif
