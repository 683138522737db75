/* See gdb_jit.h. */
#include "trace/gdb_jit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- the interface: names, layout and meaning are the debugger's, one for each process; so descriptor and function are
 * global, and the descriptor, with its mutex, is the only variable of the emulator that is ---- */

struct jit_code_entry {
    struct jit_code_entry *next_entry;
    struct jit_code_entry *prev_entry;
    const char *symfile_addr;
    uint64_t symfile_size;
};

enum { JIT_NOACTION, JIT_REGISTER_FN, JIT_UNREGISTER_FN };

struct jit_descriptor {
    uint32_t version;
    uint32_t action_flag;
    struct jit_code_entry *relevant_entry;
    struct jit_code_entry *first_entry;
};

extern struct jit_descriptor __jit_debug_descriptor;
extern void __jit_debug_register_code(void);

struct jit_descriptor __jit_debug_descriptor = {1, JIT_NOACTION, NULL, NULL};

/* The debugger has a breakpoint here. */
__attribute__((noinline, used)) void __jit_debug_register_code(void)
{
    __asm__ volatile("" ::: "memory");
}

/* Machines of one process share the above. */
static pthread_mutex_t interface_mutex = PTHREAD_MUTEX_INITIALIZER;

static void tell(struct jit_code_entry *entry, uint32_t action)
{
    __jit_debug_descriptor.relevant_entry = entry;
    __jit_debug_descriptor.action_flag = action;
    __jit_debug_register_code();
    __jit_debug_descriptor.relevant_entry = NULL;
    __jit_debug_descriptor.action_flag = JIT_NOACTION;
}

static void show(struct jit_code_entry *entry)
{
    pthread_mutex_lock(&interface_mutex);
    entry->prev_entry = NULL;
    entry->next_entry = __jit_debug_descriptor.first_entry;
    if (entry->next_entry)
        entry->next_entry->prev_entry = entry;
    __jit_debug_descriptor.first_entry = entry;
    tell(entry, JIT_REGISTER_FN);
    pthread_mutex_unlock(&interface_mutex);
}

static void hide(struct jit_code_entry *entry)
{
    pthread_mutex_lock(&interface_mutex);
    if (entry->prev_entry)
        entry->prev_entry->next_entry = entry->next_entry;
    else
        __jit_debug_descriptor.first_entry = entry->next_entry;
    if (entry->next_entry)
        entry->next_entry->prev_entry = entry->prev_entry;
    tell(entry, JIT_UNREGISTER_FN);
    pthread_mutex_unlock(&interface_mutex);
}

/* ---- files ---- */

struct file {
    struct jit_code_entry entry;
    uint8_t *data;
    unsigned group;
    struct file *next;
};

#define NO_GROUP UINT32_MAX

struct gdb_jit {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* mutex: */
    bool ending;
    struct file *files;
    /* The one that is being filled. */
    struct gdb_jit_symbol symbols[GDB_JIT_BATCH];
    unsigned count, shown; /* of symbols, and of these those that SHOWN_FILE has */
    unsigned group;
    struct file *shown_file;
};

static struct file *add_file(struct gdb_jit *jit, unsigned group, uint64_t address, uint64_t size,
                             const struct gdb_jit_symbol *symbols, size_t count, const uint8_t *eh_frame,
                             size_t eh_frame_size)
{
    struct file *file = calloc(1, sizeof *file);
    size_t file_size = 0;

    if (file)
        file->data = gdb_jit_build(address, size, symbols, count, eh_frame, eh_frame_size, &file_size);
    if (!file || !file->data) { /* then these stay without names */
        free(file);
        return NULL;
    }
    file->entry.symfile_addr = (const char *)file->data;
    file->entry.symfile_size = file_size;
    file->group = group;
    file->next = jit->files;
    jit->files = file;
    show(&file->entry);
    return file;
}

static void remove_file(struct gdb_jit *jit, struct file *file)
{
    struct file **p = &jit->files;

    while (*p != file)
        p = &(*p)->next;
    *p = file->next;
    hide(&file->entry);
    free(file->data);
    free(file);
}

/* Shows what is new. A file that is not full gives way to one with more in it: many small ones are a burden to gdb. */
static void show_symbols(struct gdb_jit *jit)
{
    if (jit->count == jit->shown)
        return;
    const struct gdb_jit_symbol *first = &jit->symbols[0], *last = &jit->symbols[jit->count - 1];

    if (jit->shown_file)
        remove_file(jit, jit->shown_file);
    jit->shown_file = add_file(jit, jit->group, first->address, last->address + last->size - first->address,
                               jit->symbols, jit->count, NULL, 0);
    jit->shown = jit->count;
}

static void start_file(struct gdb_jit *jit, unsigned group)
{
    jit->count = jit->shown = 0;
    jit->shown_file = NULL;
    jit->group = group;
}

static void *show_late(void *opaque)
{
    struct gdb_jit *jit = opaque;

    pthread_mutex_lock(&jit->mutex);
    while (!jit->ending) {
        struct timespec until;

        if (jit->count == jit->shown) {
            pthread_cond_wait(&jit->changed, &jit->mutex);
            continue;
        }
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += GDB_JIT_DELAY_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        while (!jit->ending && pthread_cond_timedwait(&jit->changed, &jit->mutex, &until) != ETIMEDOUT)
            ;
        show_symbols(jit);
    }
    pthread_mutex_unlock(&jit->mutex);
    return NULL;
}

struct gdb_jit *gdb_jit_create(uint64_t address, uint64_t size, const struct gdb_jit_symbol *symbols,
                               size_t symbol_count, const uint8_t *eh_frame, size_t eh_frame_size, struct error *err)
{
    struct gdb_jit *jit = calloc(1, sizeof *jit);
    pthread_condattr_t attributes;
    sigset_t all, before;

    if (!jit) {
        error_set(err, "-gdbjit: out of memory");
        return NULL;
    }
    start_file(jit, NO_GROUP);
    pthread_mutex_init(&jit->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&jit->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int status = pthread_create(&jit->thread, NULL, show_late, jit);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status) {
        error_set(err, "-gdbjit: cannot create a thread: %s", strerror(status));
        free(jit);
        return NULL;
    }
    pthread_mutex_lock(&jit->mutex);
    struct file *file = add_file(jit, NO_GROUP, address, size, symbols, symbol_count, eh_frame, eh_frame_size);
    pthread_mutex_unlock(&jit->mutex);
    if (!file) {
        error_set(err, "-gdbjit: out of memory");
        gdb_jit_destroy(jit);
        return NULL;
    }
    return jit;
}

void gdb_jit_add(struct gdb_jit *jit, unsigned group, const struct gdb_jit_symbol *symbol)
{
    pthread_mutex_lock(&jit->mutex);
    if (jit->count && (jit->group != group || jit->count == GDB_JIT_BATCH)) {
        show_symbols(jit);
        start_file(jit, group);
    }
    jit->group = group;
    if (jit->count == jit->shown)
        pthread_cond_signal(&jit->changed);
    jit->symbols[jit->count++] = *symbol;
    pthread_mutex_unlock(&jit->mutex);
}

void gdb_jit_drop(struct gdb_jit *jit, unsigned group)
{
    pthread_mutex_lock(&jit->mutex);
    if (jit->group == group)
        start_file(jit, NO_GROUP);
    for (struct file *file = jit->files, *next; file; file = next) {
        next = file->next;
        if (file->group == group)
            remove_file(jit, file);
    }
    pthread_mutex_unlock(&jit->mutex);
}

void gdb_jit_destroy(struct gdb_jit *jit)
{
    if (!jit)
        return;
    pthread_mutex_lock(&jit->mutex);
    jit->ending = true;
    pthread_cond_signal(&jit->changed);
    pthread_mutex_unlock(&jit->mutex);
    pthread_join(jit->thread, NULL);
    while (jit->files)
        remove_file(jit, jit->files);
    pthread_cond_destroy(&jit->changed);
    pthread_mutex_destroy(&jit->mutex);
    free(jit);
}
