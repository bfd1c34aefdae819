/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_ERROR_H
#define KFE_ERROR_H

/* Errors of every kfe call: one enum, grouped by who has to act, and one line of
 * detail per thread.
 *
 * After anything but KFE_OK every output is unchanged or all zero, never half
 * written, unless the call says otherwise. */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef KFE_BUILD
#define KFE_API __attribute__((visibility("default")))
#else
#define KFE_API
#endif
#define KFE_MUST_CHECK __attribute__((warn_unused_result))

/* The numbers never change. */
typedef enum kfe_error {
    KFE_OK = 0,

    /* The caller: fix the program, its configuration or the record it produces. */
    KFE_E_ARGUMENT = 100, /* a call that breaks its contract */
    KFE_E_SPACE = 101,    /* the caller's buffer is too small */
    KFE_E_CONFIG = 102,   /* an option is unknown, malformed, or contradicts another */
    KFE_E_NO_KEY = 103,   /* no key is chosen for a record that must not leave in clear */
    KFE_E_RECORD = 104,   /* this record cannot be sealed: too many headers, a reserved name, ... */

    /* The record: reject it. */
    KFE_E_AUTH = 200,        /* malformed or forged: one code for both, never more */
    KFE_E_UNENCRYPTED = 201, /* in clear, or its value is, where that is not allowed */
    KFE_E_SUITE = 202,       /* sealed with a suite that encryption.algorithms does not list */

    /* The keys: ask whoever runs them. */
    KFE_E_KEY_UNKNOWN = 300,   /* the provider knows no such key */
    KFE_E_KEY_DESTROYED = 301, /* it was there and is gone for good */
    KFE_E_KEY_DENIED = 302, /* the key may not or cannot do this (retired, wrong kind, ambiguous) */
    KFE_E_KEY_EXHAUSTED = 303, /* the session reached a hard limit and has no successor */
    KFE_E_PROVIDER = 304,      /* the KeyProvider cannot answer now: may succeed when tried again */
    KFE_E_BUSY = 305,          /* too many unproven sessions: try again a moment later */
    KFE_E_CREDENTIALS = 306,   /* PIN or passphrase refused: not tried again until reconfigured */

    /* The machine. */
    KFE_E_MEMORY = 400,
    KFE_E_RANDOM = 401,
    KFE_E_BACKEND = 402, /* the backend asked for cannot run here, or failed its known answers */
    KFE_E_IO = 403,      /* a file cannot be read or written */
} kfe_error;

/* "KFE_E_AUTH" and so on; "unknown error" for a number that is none. Static storage. */
KFE_API const char *kfe_error_name(kfe_error error);

/* One line on this thread's last failure, "" before the first. Valid until this
 * thread calls kfe again. Holds no key, PIN or plaintext: log it freely. */
KFE_API const char *kfe_error_detail(void);

/* Records a line (255 bytes at most, control characters replaced) as this thread's
 * detail and returns `code`. For KeyProviders and KeyManagers. Never pass a secret. */
KFE_API kfe_error kfe_fail(kfe_error code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif
#endif
