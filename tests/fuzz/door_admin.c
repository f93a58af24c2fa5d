/* By the file that a broker leaves for its first administrator. */
#include "tests/fuzz/door_admin.h"

#include <stdio.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/main/identity.h"

enum { FILE_SIZE_MAX = 1024 };

static void read_password(const struct door *door, char password[DOOR_NAME_SIZE])
{
    static const char mark[] = "OS_PASSWORD=";
    char path[128];
    char text[FILE_SIZE_MAX];

    (void)snprintf(path, sizeof path, "%s/" MAIN_ADMIN_FILE, door->root);
    FILE *file = fopen(path, "r");
    BASE_ASSERT(file != NULL);
    size_t length = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[length] = '\0';
    const char *found = strstr(text, mark);
    BASE_ASSERT(found != NULL);
    found += sizeof mark - 1;
    (void)snprintf(password, DOOR_NAME_SIZE, "%.*s", (int)strcspn(found, "\n"), found);
}

void door_admin_header(const struct door_admin *admin, char line[128])
{
    (void)snprintf(line, 128, "X-Auth-Token: %s\r\n", admin->token);
}

void door_admin_log_in(const struct door *door, struct door_admin *out)
{
    static const char keys[] = "/v3.0/OS-CREDENTIAL/credentials";
    char body[512];
    char header[128];

    read_password(door, out->password);
    (void)snprintf(body, sizeof body,
                   "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":"
                   "{\"name\":\"admin\",\"password\":\"%s\",\"domain\":{\"name\":\"Default\"}}}}}}",
                   out->password);
    door_ask(door, "POST", "/v3/auth/tokens", "", body, "X-Subject-Token: ", out->token);
    door_admin_header(out, header);
    door_ask(door, "GET", "/v3/users?name=admin", header, NULL, "\"id\":\"", out->user_id);
    (void)snprintf(body, sizeof body, "{\"credential\":{\"user_id\":\"%s\"}}", out->user_id);
    door_ask(door, "POST", keys, header, body, "\"access\":\"", out->access_key);
    door_find("\"secret\":\"", out->secret_key);
}

bool door_admin_is_in(const struct door *door, const struct door_admin *admin)
{
    char request[256];
    const uint8_t *response;

    int length = snprintf(request, sizeof request,
                          "GET /v3/users?name=admin HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                          "X-Auth-Token: %s\r\n\r\n",
                          admin->token);
    size_t received = door_talk(door->http_port, DOOR_PATIENCE_MS, (const uint8_t *)request,
                                (size_t)length, &response);
    return received > 12 && memcmp(response, "HTTP/1.1 200", 12) == 0;
}
