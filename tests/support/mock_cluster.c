/* SPDX-License-Identifier: Apache-2.0 */

/* librdkafka's mock cluster as a program of its own: makes the topics, prints its bootstrap
 * servers on one line, and lives until stdin is closed or a SIGTERM or SIGINT comes.
 *
 *     mock_cluster [TOPIC:PARTITIONS]...
 *
 * It keeps at most 5 MiB of each partition and drops older data silently. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static void catch_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

static int make_topic(rd_kafka_mock_cluster_t *cluster, const char *argument)
{
    const char *colon = strrchr(argument, ':');
    long partitions = colon != NULL ? strtol(colon + 1, NULL, 10) : 0;
    if (partitions < 1 || partitions > 1000) {
        fprintf(stderr, "mock_cluster: %s is no TOPIC:PARTITIONS\n", argument);
        return 1;
    }
    char *name = strndup(argument, (size_t)(colon - argument));
    rd_kafka_resp_err_t err = rd_kafka_mock_topic_create(cluster, name, (int)partitions, 1);
    free(name);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        fprintf(stderr, "mock_cluster: %s: %s\n", argument, rd_kafka_err2str(err));
    return err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void wait_for_end(void)
{
    char byte;
    while (!stopped) {
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got == 0 || (got < 0 && errno != EINTR))
            return;
    }
}

int main(int argc, char **argv)
{
    char why[256];
    catch_signals();
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, NULL); /* it would warn that it has no brokers itself */
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (rk == NULL) {
        fprintf(stderr, "mock_cluster: %s\n", why);
        return 1;
    }
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(rk, 1);
    int failed = cluster == NULL;
    for (int i = 1; i < argc && !failed; i++)
        failed = make_topic(cluster, argv[i]);
    if (!failed) {
        puts(rd_kafka_mock_cluster_bootstraps(cluster));
        fflush(stdout);
        wait_for_end();
    }
    if (cluster != NULL)
        rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(rk);
    return failed;
}
