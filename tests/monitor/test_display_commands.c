/* screendump, keys and mouse through both monitors, on a small machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../vm/guest_code.h"
#include "../vm/rom_guest.h"
#include "devices/ps2_keyboard.h"
#include "devices/ps2_mouse.h"
#include "monitor/monitor_internal.h"
#include "ui/console.h"

#include <stdio.h>

struct fixture {
    struct rom_guest guest;
    struct chardev_host host;
    struct monitors *monitors;
    struct hmp hmp;
    struct qmp qmp;
    struct text out;
};

static void write_answer(void *opaque, const char *data, size_t length)
{
    struct fixture *f = opaque;
    text_append(&f->out, data, length);
}

static int set_up_with(void **state, bool vga)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err;
    rom_guest_init(&f->guest);
    f->guest.options.vga = vga;
    if (!rom_guest_create(&f->guest, guest_counts, sizeof guest_counts, &err))
        fail_msg("%s", err.message);
    f->host.loop = f->guest.loop;
    f->monitors = monitors_create(f->guest.vm, &f->host, &err);
    hmp_init(&f->hmp, f->monitors);
    text_init(&f->out);
    qmp_init(&f->qmp, f->monitors, write_answer, f);
    f->qmp.negotiated = true;
    /* Not started: what the devices have to send stays there; keys are taken all the same. */
    console_set_running(f->monitors->console, true);
    *state = f;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, true);
}

static int set_up_without_vga(void **state)
{
    return set_up_with(state, false);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    text_finish(&f->out);
    qmp_finish(&f->qmp);
    monitors_destroy(f->monitors);
    rom_guest_destroy(&f->guest);
    free(f);
    return 0;
}

static const char *run(struct fixture *f, const char *line)
{
    text_finish(&f->out);
    hmp_execute(&f->hmp, line, &f->out);
    return text_string(&f->out);
}

/* The answer without its end of line. */
static const char *execute(struct fixture *f, const char *request)
{
    text_finish(&f->out);
    json_stream_feed(&f->qmp.stream, request, strlen(request));
    json_stream_feed(&f->qmp.stream, "\n", 1);
    if (f->out.length >= 2)
        f->out.data[f->out.length - 2] = 0;
    return text_string(&f->out);
}

#define GENERIC_ERROR(text) "{\"error\": {\"class\": \"GenericError\", \"desc\": \"" text "\"}}"

/* The bytes that the keyboard or mouse has queued, after MILLISECONDS of the machine's time were let pass. */
static const char *queued(struct fixture *f, struct ps2_device *port)
{
    static char text[512];
    size_t used = 0;
    struct vm *vm = f->guest.vm;
    text[0] = 0;
    device_lock_acquire(&vm->device_lock);
    for (unsigned i = 0; i < port->queue_length; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%02x", used ? " " : "",
                                 port->queue[(port->queue_head + i) % PS2_QUEUE_SIZE]);
    port->queue_length = 0;
    device_lock_release(&vm->device_lock);
    return text;
}

static void pass_time(struct fixture *f, uint64_t milliseconds)
{
    struct vm *vm = f->guest.vm;
    device_lock_acquire(&vm->device_lock);
    clock_set_now(vm->clock, clock_now(vm->clock) + milliseconds * 1000000);
    clock_run_timers(vm->clock);
    device_lock_release(&vm->device_lock);
}

/* The 8042 takes the first byte at once: it holds what has been queued before. */
static const char *keys(struct fixture *f)
{
    return queued(f, ps2_keyboard_port(vm_keyboard(f->guest.vm)));
}

static void test_screendump(void **state)
{
    struct fixture *f = *state;
    char path[] = "/tmp/dragoman-screen-XXXXXX", line[128], head[16] = "";
    close(mkstemp(path));
    snprintf(line, sizeof line, "screendump %s", path);
    assert_string_equal(run(f, line), "");
    FILE *file = fopen(path, "rb");
    assert_int_equal(fread(head, 1, 3, file), 3);
    fclose(file);
    assert_memory_equal(head, "P6\n", 3);
    snprintf(line, sizeof line, "screendump %s -f png", path);
    assert_string_equal(run(f, line), "");
    file = fopen(path, "rb");
    assert_int_equal(fread(head, 1, 8, file), 8);
    fclose(file);
    assert_memory_equal(head, "\x89PNG\r\n\x1a\n", 8);
    snprintf(line, sizeof line, "{\"execute\": \"screendump\", \"arguments\": {\"filename\": \"%s\"}}", path);
    assert_string_equal(execute(f, line), "{\"return\": {}}");
    file = fopen(path, "rb");
    assert_int_equal(fread(head, 1, 3, file), 3);
    fclose(file);
    assert_memory_equal(head, "P6\n", 3);
    unlink(path);
}

static void test_screendump_errors(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(run(f, "screendump /nonexistent/x"),
                        "Error: failed to open file '/nonexistent/x': No such file or directory\n");
    assert_string_equal(run(f, "screendump /tmp/x -f gif"), "Error: Parameter 'format' does not accept value 'gif'\n");
    assert_string_equal(run(f, "screendump /tmp/x video7"), "Error: Device 'video7' not found\n");
    assert_non_null(strstr(run(f, "screendump"), "screendump: filename expected"));
    assert_non_null(strstr(run(f, "screendump /tmp/x -f"), "option value expected"));
    assert_string_equal(execute(f, "{\"execute\": \"screendump\", \"arguments\": {\"filename\": \"/nonexistent/x\"}}"),
                        GENERIC_ERROR("failed to open file '/nonexistent/x': No such file or directory"));
    assert_string_equal(
        execute(f, "{\"execute\": \"screendump\", \"arguments\": {\"filename\": \"/tmp/x\", \"format\": \"bmp\"}}"),
        GENERIC_ERROR("Parameter 'format' does not accept value 'bmp'"));
    assert_string_equal(
        execute(f, "{\"execute\": \"screendump\", \"arguments\": {\"filename\": \"/tmp/x\", \"head\": 0}}"),
        GENERIC_ERROR("'head' must be specified together with 'device'"));
    assert_string_equal(execute(f, "{\"execute\": \"screendump\"}"), GENERIC_ERROR("Parameter 'filename' is missing"));
}

static void test_no_screen(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(run(f, "screendump /tmp/x"), "Error: There is no console to take a screendump from\n");
    assert_string_equal(execute(f, "{\"execute\": \"screendump\", \"arguments\": {\"filename\": \"/tmp/x\"}}"),
                        GENERIC_ERROR("There is no console to take a screendump from"));
}

static void test_sendkey(void **state)
{
    struct fixture *f = *state;
    keys(f);
    assert_string_equal(run(f, "sendkey ctrl-alt-delete"), "");
    pass_time(f, 10);
    pass_time(f, 10);
    pass_time(f, 99);
    assert_non_null(strstr(keys(f), "11 e0 71"));
    pass_time(f, 1);
    pass_time(f, 10);
    pass_time(f, 10);
    assert_string_equal(keys(f), "e0 f0 71 f0 11 f0 14");
    pass_time(f, 10);
    assert_string_equal(run(f, "sendkey 0x1e-<-0xd3 5"), "");
    pass_time(f, 10);
    pass_time(f, 10);
    assert_string_equal(keys(f), "1c 61 e0 71");
    pass_time(f, 5);
    assert_string_equal(keys(f), "e0 f0 71");
    assert_string_equal(run(f, "sendkey zz"), "invalid parameter: zz\n");
    assert_string_equal(run(f, "sendkey a-"), "invalid parameter: \n");
    assert_string_equal(run(f, "sendkey 0x"), "invalid parameter: 0x\n");
    assert_string_equal(run(f, "sendkey 0x1g-a"), "invalid parameter: 0x1g\n");
    assert_non_null(strstr(run(f, "sendkey"), "string expected"));
}

static void test_send_key(void **state)
{
    struct fixture *f = *state;
    keys(f);
    assert_string_equal(execute(f, "{\"execute\": \"send-key\", \"arguments\": {\"keys\": [{\"type\": \"qcode\", "
                                   "\"data\": \"shift\"}, {\"type\": \"number\", \"data\": 30}], \"hold-time\": 300}}"),
                        "{\"return\": {}}");
    pass_time(f, 10);
    pass_time(f, 299);
    assert_non_null(strstr(keys(f), "1c"));
    pass_time(f, 1);
    pass_time(f, 10);
    assert_string_equal(keys(f), "f0 1c f0 12");
    static const struct {
        const char *keys, *error;
    } wrong[] = {
        {"[{\"type\": \"qcode\", \"data\": \"zz\"}]", GENERIC_ERROR("Parameter 'data' does not accept value 'zz'")},
        {"[{\"type\": \"qcode\", \"data\": 1}]",
         GENERIC_ERROR("Invalid parameter type for 'keys[0].data', expected: string")},
        {"[{\"type\": \"x\", \"data\": 1}]", GENERIC_ERROR("Parameter 'type' does not accept value 'x'")},
        {"[{\"data\": 1}]", GENERIC_ERROR("Parameter 'keys[0].type' is missing")},
        {"[{\"type\": \"number\"}]", GENERIC_ERROR("Parameter 'keys[0].data' is missing")},
        {"[{\"type\": \"number\", \"data\": 1, \"x\": 2}]", GENERIC_ERROR("Parameter 'keys[0].x' is unexpected")},
        {"[7]", GENERIC_ERROR("Invalid parameter type for 'keys[0]', expected: object")},
        {"7", GENERIC_ERROR("Invalid parameter type for 'keys', expected: array")},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char request[256];
        snprintf(request, sizeof request, "{\"execute\": \"send-key\", \"arguments\": {\"keys\": %s}}", wrong[i].keys);
        assert_string_equal(execute(f, request), wrong[i].error);
    }
    assert_string_equal(keys(f), "");
}

static const char *send_events(struct fixture *f, const char *events)
{
    char request[1024];
    snprintf(request, sizeof request, "{\"execute\": \"input-send-event\", \"arguments\": {\"events\": %s}}", events);
    return execute(f, request);
}

static const char *motion(struct fixture *f)
{
    return queued(f, ps2_mouse_port(vm_mouse(f->guest.vm)));
}

/* The mouse reports; its port on the controller is shut, so that packets stay in its queue. */
static void enable_mouse(struct fixture *f)
{
    struct ps2_device *port = ps2_mouse_port(vm_mouse(f->guest.vm));
    device_lock_acquire(&f->guest.vm->device_lock);
    static const uint8_t commands[] = {0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf2, 0xf4}; /* with a wheel */
    for (size_t i = 0; i < sizeof commands; i++)
        port->receive(port, commands[i]);
    ps2_begin_reply(port);
    device_lock_release(&f->guest.vm->device_lock);
    motion(f);
}

static void test_mouse(void **state)
{
    struct fixture *f = *state;
    enable_mouse(f);
    assert_string_equal(run(f, "mouse_move 3 -2"), "");
    assert_string_equal(motion(f), "08 03 02 00");
    assert_string_equal(run(f, "mouse_move 0 0 1"), ""); /* away from the user */
    assert_string_equal(motion(f), "08 00 00 ff");
    assert_string_equal(run(f, "mouse_button 1"), "");
    assert_string_equal(motion(f), "09 00 00 00");
    assert_string_equal(run(f, "mouse_button 6"), "");
    assert_string_equal(motion(f), "0e 00 00 00");
    assert_string_equal(run(f, "mouse_button 0"), "");
    assert_string_equal(motion(f), "08 00 00 00");
    assert_string_equal(run(f, "info mice"), "* Mouse #2: PS/2 Mouse\n");
    assert_string_equal(run(f, "mouse_set 2"), "");
    assert_string_equal(run(f, "mouse_set 9"), "Error: Mouse at index '9' not found\n");
    assert_string_equal(run(f, "mouse_set 1"), "Error: Input device 'PS/2 Keyboard' is not a mouse\n");
    assert_string_equal(
        execute(f, "{\"execute\": \"query-mice\"}"),
        "{\"return\": [{\"name\": \"PS/2 Mouse\", \"index\": 2, \"current\": true, \"absolute\": false}]}");
}

static void test_events(void **state)
{
    struct fixture *f = *state;
    enable_mouse(f);
    keys(f);
    assert_string_equal(
        send_events(f, "[{\"type\": \"rel\", \"data\": {\"axis\": \"x\", \"value\": 4}}, {\"type\": \"rel\", "
                       "\"data\": {\"axis\": \"y\", \"value\": 5}}]"),
        "{\"return\": {}}");
    assert_string_equal(motion(f), "28 04 fb 00"); /* one packet */
    send_events(f, "[{\"type\": \"btn\", \"data\": {\"button\": \"left\", \"down\": true}}]");
    assert_string_equal(motion(f), "09 00 00 00");
    send_events(f, "[{\"type\": \"btn\", \"data\": {\"button\": \"left\", \"down\": false}}]");
    assert_string_equal(motion(f), "08 00 00 00");
    send_events(f, "[{\"type\": \"btn\", \"data\": {\"button\": \"wheel-down\", \"down\": true}}]");
    assert_string_equal(motion(f), "08 00 00 01");
    send_events(f,
                "[{\"type\": \"key\", \"data\": {\"down\": true, \"key\": {\"type\": \"qcode\", \"data\": \"a\"}}},"
                " {\"type\": \"key\", \"data\": {\"down\": true, \"key\": {\"type\": \"qcode\", \"data\": \"b\"}}}]");
    assert_non_null(strstr(keys(f), "32"));
    send_events(f, "[{\"type\": \"key\", \"data\": {\"down\": false, \"key\": {\"type\": \"number\", \"data\": 48}}}]");
    assert_string_equal(keys(f), "f0 32");
    assert_string_equal(send_events(f, "[]"), "{\"return\": {}}");
}

static void test_event_errors(void **state)
{
    struct fixture *f = *state;
    enable_mouse(f);
    static const struct {
        const char *events, *error;
    } wrong[] = {
        {"[{\"type\": \"abs\", \"data\": {\"axis\": \"x\", \"value\": 4}}]",
         GENERIC_ERROR("Input handler not found for event type abs")},
        {"[{\"type\": \"rel\", \"data\": {\"axis\": \"x\", \"value\": 4}}, {\"type\": \"mtt\", \"data\": {}}]",
         GENERIC_ERROR("Input handler not found for event type mtt")},
        {"[{\"type\": \"rel\", \"data\": {\"axis\": \"z\", \"value\": 4}}]",
         GENERIC_ERROR("Parameter 'axis' does not accept value 'z'")},
        {"[{\"type\": \"rel\", \"data\": {\"axis\": \"x\"}}]",
         GENERIC_ERROR("Parameter 'events[0].data.value' is missing")},
        {"[{\"type\": \"btn\", \"data\": {\"down\": true}}]",
         GENERIC_ERROR("Parameter 'events[0].data.button' is missing")},
        {"[{\"type\": \"btn\", \"data\": {\"button\": \"left\", \"down\": 1}}]",
         GENERIC_ERROR("Invalid parameter type for 'events[0].data.down', expected: boolean")},
        {"[{\"type\": \"key\", \"data\": {\"down\": true, \"key\": \"a\"}}]",
         GENERIC_ERROR("Invalid parameter type for 'events[0].data.key', expected: object")},
        {"[{\"type\": \"key\", \"data\": {\"down\": true, \"key\": {\"type\": \"qcode\", \"data\": \"zz\"}}}]",
         GENERIC_ERROR("Parameter 'data' does not accept value 'zz'")},
        {"[{\"type\": \"touch\", \"data\": {}}]", GENERIC_ERROR("Parameter 'type' does not accept value 'touch'")},
        {"{}", GENERIC_ERROR("Invalid parameter type for 'events', expected: array")},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_string_equal(send_events(f, wrong[i].events), wrong[i].error);
    assert_string_equal(
        execute(f, "{\"execute\": \"input-send-event\", \"arguments\": {\"device\": \"v0\", \"events\": []}}"),
        GENERIC_ERROR("Device 'v0' not found"));
    assert_string_equal(motion(f), ""); /* nothing of a list with an error happens */
    console_set_running(f->monitors->console, false);
    assert_string_equal(send_events(f, "[]"), GENERIC_ERROR("VM not running"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_screendump),
        TEST(test_screendump_errors),
        cmocka_unit_test_setup_teardown(test_no_screen, set_up_without_vga, tear_down),
        TEST(test_sendkey),
        TEST(test_send_key),
        TEST(test_mouse),
        TEST(test_events),
        TEST(test_event_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
