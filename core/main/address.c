/* The addresses of the configuration. */
#include "core/main/address.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/base/text.h"
#include "rest-gw/proxies.h"

static enum base_err bad_address(const struct main_config *config, enum main_config_key key,
                                 const char *scheme, char error[MAIN_CONFIG_ERROR_SIZE])
{
    (void)snprintf(error, MAIN_CONFIG_ERROR_SIZE, "%s=%.128s: expected %s://host:port",
                   main_config_name(key), main_config_text(config, key), scheme);
    return BASE_ERR_INVALID;
}

static enum base_err parse_address(const struct main_config *config, enum main_config_key key,
                                   const char *scheme, struct main_address *out,
                                   char error[MAIN_CONFIG_ERROR_SIZE])
{
    const char *text = main_config_text(config, key);
    size_t scheme_length = strlen(scheme);
    int64_t port = 0;

    *out = (struct main_address){{0}, 0};
    if (strncasecmp(text, scheme, scheme_length) != 0 ||
        strncmp(text + scheme_length, "://", 3) != 0) {
        return bad_address(config, key, scheme, error);
    }
    const char *host = text + scheme_length + 3;
    const char *colon = strrchr(host, ':');
    if (colon == NULL ||
        !base_text_int64_between(base_slice_text(colon + 1), 0, UINT16_MAX, &port)) {
        return bad_address(config, key, scheme, error);
    }
    size_t length = (size_t)(colon - host);
    if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
        host++;
        length -= 2;
    }
    if (length >= sizeof out->host || memchr(host, ',', length) != NULL) {
        return bad_address(config, key, scheme, error);
    }
    memcpy(out->host, host, length);
    out->port = (uint16_t)port;
    return BASE_ERR_OK;
}

/* True for 127.0.0.0/8, ::1 and localhost. */
static bool is_loopback(const struct main_address *address)
{
    return strncmp(address->host, "127.", 4) == 0 || strcmp(address->host, "::1") == 0 ||
           strcasecmp(address->host, "localhost") == 0;
}

static enum base_err refuse_exposed(const struct main_config *config, enum main_config_key key,
                                    const struct main_address *address,
                                    char error[MAIN_CONFIG_ERROR_SIZE])
{
    if (is_loopback(address) || main_config_bool(config, MAIN_INSECURE_LISTENERS)) {
        return BASE_ERR_OK;
    }
    (void)snprintf(error, MAIN_CONFIG_ERROR_SIZE,
                   "%s: '%.128s' is not loopback and nothing would be encrypted%s; "
                   "set %s=true to listen there all the same",
                   main_config_name(key), address->host,
                   strcmp(main_config_text(config, MAIN_AUTHENTICATION), "none") == 0
                       ? " or authenticated"
                       : "",
                   main_config_name(MAIN_INSECURE_LISTENERS));
    return BASE_ERR_INVALID;
}

/* When nothing is said, or all interfaces: a name that others can come to. */
static void choose_advertised(struct main_address *address)
{
    if (address->host[0] != '\0' && strcmp(address->host, "0.0.0.0") != 0 &&
        strcmp(address->host, "::") != 0) {
        return;
    }
    if (gethostname(address->host, sizeof address->host - 1) != 0) {
        (void)snprintf(address->host, sizeof address->host, "127.0.0.1");
    }
}

static enum base_err check_proxies(const struct main_config *config,
                                   char error[MAIN_CONFIG_ERROR_SIZE])
{
    struct restgw_proxies proxies;

    if (restgw_proxies_parse(main_config_text(config, MAIN_TRUSTED_PROXIES), &proxies)) {
        return BASE_ERR_OK;
    }
    (void)snprintf(error, MAIN_CONFIG_ERROR_SIZE,
                   "dms.trusted.proxies: expected at most %d addresses or networks, as "
                   "127.0.0.1,10.0.0.0/8",
                   RESTGW_PROXIES_MAX);
    return BASE_ERR_INVALID;
}

enum base_err main_addresses_parse(const struct main_config *config, struct main_addresses *out,
                                   char error[MAIN_CONFIG_ERROR_SIZE])
{
    *out = (struct main_addresses){0};
    enum base_err err = parse_address(config, MAIN_LISTENERS, "PLAINTEXT", &out->kafka, error);
    if (err == BASE_ERR_OK) {
        err = parse_address(config, MAIN_HTTP_LISTENERS, "http", &out->http, error);
    }
    out->advertised = out->kafka;
    if (err == BASE_ERR_OK && main_config_text(config, MAIN_ADVERTISED_LISTENERS)[0] != '\0') {
        err =
            parse_address(config, MAIN_ADVERTISED_LISTENERS, "PLAINTEXT", &out->advertised, error);
    }
    if (err == BASE_ERR_OK) {
        err = refuse_exposed(config, MAIN_LISTENERS, &out->kafka, error);
    }
    if (err == BASE_ERR_OK) {
        err = refuse_exposed(config, MAIN_HTTP_LISTENERS, &out->http, error);
    }
    choose_advertised(&out->advertised);
    return err == BASE_ERR_OK ? check_proxies(config, error) : err;
}
