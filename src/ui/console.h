/* A machine's screen, keyboard and mouse, as windows, terminals and monitors share them.
 *
 * Threads: every function may be called from any thread, without the device lock, which is taken
 * inside; console_create*() and console_destroy() on the main thread. Keys and motion go to the guest at once,
 * queued keys at their time on the machine's clock. While the machine is stopped, what is pressed and moved is
 * lost, as QEMU has it; releases still arrive, so that nothing stays down. */
#ifndef DRAGOMAN_UI_CONSOLE_H
#define DRAGOMAN_UI_CONSOLE_H

#include "base/clock.h"
#include "base/error.h"
#include "base/lock.h"
#include "devices/display.h"
#include "devices/ps2_keyboard.h"
#include "devices/ps2_mouse.h"

struct vm;
struct console;

struct console_parts {
    struct device_lock *lock;
    struct clock *clock;
    const struct display_source *display; /* copied; NULL: the machine has no screen */
    struct ps2_keyboard *keyboard;
    struct ps2_mouse *mouse;
};

struct console *console_create(const struct console_parts *parts, struct error *err);
/* Of a machine: knows when it runs. Destroyed before the machine. */
struct console *console_create_for_vm(struct vm *vm, struct error *err);
void console_destroy(struct console *console);

void console_set_running(struct console *console, bool running);
bool console_is_running(const struct console *console);

/* ---- screen ---- */

bool console_has_display(const struct console *console);
/* As display_source has them; false too when there is no screen. */
bool console_render(struct console *console, struct display_frame *frame);
bool console_text(struct console *console, struct display_text *text);

/* ---- keyboard: keys as devices/ps2_keyboard.h names them; 0 is no key, and is ignored ---- */

void console_key(struct console *console, unsigned key, bool down);
/* Lets go of every key that went down through this console. */
void console_release_keys(struct console *console);

enum { CONSOLE_QUEUE_SIZE = 1024 };
/* KEY goes down or up when what is queued before has happened; the next one has to wait MILLISECONDS more. False,
 * with nothing done, when the queue is full. Ignored (true) while the machine is stopped. */
bool console_queue_key(struct console *console, unsigned key, bool down, unsigned milliseconds);
unsigned console_queue_room(struct console *console);
/* A chord: all of KEYS down, held for HOLD milliseconds, then up in reverse order. */
bool console_queue_chord(struct console *console, const uint16_t *keys, unsigned count, unsigned hold);

/* ---- mouse ---- */

/* DX right, DY down, DZ wheel towards the user. */
void console_mouse_move(struct console *console, int dx, int dy, int dz);
/* The buttons of MASK (PS2_BUTTON_*) become as in VALUE. */
void console_mouse_buttons(struct console *console, unsigned mask, unsigned value);

#endif
