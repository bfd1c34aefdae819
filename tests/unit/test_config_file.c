/* SPDX-License-Identifier: Apache-2.0 */
/* Are configuration files read as documented, and secrets only from where they are safe? */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <kfe/config.h>

#define PIN "encryption.keyprovider.pkcs11.pin"
#define SAYS(word) assert_non_null(strstr(kfe_error_detail(), word))

static char folder[64];
static kfe_config *config;

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/kfe-config-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    return kfe_config_new(&config) ? -1 : 0;
}

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"file", "link", "fifo"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        unlink(path_of(names[i]));
    kfe_config_free(config);
    return rmdir(folder);
}

static void write_bytes(const void *bytes, size_t len, mode_t mode)
{
    unlink(path_of("file")); /* it may be read-only */
    int file = open(path_of("file"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, len), (ssize_t)len);
    assert_int_equal(fchmod(file, mode), 0);
    close(file);
}

static void write_text(const char *text, mode_t mode)
{
    write_bytes(text, strlen(text), mode);
}

/* ---- Files of options --------------------------------------------------------------- */

static char others[256];

static kfe_error collect(void *arg, const char *name, const char *value)
{
    assert_ptr_equal(arg, others);
    snprintf(others + strlen(others), sizeof(others) - strlen(others), "[%s|%s]", name, value);
    return KFE_OK;
}

static kfe_error load(void)
{
    others[0] = '\0';
    return kfe_config_load(config, path_of("file"), collect, others);
}

static void lines_are_cut_and_comments_left_out(void **state)
{
    (void)state;
    write_text("\xef\xbb\xbf"
               "# a comment\n"
               "\n"
               "  \t \n"
               "  # another = one\n"
               "encryption.scope=record\n"
               " encryption.commit \t=  true \r\n"
               "encryption.keymanager.topics = a=b;c\\==d # no comment \n"
               "bootstrap.servers = one:9092,two:9092\n"
               "empty.value=\n"
               "encryption.backend=openssl",
               0644);
    assert_int_equal(load(), KFE_OK);
    assert_string_equal(kfe_config_get(config, "encryption.scope"), "record");
    assert_true(kfe_config_flag(config, "encryption.commit"));
    assert_string_equal(kfe_config_get(config, "encryption.keymanager.topics"),
                        "a=b;c\\==d # no comment");
    assert_string_equal(kfe_config_get(config, "encryption.backend"), "openssl");
    assert_string_equal(others, "[bootstrap.servers|one:9092,two:9092][empty.value|]");
}

static void an_error_tells_file_and_line(void **state)
{
    (void)state;
    static const char *const broken[][2] = {
        {"\n\nencryption.scope=galaxy\n", "/file:3: encryption.scope: 'galaxy'"},
        {"encryption.scop=field\n", "/file:1: there is no option"},
        {"\nsasl.password hunter2\n", "/file:2: the line is not of the form name=value"},
        {"=hunter2\n", "/file:1: the line is not of the form name=value"},
        {"encryption.scope=field\nencryption.keyprovider-class=file\n"
         "encryption.keyprovider.class=file\n",
         "/file:3: encryption.keyprovider.class is set both"},
        {PIN "=hunter2\n", "/file:1: " PIN " is never given literally"},
    };
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
        write_text(broken[i][0], 0600);
        assert_int_equal(load(), KFE_E_CONFIG);
        SAYS(broken[i][1]);
        assert_null(strstr(kfe_error_detail(), "hunter2"));
    }
}

static void a_file_with_nul_is_refused(void **state)
{
    (void)state;
    write_bytes("encryption.scope=field\0x\n", 25, 0600);
    assert_int_equal(load(), KFE_E_CONFIG);
    SAYS("NUL");
}

static void long_lines_are_read(void **state)
{
    (void)state;
    static char text[100000];
    snprintf(text, sizeof(text), "encryption.keyprovider.vault.url=");
    size_t prefix = strlen(text);
    memset(text + prefix, 'u', sizeof(text) - prefix - 1);
    write_text(text, 0600);
    assert_int_equal(load(), KFE_OK);
    assert_string_equal(kfe_config_get(config, "encryption.keyprovider.vault.url"), text + prefix);
}

static void other_names_need_somebody_who_takes_them(void **state)
{
    (void)state;
    write_text("client.id=x\n", 0600);
    assert_int_equal(kfe_config_load(config, path_of("file"), NULL, NULL), KFE_E_CONFIG);
    SAYS("client.id");
}

static kfe_error refuse(void *arg, const char *name, const char *value)
{
    (void)arg;
    (void)value;
    return kfe_fail(KFE_E_ARGUMENT, "no such property: %s", name);
}

static void what_the_other_says_goes_through(void **state)
{
    (void)state;
    write_text("encryption.scope=record\nclient.idd=x\n", 0600);
    assert_int_equal(kfe_config_load(config, path_of("file"), refuse, NULL), KFE_E_ARGUMENT);
    SAYS("file:2: no such property: client.idd");
}

static void a_file_that_cannot_be_read_is_told(void **state)
{
    (void)state;
    assert_int_equal(load(), KFE_E_IO);
    SAYS("No such file");
    assert_int_equal(kfe_config_load(config, folder, collect, others), KFE_E_IO);
    SAYS("directory");
    assert_int_equal(kfe_config_load(config, NULL, collect, others), KFE_E_ARGUMENT);
}

/* ---- Secrets ------------------------------------------------------------------------ */

static uint8_t out[32];
static size_t len;

static kfe_error fetch(void)
{
    memset(out, 0xaa, sizeof(out));
    len = 77;
    return kfe_config_secret(config, PIN, out, sizeof(out), &len);
}

static void assert_secret(const char *expected)
{
    assert_int_equal(fetch(), KFE_OK);
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(out, expected, len);
}

static void assert_no_secret(kfe_error error, const char *word)
{
    static const uint8_t zero[sizeof(out)];
    assert_int_equal(fetch(), error);
    assert_int_equal(len, 0);
    assert_memory_equal(out, zero, sizeof(out));
    SAYS(PIN);
    SAYS(word);
    assert_null(strstr(kfe_error_detail(), "1234"));
}

static void point_to(const char *name)
{
    char value[160];
    snprintf(value, sizeof(value), "file:%s", path_of(name));
    assert_int_equal(kfe_config_set(config, PIN, value), KFE_OK);
}

static void a_secret_stands_in_the_environment(void **state)
{
    (void)state;
    assert_int_equal(kfe_config_set(config, PIN, "env:KFE_TEST_PIN"), KFE_OK);
    setenv("KFE_TEST_PIN", "1234\n", 1); /* taken as it is */
    assert_secret("1234\n");
    setenv("KFE_TEST_PIN", "", 1);
    assert_no_secret(KFE_E_CONFIG, "empty");
    setenv("KFE_TEST_PIN", "12341234123412341234123412341234x", 1);
    assert_no_secret(KFE_E_CONFIG, "longer than 32");
    unsetenv("KFE_TEST_PIN");
    assert_no_secret(KFE_E_CONFIG, "KFE_TEST_PIN");
}

static void a_secret_stands_in_a_file(void **state)
{
    (void)state;
    point_to("file");
    write_text("1234\n", 0600);
    assert_secret("1234");
    write_text("1234", 0400);
    assert_secret("1234");
    write_text("1234 \r\n", 0600);
    assert_secret("1234 ");
    write_text("12\n34\n\n", 0600); /* one line end only */
    assert_secret("12\n34\n");
    write_text("12341234123412341234123412341234\n", 0600);
    assert_secret("12341234123412341234123412341234");
}

static void a_link_is_followed(void **state)
{
    (void)state;
    char target[128];
    write_text("1234\n", 0600);
    snprintf(target, sizeof(target), "%s", path_of("file"));
    assert_int_equal(symlink(target, path_of("link")), 0);
    point_to("link");
    assert_secret("1234");
}

static void a_file_that_others_reach_is_refused(void **state)
{
    (void)state;
    point_to("file");
    /* What root owns may be read by its group. */
    static const mode_t open_to_others[] = {0604, 0602, 0601, 0620, 0644, 0666, 0444};
    for (size_t i = 0; i < sizeof(open_to_others) / sizeof(*open_to_others); i++) {
        write_text("1234\n", open_to_others[i]);
        assert_no_secret(KFE_E_CONFIG, "open to others");
    }
    write_text("1234\n", 0640);
    if (geteuid() == 0)
        assert_secret("1234");
    else
        assert_no_secret(KFE_E_CONFIG, "open to others");
}

static void a_file_of_another_user_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    point_to("file");
    write_text("1234\n", 0600);
    assert_int_equal(chown(path_of("file"), 12345, 0), 0);
    assert_no_secret(KFE_E_CONFIG, "another user");
}

static void what_is_no_good_file_is_refused(void **state)
{
    (void)state;
    point_to("file");
    assert_no_secret(KFE_E_IO, "No such file");
    write_text("", 0600);
    assert_no_secret(KFE_E_CONFIG, "empty");
    write_text("\r\n", 0600);
    assert_no_secret(KFE_E_CONFIG, "empty");
    write_text("12341234123412341234123412341234x\n", 0600);
    assert_no_secret(KFE_E_CONFIG, "longer than 32");
    static char large[5000];
    memset(large, 'x', sizeof(large));
    write_bytes(large, sizeof(large), 0600);
    assert_no_secret(KFE_E_CONFIG, "longer than");
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    point_to("fifo");
    assert_no_secret(KFE_E_CONFIG, "not a regular file");
    point_to("");
    assert_no_secret(KFE_E_CONFIG, "not a regular file");
}

static long answer;

static long ask(void *arg, const char *option, uint8_t *to, size_t cap)
{
    assert_ptr_equal(arg, &answer);
    assert_string_equal(option, PIN);
    assert_int_equal(cap, sizeof(out));
    memcpy(to, "1234", 4);
    return answer;
}

static void somebody_may_be_asked(void **state)
{
    (void)state;
    assert_no_secret(KFE_E_CONFIG, "not set");
    kfe_config_on_secret(config, ask, &answer);
    answer = 4;
    assert_secret("1234");
    answer = -1;
    assert_no_secret(KFE_E_CREDENTIALS, "asked");
    answer = 0;
    assert_no_secret(KFE_E_CREDENTIALS, "asked");
    answer = sizeof(out) + 1;
    assert_no_secret(KFE_E_CREDENTIALS, "asked");
    kfe_config *copy = NULL;
    answer = 4;
    assert_int_equal(kfe_config_copy(&copy, config), KFE_OK);
    assert_int_equal(kfe_config_secret(copy, PIN, out, sizeof(out), &len), KFE_OK);
    assert_int_equal(len, 4);
    kfe_config_free(copy);
    /* What is set is not asked for. */
    answer = 4;
    assert_int_equal(kfe_config_set(config, PIN, "env:KFE_TEST_PIN"), KFE_OK);
    assert_no_secret(KFE_E_CONFIG, "KFE_TEST_PIN");
}

static void no_secret_is_literal_and_none_is_quoted(void **state)
{
    (void)state;
    assert_int_equal(kfe_config_set(config, PIN, "1234"), KFE_E_CONFIG);
    SAYS("env:NAME or file:PATH");
    assert_null(strstr(kfe_error_detail(), "1234"));
    assert_null(kfe_config_get(config, PIN));
    /* One of a class of somebody else's is looked at when it is fetched. */
    assert_int_equal(kfe_config_set(config, "encryption.keyprovider.vault.token", "1234"), KFE_OK);
    assert_int_equal(
        kfe_config_secret(config, "encryption.keyprovider.vault.token", out, sizeof(out), &len),
        KFE_E_CONFIG);
    SAYS("env:NAME or file:PATH");
    assert_null(strstr(kfe_error_detail(), "1234"));
    assert_int_equal(kfe_config_secret(config, PIN, NULL, 0, &len), KFE_E_ARGUMENT);
}

int main(void)
{
#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(lines_are_cut_and_comments_left_out),
        WITH_FOLDER(an_error_tells_file_and_line),
        WITH_FOLDER(a_file_with_nul_is_refused),
        WITH_FOLDER(long_lines_are_read),
        WITH_FOLDER(other_names_need_somebody_who_takes_them),
        WITH_FOLDER(what_the_other_says_goes_through),
        WITH_FOLDER(a_file_that_cannot_be_read_is_told),
        WITH_FOLDER(a_secret_stands_in_the_environment),
        WITH_FOLDER(a_secret_stands_in_a_file),
        WITH_FOLDER(a_link_is_followed),
        WITH_FOLDER(a_file_that_others_reach_is_refused),
        WITH_FOLDER(a_file_of_another_user_is_refused),
        WITH_FOLDER(what_is_no_good_file_is_refused),
        WITH_FOLDER(somebody_may_be_asked),
        WITH_FOLDER(no_secret_is_literal_and_none_is_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
