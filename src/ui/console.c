#include "ui/console.h"

#include "vm/vm.h"

#include <stdatomic.h>

enum { KEY_LIMIT = 0x200 };
/* Between the keys of a chord: what a hand would need at least, so that a BIOS sees each of them. */
enum { CHORD_STEP_MS = 10 };

struct key_step {
    uint16_t key;
    bool down;
    uint32_t milliseconds; /* until the next one */
};

struct console {
    struct device_lock *lock;
    struct clock *clock;
    bool has_display;
    struct display_source display;
    struct ps2_keyboard *keyboard;
    struct ps2_mouse *mouse;
    atomic_bool running;
    struct vm *vm; /* NULL in console_create() */
    /* Device lock: */
    uint8_t down[KEY_LIMIT / 8]; /* keys that went down here */
    unsigned buttons;
    struct key_step queue[CONSOLE_QUEUE_SIZE];
    unsigned queue_head, queue_length;
    struct timer queue_timer; /* armed while the queue waits */
};

/* ---- keyboard ---- */

/* Device lock held. */
static void put_key(struct console *console, unsigned key, bool down)
{
    uint8_t *byte, bit;
    if (key == 0 || key >= KEY_LIMIT)
        return;
    byte = &console->down[key / 8];
    bit = (uint8_t)(1u << (key % 8));
    if (!down && !(*byte & bit))
        return;
    *byte = (uint8_t)(down ? *byte | bit : *byte & ~bit);
    ps2_keyboard_key(console->keyboard, key, down);
}

void console_key(struct console *console, unsigned key, bool down)
{
    if (down && !console_is_running(console))
        return;
    device_lock_acquire(console->lock);
    put_key(console, key, down);
    device_lock_release(console->lock);
}

void console_release_keys(struct console *console)
{
    device_lock_acquire(console->lock);
    for (unsigned key = 1; key < KEY_LIMIT; key++)
        put_key(console, key, false);
    device_lock_release(console->lock);
}

/* Device lock held: what is due happens, up to the next pause. */
static void run_queue(void *opaque)
{
    struct console *console = opaque;
    while (console->queue_length) {
        struct key_step step = console->queue[console->queue_head];
        console->queue_head = (console->queue_head + 1) % CONSOLE_QUEUE_SIZE;
        console->queue_length--;
        put_key(console, step.key, step.down);
        if (step.milliseconds) {
            timer_set(&console->queue_timer, clock_now(console->clock) + step.milliseconds * 1000000ull);
            return;
        }
    }
}

static void enqueue(struct console *console, unsigned key, bool down, unsigned milliseconds)
{
    unsigned at = (console->queue_head + console->queue_length++) % CONSOLE_QUEUE_SIZE;
    console->queue[at] = (struct key_step){(uint16_t)(key < KEY_LIMIT ? key : 0), down, milliseconds};
}

static void start_queue(struct console *console)
{
    if (!timer_is_armed(&console->queue_timer))
        run_queue(console);
}

bool console_queue_key(struct console *console, unsigned key, bool down, unsigned milliseconds)
{
    if (!console_is_running(console))
        return true;
    device_lock_acquire(console->lock);
    bool room = console->queue_length < CONSOLE_QUEUE_SIZE;
    if (room) {
        enqueue(console, key, down, milliseconds);
        start_queue(console);
    }
    device_lock_release(console->lock);
    return room;
}

unsigned console_queue_room(struct console *console)
{
    device_lock_acquire(console->lock);
    unsigned room = CONSOLE_QUEUE_SIZE - console->queue_length;
    device_lock_release(console->lock);
    return room;
}

bool console_queue_chord(struct console *console, const uint16_t *keys, unsigned count, unsigned hold)
{
    if (!console_is_running(console))
        return true;
    device_lock_acquire(console->lock);
    bool room = count <= (CONSOLE_QUEUE_SIZE - console->queue_length) / 2;
    if (room) {
        for (unsigned i = 0; i < count; i++)
            enqueue(console, keys[i], true, i + 1 < count ? CHORD_STEP_MS : hold);
        for (unsigned i = count; i-- > 0;)
            enqueue(console, keys[i], false, CHORD_STEP_MS);
        start_queue(console);
    }
    device_lock_release(console->lock);
    return room;
}

/* ---- mouse ---- */

void console_mouse_move(struct console *console, int dx, int dy, int dz)
{
    if (!console_is_running(console))
        return;
    device_lock_acquire(console->lock);
    ps2_mouse_event(console->mouse, dx, dy, dz, console->buttons);
    device_lock_release(console->lock);
}

void console_mouse_buttons(struct console *console, unsigned mask, unsigned value)
{
    if (!console_is_running(console))
        value = 0;
    device_lock_acquire(console->lock);
    unsigned buttons = (console->buttons & ~mask) | (value & mask);
    if (buttons != console->buttons) {
        console->buttons = buttons;
        ps2_mouse_event(console->mouse, 0, 0, 0, buttons);
    }
    device_lock_release(console->lock);
}

/* ---- screen ---- */

bool console_has_display(const struct console *console)
{
    return console->has_display;
}

bool console_render(struct console *console, struct display_frame *frame)
{
    if (!console->has_display)
        return false;
    device_lock_acquire(console->lock);
    bool ok = console->display.render(console->display.opaque, frame);
    device_lock_release(console->lock);
    return ok;
}

bool console_text(struct console *console, struct display_text *text)
{
    if (!console->has_display)
        return false;
    device_lock_acquire(console->lock);
    bool ok = console->display.text(console->display.opaque, text);
    device_lock_release(console->lock);
    return ok;
}

/* ---- life ---- */

void console_set_running(struct console *console, bool running)
{
    atomic_store(&console->running, running);
}

bool console_is_running(const struct console *console)
{
    return atomic_load(&console->running);
}

static void machine_event(void *opaque, enum vm_event event, enum vm_cause cause)
{
    if (event == VM_EVENT_STOP || event == VM_EVENT_RESUME)
        console_set_running(opaque, event == VM_EVENT_RESUME);
}

struct console *console_create(const struct console_parts *parts, struct error *err)
{
    struct console *console = calloc(1, sizeof *console);
    if (!console) {
        error_set(err, "out of memory");
        return NULL;
    }
    console->lock = parts->lock;
    console->clock = parts->clock;
    console->has_display = parts->display != NULL;
    if (parts->display)
        console->display = *parts->display;
    console->keyboard = parts->keyboard;
    console->mouse = parts->mouse;
    atomic_init(&console->running, true);
    timer_init(&console->queue_timer, console->clock, run_queue, console);
    return console;
}

struct console *console_create_for_vm(struct vm *vm, struct error *err)
{
    struct display_source display;
    device_lock_acquire(&vm->device_lock);
    bool has_display = vm_display(vm, &display);
    struct console_parts parts = {&vm->device_lock, vm->clock, has_display ? &display : NULL, vm_keyboard(vm),
                                  vm_mouse(vm)};
    device_lock_release(&vm->device_lock);
    struct console *console = console_create(&parts, err);
    if (console) {
        console->vm = vm;
        console_set_running(console, vm->state == VM_RUNNING);
        vm_add_listener(vm, machine_event, console);
    }
    return console;
}

void console_destroy(struct console *console)
{
    if (!console)
        return;
    if (console->vm)
        vm_remove_listener(console->vm, machine_event, console);
    device_lock_acquire(console->lock);
    timer_cancel(&console->queue_timer);
    device_lock_release(console->lock);
    free(console);
}
