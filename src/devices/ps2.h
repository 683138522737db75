/* A PS/2 device (keyboard, mouse) as its port on the keyboard controller sees it.
 *
 * Two queues: answers to commands go first, then what happened (keys, motion).  The controller takes
 * one byte at a time; the device tells it when it has something to send. */
#ifndef DRAGOMAN_DEVICES_PS2_H
#define DRAGOMAN_DEVICES_PS2_H

#include "devices/device.h"

enum { PS2_ACK = 0xfa, PS2_RESEND = 0xfe, PS2_BAT_OK = 0xaa };
enum { PS2_REPLY_SIZE = 8, PS2_QUEUE_SIZE = 64 };

struct ps2_device {
    struct device device;
    /* A byte from the controller. */
    void (*receive)(struct ps2_device *ps2, uint8_t byte);
    /* The event queue has run empty; may be NULL. */
    void (*drained)(struct ps2_device *ps2);
    /* Set by the controller: there is something to take. */
    void (*has_data)(void *controller);
    void *controller;
    uint8_t reply[PS2_REPLY_SIZE];
    uint8_t reply_head, reply_length;
    uint8_t queue[PS2_QUEUE_SIZE];
    uint8_t queue_head, queue_length;
    uint8_t last_sent; /* for "resend" */
};

/* Fields of struct TYPE, whose member MEMBER is a struct ps2_device. */
#define PS2_STATE_FIELDS(type, member)                                                                                 \
    STATE_BYTES(type, member.reply), STATE_INT(type, member.reply_head), STATE_INT(type, member.reply_length),         \
        STATE_BYTES(type, member.queue), STATE_INT(type, member.queue_head), STATE_INT(type, member.queue_length),     \
        STATE_INT(type, member.last_sent)

/* ---- for the controller ---- */
bool ps2_has_data(const struct ps2_device *ps2);
/* The next byte to send; only when ps2_has_data(). */
uint8_t ps2_take(struct ps2_device *ps2);

/* ---- for the devices ---- */
/* Forgets the answer being given: a new command arrived. */
void ps2_begin_reply(struct ps2_device *ps2);
void ps2_reply(struct ps2_device *ps2, uint8_t byte);
/* All of the bytes or, where they do not fit, none: false. */
bool ps2_queue_bytes(struct ps2_device *ps2, const uint8_t *bytes, unsigned length);
void ps2_clear_queue(struct ps2_device *ps2);
/* After loading state: indices within bounds. */
void ps2_sanitize(struct ps2_device *ps2);

#endif
