/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/template.h"

#include <stdlib.h>
#include <string.h>

#include <kfe/keys.h>

enum { PARTS_MAX = 16 };

enum kind { LITERAL, TOPIC, HEADER };

struct part {
    enum kind kind;
    kfe_bytes text; /* a view into the template's own copy: a literal, or a header's name */
};

struct kfe_template {
    size_t n;
    struct part parts[PARTS_MAX];
    char text[];
};

static kfe_bytes view(const char *from, const char *to)
{
    return (kfe_bytes){(const uint8_t *)from, (size_t)(to - from)};
}

/* What stands between `${` and `}`. */
static bool read_variable(const char *from, const char *to, struct part *out)
{
    static const char topic[] = "topic", header[] = "header:";
    size_t len = (size_t)(to - from), prefix = sizeof(header) - 1;
    if (len == sizeof(topic) - 1 && memcmp(from, topic, len) == 0) {
        *out = (struct part){.kind = TOPIC};
        return true;
    }
    if (len <= prefix || memcmp(from, header, prefix) != 0)
        return false;
    *out = (struct part){.kind = HEADER, .text = view(from + prefix, to)};
    return true;
}

/* Reads one part and moves the cursor behind it; false when it is malformed. */
static bool read_part(const char **cursor, struct part *out)
{
    const char *from = *cursor;
    if (strncmp(from, "${", 2) != 0) {
        const char *to = strstr(from, "${");
        *cursor = to != NULL ? to : from + strlen(from);
        *out = (struct part){.kind = LITERAL, .text = view(from, *cursor)};
        return true;
    }
    const char *to = strchr(from, '}');
    if (to == NULL)
        return false;
    *cursor = to + 1;
    return read_variable(from + 2, to, out);
}

static kfe_error parse(kfe_template *template, const char *what)
{
    const char *cursor = template->text;
    while (*cursor != '\0') {
        if (template->n == PARTS_MAX)
            return kfe_fail(KFE_E_CONFIG, "%s: '%s' has more than %d parts", what, template->text,
                            PARTS_MAX);
        if (!read_part(&cursor, &template->parts[template->n]))
            return kfe_fail(KFE_E_CONFIG, "%s: in '%s' only ${topic} and ${header:NAME} are known",
                            what, template->text);
        template->n++;
    }
    return KFE_OK;
}

static bool append(char *out, size_t *len, kfe_bytes text)
{
    if (text.len > KFE_NAME_MAX - *len || (text.len > 0 && memchr(text.data, 0, text.len)))
        return false;
    if (text.len > 0)
        memcpy(out + *len, text.data, text.len);
    *len += text.len;
    out[*len] = '\0';
    return true;
}

/* A text whose fixed parts alone are too long or malformed would fail for every record: told
 * now, by putting the shortest value possible for each variable. */
static kfe_error rehearse(const kfe_template *template, const char *what)
{
    char name[KFE_NAME_MAX + 1] = "";
    size_t len = 0;
    for (size_t i = 0; i < template->n; i++) {
        const struct part *part = &template->parts[i];
        const char *x = "x";
        if (!append(name, &len, part->kind == LITERAL ? part->text : view(x, x + 1)))
            return kfe_fail(KFE_E_CONFIG, "%s: a key's name is longer than %d bytes", what,
                            KFE_NAME_MAX);
    }
    if (kfe_key_name_check(name))
        return kfe_fail(KFE_E_CONFIG, "%s: %s", what, kfe_error_detail());
    return KFE_OK;
}

kfe_error kfe_template_new(kfe_template **out, const char *what, const char *text)
{
    size_t size = strlen(text) + 1;
    kfe_template *template = calloc(1, sizeof(*template) + size);
    if (template == NULL)
        return kfe_fail(KFE_E_MEMORY, "no memory for %s", what);
    memcpy(template->text, text, size);
    kfe_error err = parse(template, what);
    if (!err)
        err = rehearse(template, what);
    if (err) {
        free(template);
        return err;
    }
    *out = template;
    return KFE_OK;
}

void kfe_template_free(kfe_template *template)
{
    free(template);
}

bool kfe_template_reads_headers(const kfe_template *template)
{
    for (size_t i = 0; i < template->n; i++)
        if (template->parts[i].kind == HEADER)
            return true;
    return false;
}

static const kfe_header *find_header(const kfe_record *record, kfe_bytes name)
{
    for (size_t i = 0; i < record->n_headers; i++) {
        const kfe_header *header = &record->headers[i];
        if (header->name.len == name.len && memcmp(header->name.data, name.data, name.len) == 0)
            return header;
    }
    return NULL;
}

static kfe_error header_value(const kfe_record *record, kfe_bytes name, kfe_bytes *out)
{
    const kfe_header *header = find_header(record, name);
    if (header != NULL && header->value.data != NULL && header->value.len > 0) {
        *out = header->value;
        return KFE_OK;
    }
    return kfe_fail(KFE_E_NO_KEY, "header '%.*s', which chooses the key, is %s", (int)name.len,
                    (const char *)name.data,
                    header == NULL               ? "missing"
                    : header->value.data == NULL ? "null"
                                                 : "empty");
}

static kfe_error part_value(const struct part *part, const kfe_record *record, kfe_bytes *out)
{
    switch (part->kind) {
    case LITERAL:
        *out = part->text;
        return KFE_OK;
    case TOPIC:
        *out = record->topic;
        return KFE_OK;
    case HEADER:
        return header_value(record, part->text, out);
    }
    return KFE_OK;
}

static kfe_error expand(const kfe_template *template, const kfe_record *record, char *out)
{
    size_t len = 0;
    for (size_t i = 0; i < template->n; i++) {
        kfe_bytes text = {NULL, 0};
        kfe_error err = part_value(&template->parts[i], record, &text);
        if (err)
            return err;
        if (!append(out, &len, text))
            return kfe_fail(KFE_E_NO_KEY,
                            "the key that '%s' gives for this record is longer than %d bytes or "
                            "has a NUL",
                            template->text, KFE_NAME_MAX);
    }
    /* A constant was checked when it was made. */
    if (template->n == 1 && template->parts[0].kind == LITERAL)
        return KFE_OK;
    if (kfe_key_name_check(out))
        return kfe_fail(KFE_E_NO_KEY, "the key that '%s' gives for this record: %s", template->text,
                        kfe_error_detail());
    return KFE_OK;
}

kfe_error kfe_template_expand(const kfe_template *template, const kfe_record *record,
                              char out[KFE_NAME_MAX + 1])
{
    out[0] = '\0';
    kfe_error err = expand(template, record, out);
    if (err)
        memset(out, 0, KFE_NAME_MAX + 1);
    return err;
}
