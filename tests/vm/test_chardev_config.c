/* What -serial, -monitor, -chardev ... accept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vm/chardev_config.h"

#include <string.h>

static struct chardev_config config;
static struct error err;

static void test_short_forms(void **state)
{
    assert_true(chardev_config_parse(&config, "-serial", "stdio", &err));
    assert_int_equal(config.kind, CHARDEV_STDIO);
    assert_true(config.signal && !config.mux);
    assert_true(chardev_config_parse(&config, "-serial", "mon:stdio", &err));
    assert_int_equal(config.kind, CHARDEV_STDIO);
    assert_true(!config.signal && config.mux);
    assert_true(chardev_config_parse(&config, "-serial", "null", &err));
    assert_int_equal(config.kind, CHARDEV_NULL);
    assert_true(chardev_config_parse(&config, "-serial", "vc:80Cx24C", &err));
    assert_int_equal(config.kind, CHARDEV_NULL);
    assert_true(chardev_config_parse(&config, "-serial", "pty", &err));
    assert_int_equal(config.kind, CHARDEV_PTY);
    assert_true(chardev_config_parse(&config, "-serial", "file:/tmp/a,,b", &err));
    assert_int_equal(config.kind, CHARDEV_FILE);
    assert_string_equal(config.path, "/tmp/a,b");
    assert_false(config.append);
}

static void test_sockets(void **state)
{
    assert_true(chardev_config_parse(&config, "-qmp", "unix:/run/x.sock,server=on,wait=off", &err));
    assert_int_equal(config.kind, CHARDEV_UNIX);
    assert_string_equal(config.path, "/run/x.sock");
    assert_true(config.server && !config.wait);
    assert_true(chardev_config_parse(&config, "-qmp", "unix:/run/x.sock,server", &err));
    assert_true(config.server && config.wait); /* a server waits unless told otherwise */
    assert_true(chardev_config_parse(&config, "-qmp", "unix:/run/x.sock,server,nowait", &err));
    assert_true(config.server && !config.wait);
    assert_true(chardev_config_parse(&config, "-qmp", "unix:/run/x.sock", &err));
    assert_true(!config.server && !config.wait);
    assert_true(chardev_config_parse(&config, "-gdb", "tcp::1234", &err));
    assert_int_equal(config.kind, CHARDEV_TCP);
    assert_string_equal(config.host, "");
    assert_string_equal(config.port, "1234");
    assert_true(chardev_config_parse(&config, "-gdb", "tcp:::1:99,server=on,nodelay", &err));
    assert_string_equal(config.host, "::1");
    assert_string_equal(config.port, "99");
}

static void test_long_form(void **state)
{
    assert_true(chardev_config_parse_long(&config, "stdio,id=c0,mux=on,signal=off", &err));
    assert_int_equal(config.kind, CHARDEV_STDIO);
    assert_string_equal(config.id, "c0");
    assert_true(config.mux && !config.signal);
    assert_true(chardev_config_parse_long(&config, "socket,id=q,path=/x,server=on,wait=off", &err));
    assert_int_equal(config.kind, CHARDEV_UNIX);
    assert_true(chardev_config_parse_long(&config, "socket,id=q,host=localhost,port=4444,server=on,wait=off", &err));
    assert_int_equal(config.kind, CHARDEV_TCP);
    assert_true(chardev_config_parse_long(&config, "file,id=f,path=/x,append=on", &err));
    assert_true(config.append);
    assert_true(chardev_config_parse_long(&config, "backend=null,id=n", &err));
}

static void test_errors_name_what_is_wrong(void **state)
{
    static const struct {
        const char *text, *part;
        bool is_long;
    } cases[] = {
        {"", "''", false},
        {"foo", "'foo'", false},
        {"file:", "path", false},
        {"unix:", "path", false},
        {"tcp:1234", "tcp:[HOST]:PORT", false},
        {"tcp:host:", "port", false},
        {"tcp::65536", "'65536'", false},
        {"tcp::99999999999", "'99999999999'", false},
        {"stdio,server=on", "'server'", false},
        {"unix:/x,server=maybe", "server=maybe", false},
        {"unix:/x,wait=off", "wait", false},
        {"unix:/x,colour=red", "'colour'", false},
        {"null", "'id' is missing", true},
        {"gopher,id=x", "'gopher'", true},
        {"file,id=x", "path", true},
        {"socket,id=x", "port", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        err.message[0] = 0;
        assert_false(cases[i].is_long ? chardev_config_parse_long(&config, cases[i].text, &err)
                                      : chardev_config_parse(&config, "-serial", cases[i].text, &err));
        if (!strstr(err.message, cases[i].part) || !strstr(err.message, cases[i].is_long ? "-chardev" : "-serial"))
            fail_msg("'%s' gave '%s'", cases[i].text, err.message);
    }
    char huge[4096];
    memset(huge, 'x', sizeof huge);
    memcpy(huge, "file:", 5);
    huge[sizeof huge - 1] = 0;
    assert_false(chardev_config_parse(&config, "-serial", huge, &err));
    memcpy(huge, "null,id=", 8);
    assert_false(chardev_config_parse_long(&config, huge, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_forms),
        cmocka_unit_test(test_sockets),
        cmocka_unit_test(test_long_form),
        cmocka_unit_test(test_errors_name_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
