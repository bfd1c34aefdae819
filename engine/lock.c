/* SPDX-License-Identifier: Apache-2.0 */

/* The three-state futex lock of U. Drepper, "Futexes Are Tricky": no system call unless two
 * threads meet. A pthread mutex would promise nothing about being zeroed while it is held. */

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/lock.h"

void kfe_lock_take(kfe_lock *lock)
{
    unsigned seen = 0;
    if (atomic_compare_exchange_strong(&lock->state, &seen, 1))
        return;
    /* Whoever had to wait leaves a 2 behind: one needless wake-up is better than a lost one. */
    while (atomic_exchange(&lock->state, 2) != 0)
        (void)syscall(SYS_futex, &lock->state, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

void kfe_lock_drop(kfe_lock *lock)
{
    if (atomic_exchange(&lock->state, 0) == 2)
        (void)syscall(SYS_futex, &lock->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
