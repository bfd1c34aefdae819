/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kfe/error.h>

void fuzz_want(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz: %s (last detail: %s)\n", what, kfe_error_detail());
    abort();
}

char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    fuzz_want(text != NULL, "no memory");
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}
