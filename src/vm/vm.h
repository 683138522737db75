/* A machine.  Everything hangs off struct vm, so that several can live in one process.
 *
 * Threads and locks:
 *   main thread    main loop, monitors, the guest's timers (real time), reset, stop and cont
 *   vCPU thread    guest code; in counted time also the guest's timers
 *
 *   device_lock    every device, timer and interrupt line (base/lock.h)
 *   run_mutex      whether vCPUs may run; a leaf but for the main loop's own mutex: it may be taken
 *                  with the device lock held, never the other way round
 *
 * A vCPU is "parked" when its thread waits for permission to run: its x87 state is spilled and
 * anybody on the main thread may look at and change all of the processor.  vm_freeze() waits for that;
 * so it must not be called with the device lock held. */
#ifndef DRAGOMAN_VM_VM_H
#define DRAGOMAN_VM_VM_H

#include "base/clock.h"
#include "base/error.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/stats.h"
#include "cpu/vcpu.h"
#include "devices/device.h"
#include "interp/interp.h"
#include "mmu/memory.h"
#include "mmu/ports.h"
#include "translate/translate.h"
#include "vm/main_loop.h"
#include "vm/options.h"

#include <pthread.h>

/* Names as `info status` and query-status give them. */
enum vm_state {
    VM_PRELAUNCH, /* not started yet, or reset while stopped: -S, system_reset */
    VM_RUNNING,
    VM_PAUSED,
    VM_DEBUG,   /* stopped by the gdb stub's breakpoint or step */
    VM_SHUTDOWN /* powered off, kept by -no-shutdown */
};
const char *vm_state_name(enum vm_state state);

/* Why a machine was reset or shut down; names as in QMP events. */
enum vm_cause {
    VM_CAUSE_HOST_QMP_QUIT,
    VM_CAUSE_HOST_QMP_RESET,
    VM_CAUSE_HOST_SIGNAL,
    VM_CAUSE_HOST_UI,
    VM_CAUSE_GUEST_SHUTDOWN,
    VM_CAUSE_GUEST_RESET
};
const char *vm_cause_name(enum vm_cause cause);
bool vm_cause_is_guest(enum vm_cause cause);

enum vm_event {
    VM_EVENT_SHUTDOWN,
    VM_EVENT_RESET,
    VM_EVENT_POWERDOWN,
    VM_EVENT_STOP,
    VM_EVENT_RESUME,
    VM_EVENT_DEBUG,
    VM_EVENT_TRAY_MOVED /* vm->tray_move says whose; device lock held */
};
#define VM_EVENT_LISTENERS 16
typedef void (*vm_event_fn)(void *opaque, enum vm_event event, enum vm_cause cause);

struct vm;

/* A virtual processor and its thread. */
struct vm_vcpu {
    struct vcpu cpu;
    struct vm *vm;
    struct interp *interp;
    struct translator *translator; /* NULL: --engine interp */
    pthread_t thread;
    bool thread_started;
    atomic_int thread_id; /* as the host's tools show it; 0 before it runs */
    /* run_mutex: */
    bool parked;
    uint64_t kicks; /* grows with each kick: HLT waits for a change */
    /* Written while parked: */
    bool step_once;       /* gdb: run one instruction, then stop */
    bool step_interrupts; /* an interrupt that waits is taken instead */
};

/* The time stamp counter's rate: a tick a nanosecond, and one per instruction with -icount shift=0. */
#define VM_TSC_HZ 1000000000ull

struct board; /* vm/board_pc.h */

struct vm {
    const struct vm_options *options;
    struct log log;
    struct stats stats;
    struct host_timer occupancy_timer;
    struct stats_sampler *sampler; /* of the vCPU's time by phase; NULL before vm_start() */
    struct device_lock device_lock;
    struct clock *clock;
    struct trace_hash *trace_hash; /* counted time, else NULL */
    struct main_loop *loop;
    pthread_t main_thread;
    struct memory *memory;
    struct port_space *ports;
    struct vm_vcpu **vcpus;
    unsigned vcpu_count;
    struct board *board;

    /* Main thread only. */
    enum vm_state state;
    struct {
        vm_event_fn notify;
        void *opaque;
    } listeners[VM_EVENT_LISTENERS];
    unsigned listener_count;
    struct {
        unsigned drive; /* as in options->drives */
        bool open;
    } tray_move; /* while VM_EVENT_TRAY_MOVED is told */
    bool finished; /* vm_run() returns */
    int exit_code;

    pthread_mutex_t run_mutex;
    pthread_cond_t run_changed;    /* for the vCPUs */
    pthread_cond_t parked_changed; /* for the main thread */
    /* run_mutex: */
    bool running;     /* state == VM_RUNNING */
    unsigned freezes; /* nested vm_freeze() */
    bool quitting;    /* vCPU threads end */
    bool reset_requested, shutdown_requested, exit_requested, powerdown_requested, debug_requested;
    enum vm_cause reset_cause, shutdown_cause;
    int requested_exit_code;
    struct {
        unsigned count; /* moves nobody was told of yet; each is the contrary of the one before */
        bool open;      /* after the last */
    } tray_moves[VM_MAX_DRIVES];
};

/* Builds the machine, without starting it. NULL with a message on failure. OPTIONS outlive the machine. */
struct vm *vm_create(const struct vm_options *options, struct main_loop *loop, struct error *err);
/* Main thread: what is logged has changed. All code is made anew, so that it tells of what is asked for. */
void vm_log_changed(struct vm *vm);
/* Occupancy of the code cache goes to the log, if it is asked for (-d profile). */
void vm_start_occupancy(struct vm *vm);
void vm_end_occupancy(struct vm *vm);
/* Ends the vCPU threads; the machine can still be looked at. */
void vm_end(struct vm *vm);
void vm_destroy(struct vm *vm);

/* Starts the vCPU threads (stopped with -S) and runs the main loop until the machine ends; returns
 * the exit code. */
bool vm_start(struct vm *vm, struct error *err);
int vm_run(struct vm *vm);
/* One round of vm_run(), for tests. */
void vm_iterate(struct vm *vm, uint64_t nanoseconds);

void vm_add_listener(struct vm *vm, vm_event_fn notify, void *opaque);
void vm_remove_listener(struct vm *vm, vm_event_fn notify, void *opaque);

/* ---- main thread ---- */

/* Stops a running machine and its clock; no-op otherwise (but a shut down machine stays so). */
void vm_stop(struct vm *vm, enum vm_state state);
/* False with a message if the machine cannot go on (shut down: reset first). */
bool vm_cont(struct vm *vm, struct error *err);
/* Parks the vCPUs without the outside noticing; nests. */
void vm_freeze(struct vm *vm);
void vm_thaw(struct vm *vm);
/* Runs one instruction of VCPU, then VM_EVENT_DEBUG. INTERRUPTS: if one is to be taken, that is the step, up to the
 * handler's first instruction. A halted processor waits for one in any case. */
void vm_step(struct vm *vm, unsigned vcpu, bool interrupts);
void vm_inject_nmi(struct vm *vm);

/* ---- any thread: done by the main thread soon; the vCPUs run no further guest code before, but for
 * power-down, which only presses the button ---- */
void vm_request_reset(struct vm *vm, enum vm_cause cause);
void vm_request_shutdown(struct vm *vm, enum vm_cause cause);
void vm_request_powerdown(struct vm *vm);
/* The process ends with CODE (isa-debug-exit). */
void vm_request_exit(struct vm *vm, int code);
/* The tray of DRIVE has moved (device lock held): listeners hear it at once on the main thread, else soon. */
void vm_tray_moved(struct vm *vm, unsigned drive, bool open);

static inline struct vcpu *vm_cpu(struct vm *vm, unsigned index)
{
    return &vm->vcpus[index]->cpu;
}

/* The host's thread id of a vCPU's thread. */
int vm_vcpu_thread_id(struct vm *vm, unsigned index);

/* ---- what a person looks at and touches; whoever uses them holds the device lock ---- */

struct display_source;
struct ps2_keyboard;
struct ps2_mouse;

/* False, with *DISPLAY untouched: the machine has no graphics adapter. */
bool vm_display(struct vm *vm, struct display_source *display);
/* Never NULL. */
struct ps2_keyboard *vm_keyboard(struct vm *vm);
struct ps2_mouse *vm_mouse(struct vm *vm);

/* ---- vcpu_thread.c ---- */
struct vm_vcpu *vcpu_thread_create(struct vm *vm, unsigned index, struct error *err);
bool vcpu_thread_start(struct vm_vcpu *vcpu, struct error *err);
/* vm->quitting is set. */
void vcpu_thread_join(struct vm_vcpu *vcpu);
void vcpu_thread_destroy(struct vm_vcpu *vcpu);
/* run_mutex held: whether vCPUs may execute guest code. */
bool vm_may_run(const struct vm *vm);

#endif
