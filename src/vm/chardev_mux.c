/* One chardev for several users.  Output of all goes out as it comes; input goes to the one in
 * focus.  Ctrl-A is the escape:
 *
 *     Ctrl-A h  help        Ctrl-A x  quit         Ctrl-A c  next user (console <-> monitor)
 *     Ctrl-A b  send break  Ctrl-A Ctrl-A  a Ctrl-A
 *
 * Each user has a queue, so that the escapes work although a guest does not read its serial port. */
#include "vm/chardev_stream.h"

#include "base/compiler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ESCAPE            1 /* Ctrl-A */
#define QUEUE_SIZE        4096
#define RETRY_NANOSECONDS 1000000u

struct chardev_mux {
    struct chardev *real;
    struct chardev *children[CHARDEV_MUX_CHILDREN];
    struct {
        uint8_t bytes[QUEUE_SIZE];
        size_t head, used;
    } queues[CHARDEV_MUX_CHILDREN];
    unsigned count;
    unsigned focus;
    bool escaped; /* the last byte was the escape */
    struct host_timer retry;
};

static void deliver(struct chardev_mux *mux)
{
    bool again = false;
    for (unsigned i = 0; i < mux->count; i++) {
        struct chardev *child = mux->children[i];
        if (!child || !child->user.receive) {
            mux->queues[i].used = 0;
            continue;
        }
        while (mux->queues[i].used) {
            size_t room = child->user.can_receive ? child->user.can_receive(child->user.opaque) : QUEUE_SIZE;
            size_t contiguous = QUEUE_SIZE - mux->queues[i].head;
            size_t length = mux->queues[i].used < contiguous ? mux->queues[i].used : contiguous;
            if (length > room)
                length = room;
            if (!length) {
                again = true;
                break;
            }
            const uint8_t *from = mux->queues[i].bytes + mux->queues[i].head;
            mux->queues[i].head = (mux->queues[i].head + length) % QUEUE_SIZE;
            mux->queues[i].used -= length;
            child->user.receive(child->user.opaque, from, length);
        }
    }
    if (again)
        main_loop_set_timer(mux->real->host->loop, &mux->retry, RETRY_NANOSECONDS);
}

static void retry(void *opaque)
{
    deliver(opaque);
}

static void tell(struct chardev *child, enum chardev_event event)
{
    if (child && child->user.event)
        child->user.event(child->user.opaque, event);
}

static void print_help(struct chardev_mux *mux)
{
    static const char text[] = "\r\n"
                               "Ctrl-A h         this help\r\n"
                               "Ctrl-A x         quit the emulator\r\n"
                               "Ctrl-A c         switch between console and monitor\r\n"
                               "Ctrl-A b         send a break\r\n"
                               "Ctrl-A Ctrl-A    send a Ctrl-A\r\n";
    chardev_write(mux->real, text, sizeof text - 1);
}

static void escape_command(struct chardev_mux *mux, uint8_t key)
{
    struct chardev_host *host = mux->real->host;
    switch (key) {
    case 'h':
    case '?':
        print_help(mux);
        tell(mux->children[mux->focus], CHARDEV_HELPED);
        break;
    case 'x': {
        static const char text[] = "Dragoman: Terminated\r\n";
        chardev_write(mux->real, text, sizeof text - 1);
        if (host->quit)
            host->quit(host->opaque);
        break;
    }
    case 'b':
        tell(mux->children[mux->focus], CHARDEV_BREAK);
        break;
    case 'c':
        tell(mux->children[mux->focus], CHARDEV_UNFOCUS);
        mux->focus = (mux->focus + 1) % mux->count;
        tell(mux->children[mux->focus], CHARDEV_FOCUS);
        break;
    default:
        break;
    }
}

static void enqueue(struct chardev_mux *mux, uint8_t byte)
{
    unsigned i = mux->focus;
    if (mux->queues[i].used == QUEUE_SIZE)
        return; /* mux_can_receive() leaves room; only a change of focus in mid-chunk gets here */
    mux->queues[i].bytes[(mux->queues[i].head + mux->queues[i].used++) % QUEUE_SIZE] = byte;
}

static size_t mux_can_receive(void *opaque)
{
    struct chardev_mux *mux = opaque;
    size_t room = QUEUE_SIZE;
    for (unsigned i = 0; i < mux->count; i++)
        if (QUEUE_SIZE - mux->queues[i].used < room)
            room = QUEUE_SIZE - mux->queues[i].used;
    return room;
}

static void mux_receive(void *opaque, const uint8_t *data, size_t length)
{
    struct chardev_mux *mux = opaque;
    for (size_t i = 0; i < length; i++) {
        if (mux->escaped) {
            mux->escaped = false;
            if (data[i] != ESCAPE) {
                deliver(mux); /* what was typed before the escape belongs to the old focus */
                escape_command(mux, data[i]);
                continue;
            }
        } else if (data[i] == ESCAPE) {
            mux->escaped = true;
            continue;
        }
        enqueue(mux, data[i]);
    }
    deliver(mux);
}

static void mux_event(void *opaque, enum chardev_event event)
{
    struct chardev_mux *mux = opaque;
    for (unsigned i = 0; i < mux->count; i++)
        tell(mux->children[i], event);
}

static void mux_writable(void *opaque)
{
    struct chardev_mux *mux = opaque;
    for (unsigned i = 0; i < mux->count; i++)
        if (mux->children[i] && mux->children[i]->user.writable)
            mux->children[i]->user.writable(mux->children[i]->user.opaque);
}

static struct chardev_mux *mux_create(struct chardev *real)
{
    struct chardev_mux *mux = calloc(1, sizeof *mux);
    if (!mux)
        return NULL;
    mux->real = real;
    mux->retry = (struct host_timer){.callback = retry, .opaque = mux};
    struct chardev_user user = {mux_can_receive, mux_receive, mux_event, mux_writable, mux};
    chardev_set_user(real, &user);
    return mux;
}

struct chardev *chardev_mux_add_child(struct chardev *real, const char *id, struct error *err)
{
    if (!real->mux)
        real->mux = mux_create(real);
    if (!real->mux || real->mux->count == CHARDEV_MUX_CHILDREN) {
        error_set(err, "chardev '%s': at most %d users can share it", real->id, CHARDEV_MUX_CHILDREN);
        return NULL;
    }
    struct chardev_config config = {.kind = CHARDEV_NULL};
    struct chardev *child = chardev_create(real->host, &config, err);
    if (!child)
        return NULL;
    snprintf(child->id, sizeof child->id, "%s", id);
    child->parent = real;
    child->child_number = real->mux->count;
    real->mux->children[real->mux->count++] = child;
    return child;
}

bool chardev_mux_has_focus(const struct chardev *child)
{
    return !child->parent || child->parent->mux->focus == child->child_number;
}

void chardev_mux_child_gone(struct chardev *child)
{
    struct chardev_mux *mux = child->parent->mux;
    mux->children[child->child_number] = NULL;
    mux->queues[child->child_number].used = 0;
}

void chardev_mux_destroy(struct chardev *real)
{
    if (!real->mux)
        return;
    main_loop_cancel_timer(real->host->loop, &real->mux->retry);
    free(real->mux);
    real->mux = NULL;
}
