"""Every kernel of the benchmark guest comes to the host's result in every engine, and with a host of the first x86-64 kind.

    test_kernels.py DRAGOMAN"""

import subprocess
import sys

PROGRAM = sys.argv[1]


def main():
    done = subprocess.run([PROGRAM, "bench", "--quick", "--rounds", "2", "--against", f"'{PROGRAM}' -host-features baseline -engine tier1",
                           "--details"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(done.stdout)
    if "does not run 32-bit programs" in done.stdout:
        print("without native results: the engines were compared with each other")
    for suite in ("int", "fp", "simd", "code16", "system"):
        assert f"\n{suite} " in done.stdout, f"no suite {suite}"
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
