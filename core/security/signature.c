/* The canonical request and its signature; parsing of what names the key. */
#include "core/security/signature.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/text.h"
#include "core/base/writer.h"
#include "core/security/crypto_priv.h"

enum {
    CANONICAL_SIZE_MAX = 128 * 1024, /* head of a request, each byte encoded */
    QUERY_PARAMETERS_MAX = 256,
    SIGNATURE_LENGTH = SECURITY_SIGNATURE_TEXT_SIZE - 1,
    SCOPE_PARTS = 4,
    SCOPE_DATE_LENGTH = 8,
};

static const char algorithm[] = "SDK-HMAC-SHA256";

/* Parsing. */

static struct base_slice trim(struct base_slice text)
{
    while (text.length > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text = base_slice_of(text.data + 1, text.length - 1);
    }
    while (text.length > 0 &&
           (text.data[text.length - 1] == ' ' || text.data[text.length - 1] == '\t')) {
        text.length--;
    }
    return text;
}

/* What is before the first `separator` in *rest, which moves behind it; all when there is none. */
static struct base_slice cut(struct base_slice *rest, char separator)
{
    if (rest->length == 0) {
        return *rest; /* may be the null slice */
    }
    const uint8_t *end = memchr(rest->data, separator, rest->length);
    size_t length = end == NULL ? rest->length : (size_t)(end - rest->data);
    struct base_slice part = base_slice_of(rest->data, length);
    size_t taken = end == NULL ? length : length + 1;

    *rest = base_slice_of(rest->data + taken, rest->length - taken);
    return part;
}

/* "<name>=<value>" with that name; the null slice otherwise. */
static struct base_slice value_of(struct base_slice pair, const char *name)
{
    struct base_slice found = cut(&pair, '=');
    return base_slice_is(found, name) ? pair : base_slice_of(NULL, 0);
}

/* Cuts "<AK>/<scope>" after the key, and checks that the scope has its four parts. */
static bool parse_credential(struct base_slice credential, struct security_authorization *out)
{
    out->access_key = cut(&credential, '/');
    out->scope = credential;
    struct base_slice part = {0};
    struct base_slice date = {0};
    unsigned count = 0;
    bool is_over = false;

    for (; !is_over && count <= SCOPE_PARTS; count++) {
        is_over = memchr(credential.data, '/', credential.length) == NULL;
        part = cut(&credential, '/');
        date = count == 0 ? part : date;
    }
    return count == SCOPE_PARTS && date.length == SCOPE_DATE_LENGTH &&
           base_slice_is(part, "sdk_request");
}

bool security_authorization_parse(struct base_slice value, struct security_authorization *out)
{
    *out = (struct security_authorization){0};
    value = trim(value);
    if (!base_slice_is(cut(&value, ' '), algorithm)) {
        return false;
    }
    struct base_slice credential = trim(cut(&value, ','));
    out->signed_headers = value_of(trim(cut(&value, ',')), "SignedHeaders");
    out->signature = value_of(trim(value), "Signature");
    struct base_slice access = value_of(credential, "Access");
    bool is_good = false;
    if (access.data != NULL) {
        out->access_key = access;
        is_good = true;
    } else {
        credential = value_of(credential, "Credential");
        out->is_scoped = true;
        is_good = credential.length > 0 && parse_credential(credential, out);
    }
    return is_good && out->access_key.length > 0 &&
           out->access_key.length <= CATALOG_OBJECT_ID_LENGTH_MAX &&
           out->signed_headers.length > 0 && out->signature.length == SIGNATURE_LENGTH;
}

static bool number_of(struct base_slice text, size_t from, size_t length, int64_t least,
                      int64_t most, int64_t *out)
{
    return base_text_int64_between(base_slice_of(text.data + from, length), least, most, out);
}

/* Days since 1970 of a date of the Gregorian calendar. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

bool security_signature_date(struct base_slice text, int64_t *out)
{
    int64_t year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;

    *out = 0;
    if (text.length != 16 || text.data[8] != 'T' || text.data[15] != 'Z' ||
        !number_of(text, 0, 4, 1970, 9999, &year) || !number_of(text, 4, 2, 1, 12, &month) ||
        !number_of(text, 6, 2, 1, 31, &day) || !number_of(text, 9, 2, 0, 23, &hour) ||
        !number_of(text, 11, 2, 0, 59, &minute) || !number_of(text, 13, 2, 0, 60, &second)) {
        return false;
    }
    *out = ((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    return true;
}

/* The canonical request. */

static void put_encoded(struct base_writer *writer, uint8_t byte)
{
    static const char digits[] = "0123456789ABCDEF";
    bool is_unreserved = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                         (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' ||
                         byte == '.' || byte == '~';
    if (is_unreserved) {
        base_writer_bytes(writer, &byte, 1);
    } else {
        uint8_t code[3] = {'%', (uint8_t)digits[byte >> 4], (uint8_t)digits[byte & 15]};
        base_writer_bytes(writer, code, sizeof code);
    }
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    uint8_t lower = c | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Decodes and encodes anew, so that it does not matter how the client encoded it. */
static void put_recoded(struct base_writer *writer, struct base_slice text, bool is_query)
{
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = text.data[i];
        if (byte == '%') {
            int high = i + 2 < text.length ? hex_value(text.data[i + 1]) : -1;
            int low = i + 2 < text.length ? hex_value(text.data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                base_writer_fail(writer, BASE_ERR_MALFORMED);
                return;
            }
            byte = (uint8_t)(high << 4 | low);
            i += 2;
        } else if (byte == '+' && is_query) {
            byte = ' ';
        }
        put_encoded(writer, byte);
    }
}

static void put_path(struct base_writer *writer, struct base_slice path)
{
    bool ends_in_slash = path.length > 0 && path.data[path.length - 1] == '/';
    while (path.length > 0) {
        bool is_last = memchr(path.data, '/', path.length) == NULL;
        put_recoded(writer, cut(&path, '/'), false);
        if (!is_last) {
            base_writer_bytes(writer, "/", 1);
        }
    }
    if (!ends_in_slash) {
        base_writer_bytes(writer, "/", 1);
    }
}

static int compare_slices(struct base_slice a, struct base_slice b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

struct parameter {
    struct base_slice name;
    struct base_slice value;
};

static int compare_parameters(const void *left, const void *right)
{
    const struct parameter *a = left;
    const struct parameter *b = right;
    int order = compare_slices(a->name, b->name);
    return order != 0 ? order : compare_slices(a->value, b->value);
}

/* text recoded, in the arena. */
static struct base_slice recode(struct base_arena *arena, struct base_slice text,
                                enum base_err *err)
{
    struct base_writer writer;
    uint8_t *copy = NULL;

    base_writer_init(&writer, CANONICAL_SIZE_MAX);
    put_recoded(&writer, text, true);
    size_t length = writer.length;
    if (writer.err != BASE_ERR_OK) {
        *err = writer.err;
    } else {
        copy = base_arena_alloc(arena, length + 1);
        if (copy == NULL) {
            *err = BASE_ERR_NOMEM;
        } else if (length > 0) {
            memcpy(copy, writer.buffer->data, length);
        }
    }
    base_writer_fini(&writer);
    return base_slice_of(copy, copy == NULL ? 0 : length);
}

static void put_query(struct base_writer *writer, struct base_arena *arena, struct base_slice query)
{
    enum base_err err = BASE_ERR_OK;
    size_t count = 0;
    struct parameter *parameters =
        base_arena_array(arena, QUERY_PARAMETERS_MAX, sizeof parameters[0]);

    if (parameters == NULL) {
        base_writer_fail(writer, BASE_ERR_NOMEM);
        return;
    }
    while (query.length > 0 && err == BASE_ERR_OK) {
        struct base_slice value = cut(&query, '&');
        if (value.length == 0) {
            continue;
        }
        if (count == QUERY_PARAMETERS_MAX) {
            err = BASE_ERR_TOO_LARGE;
            break;
        }
        parameters[count].name = recode(arena, cut(&value, '='), &err);
        parameters[count].value = recode(arena, value, &err);
        count++;
    }
    if (err != BASE_ERR_OK) {
        base_writer_fail(writer, err);
        return;
    }
    qsort(parameters, count, sizeof parameters[0], compare_parameters);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            base_writer_bytes(writer, "&", 1);
        }
        base_writer_slice(writer, parameters[i].name);
        base_writer_bytes(writer, "=", 1);
        base_writer_slice(writer, parameters[i].value);
    }
}

static bool is_same_name(struct base_slice a, struct base_slice b)
{
    if (a.length != b.length) {
        return false;
    }
    for (size_t i = 0; i < a.length; i++) {
        uint8_t x = a.data[i];
        uint8_t y = b.data[i];
        x = x >= 'A' && x <= 'Z' ? (uint8_t)(x + ('a' - 'A')) : x;
        y = y >= 'A' && y <= 'Z' ? (uint8_t)(y + ('a' - 'A')) : y;
        if (x != y) {
            return false;
        }
    }
    return true;
}

/* The one field of that name; the null slice when there is none or several. */
static struct base_slice find_field(const struct security_http_request *request,
                                    struct base_slice name)
{
    struct base_slice value = {0};
    unsigned count = 0;
    for (size_t i = 0; i < request->fields_count; i++) {
        if (is_same_name(request->fields[i].name, name)) {
            value = trim(request->fields[i].value);
            count++;
        }
    }
    return count == 1 ? value : base_slice_of(NULL, 0);
}

static struct base_slice find_text(const struct security_http_request *request, const char *name)
{
    return find_field(request, base_slice_text(name));
}

static void put_headers(struct base_writer *writer, const struct security_http_request *request,
                        struct base_slice names)
{
    bool has_host = false;
    bool has_date = false;

    while (names.length > 0) {
        struct base_slice name = cut(&names, ';');
        struct base_slice value = find_field(request, name);
        if (value.data == NULL) {
            base_writer_fail(writer, BASE_ERR_MALFORMED);
            return;
        }
        has_host = has_host || base_slice_is(name, "host");
        has_date = has_date || base_slice_is(name, "x-sdk-date");
        base_writer_slice(writer, name);
        base_writer_bytes(writer, ":", 1);
        base_writer_slice(writer, value);
        base_writer_bytes(writer, "\n", 1);
    }
    if (!has_host || !has_date) {
        base_writer_fail(writer,
                         BASE_ERR_MALFORMED); /* else it could be used elsewhere, for ever */
    }
}

static void put_payload_hash(struct base_writer *writer,
                             const struct security_http_request *request)
{
    struct base_slice said = find_text(request, "x-sdk-content-sha256");
    uint8_t hash[SECURITY__SHA256_SIZE];
    char text[SECURITY_SIGNATURE_TEXT_SIZE];

    if (said.data == NULL) {
        security__hash(SECURITY__SHA256, request->body, hash);
        security__hex(hash, sizeof hash, text);
        said = base_slice_text(text);
    }
    base_writer_slice(writer, said);
}

static enum base_err make_canonical_hash(struct base_arena *arena,
                                         const struct security_http_request *request,
                                         struct base_slice signed_headers,
                                         char text[SECURITY_SIGNATURE_TEXT_SIZE])
{
    struct base_writer writer;
    uint8_t hash[SECURITY__SHA256_SIZE];

    base_writer_init(&writer, CANONICAL_SIZE_MAX);
    base_writer_slice(&writer, request->method);
    base_writer_bytes(&writer, "\n", 1);
    put_path(&writer, request->path);
    base_writer_bytes(&writer, "\n", 1);
    put_query(&writer, arena, request->query);
    base_writer_bytes(&writer, "\n", 1);
    put_headers(&writer, request, signed_headers);
    base_writer_bytes(&writer, "\n", 1);
    base_writer_slice(&writer, signed_headers);
    base_writer_bytes(&writer, "\n", 1);
    put_payload_hash(&writer, request);
    enum base_err err = writer.err;
    if (err == BASE_ERR_OK) {
        security__hash(SECURITY__SHA256, base_slice_of(writer.buffer->data, writer.length), hash);
        security__hex(hash, sizeof hash, text);
    }
    base_writer_fini(&writer);
    return err;
}

/* The signature. */

/* The key of the scoped form: a chain over the parts of the scope, from "SDK" and the secret. */
static void derive_key(struct base_slice secret, struct base_slice scope,
                       uint8_t key[SECURITY__SHA256_SIZE])
{
    uint8_t start[3 + CATALOG_OBJECT_ID_LENGTH_MAX];
    struct base_slice current = base_slice_of(start, 3 + secret.length);

    BASE_ASSERT(secret.length <= CATALOG_OBJECT_ID_LENGTH_MAX);
    memcpy(start, "SDK", 3);
    memcpy(start + 3, secret.data, secret.length);
    for (unsigned i = 0; i < SCOPE_PARTS; i++) {
        security__hmac(SECURITY__SHA256, current, cut(&scope, '/'), key);
        current = base_slice_of(key, SECURITY__SHA256_SIZE);
    }
    security__wipe(start, sizeof start);
}

enum base_err security_signature_make(struct base_arena *arena,
                                      const struct security_http_request *request,
                                      const struct security_authorization *authorization,
                                      struct base_slice date, struct base_slice secret,
                                      char signature[SECURITY_SIGNATURE_TEXT_SIZE],
                                      char canonical_hash[SECURITY_SIGNATURE_TEXT_SIZE])
{
    char hash[SECURITY_SIGNATURE_TEXT_SIZE];
    uint8_t key[SECURITY__SHA256_SIZE];
    uint8_t mac[SECURITY__SHA256_SIZE];

    enum base_err err = make_canonical_hash(arena, request, authorization->signed_headers, hash);
    if (err != BASE_ERR_OK) {
        return err;
    }
    if (canonical_hash != NULL) {
        memcpy(canonical_hash, hash, sizeof hash);
    }
    char *text = authorization->is_scoped
                     ? base_arena_printf(arena, "%s\n%.*s\n%.*s\n%s", algorithm, (int)date.length,
                                         (const char *)date.data, (int)authorization->scope.length,
                                         (const char *)authorization->scope.data, hash)
                     : base_arena_printf(arena, "%s\n%.*s\n%s", algorithm, (int)date.length,
                                         (const char *)date.data, hash);
    if (text == NULL) {
        return BASE_ERR_NOMEM;
    }
    if (authorization->is_scoped) {
        derive_key(secret, authorization->scope, key);
        secret = base_slice_of(key, sizeof key);
    }
    security__hmac(SECURITY__SHA256, secret, base_slice_text(text), mac);
    security__hex(mac, sizeof mac, signature);
    security__wipe(key, sizeof key);
    return BASE_ERR_OK;
}
