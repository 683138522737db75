/* A whole machine without threads, for fuzz targets: the target's thread is main thread and vCPU at once, and time is
 * counted, so that an input always does the same. It has every device that can be had. */
#ifndef DRAGOMAN_TESTS_FUZZ_MACHINE_H
#define DRAGOMAN_TESTS_FUZZ_MACHINE_H

#include "vm/board_pc.h"
#include "vm/vm.h"

#define FUZZ_RAM_SIZE (2u << 20)

struct fuzz_machine {
    struct vm_options options;
    struct main_loop *loop;
    struct vm *vm;
    struct char_port ports[VM_MAX_SERIAL + 1];
};

/* Aborts where there is no memory. */
void fuzz_machine_create(struct fuzz_machine *machine, const char *cpu);
void fuzz_machine_destroy(struct fuzz_machine *machine);
/* As after power-on, apart from the clock: zeroed RAM, reset, no requests. */
void fuzz_machine_reset(struct fuzz_machine *machine);
/* Some guest asked for reset, exit or power-off. */
bool fuzz_machine_wants_to_end(struct fuzz_machine *machine);
/* Runs the guest's timers that are due; NANOSECONDS: lets so much time go by before. */
void fuzz_machine_pass_time(struct fuzz_machine *machine, uint64_t nanoseconds);
/* Runs guest code for at most INSTRUCTIONS, or until it ends or halts for good. */
void fuzz_machine_run(struct fuzz_machine *machine, int64_t instructions);

#endif
