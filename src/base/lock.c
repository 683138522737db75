#include "base/lock.h"

void device_lock_init(struct device_lock *lock)
{
    /* Recursive: a device that is called with the lock held may access guest memory, which takes it again. */
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&lock->mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

void device_lock_finish(struct device_lock *lock)
{
    pthread_mutex_destroy(&lock->mutex);
}
