/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/openssl/provider_param.h"

#include <limits.h>
#include <string.h>

/* Integers come in the sizes of int and of size_t, signed or not. */
static bool is_integer(const OSSL_PARAM *param)
{
    return param->data_type == OSSL_PARAM_INTEGER ||
           param->data_type == OSSL_PARAM_UNSIGNED_INTEGER;
}

bool kfe_param_get_size(const OSSL_PARAM *param, size_t *out)
{
    uint64_t wide = 0;
    uint32_t narrow = 0;
    if (!is_integer(param) || param->data == NULL)
        return false;
    if (param->data_size == sizeof(wide))
        memcpy(&wide, param->data, sizeof(wide));
    else if (param->data_size == sizeof(narrow))
        memcpy(&narrow, param->data, sizeof(narrow));
    else
        return false;
    bool negative = param->data_type == OSSL_PARAM_INTEGER && (wide >> 63 | narrow >> 31) != 0;
    if (negative || (wide | narrow) > SIZE_MAX)
        return false;
    *out = (size_t)(wide | narrow);
    return true;
}

bool kfe_param_set_size(OSSL_PARAM *param, size_t value)
{
    if (!is_integer(param))
        return false;
    param->return_size = sizeof(uint64_t);
    if (param->data == NULL)
        return true;
    uint64_t wide = value;
    uint32_t narrow = (uint32_t)value;
    if (param->data_size == sizeof(wide)) {
        memcpy(param->data, &wide, sizeof(wide));
    } else if (param->data_size == sizeof(narrow) && value <= INT_MAX) {
        param->return_size = sizeof(narrow);
        memcpy(param->data, &narrow, sizeof(narrow));
    } else {
        return false;
    }
    return true;
}

bool kfe_param_set_text(OSSL_PARAM *param, const char *text)
{
    if (param->data_type != OSSL_PARAM_UTF8_PTR)
        return false;
    param->return_size = strlen(text);
    if (param->data != NULL)
        *(const char **)param->data = text;
    return true;
}

bool kfe_param_set_octets(OSSL_PARAM *param, const uint8_t *bytes, size_t len)
{
    if (param->data_type != OSSL_PARAM_OCTET_STRING && param->data_type != OSSL_PARAM_OCTET_PTR)
        return false;
    param->return_size = len;
    if (param->data == NULL)
        return true;
    if (param->data_type == OSSL_PARAM_OCTET_PTR) {
        *(const void **)param->data = bytes;
        return true;
    }
    if (param->data_size < len)
        return false;
    memcpy(param->data, bytes, len);
    return true;
}
