/* The program: from the command line to the exit code. */
#ifndef DRAGOMAN_APP_APP_H
#define DRAGOMAN_APP_APP_H

/* Returns the exit code: see app/exit_codes.h. */
int app_main(int argc, char **argv);

#endif
