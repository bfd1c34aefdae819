/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pkcs11/login.h"
#include "pkcs11/parts.h"
#include "pkcs11/rsa.h"

static kfe_error configure(kfe_p11_token *token, const kfe_config *config)
{
    token->pid = getpid();
    kfe_error err = kfe_config_copy(&token->config, config);
    if (err)
        return err;
    token->sessions = (unsigned)kfe_config_number(config, KFE_P11_SESSIONS_OPTION);
    token->timeout_ms = kfe_config_number(config, KFE_P11_TIMEOUT_OPTION);
    token->allow_rsa = kfe_config_flag(config, KFE_P11_ALLOW_RSA_OPTION);
    const char *args = kfe_config_get(config, KFE_P11_INIT_ARGS_OPTION);
    token->init_args = args != NULL ? strdup(args) : NULL;
    if (args != NULL && token->init_args == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for a token");
    return kfe_p11_uri_init(&token->uri,
                            kfe_config_get(config, "encryption.keyprovider.pkcs11.uri"));
}

/* The control thread asks for the PIN. How long its owner takes to type it is not held against the
 * token. With the lock held. */
static void give_pin(kfe_p11_token *token)
{
    uint8_t *pin = token->pin;
    size_t len = 0;
    pthread_mutex_unlock(&token->lock);
    kfe_error err =
        kfe_config_secret(token->config, KFE_P11_PIN_OPTION, pin, KFE_P11_PIN_MAX, &len);
    pthread_mutex_lock(&token->lock);
    token->pin_len = len;
    token->pin_err = err;
    if (err)
        snprintf(token->why, sizeof(token->why), "%s", kfe_error_detail());
    token->pin = NULL;
    pthread_cond_broadcast(&token->changed);
}

static kfe_error connect_first(kfe_p11_token *token)
{
    kfe_error err = KFE_OK;
    pthread_mutex_lock(&token->lock);
    uint64_t until = kfe_p11_milliseconds() + token->timeout_ms;
    while (!err && token->attempts == 0) {
        if (token->pin) {
            give_pin(token);
            until = kfe_p11_milliseconds() + token->timeout_ms;
        } else if (!kfe_p11_wait(token, &token->changed, until) && token->attempts == 0) {
            err = kfe_fail(KFE_E_PROVIDER,
                           "the HSM did not answer within %llu ms: it hangs, or wants a longer "
                           "encryption.keyprovider.pkcs11.timeout.ms",
                           (unsigned long long)token->timeout_ms);
        }
    }
    if (!err && token->broken)
        err = kfe_fail(token->broken, "%s", token->why);
    token->opening = false;
    pthread_cond_broadcast(&token->changed);
    pthread_mutex_unlock(&token->lock);
    return err;
}

kfe_error kfe_p11_token_open(kfe_p11_token **out, const kfe_config *config)
{
    kfe_p11_token *token = calloc(1, sizeof(*token));
    if (!token)
        return kfe_fail(KFE_E_MEMORY, "no memory for a token");
    kfe_error err = configure(token, config);
    if (!err)
        err = kfe_p11_crew_init(token);
    if (err) {
        kfe_p11_uri_wipe(&token->uri);
        free(token->init_args);
        kfe_config_free(token->config);
        free(token);
        return err;
    }
    err = kfe_p11_crew_start(token);
    if (!err)
        err = connect_first(token);
    if (!err) {
        *out = token;
        return KFE_OK;
    }
    char why[KFE_P11_DETAIL_MAX];
    snprintf(why, sizeof(why), "%s", kfe_error_detail());
    kfe_p11_token_close(token);
    return kfe_fail(err, "%s", why);
}

kfe_error kfe_p11_token_ours(const kfe_p11_token *token)
{
    return token->pid == getpid()
               ? KFE_OK
               : kfe_fail(KFE_E_PROVIDER, "the process forked: this provider belongs to the "
                                          "parent, open another one in the child");
}

void kfe_p11_token_stop(kfe_p11_token *token)
{
    if (token->pid != getpid())
        return;
    pthread_mutex_lock(&token->lock);
    kfe_p11_crew_stop(token);
    pthread_mutex_unlock(&token->lock);
}

void kfe_p11_token_close(kfe_p11_token *token)
{
    /* In a child its locks may be held by threads that are not there: it is left alone. */
    if (token->pid != getpid())
        return;
    kfe_p11_crew_stop_and_free(token);
}

void kfe_p11_token_info(kfe_p11_token *token, CK_TOKEN_INFO *out)
{
    pthread_mutex_lock(&token->lock);
    *out = token->info;
    pthread_mutex_unlock(&token->lock);
}

kfe_error kfe_p11_token_read(kfe_p11_token *token, const kfe_p11_task *task, void *arg)
{
    return kfe_p11_job_do(token, task, arg, KFE_P11_BY_WORKER);
}

kfe_error kfe_p11_token_find(kfe_p11_token *token, const kfe_p11_task *task, void *arg)
{
    return kfe_p11_job_do(token, task, arg, KFE_P11_BY_CONTROL);
}

kfe_error kfe_p11_token_write(kfe_p11_token *token, const kfe_p11_task *task, void *arg)
{
    return kfe_p11_job_do(token, task, arg, KFE_P11_WRITING);
}

bool kfe_p11_token_finds(kfe_p11_token *token)
{
    if (token->pid != getpid()) /* its lock may be held by a thread that is not here */
        return true;
    pthread_mutex_lock(&token->lock);
    bool finds = token->stuck_since == 0;
    pthread_mutex_unlock(&token->lock);
    return finds;
}

static bool holds_session(const kfe_p11_token *token, const kfe_p11_worker *worker)
{
    return worker->session != CK_INVALID_HANDLE && worker->epoch == token->epoch &&
           !worker->borrowed;
}

static void counters(const kfe_p11_meter *meter, kfe_key_provider_statistics *out)
{
    for (size_t i = 0; i < KFE_P11_N_KINDS; i++)
        out->calls[i] = atomic_load(&meter->calls[i]);
    for (size_t i = 0; i < KFE_LATENCY_BUCKETS; i++)
        out->latency[i] = atomic_load(&meter->latency[i]);
    out->failures = atomic_load(&meter->failures);
    out->timeouts = atomic_load(&meter->timeouts);
    out->reconnects = atomic_load(&meter->reconnects);
    out->latency_max_us = atomic_load(&meter->latency_max_us);
}

void kfe_p11_token_statistics(kfe_p11_token *token, kfe_key_provider_statistics *out)
{
    counters(&token->meter, out);
    if (token->pid != getpid()) /* its lock may be held by a thread that is not here */
        return;
    pthread_mutex_lock(&token->lock);
    out->breaker = token->breaker.state;
    out->sessions = token->anchor != CK_INVALID_HANDLE ? 1 : 0;
    out->sessions += holds_session(token, &token->control_worker) ? 1 : 0;
    for (size_t i = 0; i < sizeof(token->workers) / sizeof(token->workers[0]); i++)
        out->sessions += holds_session(token, &token->workers[i]) ? 1 : 0;
    pthread_mutex_unlock(&token->lock);
}
