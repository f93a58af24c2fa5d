/* Signatures: the published vectors, what does not parse, and signatures that come again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/security/identity_priv.h"
#include "core/security/signature.h"

/* A request of a vector: fields as "name:value" lines. */
struct vector {
    const char *authorization; /* without the signature, which is all '0' */
    const char *secret;
    const char *method;
    const char *path;
    const char *query;
    const char *host;
    const char *date;
    const char *content_type; /* may be NULL */
    const char *body;
    const char *canonical_hash; /* may be NULL */
    const char *signature;
};

#define NO_SIGNATURE "0000000000000000000000000000000000000000000000000000000000000000"
#define PLAIN(ak, headers) \
    "SDK-HMAC-SHA256 Access=" ak ", SignedHeaders=" headers ", Signature=" NO_SIGNATURE

static const struct vector vectors[] = {
    /* The signing guide of the public cloud, its example keys. */
    {PLAIN("QTWAOYTTINDUT2QVKYUC", "content-type;host;x-sdk-date"),
     "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc", "GET", "/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs",
     "limit=2&marker=13551d6b-755d-4757-b956-536f674975c0", "service.region.example.com",
     "20191115T033655Z", "application/json", "",
     "b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a",
     "7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe"},
    /* Tests of the SDK of the third version. */
    {PLAIN("AccessKey", "host;x-sdk-date"), "SecretKey", "GET", "/resources", "size=1",
     "service.endpoint.myhuaweicloud.com", "20200608T023900Z", NULL, "", NULL,
     "cfb4171acec81de07d50e53d57eb77edd537414d66ddb1d7d780f128e12cd842"},
    {PLAIN("AccessKey", "host;x-sdk-date"), "SecretKey", "POST", "/resources", "size=1",
     "service.endpoint.myhuaweicloud.com", "20200608T023900Z", NULL, "{\"name\":\"test\",\"id\":1}",
     NULL, "436b1ac0a1ae03705934bb70ef2f2e09f7bfed2117d731a38235053199323a1f"},
    /* The scoped form, computed with an implementation of its own. */
    {"SDK-HMAC-SHA256 Credential=AccessKey/20200608/eu-de/dms/sdk_request, "
     "SignedHeaders=host;x-sdk-date, Signature=" NO_SIGNATURE,
     "SecretKey", "GET", "/v1.0/b78a90ae2a134b4b8b2ba30acab4e23a/queues", "include_deadletter=true",
     "dms.example.com", "20200608T023900Z", NULL, "",
     "c81db51960dc78fc52aeb3ab9eaf167fca9c1e51a393f399b7e1b26bd420c3fb",
     "7c8db16c1eb0459085031e646c33bfa289e857a96dc83afef790ec82d9f4e7e9"},
};

static enum base_err sign(const struct vector *vector, const char *path, const char *query,
                          char signature[SECURITY_SIGNATURE_TEXT_SIZE],
                          char hash[SECURITY_SIGNATURE_TEXT_SIZE])
{
    struct security_authorization authorization;
    struct base_arena arena;
    struct security_http_field fields[] = {
        {base_slice_text("Host"), base_slice_text(vector->host)},
        {base_slice_text("X-Sdk-Date"), base_slice_text(vector->date)},
        {base_slice_text("Content-Type"), base_slice_text(vector->content_type)}};
    struct security_http_request request = {.method = base_slice_text(vector->method),
                                            .path = base_slice_text(path),
                                            .query = base_slice_text(query),
                                            .fields = fields,
                                            .fields_count = vector->content_type == NULL ? 2 : 3,
                                            .body = base_slice_text(vector->body)};

    base_arena_init(&arena, 1 << 20);
    assert_true(
        security_authorization_parse(base_slice_text(vector->authorization), &authorization));
    enum base_err err =
        security_signature_make(&arena, &request, &authorization, base_slice_text(vector->date),
                                base_slice_text(vector->secret), signature, hash);
    base_arena_fini(&arena);
    return err;
}

static void published_vectors_verify(void **state)
{
    (void)state;
    char signature[SECURITY_SIGNATURE_TEXT_SIZE];
    char hash[SECURITY_SIGNATURE_TEXT_SIZE];

    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const struct vector *vector = &vectors[i];
        assert_int_equal(sign(vector, vector->path, vector->query, signature, hash), BASE_ERR_OK);
        assert_string_equal(signature, vector->signature);
        if (vector->canonical_hash != NULL) {
            assert_string_equal(hash, vector->canonical_hash);
        }
    }
}

/* However the URL is written, the same is signed. */
static void encoding_and_order_of_the_url_do_not_matter(void **state)
{
    (void)state;
    char one[SECURITY_SIGNATURE_TEXT_SIZE];
    char other[SECURITY_SIGNATURE_TEXT_SIZE];
    const struct vector *vector = &vectors[1];

    assert_int_equal(sign(vector, "/a%20b/~c", "b=2&a=x%2By&a=1&c", one, NULL), BASE_ERR_OK);
    assert_int_equal(sign(vector, "/%61%20b/%7Ec/", "c=&a=1&a=x%2by&b=%32", other, NULL),
                     BASE_ERR_OK);
    assert_string_equal(one, other);
    assert_int_equal(sign(vector, "/a%20b/~c", "b=2&a=x%2By&a=2&c", other, NULL), BASE_ERR_OK);
    assert_string_not_equal(one, other);
    assert_int_equal(sign(vector, "/a%2", "", one, NULL), BASE_ERR_MALFORMED);
    assert_int_equal(sign(vector, "/a%", "", one, NULL), BASE_ERR_MALFORMED);
    assert_int_equal(sign(vector, "/a", "q=%zz", one, NULL), BASE_ERR_MALFORMED);
}

static void host_and_date_have_to_be_signed(void **state)
{
    (void)state;
    char signature[SECURITY_SIGNATURE_TEXT_SIZE];
    static const char *const bad[] = {PLAIN("A", "host"), PLAIN("A", "x-sdk-date"),
                                      PLAIN("A", "host;x-sdk-date;x-absent"), PLAIN("A", ";")};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct vector vector = vectors[1];
        vector.authorization = bad[i];
        assert_int_equal(sign(&vector, "/", "", signature, NULL), BASE_ERR_MALFORMED);
    }
}

static void malformed_authorization_is_refused(void **state)
{
    (void)state;
    struct security_authorization parsed;
    static const char *const bad[] = {
        "",
        "SDK-HMAC-SHA256",
        "SDK-HMAC-SHA256 ",
        "Basic YTpi",
        "SDK-HMAC-SHA256 Access=, SignedHeaders=host, Signature=" NO_SIGNATURE,
        "SDK-HMAC-SHA256 Access=A, SignedHeaders=, Signature=" NO_SIGNATURE,
        "SDK-HMAC-SHA256 Access=A, SignedHeaders=host, Signature=00",
        "SDK-HMAC-SHA256 Access=A, SignedHeaders=host, Signature=" NO_SIGNATURE "0",
        "SDK-HMAC-SHA256 Access=A, SignedHeaders=host",
        "SDK-HMAC-SHA256 SignedHeaders=host, Access=A, Signature=" NO_SIGNATURE,
        "SDK-HMAC-SHA256 Credential=A, SignedHeaders=host, Signature=" NO_SIGNATURE,
        "SDK-HMAC-SHA256 Credential=A/1/r/s/sdk_request, SignedHeaders=host, "
        "Signature=" NO_SIGNATURE,
        "SDK-HMAC-SHA256 Credential=A/20200608/r/s/other, SignedHeaders=host, "
        "Signature=" NO_SIGNATURE,
        "SDK-HMAC-SHA256 Credential=A/20200608/r/s/t/sdk_request, SignedHeaders=host, "
        "Signature=" NO_SIGNATURE,
        "SDK-HMAC-SHA256 Credential=A/20200608/r/sdk_request, SignedHeaders=host, "
        "Signature=" NO_SIGNATURE,
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(security_authorization_parse(base_slice_text(bad[i]), &parsed));
    }
    /* One of the SDKs leaves region and service empty. */
    assert_true(security_authorization_parse(
        base_slice_text("SDK-HMAC-SHA256 Credential=A/20200608///sdk_request, SignedHeaders=host, "
                        "Signature=" NO_SIGNATURE),
        &parsed));
    assert_true(base_slice_is(parsed.scope, "20200608///sdk_request"));
    assert_true(base_slice_is(parsed.access_key, "A"));
}

/* Any prefix and any changed byte of a good header parses or not, and harms nobody. */
static void mutated_authorization_is_harmless(void **state)
{
    (void)state;
    struct security_authorization parsed;
    const char *good = vectors[3].authorization;
    size_t length = strlen(good);
    char text[512];

    for (size_t i = 0; i <= length; i++) {
        (void)security_authorization_parse(base_slice_of(good, i), &parsed);
        for (unsigned byte = 0; byte < 256 && i < length; byte += 5) {
            memcpy(text, good, length);
            text[i] = (char)byte;
            (void)security_authorization_parse(base_slice_of(text, length), &parsed);
        }
    }
}

static void dates_are_seconds_since_1970(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_good;
        int64_t seconds;
    } rows[] = {{"19700101T000000Z", true, 0},         {"20200608T023900Z", true, 1591583940},
                {"20000229T235959Z", true, 951868799}, {"20191115T033655Z", true, 1573789015},
                {"2019-11-15T03:36:55Z", false, 0},    {"20191315T033655Z", false, 0},
                {"20191115T243655Z", false, 0},        {"20191115 033655Z", false, 0},
                {"2019111-T033655Z", false, 0},        {"", false, 0}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t seconds = -1;
        assert_int_equal(security_signature_date(base_slice_text(rows[i].text), &seconds),
                         rows[i].is_good);
        assert_int_equal(seconds, rows[i].seconds);
    }
}

enum {
    NOW_S = 1591583940,
    OLD_S = NOW_S - SECURITY_SIGNATURE_MARGIN_S, /* the last second that is not spared */
};

/* Of all memories of signatures. */
static int64_t wall_s = NOW_S;
static int64_t monotonic_s = 1000;

static int64_t read_wall_us(struct base_clock *clock)
{
    (void)clock;
    return wall_s * 1000000;
}

static int64_t read_monotonic_us(struct base_clock *clock)
{
    (void)clock;
    return monotonic_s * 1000000;
}

static struct base_clock fixed_clock = {read_monotonic_us, read_wall_us};

/* Somebody sets the wall clock to now_s; no time passes. */
static void set_clock(int64_t now_s)
{
    wall_s = now_s;
}

/* At now_s by the wall clock, which time gets to by passing. */
static enum security_verdict use(struct security__replay *replay, int64_t now_s, int64_t date_s,
                                 uint32_t number, bool may_repeat)
{
    uint8_t signature[32] = {0};
    memcpy(signature, &number, sizeof number);
    monotonic_s += now_s - wall_s;
    wall_s = now_s;
    return security__replay_check(replay, date_s, signature, may_repeat);
}

static void signature_is_used_once(void **state)
{
    (void)state;
    struct security__replay *replay = NULL;

    set_clock(NOW_S);
    assert_int_equal(security__replay_create(&fixed_clock, 100, 1000, &replay), BASE_ERR_OK);
    assert_int_equal(use(replay, NOW_S, NOW_S, 1, false), SECURITY_OK);
    assert_int_equal(use(replay, NOW_S, NOW_S, 1, false), SECURITY_REPLAYED);
    assert_int_equal(use(replay, NOW_S, NOW_S + 901, 3, false), SECURITY_NOT_IN_TIME);
    assert_int_equal(use(replay, NOW_S + 899, NOW_S, 1, false), SECURITY_REPLAYED);
    assert_int_equal(use(replay, NOW_S + 900, NOW_S, 1, false), SECURITY_REPLAYED);
    assert_int_equal(use(replay, NOW_S + 901, NOW_S, 1, false), SECURITY_NOT_IN_TIME);
    assert_int_equal(use(replay, NOW_S + 901, NOW_S, 2, false), SECURITY_NOT_IN_TIME);
    security__replay_close(&replay);
}

static void poll_may_repeat_within_its_second(void **state)
{
    (void)state;
    struct security__replay *replay = NULL;

    set_clock(NOW_S);
    assert_int_equal(security__replay_create(&fixed_clock, 100, 1000, &replay), BASE_ERR_OK);
    assert_int_equal(use(replay, NOW_S, NOW_S, 1, true), SECURITY_OK);
    assert_int_equal(use(replay, NOW_S, NOW_S, 1, true), SECURITY_OK);
    assert_int_equal(use(replay, NOW_S, NOW_S, 1, false), SECURITY_REPLAYED);
    assert_int_equal(use(replay, NOW_S + 1, NOW_S, 1, true), SECURITY_REPLAYED);
    security__replay_close(&replay);
}

/* No room: the window gets shorter, and nothing that was used is accepted again. */
static void full_memory_forgets_the_oldest_seconds_and_refuses_them(void **state)
{
    (void)state;
    struct security__replay *replay = NULL;

    set_clock(NOW_S);
    assert_int_equal(security__replay_create(&fixed_clock, 4, 0, &replay), BASE_ERR_OK);
    assert_int_equal(use(replay, NOW_S, OLD_S - 2, 1, false), SECURITY_OK);
    assert_int_equal(use(replay, NOW_S, OLD_S - 2, 2, false), SECURITY_OK);
    assert_int_equal(use(replay, NOW_S, OLD_S - 1, 3, false), SECURITY_OK);
    assert_int_equal(use(replay, NOW_S, OLD_S, 4, false), SECURITY_OK);
    assert_int_equal(use(replay, NOW_S, OLD_S, 5, false), SECURITY_OK); /* 1 and 2 are forgotten */
    assert_int_equal(use(replay, NOW_S, OLD_S - 2, 1, false), SECURITY_NOT_IN_TIME);
    assert_int_equal(use(replay, NOW_S, OLD_S - 1, 3, false), SECURITY_REPLAYED);
    assert_int_equal(use(replay, NOW_S, OLD_S, 6, false), SECURITY_OK);
    assert_int_equal(use(replay, NOW_S, OLD_S, 7, false), SECURITY_OK);
    assert_int_equal(use(replay, NOW_S, OLD_S - 1, 3, false), SECURITY_NOT_IN_TIME);
    assert_int_equal(use(replay, NOW_S, OLD_S, 8, false), SECURITY_OVERLOADED);
    assert_int_equal(use(replay, NOW_S, OLD_S, 4, false), SECURITY_REPLAYED);
    assert_int_equal(use(replay, NOW_S + 5000, NOW_S + 5000, 9, false), SECURITY_OK);
    assert_int_equal(use(replay, NOW_S + 5000, NOW_S + 5000, 9, false), SECURITY_REPLAYED);
    security__replay_close(&replay);
}

/* However many are dated ahead, whose clock is right is neither refused nor left without room. */
static void signatures_dated_ahead_take_a_share_only(void **state)
{
    (void)state;
    struct security__replay *replay = NULL;
    uint32_t number = 100;

    set_clock(NOW_S);
    assert_int_equal(security__replay_create(&fixed_clock, 8, 0, &replay), BASE_ERR_OK);
    assert_int_equal(use(replay, NOW_S, NOW_S + 900, 1, false), SECURITY_OK);
    assert_int_equal(use(replay, NOW_S, NOW_S + 11, 2, false), SECURITY_OK);
    assert_int_equal(use(replay, NOW_S, NOW_S + 900, 3, false), SECURITY_OVERLOADED);
    assert_int_equal(use(replay, NOW_S, NOW_S + 11, 4, false), SECURITY_OVERLOADED);
    assert_int_equal(use(replay, NOW_S, NOW_S + 900, 1, false), SECURITY_REPLAYED);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(use(replay, NOW_S, NOW_S, number++, false), SECURITY_OK);
    }
    /* Nothing within the margin is forgotten, for whomever. */
    assert_int_equal(use(replay, NOW_S, NOW_S + 10, 5, false), SECURITY_OVERLOADED);
    assert_int_equal(use(replay, NOW_S + 10, NOW_S, 100, false), SECURITY_REPLAYED);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(use(replay, NOW_S + 11, NOW_S + 11, number++, false), SECURITY_OK);
    }
    assert_int_equal(use(replay, NOW_S + 11, NOW_S, 100, false), SECURITY_NOT_IN_TIME);
    /* The second of 2 is near by now, that of 1 not yet. */
    assert_int_equal(use(replay, NOW_S + 22, NOW_S + 900, 6, false), SECURITY_OK);
    assert_int_equal(use(replay, NOW_S + 22, NOW_S + 900, 7, false), SECURITY_OVERLOADED);
    assert_int_equal(use(replay, NOW_S + 900, NOW_S + 1800, 8, false), SECURITY_OK);
    assert_int_equal(use(replay, NOW_S + 900, NOW_S + 900, 1, false), SECURITY_REPLAYED);
    security__replay_close(&replay);
}

/* A little: what was used stays used. By more than the window: it begins again, as after a start.
 */
static void clock_that_was_set_back_refuses_nobody(void **state)
{
    (void)state;
    struct security__replay *replay = NULL;
    uint32_t number = 100;

    set_clock(NOW_S);
    assert_int_equal(security__replay_create(&fixed_clock, 8, 1000, &replay), BASE_ERR_OK);
    assert_int_equal(use(replay, NOW_S, NOW_S, 1, true), SECURITY_OK);
    assert_int_equal(use(replay, NOW_S, NOW_S + 900, 2, false), SECURITY_OK);
    assert_int_equal(use(replay, NOW_S, NOW_S + 900, 3, false), SECURITY_OK);
    set_clock(NOW_S - 60);
    assert_int_equal(use(replay, NOW_S - 60, NOW_S, 1, true), SECURITY_OK);
    assert_int_equal(use(replay, NOW_S - 59, NOW_S, 1, true), SECURITY_REPLAYED);
    assert_int_equal(use(replay, NOW_S - 59, NOW_S - 60, 4, false), SECURITY_OK);

    set_clock(NOW_S - 3600);
    assert_int_equal(use(replay, NOW_S - 3600, NOW_S - 3600, 5, false), SECURITY_OK);
    assert_int_equal(use(replay, NOW_S - 3600, NOW_S - 3600, 5, false), SECURITY_REPLAYED);
    assert_int_equal(use(replay, NOW_S - 3600, NOW_S - 3601, 6, false), SECURITY_NOT_IN_TIME);
    assert_int_equal(use(replay, NOW_S - 3600, NOW_S - 2700, 7, false), SECURITY_OK);
    assert_int_equal(use(replay, NOW_S - 3600, NOW_S - 2700, 8, false), SECURITY_OK);
    assert_int_equal(use(replay, NOW_S - 3600, NOW_S - 2700, 9, false), SECURITY_OVERLOADED);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(use(replay, NOW_S - 3600, NOW_S - 3600, number++, false), SECURITY_OK);
    }
    assert_int_equal(use(replay, NOW_S - 3600, NOW_S - 3600, 10, false), SECURITY_OVERLOADED);
    assert_int_equal(use(replay, NOW_S, NOW_S, 11, false), SECURITY_OK);
    security__replay_close(&replay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors_verify),
        cmocka_unit_test(encoding_and_order_of_the_url_do_not_matter),
        cmocka_unit_test(host_and_date_have_to_be_signed),
        cmocka_unit_test(malformed_authorization_is_refused),
        cmocka_unit_test(mutated_authorization_is_harmless),
        cmocka_unit_test(dates_are_seconds_since_1970),
        cmocka_unit_test(signature_is_used_once),
        cmocka_unit_test(poll_may_repeat_within_its_second),
        cmocka_unit_test(full_memory_forgets_the_oldest_seconds_and_refuses_them),
        cmocka_unit_test(signatures_dated_ahead_take_a_share_only),
        cmocka_unit_test(clock_that_was_set_back_refuses_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
