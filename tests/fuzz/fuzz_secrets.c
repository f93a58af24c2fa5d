/* libFuzzer target: what clients show to prove who they are, piece by piece: base64, SCRAM
 * messages, the Authorization of a signed request and what it signs. Any bytes are refused or
 * understood, without reading out of bounds, and one thing has one form.
 *
 * Byte 0 chooses (enum kind), the rest is what comes from a client. */
#include <stdint.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/arena.h"
#include "core/base/assert.h"
#include "core/base/base64.h"
#include "core/security/scram.h"
#include "core/security/signature.h"
#include "rest-gw/http_parser.h"

enum kind { KIND_BASE64, KIND_SCRAM, KIND_AUTHORIZATION, KIND_DATE, KIND_REQUEST, KIND_COUNT };

enum { BYTES_MAX = 4096, ARENA_LIMIT = 1 << 22, BODY_SIZE_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void base64(struct base_slice text)
{
    uint8_t bytes[BYTES_MAX];
    char again[BASE_BASE64_LENGTH(BYTES_MAX)];
    char url[BASE_BASE64URL_SIZE(BYTES_MAX)];
    size_t size = 0;

    if (base_base64_decode(text, bytes, sizeof bytes, &size)) {
        BASE_ASSERT(size <= sizeof bytes);
        base_base64_encode(base_slice_of(bytes, size), again);
        BASE_ASSERT(base_slice_equal(text, base_slice_of(again, BASE_BASE64_LENGTH(size))));
    }
    size = text.length / 4 * 3;
    if (size <= sizeof bytes && base_base64url_decode(text, bytes, size)) {
        base_base64url_encode(base_slice_of(bytes, size), url);
        BASE_ASSERT(base_slice_is(text, url));
    }
}

/* Both messages, with a line end between them. The keys are of RFC 7677 §3 (user, "pencil"), and
 * so is the nonce. */
static void scram(struct base_slice text)
{
    static const char nonce[] = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    static const struct security_scram_keys keys = {
        .salt = {0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36,
                 0xfa, 0x81},
        .iterations = 4096,
        .size = 32,
        .stored_key = {0x58, 0x6e, 0x5d, 0xf2, 0x83, 0xe6, 0xdc, 0xeb, 0x5c, 0x3e, 0x79,
                       0x1d, 0x8b, 0x85, 0x28, 0xec, 0x19, 0x16, 0x64, 0x04, 0x5c, 0xe9,
                       0x71, 0x79, 0x2e, 0x2e, 0x6b, 0x5b, 0xb1, 0x3e, 0x22, 0xa6},
        .server_key = {0xc1, 0xf3, 0xcb, 0xc1, 0xc1, 0x3a, 0x9d, 0x35, 0xa1, 0x4c, 0x09,
                       0x90, 0xee, 0xd9, 0x76, 0x29, 0xea, 0x22, 0x58, 0x63, 0xe5, 0x66,
                       0xa4, 0x31, 0x4a, 0xb9, 0x9f, 0x3f, 0x00, 0xe5, 0xd9, 0xd5}};
    static struct security_scram exchange;
    const uint8_t *end = memchr(text.data, '\n', text.length);
    size_t length = end == NULL ? text.length : (size_t)(end - text.data);
    char answer[SECURITY_SCRAM_ANSWER_SIZE];
    size_t answer_length = 0;

    if (!security_scram_begin(&exchange, SECURITY_SCRAM_SHA_256,
                              base_slice_of(text.data, length)) ||
        end == NULL) {
        return;
    }
    BASE_ASSERT(exchange.user_length > 0 && exchange.user_length < length);
    answer_length = security_scram_challenge(&exchange, &keys, base_slice_text(nonce), answer);
    BASE_ASSERT(answer_length < sizeof answer);
    bool is_right = security_scram_finish(
        &exchange, base_slice_of(end + 1, text.length - length - 1), answer, &answer_length);
    BASE_ASSERT(is_right == (answer_length > 0));
}

static void authorization(struct base_slice text)
{
    struct security_authorization parsed;

    if (security_authorization_parse(text, &parsed)) {
        BASE_ASSERT(parsed.access_key.length > 0);
        BASE_ASSERT(parsed.signed_headers.length > 0);
        BASE_ASSERT(parsed.signature.length == SECURITY_SIGNATURE_TEXT_SIZE - 1);
        BASE_ASSERT(!parsed.is_scoped || parsed.scope.length > 0);
    }
}

static void date(struct base_slice text)
{
    int64_t seconds = 0;
    if (security_signature_date(text, &seconds)) {
        BASE_ASSERT(seconds >= 0);
    }
}

/* The signature of a request does not depend on how its path and query are encoded, only on what
 * they say; here: signing twice is signing once. */
static void request(struct base_slice text)
{
    struct security_http_field fields[RESTGW_HTTP_FIELDS_MAX];
    struct security_authorization parsed;
    struct restgw_http_parser parser;
    struct base_slice value = {0};
    struct base_slice when = {0};
    struct base_arena arena;
    char first[SECURITY_SIGNATURE_TEXT_SIZE];
    char second[SECURITY_SIGNATURE_TEXT_SIZE];
    uint8_t *message = base_alloc(text.length + 1);

    BASE_ASSERT(message != NULL);
    memcpy(message, text.data, text.length);
    restgw_http_parser_init(&parser, BODY_SIZE_MAX);
    (void)restgw_http_parse(&parser, message, text.length);
    if (restgw_http_has_head(&parser)) {
        for (uint32_t i = 0; i < parser.head.fields_count; i++) {
            fields[i].name = restgw_http_slice(message, parser.head.fields[i].name);
            fields[i].value = restgw_http_slice(message, parser.head.fields[i].value);
            value = base_slice_is(fields[i].name, "Authorization") ? fields[i].value : value;
            when = base_slice_is(fields[i].name, "X-Sdk-Date") ? fields[i].value : when;
        }
        const struct security_http_request signed_request = {
            .method = base_slice_text(restgw_http_method_text(parser.head.method)),
            .path = restgw_http_slice(message, parser.head.path),
            .query = restgw_http_slice(message, parser.head.query),
            .fields = fields,
            .fields_count = parser.head.fields_count,
            .body = base_slice_of(message + parser.body_start, parser.body_length)};
        base_arena_init(&arena, ARENA_LIMIT);
        if (security_authorization_parse(value, &parsed) &&
            security_signature_make(&arena, &signed_request, &parsed, when,
                                    base_slice_text("secret"), first, NULL) == BASE_ERR_OK) {
            enum base_err err = security_signature_make(&arena, &signed_request, &parsed, when,
                                                        base_slice_text("secret"), second, NULL);
            BASE_ASSERT(err == BASE_ERR_OK && strcmp(first, second) == 0);
        }
        base_arena_fini(&arena);
    }
    base_free(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const kinds[KIND_COUNT])(struct base_slice text) = {base64, scram, authorization,
                                                                      date, request};
    if (size < 2) {
        return 0;
    }
    /* Exactly as much memory, so that a sanitizer sees reads behind the end. */
    uint8_t *copy = base_alloc(size - 1);
    BASE_ASSERT(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    kinds[data[0] % KIND_COUNT](base_slice_of(copy, size - 1));
    base_free(copy);
    return 0;
}
