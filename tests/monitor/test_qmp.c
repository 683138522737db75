/* QMP against a small machine: replies and events as QEMU 7.2 gives them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../vm/guest_code.h"
#include "../vm/rom_guest.h"
#include "monitor/monitor.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

struct fixture {
    struct rom_guest guest;
    struct chardev_host host;
    struct monitors *monitors;
    struct chardev *chardev;
    char directory[64];
    int fd;
    char buffer[65536];
    size_t used;
};

static void pump(struct fixture *f)
{
    vm_iterate(f->guest.vm, 1000000);
    chardev_drain(f->chardev, 100); /* a finished machine's loop does not turn any more */
    ssize_t n = f->fd < 0 ? 0 : read(f->fd, f->buffer + f->used, sizeof f->buffer - 1 - f->used);
    if (n > 0)
        f->used += (size_t)n;
    f->buffer[f->used] = 0;
}

/* The next line, an object. */
static json_t *next(struct fixture *f)
{
    char *newline;
    for (int i = 0; i < 2000 && !(newline = strchr(f->buffer, '\n')); i++)
        pump(f);
    newline = strchr(f->buffer, '\n');
    if (!newline)
        fail_msg("no answer; got '%s'", f->buffer);
    assert_true(newline > f->buffer && newline[-1] == '\r');
    json_t *object = json_loadb(f->buffer, (size_t)(newline - f->buffer), 0, NULL);
    assert_non_null(object);
    size_t length = (size_t)(newline + 1 - f->buffer);
    memmove(f->buffer, newline + 1, f->used - length + 1);
    f->used -= length;
    return object;
}

static void send_text(struct fixture *f, const char *text)
{
    assert_int_equal(write(f->fd, text, strlen(text)), strlen(text));
}

/* The next line is exactly TEXT, apart from a timestamp. */
static void expect(struct fixture *f, const char *text)
{
    json_t *object = next(f);
    json_t *stamp = json_object_get(object, "timestamp");
    if (stamp) {
        assert_true(json_integer_value(json_object_get(stamp, "seconds")) > 1600000000);
        assert_true(json_is_integer(json_object_get(stamp, "microseconds")));
        json_object_del(object, "timestamp");
    }
    char *dump = json_dumps(object, JSON_PRESERVE_ORDER);
    assert_string_equal(dump, text);
    free(dump);
    json_decref(object);
}

static void connect_client(struct fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/q", f->directory);
    f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    f->used = 0;
    f->buffer[0] = 0;
    assert_int_equal(connect(f->fd, (struct sockaddr *)&address, sizeof address), 0);
    expect(f, "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 2, \"major\": 7}, \"package\": \"Dragoman "
              "0.1.0\"}, \"capabilities\": []}}");
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err;
    struct chardev_config config;
    char spec[128];
    strcpy(f->directory, "/tmp/dragoman-qmp-XXXXXX");
    if (!mkdtemp(f->directory))
        return -1;
    rom_guest_init(&f->guest);
    f->guest.options.start_stopped = true;
    if (!rom_guest_create(&f->guest, guest_counts, sizeof guest_counts, &err))
        fail_msg("%s", err.message);
    f->host.loop = f->guest.loop;
    f->monitors = monitors_create(f->guest.vm, &f->host, &err);
    snprintf(spec, sizeof spec, "unix:%s/q,server=on,wait=off", f->directory);
    assert_true(chardev_config_parse(&config, "-qmp", spec, &err));
    strcpy(config.id, "compat_monitor0");
    f->chardev = chardev_open(&f->host, &config, &err);
    assert_non_null(f->chardev);
    monitors_register_chardev(f->monitors, f->chardev);
    assert_true(monitors_add(f->monitors, f->chardev, MONITOR_CONTROL, &err));
    *state = f;
    if (!vm_start(f->guest.vm, &err))
        return -1;
    connect_client(f);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    close(f->fd);
    monitors_destroy(f->monitors);
    chardev_close(f->chardev);
    rom_guest_destroy(&f->guest);
    rmdir(f->directory);
    free(f);
    return 0;
}

static void negotiate(struct fixture *f)
{
    send_text(f, "{\"execute\":\"qmp_capabilities\"}");
    expect(f, "{\"return\": {}}");
}

static void test_negotiation(void **state)
{
    struct fixture *f = *state;
    send_text(f, "{\"execute\":\"query-status\"}");
    expect(f, "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"Expecting capabilities negotiation with "
              "'qmp_capabilities'\"}}");
    send_text(f, "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]}}");
    expect(f, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"Capability 'oob' is not available\"}}");
    send_text(f, "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[]}}");
    expect(f, "{\"return\": {}}");
    send_text(f, "{\"execute\":\"qmp_capabilities\"}");
    expect(f, "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"Capabilities negotiation is already complete, "
              "command ignored\"}}");
}

static void test_commands_and_events(void **state)
{
    struct fixture *f = *state;
    negotiate(f);
    send_text(f, "{\"execute\":\"query-status\",\"id\":{\"a\":[1]}}");
    expect(
        f,
        "{\"return\": {\"status\": \"prelaunch\", \"singlestep\": false, \"running\": false}, \"id\": {\"a\": [1]}}");
    send_text(f, "{\"execute\":\"cont\"}");
    expect(f, "{\"event\": \"RESUME\"}");
    expect(f, "{\"return\": {}}");
    send_text(f, "{\"execute\":\"query-status\"}");
    expect(f, "{\"return\": {\"status\": \"running\", \"singlestep\": false, \"running\": true}}");
    send_text(f, "{\"execute\":\"stop\"}{\"execute\":\"query-status\"}");
    expect(f, "{\"event\": \"STOP\"}");
    expect(f, "{\"return\": {}}");
    expect(f, "{\"return\": {\"status\": \"paused\", \"singlestep\": false, \"running\": false}}");
    send_text(f, "{\"execute\":\"system_reset\"}");
    expect(f, "{\"return\": {}}");
    expect(f, "{\"event\": \"RESET\", \"data\": {\"guest\": false, \"reason\": \"host-qmp-system-reset\"}}");
    send_text(f, "{\"execute\":\"system_powerdown\"}");
    expect(f, "{\"return\": {}}");
    expect(f, "{\"event\": \"POWERDOWN\"}");
    send_text(f, "{\"execute\":\"inject-nmi\"}");
    expect(f, "{\"return\": {}}");
    send_text(f, "{\"execute\":\"query-name\"}");
    expect(f, "{\"return\": {}}");
    send_text(f, "{\"execute\":\"query-chardev\"}");
    json_t *list = next(f);
    assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(list, "return"), 0), "label")),
                        "compat_monitor0");
    json_decref(list);
    send_text(f, "{\"execute\":\"quit\"}");
    expect(f, "{\"return\": {}}");
    expect(f, "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": false, \"reason\": \"host-qmp-quit\"}}");
    assert_true(f->guest.vm->finished);
}

static void test_errors(void **state)
{
    static const struct {
        const char *request, *class, *message;
    } cases[] = {
        {"{\"execute\":\"foo\"}", "CommandNotFound", "The command foo has not been found"},
        {"{\"execute\":\"stop\",\"arguments\":{\"x\":1}}", "GenericError", "Parameter 'x' is unexpected"},
        {"{\"exec\":1}", "GenericError", "QMP input member 'exec' is unexpected"},
        {"{}", "GenericError", "QMP input lacks member 'execute'"},
        {"[1]", "GenericError", "QMP input must be a JSON object"},
        {"\"a\"", "GenericError", "QMP input must be a JSON object"},
        {"{\"execute\":1}", "GenericError", "QMP input member 'execute' must be a string"},
        {"{\"execute\":\"stop\",\"foo\":1}", "GenericError", "QMP input member 'foo' is unexpected"},
        {"{\"execute\":\"stop\",\"arguments\":[]}", "GenericError", "QMP input member 'arguments' must be an object"},
        {"{\"execute\":\"human-monitor-command\"}", "GenericError", "Parameter 'command-line' is missing"},
        {"{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":5}}", "GenericError",
         "Invalid parameter type for 'command-line', expected: string"},
        {"{\"execute\":\"pmemsave\",\"arguments\":{\"val\":0,\"size\":16,\"filename\":\"/nonexistent/x\"}}",
         "GenericError", "Could not open '/nonexistent/x': No such file or directory"},
        {"{\"execute\":\"pmemsave\",\"arguments\":{\"val\":-1,\"size\":16,\"filename\":\"/tmp/x\"}}", "GenericError",
         "Invalid parameter value for 'val': must not be negative"},
        {"{\"execute\":\"memsave\",\"arguments\":{\"val\":0,\"size\":16,\"filename\":\"/tmp/x\",\"cpu-index\":4}}",
         "GenericError", "Parameter 'cpu-index' expects a CPU number"},
        {"{\"execute\":\"memsave\",\"arguments\":{\"val\":4294967290,\"size\":16,\"filename\":\"/dev/null\"}}",
         "GenericError", "Invalid addr 0x00000000fffffffa/size 16 specified"},
        {"{\"execute\":\"pmemsave\",\"arguments\":{\"val\":\"a\",\"size\":16,\"filename\":\"/tmp/x\"}}", "GenericError",
         "Invalid parameter type for 'val', expected: integer"},
    };
    struct fixture *f = *state;
    negotiate(f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        send_text(f, cases[i].request);
        snprintf(text, sizeof text, "{\"error\": {\"class\": \"%s\", \"desc\": \"%s\"}}", cases[i].class,
                 cases[i].message);
        expect(f, text);
    }
    /* What is no JSON gives an error, and the next command works. */
    send_text(f, "{bad}\r\n{'execute':'query-name','id':'x'}");
    json_t *error = next(f);
    assert_non_null(
        strstr(json_string_value(json_object_get(json_object_get(error, "error"), "desc")), "JSON parse error"));
    json_decref(error);
    expect(f, "{\"return\": {}, \"id\": \"x\"}");
}

static void test_human_monitor_command(void **state)
{
    struct fixture *f = *state;
    negotiate(f);
    send_text(f, "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"info status\"}}");
    expect(f, "{\"return\": \"VM status: paused (prelaunch)\\r\\n\"}");
    send_text(f, "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"foo\\u0000bar\"}}");
    expect(f, "{\"return\": \"unknown command: 'foo'\\r\\n\"}");
    send_text(f, "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"\"}}");
    expect(f, "{\"return\": \"\"}");
}

static void test_every_command_listed_exists(void **state)
{
    struct fixture *f = *state;
    negotiate(f);
    send_text(f, "{\"execute\":\"query-commands\"}");
    json_t *reply = next(f);
    json_t *list = json_object_get(reply, "return");
    static const char *const wanted[] = {"qmp_capabilities",
                                         "query-status",
                                         "query-version",
                                         "query-commands",
                                         "query-name",
                                         "stop",
                                         "cont",
                                         "system_reset",
                                         "system_powerdown",
                                         "quit",
                                         "human-monitor-command",
                                         "pmemsave",
                                         "memsave",
                                         "inject-nmi"};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        bool found = false;
        for (size_t k = 0; k < json_array_size(list); k++)
            found |= !strcmp(json_string_value(json_object_get(json_array_get(list, k), "name")), wanted[i]);
        if (!found)
            fail_msg("%s is missing", wanted[i]);
    }
    json_decref(reply);
}

static void test_reconnecting_starts_over(void **state)
{
    struct fixture *f = *state;
    negotiate(f);
    send_text(f, "{\"execute\":\"que"); /* half a command must not leak into the next connection */
    for (int i = 0; i < 5; i++)
        pump(f);
    close(f->fd);
    for (int i = 0; i < 5; i++)
        vm_iterate(f->guest.vm, 1000000);
    connect_client(f);
    send_text(f, "{\"execute\":\"query-status\"}");
    expect(f, "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"Expecting capabilities negotiation with "
              "'qmp_capabilities'\"}}");
    negotiate(f);
}

/* A client that sends commands and never reads: the monitor waits, the machine does not. */
static void test_client_that_does_not_read(void **state)
{
    struct fixture *f = *state;
    negotiate(f);
    static const char request[] = "{\"execute\":\"query-commands\"}";
    size_t sent = 0;
    for (int i = 0; i < 20000; i++) {
        ssize_t n = write(f->fd, request, sizeof request - 1);
        if (n == (ssize_t)sizeof request - 1)
            sent++;
        else if (n >= 0)
            break; /* cut in the middle: enough */
        else if (errno == EAGAIN && i > 15000)
            break;
        vm_iterate(f->guest.vm, 0);
    }
    assert_true(sent > 100);
    for (int i = 0; i < 2000; i++) { /* events do not pile up for ever either */
        struct error err;
        vm_cont(f->guest.vm, &err);
        vm_stop(f->guest.vm, VM_PAUSED);
    }
    vm_request_shutdown(f->guest.vm, VM_CAUSE_HOST_SIGNAL);
    assert_int_equal(vm_run(f->guest.vm), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_negotiation),
        TEST(test_commands_and_events),
        TEST(test_errors),
        TEST(test_human_monitor_command),
        TEST(test_every_command_listed_exists),
        TEST(test_reconnecting_starts_over),
        TEST(test_client_that_does_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
