/* SPDX-License-Identifier: Apache-2.0 */
/* Is our plain GHASH the standard's? What OpenSSL's backend makes of it, with prefixes, is compared
 * with EVP in test_gcm_api.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/openssl/ghash.h"

static void unhex(const char *hex, uint8_t *out)
{
    for (; hex[0] != '\0'; hex += 2) {
        char two[] = {hex[0], hex[1], '\0'};
        *out++ = (uint8_t)strtoul(two, NULL, 16);
    }
}

/* McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B: H, then AAD, text and
 * lengths as they are hashed, then GHASH. Test cases 2, 4, 10 and 16. */
static const char *const cases[][3] = {
    {"66e94bd4ef8a2c3b884cfa59ca342b2e",
     "0388dace60b6a392f328c2b971b2fe78"
     "00000000000000000000000000000080",
     "f38cbb1ad69223dcc3457ae5b6b0f885"},
    {"b83b533708bf535d0aa6e52980d53b78",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2000000000000000000000000"
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
     "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e09100000000"
     "00000000000000a000000000000001e0",
     "698e57f70e6ecc7fd9463b7260a9ae5f"},
    {"466923ec9ae682214f2c082badb39249",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2000000000000000000000000"
     "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c"
     "7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda271000000000"
     "00000000000000a000000000000001e0",
     "ed2ce3062e4a8ec06db8b4c490e8a268"},
    {"acbef20579b4b8ebce889bac8732dad7",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2000000000000000000000000"
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66200000000"
     "00000000000000a000000000000001e0",
     "8bd0c4d8aacd391e67cca447e8c38f65"},
};

static void published_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint8_t h[16], data[256], expected[16], sum[16] = {0};
        unhex(cases[i][0], h);
        unhex(cases[i][1], data);
        unhex(cases[i][2], expected);
        size_t blocks = strlen(cases[i][1]) / 32;
        for (size_t first = 0; first <= blocks; first++) {
            memset(sum, 0, sizeof(sum));
            kfe_ghash(h, sum, data, first);
            kfe_ghash(h, sum, data + 16 * first, blocks - first);
            assert_memory_equal(sum, expected, 16);
        }
    }
}

static void blocks_of_zeros(void **state)
{
    (void)state;
    static const uint8_t zeros[300 * 16];
    uint8_t h[16], start[16];
    unhex(cases[1][0], h);
    unhex(cases[1][2], start);
    for (size_t n = 0; n <= 300; n++) {
        uint8_t one[16], other[16];
        memcpy(one, start, 16);
        memcpy(other, start, 16);
        kfe_ghash(h, one, zeros, n);
        kfe_ghash_zeros(h, other, n);
        assert_memory_equal(one, other, 16);
    }
    uint8_t once[16], twice[16]; /* a way that no loop over blocks could go */
    memcpy(once, start, 16);
    memcpy(twice, start, 16);
    kfe_ghash_zeros(h, once, UINT64_C(3) << 40);
    kfe_ghash_zeros(h, twice, UINT64_C(1) << 40);
    kfe_ghash_zeros(h, twice, UINT64_C(1) << 41);
    assert_memory_equal(once, twice, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_values),
        cmocka_unit_test(blocks_of_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
