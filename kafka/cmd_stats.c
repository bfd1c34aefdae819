/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/cmd_stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

enum { CALLS = 10, BATCH = 100, VALUE = 256 };

static void report(void *arg, const char *json, size_t len)
{
    (void)arg;
    (void)len;
    fprintf(stderr, "%s\n", json);
}

kfe_error kfe_cmd_stats_report(kfe_engine *engine)
{
    return kfe_engine_on_statistics(engine, report, NULL);
}

typedef kfe_error call(kfe_engine *, const kfe_record *, kfe_record *, size_t, void *, size_t,
                       unsigned);

static kfe_error run(kfe_engine *engine, call *f, kfe_record *records, size_t space)
{
    void *room = malloc(space);
    if (room == NULL)
        return kfe_fail(KFE_E_MEMORY, "out of memory");
    kfe_record *out = calloc(BATCH, sizeof(*out));
    kfe_error err = out == NULL ? kfe_fail(KFE_E_MEMORY, "out of memory")
                                : f(engine, records, out, BATCH, room, space, 0);
    if (!err && f == kfe_seal)
        err = run(engine, kfe_open, out, kfe_open_space(out, BATCH, 0));
    free(out);
    free(room);
    return err;
}

static kfe_error try_records(kfe_engine *engine)
{
    static const uint8_t value[VALUE];
    kfe_record records[BATCH] = {0};
    for (size_t i = 0; i < BATCH; i++) {
        records[i].topic = (kfe_bytes){(const uint8_t *)"kfe.doctor", 10};
        records[i].key = (kfe_bytes){value, 16};
        records[i].value = (kfe_bytes){value, VALUE};
        records[i].partition = -1;
    }
    kfe_error err = KFE_OK;
    for (int i = 0; !err && i < CALLS; i++)
        err = run(engine, kfe_seal, records, kfe_seal_space(records, BATCH, 0));
    return err;
}

static kfe_error print(kfe_engine *engine)
{
    char *line = NULL;
    kfe_error err = kfe_engine_statistics(engine, &line);
    if (err)
        return err;
    cJSON *json = cJSON_Parse(line);
    char *text = cJSON_Print(json);
    puts(text != NULL ? text : line);
    cJSON_free(text);
    cJSON_Delete(json);
    free(line);
    return KFE_OK;
}

kfe_error kfe_cmd_stats_try(kfe_engine *engine)
{
    char detail[256];
    kfe_error tried = try_records(engine);
    snprintf(detail, sizeof(detail), "%s", kfe_error_detail());
    kfe_error err = print(engine);
    return tried ? kfe_fail(tried, "%s", detail) : err;
}
