/* SPDX-License-Identifier: Apache-2.0 */
/* Is a key, a PIN or plaintext in what is logged? kfe itself logs nothing; librdkafka does.
 * Producer and consumer run with all of its debug contexts, records that are refused and a wrong
 * PIN included, against a mock cluster, with keys in a token. */
#include "tests/secret/far.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum { TEXT_LEN = 32, RECORDS = 20 };

/* Letters, as they are to stand in JSON. */
static void make_text(int secret, char text[TEXT_LEN + 1])
{
    far_require(getrandom(text, TEXT_LEN, 0) == TEXT_LEN);
    for (int i = 0; i < TEXT_LEN; i++)
        text[i] = (char)('a' + (unsigned char)text[i] % 26);
    text[TEXT_LEN] = '\0';
    hunt_set(far_secrets[secret], text, TEXT_LEN);
}

static void make_records(void *unused)
{
    char path[160], key[TEXT_LEN + 1], value[TEXT_LEN + 1], header[TEXT_LEN + 1];
    (void)unused;
    snprintf(path, sizeof(path), "%s/records.json", kit_dir());
    FILE *file = fopen(path, "w");
    far_require(file != NULL);
    make_text(FAR_MOVED, key);
    make_text(FAR_DATA, value);
    make_text(FAR_MAC, header);
    for (int i = 0; i < RECORDS; i++)
        fprintf(file, "{\"key\":\"%s\",\"value\":\"%s\",\"headers\":[[\"h\",\"%s\"]]}\n", key,
                value, header);
    far_require(fclose(file) == 0);
}

/* The records came through, and the log is a loud one. */
static const char script[] =
    "set -e\n"
    "all='-X debug=all -X enable.auto.commit=false'\n"
    "mkfifo mock.in mock.out\n"
    "exec 7<>mock.in\n" KFE_TEST_MOCK " logs:1 <mock.in >mock.out 7<&- & mock=$!\n"
    "read -r brokers <mock.out\n"
    "run() { verb=$1 conf=$2; shift 2\n" KFE_TEST_COMMAND
    " $verb -b $brokers -t logs -F kfe-$conf.conf $all \"$@\" 2>>log; }\n"
    "run produce right <records.json\n"
    "run consume right -e >opened.json\n"
    "[ \"$(grep -c '\"value\":\"[a-z]*\"' opened.json)\" = 20 ]\n"
    "echo '{\"value\":\"clear\"}' | run produce right -X encryption.unencrypted.topics=logs\n"
    "! run consume right -e >opened.json\n"
    "! run produce wrong <records.json\n"
    "! run consume wrong -e >opened.json\n"
    "for word in MSGSET FETCH PRODUCE KFE_E_UNENCRYPTED KFE_E_CREDENTIALS; do grep -q $word log; "
    "done\n"
    "kill $mock\n"
    "cat log\n";

static void at_its_loudest(void **state)
{
    static const char manager[] = "encryption.keymanager.class=topic\n"
                                  "encryption.keymanager.default.key=derived\n"
                                  "encryption.encrypt.keys=true\n";
    (void)state;
    hunt_child(make_records, NULL);
    far_token_conf(KFE_TEST_SOFTHSM, "right", manager);
    far_token_conf(KFE_TEST_SOFTHSM, "wrong", manager);
    far_say_what(script);
    far_nothing_was_said();
}

static void must_be_said(void *unused)
{
    (void)unused;
    far_require(far_is_said());
}

/* Were it there, it would be seen. */
static void plaintext_is_found(void **state)
{
    (void)state;
    far_say_what("tail -n 1 records.json");
    hunt_child(must_be_said, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_its_loudest),
        cmocka_unit_test(plaintext_is_found),
    };
    return cmocka_run_group_tests(tests, far_begin, NULL);
}
