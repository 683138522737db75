/* Where a character device leads to, as the command line says it. */
#ifndef DRAGOMAN_VM_CHARDEV_CONFIG_H
#define DRAGOMAN_VM_CHARDEV_CONFIG_H

#include "base/error.h"

#include <stdbool.h>

enum chardev_kind { CHARDEV_NULL, CHARDEV_STDIO, CHARDEV_FILE, CHARDEV_PTY, CHARDEV_UNIX, CHARDEV_TCP };

#define CHARDEV_PATH_SIZE 1024

struct chardev_config {
    enum chardev_kind kind;
    char id[64];
    char path[CHARDEV_PATH_SIZE]; /* file, unix */
    char host[256], port[32];     /* tcp; host "" is the loopback address */
    bool server, wait;            /* unix, tcp */
    bool append;                  /* file */
    bool signal;                  /* stdio: Ctrl-C and the like still make signals */
    bool mux;                     /* several users share it */
};

/* The form of -serial, -monitor, -qmp, -gdb and -debugcon:
 *     [mon:]stdio | file:PATH | pty | null | vc | unix:PATH[,server=on|off][,wait=on|off] |
 *     tcp:[HOST]:PORT[,server=on|off][,wait=on|off]
 * `mon:` asks for a mux and sends Ctrl-C to the guest. ("vc" is a console in a window: null here.) OPTION is
 * named in messages. */
bool chardev_config_parse(struct chardev_config *config, const char *option, const char *text, struct error *err);
/* The form of -chardev: KIND,id=ID[,key=value...]. */
bool chardev_config_parse_long(struct chardev_config *config, const char *text, struct error *err);

/* "on"/"off" (and yes/no, true/false, y/n). */
bool chardev_config_parse_bool(const char *value, bool *result);

#endif
