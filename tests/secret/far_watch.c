/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/secret/far.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { CALLS_MAX = 64 };

static struct {
    pthread_mutex_t lock; /* calls come from several threads */
    int plain;
    size_t elsewhere;
    struct {
        const char *name;
        size_t seen[FAR_SECRETS];
    } calls[CALLS_MAX];
    size_t n;
    char wrong[512]; /* "": nothing is */
} watch = {.lock = PTHREAD_MUTEX_INITIALIZER};

static hunt_find finds[HUNT_FINDS_MAX];

static size_t place_of(const char *call)
{
    size_t i = 0;
    while (i < watch.n && strcmp(watch.calls[i].name, call) != 0)
        i++;
    if (i == watch.n && i < CALLS_MAX)
        watch.calls[watch.n++].name = call;
    return i < CALLS_MAX ? i : 0;
}

static int secret_of(const hunt_find *find)
{
    int s = 0;
    while (far_secrets[s] != find->secret)
        s++;
    return s;
}

static void complain(const hunt_find *find, const char *call, bool over)
{
    if (watch.wrong[0] == '\0')
        snprintf(watch.wrong, sizeof(watch.wrong),
                 "%s, at the %s of %s: bytes %zu..%zu at %p in %s, which is not protected",
                 find->secret->name, over ? "end" : "begin", call, find->offset,
                 find->offset + find->len, (const void *)find->at, find->mapping);
}

/* On a thread whose failures are not cmocka's. */
static void look(const char *call, bool over)
{
    pthread_mutex_lock(&watch.lock);
    size_t place = place_of(call), elsewhere = 0, seen[FAR_SECRETS] = {0};
    size_t n = hunt(far_secrets, FAR_SECRETS, finds);
    for (size_t i = 0; i < n && i < HUNT_FINDS_MAX; i++) {
        int s = secret_of(&finds[i]);
        if (hunt_protected(&finds[i]))
            seen[s]++;
        else if (s != watch.plain || ++elsewhere > watch.elsewhere)
            complain(&finds[i], call, over);
    }
    for (int s = 0; s < FAR_SECRETS; s++)
        if (watch.calls[place].seen[s] < seen[s])
            watch.calls[place].seen[s] = seen[s];
    pthread_mutex_unlock(&watch.lock);
}

void far_watch(int plain, size_t elsewhere)
{
    pthread_mutex_lock(&watch.lock);
    memset(watch.calls, 0, sizeof(watch.calls));
    watch.n = 0;
    watch.wrong[0] = '\0';
    watch.plain = plain;
    watch.elsewhere = elsewhere;
    pthread_mutex_unlock(&watch.lock);
    far_token_watch(look);
}

void far_watched(int secret, size_t copies, const char *call)
{
    size_t seen = watch.calls[place_of(call)].seen[secret];
    if (seen < copies)
        fail_msg("%s was seen %zu times in %s, and should have been %zu times",
                 far_secrets[secret]->name, seen, call, copies);
}

void far_watch_end(void)
{
    far_token_watch(NULL);
    if (watch.wrong[0] != '\0')
        fail_msg("%s", watch.wrong);
}
