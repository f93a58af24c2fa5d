/* Proxies in front of the REST door whose word about their clients' addresses is taken. */
#ifndef RESTGW_PROXIES_H
#define RESTGW_PROXIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "core/net/conn.h"

enum { RESTGW_PROXIES_MAX = 32, RESTGW_PROXIES_ADDRESS_SIZE = 16 };

/* Networks; addresses of IPv4 are those of IPv6 that stand for them. */
struct restgw_proxies {
    size_t count;
    struct {
        uint8_t address[RESTGW_PROXIES_ADDRESS_SIZE];
        unsigned bits;
    } networks[RESTGW_PROXIES_MAX];
};

/* Reads "127.0.0.1, 10.0.0.0/8, ::1"; "" is none. False when it is something else. */
bool restgw_proxies_parse(const char *text, struct restgw_proxies *out);

/* Puts the client's address ("host:0") in place of the peer's, if the peer is such a proxy:
 * forwarded is X-Forwarded-For, whose last address that is none of theirs counts, as everything in
 * front of it may be invented. What is no address ends the search. True when all of forwarded were
 * proxies: another line of the header may tell more. */
bool restgw_proxies_apply(const struct restgw_proxies *proxies, struct base_slice forwarded,
                          char peer[NET_ADDRESS_SIZE]);

#endif
