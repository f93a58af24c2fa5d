/* Trusted proxies: their list, and the client that they tell of. */
#include "rest-gw/proxies.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "core/base/text.h"

enum { HOST_SIZE = INET6_ADDRSTRLEN, V4_OFFSET = 12, BITS_MAX = 128 };

static void trim(struct base_slice *text)
{
    while (text->length > 0 && (text->data[0] == ' ' || text->data[0] == '\t')) {
        *text = base_slice_of(text->data + 1, text->length - 1);
    }
    while (text->length > 0 &&
           (text->data[text->length - 1] == ' ' || text->data[text->length - 1] == '\t')) {
        text->length--;
    }
}

/* host is the text again, as this machine writes it; *v4 tells the family. */
static bool read_address(struct base_slice text, uint8_t out[RESTGW_PROXIES_ADDRESS_SIZE],
                         char host[HOST_SIZE], bool *is_v4)
{
    static const uint8_t mapped[V4_OFFSET] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    if (text.length == 0 || text.length >= HOST_SIZE) {
        return false;
    }
    memcpy(host, text.data, text.length);
    host[text.length] = '\0';
    memcpy(out, mapped, sizeof mapped);
    *is_v4 = inet_pton(AF_INET, host, out + V4_OFFSET) == 1;
    return *is_v4 || inet_pton(AF_INET6, host, out) == 1;
}

static bool add_network(struct base_slice text, struct restgw_proxies *out)
{
    const uint8_t *slash = text.length == 0 ? NULL : memchr(text.data, '/', text.length);
    struct base_slice address = text;
    char host[HOST_SIZE];
    bool is_v4 = false;

    if (slash != NULL) {
        address.length = (size_t)(slash - text.data);
    }
    if (out->count == RESTGW_PROXIES_MAX ||
        !read_address(address, out->networks[out->count].address, host, &is_v4)) {
        return false;
    }
    int64_t widest = is_v4 ? 32 : BITS_MAX;
    int64_t bits = widest;
    if (slash != NULL &&
        !base_text_int64_between(base_slice_of(slash + 1, text.length - address.length - 1), 0,
                                 widest, &bits)) {
        return false;
    }
    out->networks[out->count++].bits = (unsigned)(bits + BITS_MAX - widest);
    return true;
}

bool restgw_proxies_parse(const char *text, struct restgw_proxies *out)
{
    struct base_slice rest = base_slice_text(text);

    *out = (struct restgw_proxies){0};
    trim(&rest);
    while (rest.length > 0) {
        const uint8_t *comma = memchr(rest.data, ',', rest.length);
        struct base_slice one = rest;
        one.length = comma == NULL ? rest.length : (size_t)(comma - rest.data);
        rest = comma == NULL ? base_slice_text("")
                             : base_slice_of(comma + 1, rest.length - one.length - 1);
        trim(&one);
        if (!add_network(one, out) || (comma != NULL && rest.length == 0)) {
            return false;
        }
    }
    return true;
}

static bool is_trusted(const struct restgw_proxies *proxies, const uint8_t *address)
{
    for (size_t i = 0; i < proxies->count; i++) {
        unsigned bytes = proxies->networks[i].bits / 8;
        unsigned left = proxies->networks[i].bits % 8;
        const uint8_t *network = proxies->networks[i].address;
        if (memcmp(network, address, bytes) == 0 &&
            (left == 0 || (network[bytes] ^ address[bytes]) >> (8 - left) == 0)) {
            return true;
        }
    }
    return false;
}

/* "host:port", an IPv6 host perhaps in brackets. */
static struct base_slice host_of(const char *peer)
{
    const char *colon = strrchr(peer, ':');
    size_t length = colon == NULL ? strlen(peer) : (size_t)(colon - peer);
    if (length >= 2 && peer[0] == '[' && peer[length - 1] == ']') {
        return base_slice_of(peer + 1, length - 2);
    }
    return base_slice_of(peer, length);
}

/* The last of a list, which is taken off it. */
static struct base_slice take_last(struct base_slice *list)
{
    size_t start = list->length;
    while (start > 0 && list->data[start - 1] != ',') {
        start--;
    }
    struct base_slice last = base_slice_of(list->data + start, list->length - start);
    list->length = start > 0 ? start - 1 : 0;
    trim(&last);
    return last;
}

bool restgw_proxies_apply(const struct restgw_proxies *proxies, struct base_slice forwarded,
                          char peer[NET_ADDRESS_SIZE])
{
    uint8_t address[RESTGW_PROXIES_ADDRESS_SIZE];
    char host[HOST_SIZE];
    bool is_v4 = false;

    bool is_proxy = proxies->count > 0 && read_address(host_of(peer), address, host, &is_v4) &&
                    is_trusted(proxies, address);
    while (is_proxy && forwarded.length > 0) {
        if (!read_address(take_last(&forwarded), address, host, &is_v4)) {
            return false;
        }
        (void)snprintf(peer, NET_ADDRESS_SIZE, is_v4 ? "%s:0" : "[%s]:0", host);
        is_proxy = is_trusted(proxies, address);
    }
    return is_proxy;
}
