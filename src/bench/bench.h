/* `dragoman bench`: the bundled bare-metal guest (bench/guest/) in every engine, natively on the host and in other
 * emulators, and how their times compare. */
#ifndef DRAGOMAN_BENCH_BENCH_H
#define DRAGOMAN_BENCH_BENCH_H

/* argv[0] is `bench`. Returns the exit code: 0, or 1 if a result is wrong or missing, or an option is. Runs this very
 * program (/proc/self/exe) as child processes. */
int bench_main(int argc, char **argv);

#endif
