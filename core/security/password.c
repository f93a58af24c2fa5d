/* scrypt and SCRAM keys as JSON. */
#include "core/security/password.h"

#include <string.h>

#include "core/base/assert.h"
#include "core/base/uuid.h"
#include "core/security/crypto_priv.h"

enum {
    HASH_SIZE = 32,
    SCRYPT_N_MAX = 1 << 17, /* what a stored hash may ask for: with r = 8, 128 MiB */
    SCRYPT_R_MAX = 8,
    SCRYPT_P_MAX = 16,
};

static const char *const mechanism_names[] = {"SCRAM-SHA-256", "SCRAM-SHA-512"};
static const enum security__digest mechanism_digests[] = {SECURITY__SHA256, SECURITY__SHA512};

void security_wipe_secret(void *data, size_t size)
{
    security__wipe(data, size);
}

bool security_password_is_valid(struct base_slice password)
{
    if (password.length < SECURITY_PASSWORD_LENGTH_MIN ||
        password.length > SECURITY_PASSWORD_LENGTH_MAX) {
        return false;
    }
    for (size_t i = 0; i < password.length; i++) {
        if (password.data[i] < ' ' || password.data[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

/* {"salt":…,"iterations":…,"stored_key":…,"server_key":…} */
static json_t *make_scram_keys(struct base_slice password, enum security_scram_mechanism mechanism)
{
    enum security__digest digest = mechanism_digests[mechanism];
    size_t size = security__digest_size(digest);
    uint8_t salt[SECURITY_SALT_SIZE];
    uint8_t salted[SECURITY__DIGEST_SIZE_MAX];
    uint8_t key[SECURITY__DIGEST_SIZE_MAX];
    char salt_text[2 * sizeof salt + 1];
    char stored_text[2 * SECURITY__DIGEST_SIZE_MAX + 1];
    char server_text[2 * SECURITY__DIGEST_SIZE_MAX + 1];

    base_random_bytes(salt, sizeof salt);
    if (security__pbkdf2(digest, password, base_slice_of(salt, sizeof salt),
                         SECURITY_SCRAM_ITERATIONS, salted) != BASE_ERR_OK) {
        return NULL;
    }
    security__hmac(digest, base_slice_of(salted, size), base_slice_text("Client Key"), key);
    security__hash(digest, base_slice_of(key, size), key);
    security__hex(key, size, stored_text);
    security__hmac(digest, base_slice_of(salted, size), base_slice_text("Server Key"), key);
    security__hex(key, size, server_text);
    security__hex(salt, sizeof salt, salt_text);
    json_t *keys =
        json_pack("{s:s, s:i, s:s, s:s}", "salt", salt_text, "iterations",
                  SECURITY_SCRAM_ITERATIONS, "stored_key", stored_text, "server_key", server_text);
    security__wipe(salted, sizeof salted);
    security__wipe(key, sizeof key);
    return keys;
}

json_t *security_scram_make(struct base_slice password)
{
    json_t *sha256 = make_scram_keys(password, SECURITY_SCRAM_SHA_256);
    json_t *sha512 = make_scram_keys(password, SECURITY_SCRAM_SHA_512);
    return json_pack("{s:o, s:o}", mechanism_names[SECURITY_SCRAM_SHA_256], sha256,
                     mechanism_names[SECURITY_SCRAM_SHA_512], sha512);
}

static json_t *make_scrypt(struct base_slice password)
{
    uint8_t salt[SECURITY_SALT_SIZE];
    uint8_t hash[HASH_SIZE];
    char salt_text[2 * sizeof salt + 1];
    char hash_text[2 * sizeof hash + 1];

    base_random_bytes(salt, sizeof salt);
    if (security__scrypt(password, base_slice_of(salt, sizeof salt), SECURITY_SCRYPT_N,
                         SECURITY_SCRYPT_R, SECURITY_SCRYPT_P, hash, sizeof hash) != BASE_ERR_OK) {
        return NULL;
    }
    security__hex(salt, sizeof salt, salt_text);
    security__hex(hash, sizeof hash, hash_text);
    return json_pack("{s:s, s:i, s:i, s:i, s:s, s:s}", "algorithm", "scrypt", "n",
                     SECURITY_SCRYPT_N, "r", SECURITY_SCRYPT_R, "p", SECURITY_SCRYPT_P, "salt",
                     salt_text, "hash", hash_text);
}

json_t *security_password_make(struct base_slice password)
{
    json_t *scrypt = make_scrypt(password);
    json_t *scram = security_scram_make(password);
    return json_pack("{s:o, s:o}", "password", scrypt, "scram", scram);
}

bool security_password_verify(const json_t *stored, struct base_slice password)
{
    const char *algorithm = NULL, *salt_text = NULL, *hash_text = NULL;
    int n = SECURITY_SCRYPT_N, r = SECURITY_SCRYPT_R, p = SECURITY_SCRYPT_P;
    uint8_t salt[SECURITY_SALT_SIZE] = {0};
    uint8_t expected[HASH_SIZE] = {0};
    uint8_t hash[HASH_SIZE] = {0};

    bool is_known = json_unpack((json_t *)(uintptr_t)stored, "{s:s, s:i, s:i, s:i, s:s, s:s}",
                                "algorithm", &algorithm, "n", &n, "r", &r, "p", &p, "salt",
                                &salt_text, "hash", &hash_text) == 0 &&
                    strcmp(algorithm, "scrypt") == 0 && n > 1 && n <= SCRYPT_N_MAX && r > 0 &&
                    r <= SCRYPT_R_MAX && p > 0 && p <= SCRYPT_P_MAX &&
                    security__unhex(salt_text, sizeof salt, salt) &&
                    security__unhex(hash_text, sizeof expected, expected);
    if (!is_known) {
        n = SECURITY_SCRYPT_N;
        r = SECURITY_SCRYPT_R;
        p = SECURITY_SCRYPT_P;
    }
    enum base_err err = security__scrypt(password, base_slice_of(salt, sizeof salt), (uint64_t)n,
                                         (uint64_t)r, (uint64_t)p, hash, sizeof hash);
    bool is_same = security__equal(hash, expected, sizeof hash);
    security__wipe(hash, sizeof hash);
    return err == BASE_ERR_OK && is_known && is_same;
}

bool security_scram_read(const json_t *scram, enum security_scram_mechanism mechanism,
                         struct security_scram_keys *out)
{
    const json_t *keys = json_object_get(scram, mechanism_names[mechanism]);
    const char *salt = json_string_value(json_object_get(keys, "salt"));
    const char *stored_key = json_string_value(json_object_get(keys, "stored_key"));
    const char *server_key = json_string_value(json_object_get(keys, "server_key"));
    json_int_t iterations = json_integer_value(json_object_get(keys, "iterations"));

    *out =
        (struct security_scram_keys){.iterations = (int32_t)iterations,
                                     .size = security__digest_size(mechanism_digests[mechanism])};
    return iterations > 0 && iterations <= INT32_MAX &&
           security__unhex(salt, sizeof out->salt, out->salt) &&
           security__unhex(stored_key, out->size, out->stored_key) &&
           security__unhex(server_key, out->size, out->server_key);
}

void security_scram_decoy(const uint8_t key[32], struct base_slice domain, struct base_slice name,
                          enum security_scram_mechanism mechanism, struct security_scram_keys *out)
{
    uint8_t who[2 * SECURITY__SHA256_SIZE + 1]; /* of one length: no two run into each other */
    uint8_t hash[SECURITY__DIGEST_SIZE_MAX];

    security__hash(SECURITY__SHA256, domain, who);
    security__hash(SECURITY__SHA256, name, who + SECURITY__SHA256_SIZE);
    who[2 * SECURITY__SHA256_SIZE] = (uint8_t)mechanism;
    security__hmac(SECURITY__SHA512, base_slice_of(key, 32), base_slice_of(who, sizeof who), hash);
    *out =
        (struct security_scram_keys){.iterations = SECURITY_SCRAM_ITERATIONS,
                                     .size = security__digest_size(mechanism_digests[mechanism])};
    memcpy(out->salt, hash, sizeof out->salt);
    /* No proof can match: nobody knows what these would be keys of. */
    base_random_bytes(out->stored_key, out->size);
    base_random_bytes(out->server_key, out->size);
}
