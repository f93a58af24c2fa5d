/* The administrator of a broker with authentication: what it proves itself with. */
#ifndef FUZZ_DOOR_ADMIN_H
#define FUZZ_DOOR_ADMIN_H

#include "tests/fuzz/door.h"

#define DOOR_ADMIN_PROJECT "00000000000000000000000000000000"

struct door_admin {
    char password[DOOR_NAME_SIZE];
    char token[DOOR_NAME_SIZE];
    char user_id[DOOR_NAME_SIZE];
    char access_key[DOOR_NAME_SIZE];
    char secret_key[DOOR_NAME_SIZE];
};

/* Logs in at a DOOR_BUILTIN that is new, and makes an access key. */
void door_admin_log_in(const struct door *door, struct door_admin *out);

/* Whether the token is still good: inputs may have revoked it. */
bool door_admin_is_in(const struct door *door, const struct door_admin *admin);

/* "X-Auth-Token: …" as a line for door_ask. */
void door_admin_header(const struct door_admin *admin, char line[128]);

#endif
