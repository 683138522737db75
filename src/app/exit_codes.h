/* How the process ends; documented for scripts.
 *
 *   0        the guest powered off or was reset with -no-reboot; quit; Ctrl-A x; -version, -help ...
 *   1        an option, a file or the host is at fault: one line on standard error says which
 *   (v<<1)|1 the guest wrote v to isa-debug-exit (low 8 bits)
 *   128+n    ended in order on signal n (SIGHUP 129, SIGINT 130, SIGTERM 143) */
#ifndef DRAGOMAN_APP_EXIT_CODES_H
#define DRAGOMAN_APP_EXIT_CODES_H

enum { EXIT_CODE_OK = 0, EXIT_CODE_USAGE = 1, EXIT_CODE_SIGNAL = 128 };

#endif
