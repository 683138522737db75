/* The device lock: one recursive mutex per machine under which every device, timer and irq line is
 * touched.  The vCPU thread takes it for each port or MMIO access, the main loop for timers and
 * host events.  Nobody holds it while running guest code. */
#ifndef DRAGOMAN_BASE_LOCK_H
#define DRAGOMAN_BASE_LOCK_H

#include <pthread.h>

struct device_lock {
    pthread_mutex_t mutex;
};

void device_lock_init(struct device_lock *lock);
void device_lock_finish(struct device_lock *lock);
static inline void device_lock_acquire(struct device_lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
}
static inline void device_lock_release(struct device_lock *lock)
{
    pthread_mutex_unlock(&lock->mutex);
}

#endif
