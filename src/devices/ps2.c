#include "devices/ps2.h"

bool ps2_has_data(const struct ps2_device *ps2)
{
    return ps2->reply_length || ps2->queue_length;
}

uint8_t ps2_take(struct ps2_device *ps2)
{
    uint8_t byte = ps2->last_sent;
    if (ps2->reply_length) {
        byte = ps2->reply[ps2->reply_head];
        ps2->reply_head = (ps2->reply_head + 1) % PS2_REPLY_SIZE;
        ps2->reply_length--;
    } else if (ps2->queue_length) {
        byte = ps2->queue[ps2->queue_head];
        ps2->queue_head = (ps2->queue_head + 1) % PS2_QUEUE_SIZE;
        ps2->queue_length--;
    }
    if (byte != PS2_RESEND)
        ps2->last_sent = byte;
    if (ps2->queue_length == 0 && ps2->drained)
        ps2->drained(ps2);
    return byte;
}

static void ps2_notify(struct ps2_device *ps2)
{
    if (ps2->has_data)
        ps2->has_data(ps2->controller);
}

void ps2_begin_reply(struct ps2_device *ps2)
{
    ps2->reply_length = 0;
}

void ps2_reply(struct ps2_device *ps2, uint8_t byte)
{
    if (ps2->reply_length >= PS2_REPLY_SIZE)
        return;
    ps2->reply[(ps2->reply_head + ps2->reply_length) % PS2_REPLY_SIZE] = byte;
    ps2->reply_length++;
    ps2_notify(ps2);
}

bool ps2_queue_bytes(struct ps2_device *ps2, const uint8_t *bytes, unsigned length)
{
    if (length + ps2->queue_length > PS2_QUEUE_SIZE)
        return false;
    for (unsigned i = 0; i < length; i++) {
        ps2->queue[(ps2->queue_head + ps2->queue_length) % PS2_QUEUE_SIZE] = bytes[i];
        ps2->queue_length++;
    }
    if (length)
        ps2_notify(ps2);
    return true;
}

void ps2_clear_queue(struct ps2_device *ps2)
{
    ps2->queue_length = 0;
}

void ps2_sanitize(struct ps2_device *ps2)
{
    ps2->reply_head %= PS2_REPLY_SIZE;
    ps2->queue_head %= PS2_QUEUE_SIZE;
    if (ps2->reply_length > PS2_REPLY_SIZE)
        ps2->reply_length = PS2_REPLY_SIZE;
    if (ps2->queue_length > PS2_QUEUE_SIZE)
        ps2->queue_length = PS2_QUEUE_SIZE;
}
