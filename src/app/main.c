#include "app/app.h"
#include "bench/bench.h"
#include "explain/explain.h"

#include <string.h>

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "explain"))
        return explain_command(argc - 2, argv + 2, stderr);
    if (argc > 1 && !strcmp(argv[1], "bench"))
        return bench_main(argc - 1, argv + 1);
    return app_main(argc, argv);
}
