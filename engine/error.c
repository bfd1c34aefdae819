/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include <kfe/error.h>

static _Thread_local char detail[256];

const char *kfe_error_detail(void)
{
    return detail;
}

kfe_error kfe_fail(kfe_error code, const char *format, ...)
{
    /* Built apart from `detail`, which may be among the arguments. */
    char line[sizeof(detail)];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (len < 0)
        line[0] = '\0';
    size_t i = 0;
    for (; line[i] != '\0'; i++) {
        /* C0 and DEL, and C1 in UTF-8 (c2 80 to c2 9f): names in a line may be a stranger's. */
        unsigned char c = (unsigned char)line[i], next = (unsigned char)line[i + 1];
        bool c1 = c == 0xc2 && next >= 0x80 && next < 0xa0;
        detail[i] = c < 0x20 || c == 0x7f || c1 ? '?' : line[i];
        if (c1)
            detail[++i] = '?';
    }
    detail[i] = '\0';
    return code;
}

const char *kfe_error_name(kfe_error error)
{
    switch (error) { /* no default: a code without a name does not compile */
    case KFE_OK:
        return "KFE_OK";
    case KFE_E_ARGUMENT:
        return "KFE_E_ARGUMENT";
    case KFE_E_SPACE:
        return "KFE_E_SPACE";
    case KFE_E_CONFIG:
        return "KFE_E_CONFIG";
    case KFE_E_NO_KEY:
        return "KFE_E_NO_KEY";
    case KFE_E_RECORD:
        return "KFE_E_RECORD";
    case KFE_E_AUTH:
        return "KFE_E_AUTH";
    case KFE_E_UNENCRYPTED:
        return "KFE_E_UNENCRYPTED";
    case KFE_E_SUITE:
        return "KFE_E_SUITE";
    case KFE_E_KEY_UNKNOWN:
        return "KFE_E_KEY_UNKNOWN";
    case KFE_E_KEY_DESTROYED:
        return "KFE_E_KEY_DESTROYED";
    case KFE_E_KEY_DENIED:
        return "KFE_E_KEY_DENIED";
    case KFE_E_KEY_EXHAUSTED:
        return "KFE_E_KEY_EXHAUSTED";
    case KFE_E_PROVIDER:
        return "KFE_E_PROVIDER";
    case KFE_E_BUSY:
        return "KFE_E_BUSY";
    case KFE_E_CREDENTIALS:
        return "KFE_E_CREDENTIALS";
    case KFE_E_MEMORY:
        return "KFE_E_MEMORY";
    case KFE_E_RANDOM:
        return "KFE_E_RANDOM";
    case KFE_E_BACKEND:
        return "KFE_E_BACKEND";
    case KFE_E_IO:
        return "KFE_E_IO";
    }
    return "unknown error";
}
