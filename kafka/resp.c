/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/resp.h"

#include <string.h>

typedef struct {
    kfe_error code;
    kfe_fate fate;
    const char *text;
} verdict;

/* Running out of memory or of random numbers, a provider that is down and a full bucket blame no
 * record. Credentials and contradictions do not either, but somebody has to act first. */
static const verdict verdicts[] = {
    {KFE_OK, KFE_FATE_DELIVER, "KFE_OK: not refused"},
    {KFE_E_ARGUMENT, KFE_FATE_STOP, "KFE_E_ARGUMENT: a call broke its contract"},
    {KFE_E_SPACE, KFE_FATE_STOP, "KFE_E_SPACE: a buffer is too small"},
    {KFE_E_CONFIG, KFE_FATE_STOP, "KFE_E_CONFIG: the configuration contradicts itself"},
    {KFE_E_NO_KEY, KFE_FATE_STOP, "KFE_E_NO_KEY: no key is chosen for the record"},
    {KFE_E_RECORD, KFE_FATE_REFUSE, "KFE_E_RECORD: the record has a form that is not allowed"},
    {KFE_E_AUTH, KFE_FATE_REFUSE, "KFE_E_AUTH: the record is malformed or forged"},
    {KFE_E_UNENCRYPTED, KFE_FATE_REFUSE,
     "KFE_E_UNENCRYPTED: the record or its value is in clear where that is not allowed"},
    {KFE_E_SUITE, KFE_FATE_REFUSE,
     "KFE_E_SUITE: the record's suite is not listed in encryption.algorithms"},
    {KFE_E_KEY_UNKNOWN, KFE_FATE_REFUSE, "KFE_E_KEY_UNKNOWN: the KeyProvider knows no such key"},
    {KFE_E_KEY_DESTROYED, KFE_FATE_REFUSE, "KFE_E_KEY_DESTROYED: the record's key is gone"},
    {KFE_E_KEY_DENIED, KFE_FATE_REFUSE, "KFE_E_KEY_DENIED: the record's key may not do this"},
    {KFE_E_KEY_EXHAUSTED, KFE_FATE_REFUSE, "KFE_E_KEY_EXHAUSTED: a session reached its limit"},
    {KFE_E_PROVIDER, KFE_FATE_RETRY, "KFE_E_PROVIDER: the KeyProvider cannot answer now"},
    {KFE_E_BUSY, KFE_FATE_RETRY, "KFE_E_BUSY: too many unproven sessions"},
    {KFE_E_CREDENTIALS, KFE_FATE_STOP, "KFE_E_CREDENTIALS: the PIN or passphrase was refused"},
    {KFE_E_MEMORY, KFE_FATE_RETRY, "KFE_E_MEMORY: out of memory"},
    {KFE_E_RANDOM, KFE_FATE_RETRY, "KFE_E_RANDOM: no random numbers to be had"},
    {KFE_E_BACKEND, KFE_FATE_STOP, "KFE_E_BACKEND: the cipher backend cannot run here"},
    {KFE_E_IO, KFE_FATE_RETRY, "KFE_E_IO: a file cannot be read or written"},
};
enum { N_VERDICTS = sizeof(verdicts) / sizeof(verdicts[0]) };

static const verdict unknown = {KFE_E_ARGUMENT, KFE_FATE_STOP, "unknown error"};

static const verdict *verdict_on(kfe_error error)
{
    for (size_t i = 0; i < N_VERDICTS; i++) {
        if (verdicts[i].code == error)
            return &verdicts[i];
    }
    return &unknown;
}

const char *kfe_resp_text(kfe_error error)
{
    return verdict_on(error)->text;
}

const char *kfe_resp_detail(kfe_error error)
{
    const char *text = kfe_resp_text(error), *colon = strstr(text, ": ");
    return colon != NULL ? colon + 2 : text;
}

kfe_error kfe_resp_code(const void *text)
{
    for (size_t i = 0; i < N_VERDICTS; i++) {
        if (verdicts[i].text == text)
            return verdicts[i].code;
    }
    return text == unknown.text ? unknown.code : KFE_OK;
}

kfe_fate kfe_resp_fate(kfe_error error)
{
    return error == KFE_OK ? KFE_FATE_DELIVER : verdict_on(error)->fate;
}

kfe_error kfe_resp_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char errstr[256] = "";
    if (rd_kafka_conf_set(conf, name, value, errstr, sizeof(errstr)) == RD_KAFKA_CONF_OK)
        return KFE_OK;
    return kfe_fail(KFE_E_CONFIG, "librdkafka: %s", errstr);
}
