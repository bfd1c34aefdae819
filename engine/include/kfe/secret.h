/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_SECRET_H
#define KFE_SECRET_H

/* Memory for secrets: what stands in it is never swapped out, is in no core file, and reads as
 * zeros in every forked child, also after a raw clone. For KeyProviders, which hold PINs and keys
 * for the length of a call, and for whoever hands kfe a secret. */

#include <stddef.h>

#include <kfe/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { KFE_SECRET_MAX = 4096 }; /* bytes of one block */

/* A zeroed block, aligned to 64 bytes. NULL when no more memory can be had or locked: then
 * kfe_error_detail() names RLIMIT_MEMLOCK, and the caller returns KFE_E_MEMORY. Any thread. */
KFE_API void *kfe_secret_alloc(size_t len);
/* Wipes it. Any thread; NULL is fine, and so is a block of the parent in a forked child. */
KFE_API void kfe_secret_free(void *block);

/* memcpy(), but that nothing of it stays in vector registers, as those of every thread are in a
 * core file, long after the copy. No overlap. */
KFE_API void kfe_secret_copy(void *to, const void *from, size_t len);

#ifdef __cplusplus
}
#endif
#endif
