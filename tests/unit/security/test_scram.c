/* SCRAM against published and independently computed exchanges, and against clients that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/security/scram.h"

#define FIRST "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"

struct vector {
    enum security_scram_mechanism mechanism;
    const char *stored_key; /* hex, as server_key: of the password "pencil" */
    const char *server_key;
    const char *salt;
    const char *nonce;
    const char *challenge;
    const char *final;
    const char *signature;
};

static const struct vector vectors[] = {
    /* RFC 7677 §3 */
    {SECURITY_SCRAM_SHA_256, "586e5df283e6dceb5c3e791d8b8528ec191e664045ce971792e2e6b5bb13e2a6",
     "c1f3cbc1c13a9d35a14c0990eed97629ea225863e566a4314ab99f3f00e5d9d5",
     "5b6d99689d12358eeca04b141236fa81", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
     "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
     "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
     "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
     "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
    /* computed with Python's hashlib */
    {SECURITY_SCRAM_SHA_512,
     "0c1ace8892c956465e33f958063ca7f0793f2d0d91accdd5fd88391ddd7d41f6"
     "82155fe868f79000c264c2dbc1762e1780045e8d4dee704f5e0da80130727e57",
     "daf0dc7bc9a1c10b3546f49fbb14b86c314538dc6b00e8bfc9e78f21a8b08a0d"
     "b1882d7a95078dfb01cecce366ff5f15338f49160f57a00c90ee81c53dabc0de",
     "000102030405060708090a0b0c0d0e0f", "ABCDEFGHIJKLMNOPQRSTUVWX",
     "r=rOprNGfwEbeRWgbNEkqOABCDEFGHIJKLMNOPQRSTUVWX,s=AAECAwQFBgcICQoLDA0ODw==,i=4096",
     "c=biws,r=rOprNGfwEbeRWgbNEkqOABCDEFGHIJKLMNOPQRSTUVWX,"
     "p=arMom564xXXRUa6Q4Bt1XNo6S7qUutICZxW7umZvNc7i2j2442N0yFocZnU2wtOEPxNHIYFWPea7/"
     "NxeXBaH6w==",
     "v=gIfj38Bqw8XSh3dki4siEYKtvLmnGoqNCkC+URN6yZTB1haYbB15l7dXgIap7e4Kt06nKXvJvatFGOF15ePIeg=="},
};

static void unhex(const char *text, uint8_t *out)
{
    for (size_t i = 0; i < strlen(text) / 2; i++) {
        unsigned byte = 0;
        assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
}

static struct security_scram_keys keys_of(const struct vector *vector)
{
    struct security_scram_keys keys = {.iterations = 4096, .size = strlen(vector->stored_key) / 2};
    unhex(vector->salt, keys.salt);
    unhex(vector->stored_key, keys.stored_key);
    unhex(vector->server_key, keys.server_key);
    return keys;
}

/* Begins and challenges as the vector does. */
static void challenge(struct security_scram *scram, const struct vector *vector)
{
    char answer[SECURITY_SCRAM_ANSWER_SIZE];
    struct security_scram_keys keys = keys_of(vector);

    assert_true(security_scram_begin(scram, vector->mechanism, base_slice_text(FIRST)));
    assert_true(base_slice_is(base_slice_of(scram->user, scram->user_length), "user"));
    size_t length = security_scram_challenge(scram, &keys, base_slice_text(vector->nonce), answer);
    assert_true(base_slice_is(base_slice_of(answer, length), vector->challenge));
}

static bool finish(struct security_scram *scram, const char *final)
{
    char answer[SECURITY_SCRAM_ANSWER_SIZE];
    size_t length = 0;
    bool is_right = security_scram_finish(scram, base_slice_text(final), answer, &length);
    assert_int_equal(is_right, length > 0);
    return is_right;
}

static void published_exchanges_succeed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct security_scram scram;
        char answer[SECURITY_SCRAM_ANSWER_SIZE];
        size_t length = 0;

        challenge(&scram, &vectors[i]);
        assert_true(
            security_scram_finish(&scram, base_slice_text(vectors[i].final), answer, &length));
        assert_true(base_slice_is(base_slice_of(answer, length), vectors[i].signature));
    }
}

static void first_messages_that_are_wrong_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *message;
        const char *user; /* NULL: refused */
    } rows[] = {
        {FIRST, "user"},
        {"y,,n=user,r=abc", "user"},
        {"n,a=user,n=user,r=abc", "user"},
        {"n,,n=a=2Cb=3Dc,r=abc", "a,b=c"},
        {"n,,n=user,r=abc,tokenauth=true", "user"},
        {"n,a=other,n=user,r=abc", NULL}, /* CVE-2017-12610 */
        {"n,a=,n=user,r=abc", NULL},
        {"n,b=user,n=user,r=abc", NULL},
        {"p=tls-unique,,n=user,r=abc", NULL},
        {"n,,m=ext,n=user,r=abc", NULL},
        {"n,,n=,r=abc", NULL},
        {"n,,n=a=2cb,r=abc", NULL},
        {"n,,n=a=,r=abc", NULL},
        {"n,,n=user,r=", NULL},
        {"n,,n=user,r=a\x7f", NULL},
        {"n,,n=user", NULL},
        {"n,,r=abc,n=user", NULL},
        {"n,", NULL},
        {"n", NULL},
        {"", NULL},
        {",,,", NULL},
    };
    struct security_scram scram;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool is_fine =
            security_scram_begin(&scram, SECURITY_SCRAM_SHA_256, base_slice_text(rows[i].message));
        if (is_fine != (rows[i].user != NULL) ||
            (is_fine &&
             !base_slice_is(base_slice_of(scram.user, scram.user_length), rows[i].user))) {
            fail_msg("\"%s\"", rows[i].message);
        }
    }
    char big[SECURITY_SCRAM_MESSAGE_SIZE_MAX + 2];
    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    memcpy(big, "n,,n=u,r=", 9);
    assert_false(security_scram_begin(&scram, SECURITY_SCRAM_SHA_256, base_slice_text(big)));
    big[sizeof big - 2] = '\0'; /* as long as one may be */
    assert_true(security_scram_begin(&scram, SECURITY_SCRAM_SHA_256, base_slice_text(big)));
}

/* librdkafka 2.0.2: its nonce comes twice; computed with Python's hashlib. */
static void final_message_that_repeats_the_clients_nonce_is_fine(void **state)
{
    (void)state;
    struct security_scram scram;

    challenge(&scram, &vectors[0]);
    assert_true(finish(&scram,
                       "c=biws,r=rOprNGfwEbeRWgbNEkqOrOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)"
                       "hNlF$k0,p=1Y75+q7XaCGJj/r6vyQWwoNxSzV5ksS8xhp5Lqyriec="));
    challenge(&scram, &vectors[0]);
    assert_false(finish(&scram,
                        "c=biws,r=rOprNGfwEbeRWgbNEkqPrOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)"
                        "hNlF$k0,p=1Y75+q7XaCGJj/r6vyQWwoNxSzV5ksS8xhp5Lqyriec="));
}

static void final_messages_that_are_wrong_are_refused(void **state)
{
    (void)state;
#define NONCE "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    static const char *const finals[] = {
        "",
        "c=biws,r=" NONCE,
        "c=biws,r=" NONCE ",p=",
        "c=biws,r=" NONCE ",p=AAAA",
        "c=biws,r=" NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVU=", /* one bit */
        "c=biws,r=" NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVR=", /* not canonical */
        "c=biws,r=" NONCE "x,p=" PROOF,
        "c=biws,r=rOprNGfwEbeRWgbNEkqO,p=" PROOF, /* CVE-2024-56128 */
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k1,p=" PROOF,
        "c=eSws,r=" NONCE ",p=" PROOF, /* another header: "y,," */
        "c=,r=" NONCE ",p=" PROOF,
        "r=" NONCE ",c=biws,p=" PROOF,
        "c=biws,r=" NONCE ",p=" PROOF ",x=y", /* the proof is the last */
        "c=biws,r=" NONCE ",x=y,p=" PROOF,    /* an extension is part of what is proven */
    };
    struct security_scram scram;

    for (size_t i = 0; i < sizeof finals / sizeof finals[0]; i++) {
        challenge(&scram, &vectors[0]);
        if (finish(&scram, finals[i])) {
            fail_msg("\"%s\"", finals[i]);
        }
    }
    /* An exchange that was overheard does not work with the next nonce. */
    struct vector again = vectors[0];
    again.nonce = "another";
    again.challenge = "r=rOprNGfwEbeRWgbNEkqOanother,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    challenge(&scram, &again);
    assert_false(finish(&scram, vectors[0].final));
#undef NONCE
#undef PROOF
}

static void nonces_are_printable_and_new(void **state)
{
    (void)state;
    char first[SECURITY_SCRAM_NONCE_LENGTH];
    char second[SECURITY_SCRAM_NONCE_LENGTH];

    security_scram_nonce(first);
    security_scram_nonce(second);
    assert_memory_not_equal(first, second, sizeof first);
    for (size_t i = 0; i < sizeof first; i++) {
        assert_true(first[i] > ' ' && first[i] != ',' && first[i] < 0x7f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_exchanges_succeed),
        cmocka_unit_test(first_messages_that_are_wrong_are_refused),
        cmocka_unit_test(final_message_that_repeats_the_clients_nonce_is_fine),
        cmocka_unit_test(final_messages_that_are_wrong_are_refused),
        cmocka_unit_test(nonces_are_printable_and_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
