/* Where the doors listen, and where clients are told to come to. */
#ifndef MAIN_ADDRESS_H
#define MAIN_ADDRESS_H

#include "core/main/config.h"

/* "scheme://host:port" taken apart; v6 addresses without their brackets. */
struct main_address {
    char host[256];
    uint16_t port; /* 0: any that is free */
};

struct main_addresses {
    struct main_address kafka;
    struct main_address advertised; /* what Kafka clients are told: never "all interfaces" */
    struct main_address http;
};

/* What config says. INVALID with a sentence in error that names the key: not an address, or one
 * beyond loopback without leave to listen there unencrypted. */
BASE_MUST_USE enum base_err main_addresses_parse(const struct main_config *config,
                                                 struct main_addresses *out,
                                                 char error[MAIN_CONFIG_ERROR_SIZE]);

#endif
