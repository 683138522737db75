#include "devices/post_port.h"

struct post_port {
    struct device device;
    struct device_bus bus;
    uint8_t code;
    void (*changed)(void *opaque, uint8_t code);
    void *opaque;
    struct port_range code_port, delay_port;
};

static uint64_t code_read(void *opaque, uint64_t offset, unsigned size)
{
    struct post_port *post = opaque;
    return post->code;
}

static void code_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct post_port *post = opaque;
    post->code = (uint8_t)value;
    if (post->changed)
        post->changed(post->opaque, post->code);
}

static uint64_t delay_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0xff;
}

static void delay_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
}

static const struct region_ops code_ops = {.read = code_read, .write = code_write};
static const struct region_ops delay_ops = {.read = delay_read, .write = delay_write};

uint8_t post_port_code(const struct post_port *post)
{
    return post->code;
}

void post_port_set_listener(struct post_port *post, void (*changed)(void *opaque, uint8_t code), void *opaque)
{
    post->changed = changed;
    post->opaque = opaque;
}

static void post_reset(struct device *device)
{
    ((struct post_port *)device)->code = 0;
}

static void post_destroy(struct device *device)
{
    struct post_port *post = (struct post_port *)device;
    port_space_remove(post->bus.ports, &post->code_port);
    port_space_remove(post->bus.ports, &post->delay_port);
    free(post);
}

static const struct state_field post_fields[] = {STATE_INT(struct post_port, code), STATE_END};
static const struct state_table post_state = {"post_port", 1, post_fields, NULL};
static const struct device_ops post_ops = {
    .name = "post_port", .reset = post_reset, .destroy = post_destroy, .state = &post_state};

struct post_port *post_port_create(const struct device_bus *bus)
{
    struct post_port *post = device_allocate(sizeof(*post), &post_ops, "post");
    if (!post)
        return NULL;
    post->bus = *bus;
    post->code_port = (struct port_range){
        .name = "post", .base = 0x80, .count = 1, .ops = &code_ops, .opaque = post, .enabled = true};
    post->delay_port = (struct port_range){
        .name = "io-delay", .base = 0xed, .count = 1, .ops = &delay_ops, .opaque = post, .enabled = true};
    port_space_add(bus->ports, &post->code_port);
    port_space_add(bus->ports, &post->delay_port);
    return post;
}
