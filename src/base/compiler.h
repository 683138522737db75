/* Compiler helpers used all over the tree. */
#ifndef DRAGOMAN_BASE_COMPILER_H
#define DRAGOMAN_BASE_COMPILER_H

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define always_inline static inline __attribute__((__always_inline__))
#define noinline __attribute__((__noinline__))
#define cold __attribute__((__cold__, __noinline__))
#define UNUSED __attribute__((__unused__))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The structure of type TYPE whose member MEMBER is at PTR. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

#endif
