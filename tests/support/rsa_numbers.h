/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SUPPORT_RSA_NUMBERS_H
#define TESTS_SUPPORT_RSA_NUMBERS_H

/* The numbers of an RSA key that OpenSSL made, as the attributes that bring it into a token. */

#include <stdbool.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <p11-kit/pkcs11.h>

enum {
    RSA_NUMBERS = 8,      /* modulus, both exponents, primes, their exponents, coefficient */
    RSA_PRIME = 3,        /* where the first prime is */
    RSA_NUMBER_MAX = 512, /* bytes of one, for keys of 4096 bits at most */
};

/* Fills `out` with RSA_NUMBERS attributes whose values are in `room`. False: the key lacks one. */
bool rsa_numbers(const EVP_PKEY *key, uint8_t room[RSA_NUMBERS][RSA_NUMBER_MAX], CK_ATTRIBUTE *out);

#endif
