/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pkcs11/uri.h"

#define OPTION "encryption.keyprovider.pkcs11.uri"

/* p11-kit lets the last of two equal attributes win without a word: with two tokens or two
 * modules written down, somebody would be wrong about which one is used. */
static bool repeats(const char *text)
{
    const char *stop = ":;?&";
    for (const char *a = text + strcspn(text, stop); *a != '\0'; a += 1 + strcspn(a + 1, stop)) {
        size_t len = strcspn(a + 1, "=:;?&");
        if (len == 0)
            continue;
        const char *b = a + 1 + strcspn(a + 1, stop);
        for (; *b != '\0'; b += 1 + strcspn(b + 1, stop)) {
            if (strncmp(a + 1, b + 1, len) == 0 && strcspn(b + 1, "=:;?&") == len)
                return true;
        }
    }
    return false;
}

static bool names_slot_or_library(P11KitUri *parsed)
{
    const CK_SLOT_INFO *slot = p11_kit_uri_get_slot_info(parsed);
    const CK_INFO *library = p11_kit_uri_get_module_info(parsed);
    return p11_kit_uri_get_slot_id(parsed) != (CK_SLOT_ID)-1 || slot->slotDescription[0] != 0 ||
           slot->manufacturerID[0] != 0 || library->libraryDescription[0] != 0 ||
           library->manufacturerID[0] != 0 || library->libraryVersion.major != (CK_BYTE)-1;
}

/* An empty attribute comes padded to spaces and would match tokens without a label. */
static bool is_set(const unsigned char *padded)
{
    return padded[0] != 0 && padded[0] != ' ';
}

static const char *flaw(P11KitUri *parsed, const char *text)
{
    if (p11_kit_uri_any_unrecognized(parsed))
        return "has an unknown attribute, or a value that is malformed or too long (a token "
               "label has at most 32 bytes)";
    if (p11_kit_uri_get_pin_value(parsed) || p11_kit_uri_get_pin_source(parsed))
        return "must not carry a PIN: take pin-value and pin-source out and set "
               "encryption.keyprovider.pkcs11.pin to env:NAME or file:PATH";
    CK_ULONG objects = 0;
    p11_kit_uri_get_attributes(parsed, &objects);
    if (objects > 0)
        return "names an object: leave out object, id and type, keys are found by their name";
    if (names_slot_or_library(parsed))
        return "names a slot or a library: use token or serial instead, slots move";
    if (p11_kit_uri_get_module_name(parsed))
        return "has module-name: give module-path instead";
    if (repeats(text))
        return "gives an attribute twice";
    const char *path = p11_kit_uri_get_module_path(parsed);
    if (!path || path[0] != '/')
        return "needs ?module-path=/ABSOLUTE/PATH of the PKCS#11 module";
    const CK_TOKEN_INFO *token = p11_kit_uri_get_token_info(parsed);
    if (!is_set(token->label) && !is_set(token->serialNumber))
        return "must name the token: pkcs11:token=LABEL or serial=NUMBER";
    return NULL;
}

kfe_error kfe_p11_uri_init(kfe_p11_uri *uri, const char *text)
{
    *uri = (kfe_p11_uri){NULL, NULL};
    if (!text)
        return kfe_fail(KFE_E_CONFIG, OPTION " is not set");
    P11KitUri *parsed = p11_kit_uri_new();
    if (!parsed)
        return kfe_fail(KFE_E_MEMORY, "no memory for " OPTION);
    if (p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, parsed) != P11_KIT_URI_OK) {
        p11_kit_uri_free(parsed);
        return kfe_fail(KFE_E_CONFIG, OPTION " is no PKCS#11 URI (RFC 7512)");
    }
    const char *wrong = flaw(parsed, text);
    if (wrong) {
        p11_kit_uri_free(parsed);
        return kfe_fail(KFE_E_CONFIG, OPTION " %s", wrong);
    }
    uri->parsed = parsed;
    uri->module_path = p11_kit_uri_get_module_path(parsed);
    return KFE_OK;
}

void kfe_p11_uri_wipe(kfe_p11_uri *uri)
{
    p11_kit_uri_free(uri->parsed);
    *uri = (kfe_p11_uri){NULL, NULL};
}

bool kfe_p11_uri_matches(const kfe_p11_uri *uri, const CK_TOKEN_INFO *token)
{
    return p11_kit_uri_match_token_info(uri->parsed, token) == 1;
}

/* Of a key in the token, or of the token alone (no attributes). */
static void write_uri(const CK_TOKEN_INFO *token, CK_ATTRIBUTE *key, CK_ULONG n, char *out,
                      size_t cap)
{
    out[0] = '\0';
    P11KitUri *uri = p11_kit_uri_new();
    if (!uri)
        return;
    CK_TOKEN_INFO *where = p11_kit_uri_get_token_info(uri);
    memcpy(where->label, token->label, sizeof(where->label));
    memcpy(where->serialNumber, token->serialNumber, sizeof(where->serialNumber));
    char *text = NULL;
    if (p11_kit_uri_set_attributes(uri, key, n) == P11_KIT_URI_OK &&
        p11_kit_uri_format(uri, P11_KIT_URI_FOR_OBJECT | P11_KIT_URI_FOR_TOKEN, &text) ==
            P11_KIT_URI_OK)
        snprintf(out, cap, "%s", text);
    free(text);
    p11_kit_uri_free(uri);
}

void kfe_p11_uri_of_token(const CK_TOKEN_INFO *token, char *out, size_t cap)
{
    write_uri(token, NULL, 0, out, cap);
}

void kfe_p11_uri_of_key(const CK_TOKEN_INFO *token, CK_OBJECT_CLASS class, const char *name,
                        const kfe_p11_id *id, char *out, size_t cap)
{
    CK_ATTRIBUTE key[] = {{CKA_CLASS, &class, sizeof(class)},
                          {CKA_LABEL, (void *)(uintptr_t)name, strlen(name)},
                          {CKA_ID, (void *)(uintptr_t)id->bytes, id->len}};
    write_uri(token, key, 3, out, cap);
}
