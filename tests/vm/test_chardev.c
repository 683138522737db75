/* Chardevs against real files, sockets and pseudo-terminals. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vm/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct user {
    uint8_t got[65536];
    size_t length;
    size_t room;
    int opened, closed, breaks, focused, writable;
};

struct fixture {
    struct main_loop *loop;
    struct chardev_host host;
    char directory[64];
    int quits;
    struct user user, user2;
};

static size_t user_can_receive(void *opaque)
{
    return ((struct user *)opaque)->room;
}

static void user_receive(void *opaque, const uint8_t *data, size_t length)
{
    struct user *u = opaque;
    assert_true(length <= u->room);
    assert_true(u->length + length <= sizeof u->got);
    memcpy(u->got + u->length, data, length);
    u->length += length;
}

static void user_event(void *opaque, enum chardev_event event)
{
    struct user *u = opaque;
    u->opened += event == CHARDEV_OPENED;
    u->closed += event == CHARDEV_CLOSED;
    u->breaks += event == CHARDEV_BREAK;
    u->focused += event == CHARDEV_FOCUS;
}

static void user_writable(void *opaque)
{
    ((struct user *)opaque)->writable++;
}

static void use(struct chardev *c, struct user *u)
{
    u->room = 4096;
    struct chardev_user user = {user_can_receive, user_receive, user_event, user_writable, u};
    chardev_set_user(c, &user);
}

static void quit(void *opaque)
{
    ((struct fixture *)opaque)->quits++;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err;
    signal(SIGPIPE, SIG_IGN);
    f->loop = main_loop_create(&err);
    f->host = (struct chardev_host){f->loop, NULL, false, quit, NULL, f};
    strcpy(f->directory, "/tmp/dragoman-chardev-XXXXXX");
    *state = f;
    return f->loop && mkdtemp(f->directory) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", f->directory);
    int status = system(command);
    main_loop_destroy(f->loop);
    free(f);
    return status;
}

static struct chardev *open_spec(struct fixture *f, const char *format, struct error *err)
{
    char spec[256];
    struct chardev_config config;
    snprintf(spec, sizeof spec, format, f->directory);
    assert_true(chardev_config_parse(&config, "-serial", spec, err));
    strcpy(config.id, "test");
    return chardev_open(&f->host, &config, err);
}

static void spin(struct fixture *f, int rounds)
{
    for (int i = 0; i < rounds; i++)
        main_loop_iterate(f->loop, 1000000);
}

static int connect_unix(struct fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", f->directory);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void test_file(void **state)
{
    struct fixture *f = *state;
    struct error err;
    char path[128], text[32] = "";
    struct chardev *c = open_spec(f, "file:%s/out", &err);
    assert_non_null(c);
    assert_int_equal(chardev_write(c, "hello ", 6), 6);
    spin(f, 2);
    assert_int_equal(chardev_pending(c), 0);
    assert_int_equal(chardev_write(c, "world", 5), 5);
    chardev_close(c); /* writes what is left */
    snprintf(path, sizeof path, "%s/out", f->directory);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    assert_string_equal(text, "hello world");
}

static void test_open_errors(void **state)
{
    struct fixture *f = *state;
    struct error err;
    assert_null(open_spec(f, "file:%s/no/such/dir", &err));
    assert_non_null(strstr(err.message, "/no/such/dir"));
    assert_null(open_spec(f, "file:%s", &err)); /* a directory */
    assert_non_null(strstr(err.message, f->directory));
    assert_null(open_spec(f, "unix:%s/nobody", &err));
    assert_non_null(strstr(err.message, "nobody"));
    assert_null(open_spec(f, "unix:%s/no/dir,server=on,wait=off", &err));
    assert_null(open_spec(f, "tcp:127.0.0.1:notaport,server=on,wait=off", &err));
    char path[128];
    snprintf(path, sizeof path, "%s/plain", f->directory);
    int fd = creat(path, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_null(open_spec(f, "unix:%s/plain,server=on,wait=off", &err)); /* not ours to remove */
    assert_int_equal(access(path, F_OK), 0);
    struct chardev_config config;
    char longest[300] = "unix:/";
    memset(longest + 6, 'x', 200);
    assert_true(chardev_config_parse(&config, "-serial", longest, &err));
    config.server = true;
    config.wait = false;
    assert_null(chardev_open(&f->host, &config, &err));
    assert_non_null(strstr(err.message, "too long"));
}

static void test_full_disk_drops_output(void **state)
{
    struct fixture *f = *state;
    struct error err;
    struct chardev_config config;
    assert_true(chardev_config_parse(&config, "-serial", "file:/dev/full", &err));
    struct chardev *c = chardev_open(&f->host, &config, &err);
    assert_non_null(c);
    chardev_write(c, "x", 1);
    spin(f, 3);
    assert_int_equal(chardev_pending(c), 0);
    assert_int_equal(chardev_write(c, "yy", 2), 2);
    assert_int_equal(chardev_pending(c), 0);
    chardev_close(c);
}

static void test_unix_server(void **state)
{
    struct fixture *f = *state;
    struct error err;
    char bytes[16] = "";
    struct chardev *c = open_spec(f, "unix:%s/s,server=on,wait=off", &err);
    assert_non_null(c);
    use(c, &f->user);
    assert_false(chardev_is_connected(c));
    assert_int_equal(chardev_write(c, "lost", 4), 4);
    assert_non_null(strstr(chardev_description(c), "disconnected:unix:"));

    int fd = connect_unix(f);
    spin(f, 3);
    assert_int_equal(f->user.opened, 1);
    assert_true(chardev_is_connected(c));
    assert_int_equal(write(fd, "abc", 3), 3);
    spin(f, 3);
    assert_int_equal(f->user.length, 3);
    assert_memory_equal(f->user.got, "abc", 3);
    chardev_write(c, "xyz", 3);
    spin(f, 3);
    assert_int_equal(read(fd, bytes, sizeof bytes), 3);
    assert_memory_equal(bytes, "xyz", 3);

    /* A second client waits until the first has gone. */
    int second = connect_unix(f);
    assert_int_equal(write(second, "2", 1), 1);
    spin(f, 3);
    assert_int_equal(f->user.length, 3);
    close(fd);
    spin(f, 5);
    assert_int_equal(f->user.closed, 1);
    assert_int_equal(f->user.opened, 2);
    assert_int_equal(f->user.length, 4);
    chardev_disconnect(c);
    assert_int_equal(f->user.closed, 2);
    assert_int_equal(read(second, bytes, sizeof bytes), 0);
    close(second);
    chardev_close(c);
    char path[128];
    snprintf(path, sizeof path, "%s/s", f->directory);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_stale_socket_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct error err;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", f->directory);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    struct chardev *c = open_spec(f, "unix:%s/s,server=on,wait=off", &err);
    assert_non_null(c);
    chardev_close(c);
}

static void test_input_waits_for_room(void **state)
{
    struct fixture *f = *state;
    struct error err;
    struct chardev *c = open_spec(f, "unix:%s/s,server=on,wait=off", &err);
    use(c, &f->user);
    int fd = connect_unix(f);
    f->user.room = 0;
    assert_int_equal(write(fd, "0123456789", 10), 10);
    spin(f, 10);
    assert_int_equal(f->user.length, 0);
    f->user.room = 3;
    for (int i = 0; i < 200 && f->user.length < 10; i++)
        spin(f, 1);
    assert_int_equal(f->user.length, 10);
    assert_memory_equal(f->user.got, "0123456789", 10);
    close(fd);
    chardev_close(c);
}

static void test_output_is_bounded_and_resumes(void **state)
{
    struct fixture *f = *state;
    struct error err;
    struct chardev *c = open_spec(f, "unix:%s/s,server=on,wait=off", &err);
    use(c, &f->user);
    int fd = connect_unix(f);
    spin(f, 3);
    /* Nobody reads: the socket's buffer and ours fill up. */
    static uint8_t block[8192];
    uint64_t taken = 0;
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (uint8_t)(i * 7);
    for (int i = 0; i < 10000; i++) {
        size_t n = chardev_write(c, block, sizeof block);
        taken += n;
        main_loop_iterate(f->loop, 0);
        if (n < sizeof block && chardev_pending(c) == CHARDEV_BUFFER_SIZE && i > 1000)
            break;
    }
    assert_int_equal(chardev_pending(c), CHARDEV_BUFFER_SIZE);
    assert_int_equal(chardev_write(c, "x", 1), 0);
    assert_int_equal(f->user.writable, 0);
    uint64_t got = 0;
    while (got < taken) {
        uint8_t bytes[4096];
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n > 0)
            got += (uint64_t)n;
        else
            spin(f, 1);
    }
    spin(f, 2);
    assert_true(f->user.writable >= 1);
    assert_int_equal(chardev_pending(c), 0);
    close(fd);
    chardev_close(c);
}

static void test_client_gone_while_output_waits(void **state)
{
    struct fixture *f = *state;
    struct error err;
    static uint8_t block[CHARDEV_BUFFER_SIZE];
    struct chardev *c = open_spec(f, "unix:%s/s,server=on,wait=off", &err);
    use(c, &f->user);
    int fd = connect_unix(f);
    spin(f, 3);
    for (int i = 0; i < 50; i++) {
        chardev_write(c, block, sizeof block);
        main_loop_iterate(f->loop, 0);
    }
    close(fd);
    spin(f, 5);
    assert_int_equal(f->user.closed, 1);
    assert_true(f->user.writable >= 1); /* it may go on: everything is dropped now */
    assert_int_equal(chardev_write(c, block, sizeof block), sizeof block);
    chardev_close(c);
}

struct client {
    int fd;
    struct fixture *fixture;
};

static void *client_main(void *opaque)
{
    struct client *client = opaque;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", client->fixture->directory);
    client->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    for (int i = 0; i < 1000 && connect(client->fd, (struct sockaddr *)&address, sizeof address) < 0; i++)
        usleep(10000);
    return NULL;
}

static void test_server_that_waits(void **state)
{
    struct fixture *f = *state;
    struct error err;
    struct client client = {-1, f};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, client_main, &client), 0);
    struct chardev *c = open_spec(f, "unix:%s/s,server=on", &err);
    assert_non_null(c);
    assert_true(chardev_is_connected(c));
    pthread_join(thread, NULL);
    close(client.fd);
    chardev_close(c);
}

static void give_up(void *opaque, bool *stop)
{
    *stop = true;
}

static void test_waiting_can_be_interrupted(void **state)
{
    struct fixture *f = *state;
    struct error err;
    f->host.interrupted = give_up;
    assert_null(open_spec(f, "unix:%s/s,server=on", &err));
    assert_non_null(strstr(err.message, "interrupted"));
}

static void test_tcp_any_port(void **state)
{
    struct fixture *f = *state;
    struct error err;
    struct chardev *c = open_spec(f, "tcp::0,server=on,wait=off", &err);
    assert_non_null(c);
    unsigned port = 0;
    assert_int_equal(sscanf(chardev_description(c), "disconnected:tcp:127.0.0.1:%u", &port), 1);
    assert_true(port > 0);
    char spec[64];
    snprintf(spec, sizeof spec, "tcp:127.0.0.1:%u", port);
    struct chardev *client = open_spec(f, spec, &err);
    assert_non_null(client);
    use(c, &f->user);
    chardev_write(client, "hi", 2);
    spin(f, 5);
    assert_int_equal(f->user.length, 2);
    snprintf(spec, sizeof spec, "tcp:127.0.0.1:%u,server=on,wait=off", port);
    assert_null(open_spec(f, spec, &err)); /* taken */
    chardev_close(client);
    chardev_close(c);
}

static void test_pty(void **state)
{
    struct fixture *f = *state;
    struct error err;
    char bytes[16] = "";
    /* The name is printed to standard output, at once. */
    int output[2], standard_output = dup(STDOUT_FILENO);
    fflush(stdout);
    assert_int_equal(pipe(output), 0);
    assert_int_equal(dup2(output[1], STDOUT_FILENO), STDOUT_FILENO);
    struct chardev *c = open_spec(f, "pty", &err);
    dup2(standard_output, STDOUT_FILENO);
    close(standard_output);
    close(output[1]);
    char printed[128] = "", expected[128];
    assert_true(read(output[0], printed, sizeof printed - 1) > 0);
    close(output[0]);
    assert_non_null(c);
    assert_int_equal(strncmp(chardev_description(c), "pty:", 4), 0);
    snprintf(expected, sizeof expected, "char device redirected to %s (label ", chardev_description(c) + 4);
    assert_int_equal(strncmp(printed, expected, strlen(expected)), 0);
    use(c, &f->user);
    spin(f, 3);
    assert_false(chardev_is_connected(c));
    assert_int_equal(chardev_write(c, "dropped", 7), 7);
    for (int round = 1; round <= 2; round++) {
        int fd = open(chardev_description(c) + 4, O_RDWR | O_NOCTTY | O_NONBLOCK);
        assert_true(fd >= 0);
        for (int i = 0; i < 1000 && !chardev_is_connected(c); i++)
            spin(f, 1);
        assert_int_equal(f->user.opened, round);
        assert_int_equal(write(fd, "in\r", 3), 3);
        chardev_write(c, "out\n", 4);
        spin(f, 5);
        assert_int_equal(f->user.length, 3 * round); /* raw: the return is still one */
        assert_int_equal(read(fd, bytes, sizeof bytes), 4);
        assert_memory_equal(bytes, "out\n", 4);
        close(fd);
        for (int i = 0; i < 1000 && chardev_is_connected(c); i++)
            spin(f, 1);
        assert_int_equal(f->user.closed, round);
    }
    chardev_close(c);
}

static void test_stdio_only_once(void **state)
{
    struct fixture *f = *state;
    struct error err;
    struct chardev *first = open_spec(f, "stdio", &err);
    assert_non_null(first);
    assert_null(open_spec(f, "stdio", &err));
    assert_non_null(strstr(err.message, "stdio"));
    assert_true(f->host.stdio_taken);
    chardev_close(first);
    first = open_spec(f, "stdio", &err);
    assert_non_null(first);
    chardev_close(first);
}

/* ---- mux ---- */

struct mux_fixture {
    struct chardev *real, *console, *monitor;
    int fd;
};

static struct mux_fixture open_mux(struct fixture *f)
{
    struct error err;
    struct mux_fixture m;
    m.real = open_spec(f, "mon:unix:%s/s,server=on,wait=off", &err);
    assert_non_null(m.real);
    assert_true(chardev_is_mux(m.real));
    m.console = chardev_mux_add_child(m.real, "console", &err);
    m.monitor = chardev_mux_add_child(m.real, "monitor", &err);
    use(m.console, &f->user);
    use(m.monitor, &f->user2);
    m.fd = connect_unix(f);
    spin(f, 3);
    return m;
}

static void close_mux(struct mux_fixture *m)
{
    close(m->fd);
    chardev_close(m->monitor);
    chardev_close(m->console);
    chardev_close(m->real);
}

static void type(struct fixture *f, struct mux_fixture *m, const char *keys)
{
    assert_int_equal(write(m->fd, keys, strlen(keys)), strlen(keys));
    spin(f, 5);
}

static void test_mux_switches_focus(void **state)
{
    struct fixture *f = *state;
    struct mux_fixture m = open_mux(f);
    assert_true(chardev_mux_has_focus(m.console));
    assert_false(chardev_mux_has_focus(m.monitor));
    type(f, &m,
         "ab\001c"
         "cd\001c"
         "ef"); /* all at once: each byte where the focus was */
    assert_int_equal(f->user.length, 4);
    assert_memory_equal(f->user.got, "abef", 4);
    assert_int_equal(f->user2.length, 2);
    assert_memory_equal(f->user2.got, "cd", 2);
    assert_int_equal(f->user2.focused, 1);
    type(f, &m, "\001\001"); /* a literal one */
    assert_int_equal(f->user.length, 5);
    assert_int_equal(f->user.got[4], 1);
    type(f, &m, "\001b");
    assert_int_equal(f->user.breaks, 1);
    type(f, &m, "\001"); /* the escape and its key may come apart */
    type(f, &m, "x");
    assert_int_equal(f->quits, 1);
    type(f, &m, "\001z");
    assert_int_equal(f->user.length, 5);
    close_mux(&m);
}

static void test_mux_output_of_all_and_help(void **state)
{
    struct fixture *f = *state;
    struct mux_fixture m = open_mux(f);
    char bytes[1024] = "";
    chardev_write(m.console, "guest ", 6);
    chardev_write(m.monitor, "monitor", 7);
    spin(f, 3);
    assert_int_equal(read(m.fd, bytes, sizeof bytes - 1), 13);
    assert_string_equal(bytes, "guest monitor");
    type(f, &m, "\001h");
    memset(bytes, 0, sizeof bytes);
    assert_true(read(m.fd, bytes, sizeof bytes - 1) > 0);
    assert_non_null(strstr(bytes, "Ctrl-A x"));
    close_mux(&m);
}

static void test_mux_escape_works_while_the_guest_does_not_read(void **state)
{
    struct fixture *f = *state;
    struct mux_fixture m = open_mux(f);
    f->user.room = 0;
    type(f, &m,
         "ignored\001c"
         "status");
    assert_int_equal(f->user2.length, 6);
    assert_int_equal(f->user.length, 0);
    f->user.room = 2; /* it reads again: nothing was lost */
    for (int i = 0; i < 100 && f->user.length < 7; i++)
        spin(f, 1);
    assert_memory_equal(f->user.got, "ignored", 7);
    close_mux(&m);
}

static void test_mux_limit(void **state)
{
    struct fixture *f = *state;
    struct error err;
    struct chardev *children[CHARDEV_MUX_CHILDREN];
    struct chardev *real = open_spec(f, "mon:null", &err);
    for (int i = 0; i < CHARDEV_MUX_CHILDREN; i++) {
        children[i] = chardev_mux_add_child(real, "x", &err);
        assert_non_null(children[i]);
    }
    assert_null(chardev_mux_add_child(real, "x", &err));
    for (int i = 0; i < CHARDEV_MUX_CHILDREN; i++)
        chardev_close(children[i]);
    chardev_close(real);
}

/* ---- devices ---- */

static void port_receive_break(void *opaque)
{
    ((struct user *)opaque)->breaks++;
}

static void test_port_of_a_device(void **state)
{
    struct fixture *f = *state;
    struct error err;
    struct device_lock lock;
    struct chardev_port port;
    char bytes[16] = "";
    device_lock_init(&lock);
    chardev_port_init(&port);
    assert_int_equal(port.port.write(&port.port, (const uint8_t *)"early", 5), 5);
    struct chardev *c = open_spec(f, "unix:%s/s,server=on,wait=off", &err);
    chardev_port_connect(&port, c, &lock);
    int fd = connect_unix(f);
    spin(f, 3);
    assert_int_equal(write(fd, "nobody", 6), 6); /* no device listens yet */
    spin(f, 3);
    f->user.room = 4096;
    port.port.can_receive = user_can_receive;
    port.port.receive = user_receive;
    port.port.receive_break = port_receive_break;
    port.port.device = &f->user;
    assert_int_equal(write(fd, "in", 2), 2);
    assert_int_equal(port.port.write(&port.port, (const uint8_t *)"out", 3), 3);
    spin(f, 3);
    assert_int_equal(f->user.length, 2);
    assert_int_equal(read(fd, bytes, sizeof bytes), 3);
    close(fd);
    chardev_close(c);
    device_lock_finish(&lock);
}

/* A guest thread that prints while the main loop writes out. */
static void *writer_main(void *opaque)
{
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t byte = (uint8_t)i;
        while (!chardev_write(opaque, &byte, 1))
            usleep(10);
    }
    return NULL;
}

static void test_output_from_another_thread(void **state)
{
    struct fixture *f = *state;
    struct error err;
    struct chardev *c = open_spec(f, "unix:%s/s,server=on,wait=off", &err);
    use(c, &f->user);
    int fd = connect_unix(f);
    spin(f, 3);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, writer_main, c), 0);
    unsigned got = 0;
    while (got < 20000) {
        uint8_t bytes[512];
        main_loop_iterate(f->loop, 1000000);
        ssize_t n = read(fd, bytes, sizeof bytes);
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(bytes[i], (uint8_t)got++);
    }
    pthread_join(thread, NULL);
    close(fd);
    chardev_close(c);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_file),
        TEST(test_open_errors),
        TEST(test_full_disk_drops_output),
        TEST(test_unix_server),
        TEST(test_stale_socket_is_replaced),
        TEST(test_input_waits_for_room),
        TEST(test_output_is_bounded_and_resumes),
        TEST(test_client_gone_while_output_waits),
        TEST(test_server_that_waits),
        TEST(test_waiting_can_be_interrupted),
        TEST(test_tcp_any_port),
        TEST(test_pty),
        TEST(test_stdio_only_once),
        TEST(test_mux_switches_focus),
        TEST(test_mux_output_of_all_and_help),
        TEST(test_mux_escape_works_while_the_guest_does_not_read),
        TEST(test_mux_limit),
        TEST(test_port_of_a_device),
        TEST(test_output_from_another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
