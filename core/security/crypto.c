/* libcrypto behind a few functions. */
#include "core/security/crypto_priv.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/uuid.h"

enum { NONCE_SIZE = 12, TAG_SIZE = 16, SCRYPT_MEMORY_MAX = 256 << 20 };

static const EVP_MD *md_of(enum security__digest digest)
{
    return digest == SECURITY__SHA256 ? EVP_sha256() : EVP_sha512();
}

size_t security__digest_size(enum security__digest digest)
{
    return digest == SECURITY__SHA256 ? SECURITY__SHA256_SIZE : SECURITY__DIGEST_SIZE_MAX;
}

void security__hash(enum security__digest digest, struct base_slice data, uint8_t *out)
{
    unsigned size = 0;
    int done = EVP_Digest(data.data, data.length, out, &size, md_of(digest), NULL);
    BASE_ASSERT(done == 1);
    BASE_ASSERT(size == security__digest_size(digest));
}

void security__hmac(enum security__digest digest, struct base_slice key, struct base_slice data,
                    uint8_t *out)
{
    unsigned size = 0;
    BASE_ASSERT(key.length <= INT32_MAX);
    /* A NULL key would mean "the one of before". */
    const void *bytes = key.data == NULL ? (const void *)"" : key.data;
    const uint8_t *done =
        HMAC(md_of(digest), bytes, (int)key.length, data.data, data.length, out, &size);
    BASE_ASSERT(done != NULL);
    BASE_ASSERT(size == security__digest_size(digest));
}

enum base_err security__pbkdf2(enum security__digest digest, struct base_slice password,
                               struct base_slice salt, int iterations, uint8_t *out)
{
    BASE_ASSERT(password.length <= INT32_MAX && salt.length <= INT32_MAX);
    int done = PKCS5_PBKDF2_HMAC((const char *)password.data, (int)password.length, salt.data,
                                 (int)salt.length, iterations, md_of(digest),
                                 (int)security__digest_size(digest), out);
    return done == 1 ? BASE_ERR_OK : BASE_ERR_NOMEM;
}

enum base_err security__scrypt(struct base_slice password, struct base_slice salt, uint64_t n,
                               uint64_t r, uint64_t p, uint8_t *out, size_t size)
{
    int done = EVP_PBE_scrypt((const char *)password.data, password.length, salt.data, salt.length,
                              n, r, p, SCRYPT_MEMORY_MAX, out, size);
    return done == 1 ? BASE_ERR_OK : BASE_ERR_NOMEM;
}

enum base_err security__seal(const uint8_t key[32], struct base_slice context,
                             struct base_slice plain, uint8_t *out)
{
    int length = 0;

    BASE_ASSERT(plain.length <= INT32_MAX && context.length <= INT32_MAX);
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    if (cipher == NULL) {
        return BASE_ERR_NOMEM;
    }
    base_random_bytes(out, NONCE_SIZE);
    bool done =
        EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, out) == 1 &&
        EVP_EncryptUpdate(cipher, NULL, &length, context.data, (int)context.length) == 1 &&
        EVP_EncryptUpdate(cipher, out + NONCE_SIZE, &length, plain.data, (int)plain.length) == 1 &&
        EVP_EncryptFinal_ex(cipher, out + NONCE_SIZE + plain.length, &length) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_SIZE,
                            out + NONCE_SIZE + plain.length) == 1;
    EVP_CIPHER_CTX_free(cipher);
    return done ? BASE_ERR_OK : BASE_ERR_NOMEM;
}

enum base_err security__unseal(const uint8_t key[32], struct base_slice context,
                               struct base_slice sealed, uint8_t *out)
{
    uint8_t tag[TAG_SIZE];
    int length = 0;

    if (sealed.length < SECURITY__SEAL_OVERHEAD || sealed.length > INT32_MAX) {
        return BASE_ERR_CORRUPT;
    }
    size_t plain_length = sealed.length - SECURITY__SEAL_OVERHEAD;
    memcpy(tag, sealed.data + NONCE_SIZE + plain_length, sizeof tag);
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    if (cipher == NULL) {
        return BASE_ERR_NOMEM;
    }
    bool done =
        EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, sealed.data) == 1 &&
        EVP_DecryptUpdate(cipher, NULL, &length, context.data, (int)context.length) == 1 &&
        EVP_DecryptUpdate(cipher, out, &length, sealed.data + NONCE_SIZE, (int)plain_length) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag) == 1 &&
        EVP_DecryptFinal_ex(cipher, out + plain_length, &length) == 1;
    EVP_CIPHER_CTX_free(cipher);
    if (!done) {
        security__wipe(out, plain_length);
    }
    return done ? BASE_ERR_OK : BASE_ERR_CORRUPT;
}

bool security__equal(const void *a, const void *b, size_t length)
{
    return CRYPTO_memcmp(a, b, length) == 0;
}

void security__wipe(void *data, size_t length)
{
    OPENSSL_cleanse(data, length);
}

void security__hex(const void *data, size_t length, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * length] = '\0';
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool security__unhex(const char *text, size_t length, uint8_t *out)
{
    if (text == NULL || strlen(text) != 2 * length) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        int high = digit_value(text[2 * i]);
        int low = digit_value(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void security__random_id(char out[SECURITY__ID_LENGTH + 1])
{
    uint8_t bytes[SECURITY__ID_LENGTH / 2];
    base_random_bytes(bytes, sizeof bytes);
    security__hex(bytes, sizeof bytes, out);
}
