/* SCRAM messages: comma-separated attributes "<letter>=<value>". */
#include "core/security/scram.h"

#include <stdio.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/base64.h"
#include "core/base/uuid.h"
#include "core/security/crypto_priv.h"

enum { NONCE_BYTES = SECURITY_SCRAM_NONCE_LENGTH / 4 * 3 };

static const char *const names[] = {"SCRAM-SHA-256", "SCRAM-SHA-512"};
static const enum security__digest digests[] = {SECURITY__SHA256, SECURITY__SHA512};

const char *security_scram_name(enum security_scram_mechanism mechanism)
{
    BASE_ASSERT(mechanism < sizeof names / sizeof names[0]);
    return names[mechanism];
}

bool security_scram_parse(struct base_slice name, enum security_scram_mechanism *out)
{
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (base_slice_is(name, names[i])) {
            *out = (enum security_scram_mechanism)i;
            return true;
        }
    }
    return false;
}

/* Takes what stands before the next ',' off *rest, and the ',' with it. */
static struct base_slice take(struct base_slice *rest)
{
    const uint8_t *comma = rest->length == 0 ? NULL : memchr(rest->data, ',', rest->length);
    size_t length = comma == NULL ? rest->length : (size_t)(comma - rest->data);
    struct base_slice piece = base_slice_of(rest->data, length);
    size_t taken = comma == NULL ? length : length + 1;
    *rest = base_slice_of(rest->data + taken, rest->length - taken);
    return piece;
}

/* The value of "<letter>=<value>"; the null slice when it is another letter. */
static struct base_slice value_of(struct base_slice attribute, char letter)
{
    if (attribute.length < 2 || attribute.data[0] != (uint8_t)letter || attribute.data[1] != '=') {
        return base_slice_of(NULL, 0);
    }
    return base_slice_of(attribute.data + 2, attribute.length - 2);
}

/* A saslname: "=2C" is ',' and "=3D" is '='. False when it is malformed or empty. */
static bool unescape(struct base_slice text, char *out, size_t *length)
{
    *length = 0;
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = text.data[i];
        if (byte == '\0') {
            return false;
        }
        if (byte == '=') {
            struct base_slice code = base_slice_of(text.data + i, i + 3 <= text.length ? 3 : 0);
            if (!base_slice_is(code, "=2C") && !base_slice_is(code, "=3D")) {
                return false;
            }
            byte = code.data[2] == 'C' ? ',' : '=';
            i += 2;
        }
        out[(*length)++] = (char)byte;
    }
    return *length > 0;
}

static bool is_nonce(struct base_slice text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < 0x21 || text.data[i] > 0x7e || text.data[i] == ',') {
            return false;
        }
    }
    return text.length > 0;
}

static void transcribe(struct security_scram *scram, struct base_slice text)
{
    BASE_ASSERT(text.length <= sizeof scram->transcript - scram->transcript_length);
    if (text.length > 0) {
        memcpy(scram->transcript + scram->transcript_length, text.data, text.length);
    }
    scram->transcript_length += text.length;
}

/* "n,," or "y,a=<user>,": no channel binding, and nobody else to act for. */
static bool read_gs2(struct security_scram *scram, struct base_slice *rest,
                     struct base_slice *authzid)
{
    const uint8_t *start = rest->data;
    struct base_slice flag = take(rest);
    struct base_slice identity = take(rest);

    *authzid = value_of(identity, 'a');
    if ((!base_slice_is(flag, "n") && !base_slice_is(flag, "y")) ||
        (identity.length > 0 && authzid->length == 0)) {
        return false;
    }
    scram->gs2_length = (size_t)(rest->data - start);
    memcpy(scram->gs2, start, scram->gs2_length);
    return true;
}

bool security_scram_begin(struct security_scram *scram, enum security_scram_mechanism mechanism,
                          struct base_slice message)
{
    struct base_slice rest = message;
    struct base_slice authzid;

    *scram = (struct security_scram){.mechanism = mechanism};
    if (message.length == 0 || message.length > SECURITY_SCRAM_MESSAGE_SIZE_MAX ||
        !read_gs2(scram, &rest, &authzid)) {
        return false;
    }
    transcribe(scram, rest);
    struct base_slice user = value_of(take(&rest), 'n'); /* an extension "m=" has no place here */
    struct base_slice nonce = value_of(take(&rest), 'r');
    if (user.length == 0 || !is_nonce(nonce) ||
        (authzid.data != NULL && !base_slice_equal(authzid, user)) || /* CVE-2017-12610 */
        !unescape(user, scram->user, &scram->user_length)) {
        return false;
    }
    memcpy(scram->nonce, nonce.data, nonce.length);
    scram->nonce_length = nonce.length;
    scram->client_nonce_length = nonce.length;
    return true;
}

void security_scram_nonce(char nonce[SECURITY_SCRAM_NONCE_LENGTH])
{
    uint8_t bytes[NONCE_BYTES];
    base_random_bytes(bytes, sizeof bytes);
    base_base64_encode(base_slice_of(bytes, sizeof bytes), nonce);
}

size_t security_scram_challenge(struct security_scram *scram,
                                const struct security_scram_keys *keys, struct base_slice nonce,
                                char *answer)
{
    char salt[BASE_BASE64_LENGTH(SECURITY_SALT_SIZE)];

    BASE_ASSERT(scram->user_length > 0);
    scram->keys = *keys;
    BASE_ASSERT(nonce.length <= SECURITY_SCRAM_NONCE_LENGTH);
    memcpy(scram->nonce + scram->nonce_length, nonce.data, nonce.length);
    scram->nonce_length += nonce.length;
    base_base64_encode(base_slice_of(keys->salt, sizeof keys->salt), salt);
    int length =
        snprintf(answer, SECURITY_SCRAM_ANSWER_SIZE, "r=%.*s,s=%.*s,i=%d", (int)scram->nonce_length,
                 scram->nonce, (int)sizeof salt, salt, (int)keys->iterations);
    BASE_ASSERT(length > 0 && length < SECURITY_SCRAM_ANSWER_SIZE);
    transcribe(scram, base_slice_text(","));
    transcribe(scram, base_slice_of(answer, (size_t)length));
    return (size_t)length;
}

/* ClientProof = ClientKey XOR HMAC(StoredKey, AuthMessage), and StoredKey = H(ClientKey). */
static bool is_proof(const struct security_scram *scram, const uint8_t *proof)
{
    enum security__digest digest = digests[scram->mechanism];
    size_t size = scram->keys.size;
    uint8_t key[SECURITY__DIGEST_SIZE_MAX];

    security__hmac(digest, base_slice_of(scram->keys.stored_key, size),
                   base_slice_of(scram->transcript, scram->transcript_length), key);
    for (size_t i = 0; i < size; i++) {
        key[i] ^= proof[i];
    }
    security__hash(digest, base_slice_of(key, size), key);
    return security__equal(key, scram->keys.stored_key, size);
}

static size_t put_signature(const struct security_scram *scram, char *answer)
{
    uint8_t signature[SECURITY__DIGEST_SIZE_MAX];
    size_t size = scram->keys.size;

    security__hmac(digests[scram->mechanism], base_slice_of(scram->keys.server_key, size),
                   base_slice_of(scram->transcript, scram->transcript_length), signature);
    memcpy(answer, "v=", 2);
    base_base64_encode(base_slice_of(signature, size), answer + 2);
    return 2 + BASE_BASE64_LENGTH(size);
}

/* The client repeats its header: nobody on the way has taken away a channel binding. */
static bool repeats_gs2(const struct security_scram *scram, struct base_slice text)
{
    uint8_t gs2[SECURITY_SCRAM_MESSAGE_SIZE_MAX];
    size_t size = 0;
    return base_base64_decode(text, gs2, sizeof gs2, &size) &&
           base_slice_equal(base_slice_of(gs2, size), base_slice_of(scram->gs2, scram->gs2_length));
}

/* The whole nonce, ours too: otherwise an old final message would do (CVE-2024-56128). librdkafka
 * before 2.6.1 puts its own part in front of it once more, in what it proves too; that takes
 * nothing away from ours. */
static bool is_our_nonce(const struct security_scram *scram, struct base_slice nonce)
{
    struct base_slice wanted = base_slice_of(scram->nonce, scram->nonce_length);
    struct base_slice again = base_slice_of(scram->nonce, scram->client_nonce_length);

    if (nonce.length == again.length + wanted.length &&
        base_slice_equal(base_slice_of(nonce.data, again.length), again)) {
        nonce = base_slice_of(nonce.data + again.length, wanted.length);
    }
    return base_slice_equal(nonce, wanted);
}

bool security_scram_finish(struct security_scram *scram, struct base_slice message, char *answer,
                           size_t *length)
{
    struct base_slice rest = message;
    uint8_t proof[SECURITY__DIGEST_SIZE_MAX];
    size_t proof_size = 0;

    BASE_ASSERT(scram->keys.size > 0);
    *length = 0;
    if (message.length > SECURITY_SCRAM_FINAL_SIZE_MAX) {
        return false;
    }
    struct base_slice header = value_of(take(&rest), 'c');
    struct base_slice nonce = value_of(take(&rest), 'r');
    struct base_slice last = take(&rest);
    while (rest.length > 0) { /* extensions, which we need not know */
        last = take(&rest);
    }
    struct base_slice proof_text = value_of(last, 'p');
    if (header.data == NULL || proof_text.data == NULL || !repeats_gs2(scram, header) ||
        !is_our_nonce(scram, nonce) ||
        !base_base64_decode(proof_text, proof, sizeof proof, &proof_size) ||
        proof_size != scram->keys.size) {
        return false;
    }
    transcribe(scram, base_slice_text(","));
    transcribe(scram, base_slice_of(message.data, (size_t)(proof_text.data - message.data) - 3));
    if (!is_proof(scram, proof)) {
        return false;
    }
    *length = put_signature(scram, answer);
    return true;
}
