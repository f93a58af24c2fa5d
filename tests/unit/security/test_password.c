/* Passwords, SCRAM keys, sealing: against published vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/security/crypto_priv.h"
#include "core/security/identity_priv.h"
#include "core/security/password.h"

/* RFC 7914 §12, third vector; RFC 4231 §4.3. */
static void primitives_are_the_published_ones(void **state)
{
    (void)state;
    uint8_t out[64];
    char text[129];

    assert_int_equal(security__scrypt(base_slice_text("pleaseletmein"),
                                      base_slice_text("SodiumChloride"), 16384, 8, 1, out,
                                      sizeof out),
                     BASE_ERR_OK);
    security__hex(out, sizeof out, text);
    assert_string_equal(text, "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
                              "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887");
    security__hmac(SECURITY__SHA256, base_slice_text("Jefe"),
                   base_slice_text("what do ya want for nothing?"), out);
    security__hex(out, 32, text);
    assert_string_equal(text, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

/* RFC 7677 §3: user "user", password "pencil", this salt, 4096 iterations; the keys follow. */
static void scram_keys_are_those_of_the_rfc(void **state)
{
    (void)state;
    static const uint8_t salt[] = {0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e,
                                   0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81};
    static const char message[] =
        "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)"
        "hNlF$k0";
    uint8_t salted[32], server_key[32], signature[32];
    char text[65];

    assert_int_equal(security__pbkdf2(SECURITY__SHA256, base_slice_text("pencil"),
                                      base_slice_of(salt, sizeof salt), 4096, salted),
                     BASE_ERR_OK);
    security__hmac(SECURITY__SHA256, base_slice_of(salted, 32), base_slice_text("Server Key"),
                   server_key);
    security__hmac(SECURITY__SHA256, base_slice_of(server_key, 32), base_slice_text(message),
                   signature);
    security__hex(signature, sizeof signature, text);
    /* v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4= */
    assert_string_equal(text, "eabae24d1062db75a9451ff0b6ea7e98c8546549ff741e672d3251b2397de46e");
}

static void password_verifies_and_nothing_else_does(void **state)
{
    (void)state;
    json_t *fields = security_password_make(base_slice_text("correct horse"));
    const json_t *stored = json_object_get(fields, "password");
    char *text = json_dumps(fields, 0);

    assert_null(strstr(text, "correct horse"));
    assert_true(security_password_verify(stored, base_slice_text("correct horse")));
    assert_false(security_password_verify(stored, base_slice_text("correct horsf")));
    assert_false(security_password_verify(stored, base_slice_text("")));
    assert_false(security_password_verify(NULL, base_slice_text("correct horse")));

    /* What a damaged or hostile record asks for is not done. */
    json_t *huge = json_deep_copy(stored);
    json_object_set_new(huge, "n", json_integer(1 << 30));
    assert_false(security_password_verify(huge, base_slice_text("correct horse")));
    json_object_set_new(huge, "n", json_integer(-1));
    assert_false(security_password_verify(huge, base_slice_text("correct horse")));
    json_decref(huge);

    struct security_scram_keys keys;
    const json_t *scram = json_object_get(fields, "scram");
    assert_true(security_scram_read(scram, SECURITY_SCRAM_SHA_256, &keys));
    assert_int_equal(keys.size, 32);
    assert_int_equal(keys.iterations, SECURITY_SCRAM_ITERATIONS);
    assert_true(security_scram_read(scram, SECURITY_SCRAM_SHA_512, &keys));
    assert_int_equal(keys.size, 64);
    assert_false(security_scram_read(NULL, SECURITY_SCRAM_SHA_512, &keys));
    free(text);
    json_decref(fields);
}

/* Nobody learns from the salt who exists. */
static void decoys_are_the_same_each_time(void **state)
{
    (void)state;
    static const uint8_t key[32] = {7};
    struct security_scram_keys one, other;
    struct base_slice domain = base_slice_text("a"), name = base_slice_text("bc");

    security_scram_decoy(key, domain, name, SECURITY_SCRAM_SHA_256, &one);
    security_scram_decoy(key, domain, name, SECURITY_SCRAM_SHA_256, &other);
    assert_memory_equal(one.salt, other.salt, sizeof one.salt);
    assert_int_equal(one.iterations, SECURITY_SCRAM_ITERATIONS);
    security_scram_decoy(key, domain, base_slice_text("bd"), SECURITY_SCRAM_SHA_256, &other);
    assert_memory_not_equal(one.salt, other.salt, sizeof one.salt);
    security_scram_decoy(key, base_slice_text("ab"), base_slice_text("c"), SECURITY_SCRAM_SHA_256,
                         &other);
    assert_memory_not_equal(one.salt, other.salt, sizeof one.salt);
    security_scram_decoy(key, domain, name, SECURITY_SCRAM_SHA_512, &other);
    assert_memory_not_equal(one.salt, other.salt, sizeof one.salt);
}

static void sealed_secret_opens_with_its_key_and_name_only(void **state)
{
    (void)state;
    static const uint8_t key[32] = {1}, other_key[32] = {2};
    struct base_slice name = base_slice_text("AK");
    uint8_t sealed[6 + SECURITY__SEAL_OVERHEAD];
    uint8_t again[sizeof sealed];
    uint8_t plain[6];
    struct base_slice box = base_slice_of(sealed, sizeof sealed);

    assert_int_equal(security__seal(key, name, base_slice_text("secret"), sealed), BASE_ERR_OK);
    assert_int_equal(security__seal(key, name, base_slice_text("secret"), again), BASE_ERR_OK);
    assert_memory_not_equal(sealed, again, sizeof sealed);
    assert_int_equal(security__unseal(key, name, box, plain), BASE_ERR_OK);
    assert_memory_equal(plain, "secret", 6);
    assert_int_equal(security__unseal(other_key, name, box, plain), BASE_ERR_CORRUPT);
    assert_int_equal(security__unseal(key, base_slice_text("BK"), box, plain), BASE_ERR_CORRUPT);
    for (size_t i = 0; i < sizeof sealed; i++) {
        sealed[i] ^= 1;
        assert_int_equal(security__unseal(key, name, box, plain), BASE_ERR_CORRUPT);
        sealed[i] ^= 1;
    }
    assert_int_equal(security__unseal(key, name, base_slice_of(sealed, 5), plain),
                     BASE_ERR_CORRUPT);
}

static void failures_are_counted_by_user_and_address(void **state)
{
    (void)state;
    struct security__throttle *throttle = NULL;
    struct security_attempt attempt;
    struct security__login_name ann = {.name = base_slice_text("ann")};
    struct security__login_name bob = {.name = base_slice_text("bob")};

    assert_int_equal(security__throttle_create(&throttle), BASE_ERR_OK);
    for (unsigned i = 0; i < SECURITY_FAILED_LOGINS_MAX; i++) {
        assert_true(security__throttle_enter(throttle, 1000, ann, "10.0.0.1", &attempt));
    }
    assert_false(security__throttle_enter(throttle, 1000, ann, "10.0.0.1", &attempt));
    assert_true(security__throttle_enter(throttle, 1000, ann, "10.0.0.2", &attempt));
    assert_true(security__throttle_enter(throttle, 1000, bob, "10.0.0.1", &attempt));
    bob = (struct security__login_name){.domain = ann.name, .name = ann.name};
    assert_true(security__throttle_enter(throttle, 1000, bob, "10.0.0.1", &attempt));
    assert_true(security__throttle_enter(throttle, 1000 + SECURITY_FAILED_LOGINS_WINDOW_MS, ann,
                                         "10.0.0.1", &attempt));
    /* What succeeded does not count. */
    for (unsigned i = 0; i < 3 * SECURITY_FAILED_LOGINS_MAX; i++) {
        assert_true(security__throttle_enter(throttle, 200000, ann, "10.0.0.3", &attempt));
        security__throttle_succeeded(throttle, &attempt);
    }
    security__throttle_close(&throttle);
}

/* However many others fail, nobody gets more attempts by it. */
static void full_counts_are_not_pushed_out(void **state)
{
    (void)state;
    struct security__throttle *throttle = NULL;
    struct security__login_name ann = {.name = base_slice_text("ann")};
    struct security_attempt attempt;

    assert_int_equal(security__throttle_create(&throttle), BASE_ERR_OK);
    for (unsigned i = 0; i < SECURITY_FAILED_LOGINS_MAX; i++) {
        assert_true(security__throttle_enter(throttle, 0, ann, "10.0.0.1", &attempt));
    }
    for (unsigned i = 0; i < 100000; i++) {
        struct security__login_name other = {.name = base_slice_of(&i, sizeof i)};
        char address[16];
        (void)snprintf(address, sizeof address, "10.1.0.%u", i % 250);
        (void)security__throttle_enter(throttle, i / 4, other, address, &attempt);
    }
    assert_false(security__throttle_enter(throttle, 25000, ann, "10.0.0.1", &attempt));
    security__throttle_close(&throttle);
}

/* However many names one address invents, others can log in. */
static void one_address_does_not_take_all_room(void **state)
{
    (void)state;
    struct security__throttle *throttle = NULL;
    struct security__login_name ann = {.name = base_slice_text("ann")};
    struct security_attempt attempt;
    unsigned allowed_count = 0;

    assert_int_equal(security__throttle_create(&throttle), BASE_ERR_OK);
    for (unsigned i = 0; i < 50000 * SECURITY_FAILED_LOGINS_MAX; i++) {
        unsigned number = i / SECURITY_FAILED_LOGINS_MAX;
        struct security__login_name other = {.name = base_slice_of(&number, sizeof number)};
        allowed_count += security__throttle_enter(throttle, 0, other, "10.0.0.1", &attempt);
    }
    assert_true(security__throttle_enter(throttle, 0, ann, "10.0.0.2", &attempt));
    assert_int_equal(allowed_count, SECURITY_FAILED_LOGINS_ADDRESS_MAX);
    assert_false(security__throttle_enter(throttle, 0, ann, "10.0.0.1", &attempt));
    assert_true(security__throttle_enter(throttle, SECURITY_FAILED_LOGINS_WINDOW_MS, ann,
                                         "10.0.0.1", &attempt));
    /* What succeeded does not count, and what a full count refused neither. */
    for (unsigned i = 0; i < 2 * SECURITY_FAILED_LOGINS_ADDRESS_MAX; i++) {
        assert_true(security__throttle_enter(throttle, 200000, ann, "10.0.0.1", &attempt));
        security__throttle_succeeded(throttle, &attempt);
    }
    for (unsigned i = 0; i < 2 * SECURITY_FAILED_LOGINS_ADDRESS_MAX; i++) {
        (void)security__throttle_enter(throttle, 200000, ann, "10.0.0.1", &attempt);
    }
    struct security__login_name bob = {.name = base_slice_text("bob")};
    assert_true(security__throttle_enter(throttle, 200000, bob, "10.0.0.1", &attempt));
    security__throttle_close(&throttle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(primitives_are_the_published_ones),
        cmocka_unit_test(scram_keys_are_those_of_the_rfc),
        cmocka_unit_test(password_verifies_and_nothing_else_does),
        cmocka_unit_test(decoys_are_the_same_each_time),
        cmocka_unit_test(sealed_secret_opens_with_its_key_and_name_only),
        cmocka_unit_test(failures_are_counted_by_user_and_address),
        cmocka_unit_test(full_counts_are_not_pushed_out),
        cmocka_unit_test(one_address_does_not_take_all_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
