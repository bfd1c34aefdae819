/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/rsa_numbers.h"

#include <openssl/core_names.h>

bool rsa_numbers(const EVP_PKEY *key, uint8_t room[RSA_NUMBERS][RSA_NUMBER_MAX], CK_ATTRIBUTE *out)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        const char *name;
    } all[RSA_NUMBERS] = {{CKA_MODULUS, OSSL_PKEY_PARAM_RSA_N},
                          {CKA_PUBLIC_EXPONENT, OSSL_PKEY_PARAM_RSA_E},
                          {CKA_PRIVATE_EXPONENT, OSSL_PKEY_PARAM_RSA_D},
                          [RSA_PRIME] = {CKA_PRIME_1, OSSL_PKEY_PARAM_RSA_FACTOR1},
                          {CKA_PRIME_2, OSSL_PKEY_PARAM_RSA_FACTOR2},
                          {CKA_EXPONENT_1, OSSL_PKEY_PARAM_RSA_EXPONENT1},
                          {CKA_EXPONENT_2, OSSL_PKEY_PARAM_RSA_EXPONENT2},
                          {CKA_COEFFICIENT, OSSL_PKEY_PARAM_RSA_COEFFICIENT1}};
    for (size_t i = 0; i < RSA_NUMBERS; i++) {
        BIGNUM *number = NULL;
        if (EVP_PKEY_get_bn_param(key, all[i].name, &number) != 1)
            return false;
        out[i] =
            (CK_ATTRIBUTE){all[i].type, room[i], (CK_ULONG)(unsigned)BN_bn2bin(number, room[i])};
        BN_clear_free(number);
    }
    return true;
}
