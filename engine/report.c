/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/report.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

static uint64_t get(const _Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static void put(cJSON *to, const char *name, uint64_t n)
{
    (void)cJSON_AddNumberToObject(to, name, (double)n);
}

static void put_way(cJSON *root, const char *name, const kfe_way_counts *way)
{
    cJSON *to = cJSON_AddObjectToObject(root, name);
    put(to, "calls", get(&way->calls));
    put(to, "records", get(&way->records));
    put(to, "clear", get(&way->clear));
    put(to, "fields", get(&way->fields));
    put(to, "bytes", get(&way->bytes));
    put(to, "hits", get(&way->hits));
    put(to, "waits", get(&way->waits));
    cJSON *refused = cJSON_AddObjectToObject(to, "refused");
    for (unsigned i = 0; i < KFE_REFUSALS; i++)
        if (get(&way->refused[i]) > 0)
            put(refused, kfe_error_name(kfe_refusal_error(i)), get(&way->refused[i]));
}

static void put_latency(cJSON *root, const uint64_t latency[KFE_LATENCY_BUCKETS], uint64_t max)
{
    cJSON *to = cJSON_AddObjectToObject(root, "latency_us");
    const uint64_t half = kfe_latency_below(latency, 0.5), most = kfe_latency_below(latency, 0.99);
    put(to, "p50", half < max ? half : max); /* a bucket's bound may lie above all that was seen */
    put(to, "p99", most < max ? most : max);
    put(to, "max", max);
}

static void put_asked(cJSON *to, const char *name, const kfe_asked_counts *asked)
{
    uint64_t latency[KFE_LATENCY_BUCKETS];
    cJSON *one = cJSON_AddObjectToObject(to, name);
    for (unsigned i = 0; i < KFE_LATENCY_BUCKETS; i++)
        latency[i] = get(&asked->latency[i]);
    put(one, "calls", get(&asked->n));
    put(one, "failures", get(&asked->failures));
    put_latency(one, latency, get(&asked->max_us));
}

static void put_provider(cJSON *root, kfe_state *state)
{
    static const char *const kinds[] = {"login",   "find",    "mac",      "wrap", "unwrap",
                                        "encrypt", "decrypt", "generate", "other"};
    static const char *const breaker[] = {"closed", "open", "half-open"};
    const kfe_key_provider_ops *ops = state->provider->ops;
    cJSON *to = cJSON_AddObjectToObject(root, "provider");
    (void)cJSON_AddStringToObject(to, "name", ops->name);
    put_asked(to, "get_key", &state->counts.asked[KFE_ASKED_KEY]);
    put_asked(to, "get_current_key", &state->counts.asked[KFE_ASKED_CURRENT]);
    put_asked(to, "session", &state->counts.asked[KFE_ASKED_SESSION]);
    if (!KFE_HAS(ops, statistics))
        return;
    kfe_key_provider_statistics s = {.size = sizeof(s)};
    ops->statistics(state->provider, &s);
    cJSON *own = cJSON_AddObjectToObject(to, "token");
    cJSON *calls = cJSON_AddObjectToObject(own, "calls");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        put(calls, kinds[i], s.calls[i]);
    put(own, "failures", s.failures);
    put(own, "timeouts", s.timeouts);
    put(own, "reconnects", s.reconnects);
    put(own, "sessions", s.sessions);
    (void)cJSON_AddStringToObject(own, "breaker", s.breaker < 3 ? breaker[s.breaker] : "unknown");
    put_latency(own, s.latency, s.latency_max_us);
}

static uint64_t left(uint64_t limit, uint64_t used)
{
    return used < limit ? limit - used : 0;
}

static cJSON *put_version(cJSON *list, const kfe_session *session)
{
    static const char *const kinds[] = {"derived", "wrapped", "direct"};
    cJSON *to = cJSON_CreateObject();
    (void)cJSON_AddItemToArray(list, to);
    (void)cJSON_AddStringToObject(to, "key", session->name);
    put(to, "version", session->version);
    (void)cJSON_AddStringToObject(to, "kind", kinds[session->kind]);
    return to;
}

static void put_sealer(cJSON *list, const kfe_sealer *sealer, int64_t now)
{
    const kfe_session *session = sealer->session;
    cJSON *to = put_version(list, session);
    put(to, "age_ms", (uint64_t)(now - session->born));
    put(to, "age_ms_left", left((uint64_t)KFE_HARD_AGE_MS, (uint64_t)(now - session->born)));
    put(to, "fields_left", left(KFE_HARD_FIELDS, get(&session->counter->fields)));
    put(to, "bytes_left", left(KFE_HARD_BLOCKS, get(&session->counter->blocks)) * 16);
    put(to, "trusted_ms_left", session->until > now ? (uint64_t)(session->until - now) : 0);
}

static bool is_among(kfe_session *const *seen, unsigned n, const kfe_session *session)
{
    for (unsigned i = 0; i < n; i++)
        if (seen[i]->version == session->version && seen[i]->kind == session->kind &&
            strcmp(seen[i]->name, session->name) == 0)
            return true;
    return false;
}

/* Each version of which a record opened, once; the newest sessions first. The lock is held, so not
 * more of them than can be looked through in no time. */
static void put_opened(cJSON *to, const kfe_state *state)
{
    enum { OPENED_MAX = 64 };
    kfe_session *seen[OPENED_MAX];
    unsigned n = 0;
    cJSON *list = cJSON_AddArrayToObject(to, "opened");
    for (kfe_node *node = state->open.newest; node != NULL && n < OPENED_MAX; node = node->older) {
        kfe_session *session = (kfe_session *)node;
        if (!atomic_load(&session->proven) || is_among(seen, n, session))
            continue;
        seen[n++] = session;
        put_version(list, session);
    }
}

static void put_keys(cJSON *root, kfe_state *state)
{
    cJSON *to = cJSON_AddObjectToObject(root, "keys");
    cJSON *sealing = cJSON_AddArrayToObject(to, "sealing");
    uint64_t loaded = 0, proven = 0;
    pthread_mutex_lock(&state->lock);
    const int64_t now = kfe_now_ms();
    for (kfe_node *node = state->sealers.newest; node != NULL; node = node->older)
        if (((kfe_sealer *)node)->session != NULL)
            put_sealer(sealing, (kfe_sealer *)node, now);
    put_opened(to, state);
    for (kfe_node *node = state->slots.newest; node != NULL; node = node->older)
        loaded += ((kfe_slot *)node)->loaded != NULL;
    for (kfe_node *node = state->open.newest; node != NULL; node = node->older)
        proven += atomic_load(&((kfe_session *)node)->proven);
    put(to, "loaded", loaded);
    put(to, "missing", state->slots.n - loaded);
    put(to, "opening", state->open.n);
    put(to, "opening_proven", proven);
    pthread_mutex_unlock(&state->lock);
}

kfe_error kfe_engine_statistics(kfe_engine *engine, char **json)
{
    if (engine == NULL || json == NULL)
        return kfe_fail(KFE_E_ARGUMENT, "kfe_engine_statistics: NULL argument");
    kfe_state *state = NULL;
    kfe_error err = kfe_engine_state(engine, &state);
    if (err)
        return err;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    cJSON *root = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(root, "name", "kfe");
    (void)cJSON_AddStringToObject(root, "version", kfe_version());
    (void)cJSON_AddStringToObject(root, "backend", kfe_engine_backend(engine));
    put(root, "time_ms", (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
    put_way(root, "seal", &state->counts.way[1]);
    put_way(root, "open", &state->counts.way[0]);
    put_keys(root, state);
    put_provider(root, state);
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    *json = text != NULL ? strdup(text) : NULL; /* cJSON may have an allocator of its own */
    cJSON_free(text);
    return *json != NULL ? KFE_OK : kfe_fail(KFE_E_MEMORY, "out of memory");
}

/* ---- At an interval ------------------------------------------------------------------------ */

struct kfe_reporter {
    kfe_engine *engine;
    kfe_statistics_cb *report;
    void *arg;
    int64_t interval_ms;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop;
    bool alone; /* it was stopped by its own callback: nobody joins it */
};

/* Of which this is the thread. */
static _Thread_local kfe_reporter *own;

static void add_ms(struct timespec *t, int64_t ms)
{
    t->tv_sec += ms / 1000;
    t->tv_nsec += ms % 1000 * 1000000;
    if (t->tv_nsec >= 1000000000) {
        t->tv_sec++;
        t->tv_nsec -= 1000000000;
    }
}

static void destroy(kfe_reporter *r)
{
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static void *report_on(void *arg)
{
    kfe_reporter *r = arg;
    own = r;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    pthread_mutex_lock(&r->lock);
    while (!r->stop) {
        add_ms(&next, r->interval_ms);
        while (!r->stop && pthread_cond_timedwait(&r->changed, &r->lock, &next) == 0)
            ;
        if (r->stop)
            break;
        pthread_mutex_unlock(&r->lock);
        char *json = NULL;
        if (kfe_engine_statistics(r->engine, &json) == KFE_OK)
            r->report(r->arg, json, strlen(json));
        free(json);
        clock_gettime(CLOCK_MONOTONIC, &next);
        pthread_mutex_lock(&r->lock);
    }
    bool alone = r->alone;
    pthread_mutex_unlock(&r->lock);
    if (alone)
        destroy(r);
    return NULL;
}

void kfe_reporter_stop(kfe_reporter *r)
{
    if (r == NULL)
        return;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    r->alone = r == own;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
    if (r == own) {
        pthread_detach(pthread_self());
        return;
    }
    pthread_join(r->thread, NULL);
    destroy(r);
}

static kfe_error start(kfe_reporter **out, kfe_engine *engine, kfe_statistics_cb *report, void *arg)
{
    kfe_reporter *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    r->engine = engine;
    r->report = report;
    r->arg = arg;
    r->interval_ms = engine->settings.statistics_ms;
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&r->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    /* Signals are the application's: none is to be handled on this thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&r->thread, NULL, report_on, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
        destroy(r);
        return kfe_fail(KFE_E_MEMORY, "no thread for statistics");
    }
    *out = r;
    return KFE_OK;
}

kfe_error kfe_engine_on_statistics(kfe_engine *engine, kfe_statistics_cb *report, void *arg)
{
    if (engine == NULL)
        return kfe_fail(KFE_E_ARGUMENT, "kfe_engine_on_statistics: NULL argument");
    kfe_state *state = NULL;
    kfe_reporter *fresh = NULL;
    kfe_error err = kfe_engine_state(engine, &state);
    if (!err && report != NULL && engine->settings.statistics_ms > 0)
        err = start(&fresh, engine, report, arg);
    if (err)
        return err;
    pthread_mutex_lock(&state->lock);
    kfe_reporter *old = state->reporter;
    state->reporter = fresh;
    pthread_mutex_unlock(&state->lock);
    kfe_reporter_stop(old);
    return KFE_OK;
}
