/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <kfe/config.h>

#include "pkcs11/direct.h"
#include "pkcs11/known.h"

/* Fields of one task, and their bytes unless it is one. A task does as many as there is time for: a
 * deadline that is met shuts out everybody. */
enum { AT_ONCE = 64, BYTES_AT_ONCE = 64 * 1024 };

/* Their bytes, all copied, as whoever wants them may be gone before the token answers. */
struct batch {
    size_t size, n;
    kfe_p11_message messages[AT_ONCE];
    uint8_t bytes[]; /* for each: aad, in, out; then `work` for all */
};

struct run {
    kfe_p11_object *object; /* owned, as the batch */
    struct batch *batch;
    bool opens;
    unsigned iv_size;  /* found by the probe; or what seal has to keep to */
    size_t n_done;     /* of the batch: a second try goes on there, as does the next task */
    kfe_p11_step step; /* with that field */
};

static void drop(void *arg)
{
    struct run *run = arg;
    if (run->batch)
        kfe_wipe(run->batch, run->batch->size);
    free(run->batch);
    kfe_p11_object_put(run->object);
}

/* ---- In the token's threads --------------------------------------------------------------- */

/* One at least. */
static bool goes_on(const struct run *run, const kfe_p11_session *session)
{
    return run->n_done == 0 ||
           (run->n_done < run->batch->n && kfe_p11_microseconds() < session->enough);
}

static void advance(struct run *run, kfe_p11_session *session)
{
    run->n_done++;
    run->step = KFE_P11_FIRST;
    session->advanced = true;
}

static kfe_error seal_work(kfe_p11_session *session, void *arg)
{
    struct run *run = arg;
    CK_OBJECT_HANDLE key;
    kfe_error err = kfe_p11_object_fast(run->object, session, &key);
    while (!err && goes_on(run, session)) {
        kfe_p11_message *m = &run->batch->messages[run->n_done];
        err = kfe_p11_gcm_seal(session, key, m);
        if (!err && m->iv_size != run->iv_size) {
            run->object->iv_size = 0; /* to be found out anew */
            err = kfe_fail(KFE_E_PROVIDER, "the token makes IVs of %u bytes now, %u before",
                           m->iv_size, run->iv_size);
        }
        if (!err)
            advance(run, session);
    }
    return kfe_p11_object_end(run->object, session, err);
}

static kfe_error open_one(kfe_p11_session *session, CK_OBJECT_HANDLE key, void *arg)
{
    const struct run *run = arg;
    kfe_p11_message *m = &run->batch->messages[run->n_done];
    kfe_error err = kfe_p11_gcm_open(session, key, m);
    return !err && m->forged ? KFE_E_AUTH : err;
}

static kfe_error open_known(kfe_p11_session *session, CK_OBJECT_HANDLE key, void *arg)
{
    const struct run *run = arg;
    return kfe_p11_known_opens(session, key, run->object);
}

/* A forged one is no error of the run. */
static kfe_error open_surely(kfe_p11_session *session, CK_OBJECT_HANDLE *key, struct run *run)
{
    static const kfe_p11_opening opening = {open_one, open_known, "C_Decrypt with CKM_AES_GCM"};
    kfe_error err = kfe_p11_open_surely(session, run->object, key, &opening, run, &run->step);
    return err == KFE_E_AUTH ? KFE_OK : err;
}

static void keep_known(const struct run *run)
{
    for (size_t i = run->n_done; i > 0; i--) {
        if (run->batch->messages[i - 1].forged)
            continue;
        kfe_p11_known_message(run->object, &run->batch->messages[i - 1]);
        return;
    }
}

static kfe_error open_work(kfe_p11_session *session, void *arg)
{
    struct run *run = arg;
    CK_OBJECT_HANDLE key;
    kfe_error err = kfe_p11_object_fast(run->object, session, &key);
    while (!err && goes_on(run, session)) {
        err = open_surely(session, &key, run);
        if (!err)
            advance(run, session);
    }
    keep_known(run);
    return kfe_p11_object_end(run->object, session, err);
}

static kfe_error probe_work(kfe_p11_session *session, void *arg)
{
    struct run *run = arg;
    CK_OBJECT_HANDLE key;
    kfe_error err = kfe_p11_object_fast(run->object, session, &key);
    if (!err)
        err = kfe_p11_gcm_probe(session, key, run->opens, &run->iv_size);
    if (!err)
        run->object->iv_size = run->iv_size;
    return kfe_p11_object_end(run->object, session, err);
}

static kfe_error copy_work(kfe_p11_session *session, void *arg)
{
    struct run *run = arg;
    return kfe_p11_object_end(run->object, session, kfe_p11_object_copy(run->object, session));
}

static const kfe_p11_task copy_task = {copy_work, sizeof(struct run), drop, KFE_P11_FIND};
static const kfe_p11_task seal_task = {seal_work, sizeof(struct run), drop, KFE_P11_ENCRYPT};
static const kfe_p11_task open_task = {open_work, sizeof(struct run), drop, KFE_P11_DECRYPT};
static const kfe_p11_task probe_task = {probe_work, sizeof(struct run), drop, KFE_P11_ENCRYPT};

/* ---- In the caller's ---------------------------------------------------------------------- */

static struct batch *batch_new(const kfe_key_field *fields, size_t n)
{
    size_t room = 0, size = sizeof(struct batch);
    for (size_t i = 0; i < n; i++) {
        size_t one = kfe_p11_message_room(fields[i].len);
        room = room < one ? one : room;
        size += fields[i].aad_size + 2 * fields[i].len;
    }
    struct batch *batch = malloc(size + room);
    if (!batch)
        return NULL;
    memset(batch, 0, sizeof(*batch));
    batch->size = size + room;
    batch->n = n;
    uint8_t *at = batch->bytes, *work = (uint8_t *)batch + size;
    for (size_t i = 0; i < n; i++) {
        const kfe_key_field *f = &fields[i];
        kfe_p11_message *m = &batch->messages[i];
        *m = (kfe_p11_message){.aad = at, .aad_size = f->aad_size, .len = f->len, .work = work};
        memcpy(at, f->aad, f->aad_size);
        at += f->aad_size;
        m->in = at;
        memcpy(at, f->in, f->len);
        m->out = at + f->len;
        at += 2 * f->len;
    }
    return batch;
}

static void read_tags(struct batch *batch, const kfe_key_field *fields)
{
    for (size_t i = 0; i < batch->n; i++) {
        kfe_p11_message *m = &batch->messages[i];
        m->iv_size = fields[i].iv_size;
        memcpy(m->iv, fields[i].iv_tag, m->iv_size);
        memcpy(m->tag, fields[i].iv_tag + m->iv_size, KFE_P11_TAG_LEN);
    }
}

static void hand_out(const struct run *run, kfe_key_field *fields, bool seal)
{
    for (size_t i = 0; i < run->n_done; i++) {
        const kfe_p11_message *m = &run->batch->messages[i];
        memcpy(fields[i].out, m->out, m->len);
        fields[i].forged = m->forged;
        if (!seal)
            continue;
        memcpy(fields[i].iv_tag, m->iv, m->iv_size);
        memcpy(fields[i].iv_tag + m->iv_size, m->tag, KFE_P11_TAG_LEN);
    }
}

/* Of n fields as many as one task gets through. */
static kfe_error some(kfe_p11_token *token, kfe_p11_object *object, kfe_key_field *fields, size_t n,
                      bool seal, size_t *n_done)
{
    struct run run = {.batch = batch_new(fields, n), .iv_size = fields[0].iv_size};
    if (!run.batch)
        return kfe_fail(KFE_E_MEMORY, "no memory for %zu fields", n);
    run.object = kfe_p11_object_ref(object);
    if (!seal)
        read_tags(run.batch, fields);
    kfe_error err = kfe_p11_token_read(token, seal ? &seal_task : &open_task, &run);
    if (!err)
        hand_out(&run, fields, seal);
    *n_done = run.n_done;
    drop(&run);
    return err;
}

/* All that follows goes faster with it, and goes without it, too, while the control thread hangs.
 */
static kfe_error copy(kfe_p11_token *token, kfe_p11_object *object)
{
    kfe_error err = kfe_p11_token_ours(token);
    if (err)
        return err;
    if (!kfe_p11_object_wants_copy(object) || !kfe_p11_token_finds(token))
        return KFE_OK;
    struct run run = {.object = kfe_p11_object_ref(object)};
    err = kfe_p11_token_find(token, &copy_task, &run);
    drop(&run);
    return err;
}

/* What the token is given of one, which may be long by what is bound to it: a record's key is. */
static size_t bytes_of(const kfe_key_field *field)
{
    return field->aad_size + field->len;
}

/* How many of them one task is given. */
static size_t share(const kfe_key_field *fields, size_t n)
{
    size_t k = 1, bytes = bytes_of(&fields[0]);
    for (; k < n && k < AT_ONCE && bytes < BYTES_AT_ONCE; k++) {
        if (bytes_of(&fields[k]) > BYTES_AT_ONCE - bytes)
            break;
        bytes += bytes_of(&fields[k]);
    }
    return k;
}

static kfe_error all(kfe_p11_token *token, kfe_p11_object *object, kfe_key_field *fields, size_t n,
                     bool seal)
{
    kfe_error err = copy(token, object);
    for (size_t at = 0, k = 0; !err && at < n; at += k)
        err = some(token, object, fields + at, share(fields + at, n - at), seal, &k);
    for (size_t i = 0; err && i < n; i++)
        kfe_wipe(fields[i].out, fields[i].len);
    return err;
}

kfe_error kfe_p11_direct_seal(kfe_p11_token *token, kfe_p11_object *object, kfe_key_field *fields,
                              size_t n)
{
    return all(token, object, fields, n, true);
}

kfe_error kfe_p11_direct_open(kfe_p11_token *token, kfe_p11_object *object, kfe_key_field *fields,
                              size_t n)
{
    return all(token, object, fields, n, false);
}

kfe_error kfe_p11_direct_iv_size(kfe_p11_token *token, kfe_p11_object *object, bool opens,
                                 unsigned *len)
{
    *len = object->iv_size;
    if (*len > 0)
        return KFE_OK;
    kfe_error err = copy(token, object);
    if (err)
        return err;
    struct run run = {.object = kfe_p11_object_ref(object), .opens = opens};
    err = kfe_p11_token_read(token, &probe_task, &run);
    *len = run.iv_size;
    drop(&run);
    return err;
}
