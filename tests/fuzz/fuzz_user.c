/* libFuzzer target: what an identity service answers to "dmsd user …". Whatever it is, the
 * command ends with a status of its own, and does not crash.
 *
 * Byte 0 chooses the command, the rest are the answers, 0x1e between them. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/main/user.h"
#include "core/security/http_call.h"
#include "rest-gw/json.h"
#include "tests/fuzz/answerer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const commands[][5] = {{"list"},
                                          {"create", "n"},
                                          {"password", "n"},
                                          {"enable", "n"},
                                          {"disable", "n"},
                                          {"delete", "n"},
                                          {"key", "n"},
                                          {"grant", "n", "p", "dms_user"},
                                          {"revoke", "n", "p", "admin"},
                                          {"keys", "n"},
                                          {"delete-key", "AK"},
                                          {"project", "list"},
                                          {"project", "create", "d/p"},
                                          {"domain", "list"},
                                          {"domain", "create", "d"},
                                          {"grant", "d/n", "d/p", "dms_user"},
                                          {"create", "d/n"}};

enum { COMMANDS_COUNT = sizeof commands / sizeof commands[0], VALUES_MAX = 6 };

static void prepare(void)
{
    static bool is_prepared;
    char url[64];

    if (is_prepared) {
        return;
    }
    is_prepared = true;
    restgw_json_init();
    BASE_ASSERT(security_http_init() == BASE_ERR_OK);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/v3", answerer_start());
    BASE_ASSERT(setenv("OS_AUTH_URL", url, 1) == 0);
    BASE_ASSERT(setenv("OS_PASSWORD", "secret", 1) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *nowhere;
    static char password[] = "new-password\n";
    static struct base_slice answers[ANSWERER_ANSWERS_MAX];
    char user[] = "user";
    char *values[VALUES_MAX] = {user};
    int count = 1;

    if (size == 0) {
        return 0;
    }
    prepare();
    const char *const *command = commands[data[0] % COMMANDS_COUNT];
    for (unsigned i = 0; i < 5 && command[i] != NULL; i++) {
        values[count++] = (char *)(uintptr_t)command[i];
    }
    answerer_set(answers, answerer_cut(base_slice_of(data + 1, size - 1), answers));
    if (nowhere == NULL) {
        nowhere = fopen("/dev/null", "w");
    }
    FILE *input = fmemopen(password, sizeof password - 1, "r");
    BASE_ASSERT(nowhere != NULL && input != NULL);
    FILE *const standard[] = {stdin, stdout, stderr};
    stdin = input;
    stdout = nowhere;
    stderr = nowhere;
    int status = main_user(count, values);
    stdin = standard[0];
    stdout = standard[1];
    stderr = standard[2];
    (void)fclose(input);
    BASE_ASSERT(status == EXIT_SUCCESS || status == EXIT_FAILURE);
    answerer_set(NULL, 0);
    return 0;
}
