/* SPDX-License-Identifier: Apache-2.0 */
/* Envelopes as they stand, without keys. */
#include <string.h>

#include "engine/policy.h"

static void copy_name(char out[KFE_NAME_MAX + 1], kfe_bytes name)
{
    memset(out, 0, KFE_NAME_MAX + 1);
    if (name.len > 0)
        memcpy(out, name.data, name.len);
}

static void describe(const kfe_envelope *e, kfe_envelope_info *out)
{
    memset(out, 0, sizeof(*out));
    out->format = KFE_FORMAT;
    out->group = e->group;
    out->n_groups = e->n_groups;
    out->suite = kfe_suite_name(e->suite);
    out->record_scope = e->record_scope;
    out->committed = e->commitment != NULL;
    out->session_kind = e->kind;
    out->key = e->key;
    out->value = e->value;
    out->n_headers = e->n_headers;
    out->header_map = e->map;
    copy_name(out->key_name, e->name);
    out->key_version = e->version;
    copy_name(out->deterministic_name, e->det_name);
    out->deterministic_version = e->det_version;
    out->counter = e->counter;
}

kfe_error kfe_inspect(const kfe_record *in, kfe_envelope_info *out, size_t *n)
{
    if (in == NULL || out == NULL || n == NULL)
        return kfe_fail(KFE_E_ARGUMENT, "kfe_inspect: NULL argument");
    unsigned count = 0;
    *n = 0;
    kfe_error err = kfe_accept_count(in, &count);
    for (unsigned g = 0; !err && g < count; g++) {
        kfe_envelope e;
        err = kfe_envelope_read(in->headers[g].value, &e);
        if (!err)
            describe(&e, &out[g]);
    }
    if (err)
        memset(out, 0, count * sizeof(*out));
    else
        *n = count;
    return err;
}
