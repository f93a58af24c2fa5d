/* libFuzzer target: what another Keystone answers when it is asked about a token or a password.
 * Whatever it is, the token is good, bad or nobody knows; a good one has an end in the future and
 * names its user.
 *
 * Byte 0: bit 0: the service user's login is answered by the input, too; bit 1: the input begins
 * with the file of its password, up to the first 0x1e; bit 2: it is a login, whose name and
 * password come next, with a NUL between them, up to the next 0x1e. Then the answers, 0x1e between
 * them. */
#define _GNU_SOURCE /* mkdtemp */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/main/identity.h"
#include "core/security/identity.h"
#include "rest-gw/json.h"
#include "tests/fuzz/answerer.h"
#include "tests/sim/executor_sim.h"

enum {
    FLAG_LOGIN = 1,
    FLAG_PASSWORD = 2,
    FLAG_USER = 4,
    WAIT_US_MAX = 60 * 1000 * 1000,
    PATH_SIZE = 128
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char login[] = "HTTP/1.1 201 Created\r\nX-Subject-Token: service\r\n"
                            "Content-Length: 50\r\n\r\n"
                            "{\"token\":{\"expires_at\":\"2999-01-01T00:00:00.000Z\"}}";

static char root[32];
static char password_path[PATH_SIZE];
static struct main_config *config;

static void set(const char *key, const char *value)
{
    char error[MAIN_CONFIG_ERROR_SIZE];
    BASE_ASSERT(main_config_set(config, key, value, error) == BASE_ERR_OK);
}

static void remove_files(void)
{
    (void)unlink(password_path);
    (void)rmdir(root);
    main_config_close(&config);
}

static void prepare(void)
{
    char url[64];

    if (config != NULL) {
        return;
    }
    base_log_configure(BASE_LOG_ERROR + 1, BASE_LOG_LOGFMT);
    restgw_json_init();
    (void)snprintf(root, sizeof root, "/tmp/dmsd-fuzz-XXXXXX");
    BASE_ASSERT(mkdtemp(root) != NULL);
    (void)snprintf(password_path, sizeof password_path, "%s/password", root);
    config = main_config_create();
    BASE_ASSERT(config != NULL);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/v3", answerer_start());
    set("log.dirs", root);
    set("dms.authentication", "keystone");
    set("dms.signatures.max", "1000"); /* memory that is cleared for each input */
    set("dms.keystone.url", url);
    set("dms.keystone.password.file", password_path);
    (void)atexit(remove_files);
}

static void write_password(struct base_slice text)
{
    FILE *file = fopen(password_path, "wb");
    BASE_ASSERT(file != NULL);
    size_t written = text.length == 0 ? 0 : fwrite(text.data, 1, text.length, file);
    BASE_ASSERT(written == text.length);
    (void)fclose(file);
    BASE_ASSERT(chmod(password_path, 0600) == 0);
}

struct asked {
    struct security_token_check check;
    bool is_over;
};

static void is_checked(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct asked, check.task)->is_over = true;
}

static void ask(struct security_identity *identity, struct sim_scheduler *scheduler,
                struct base_executor *loop)
{
    struct asked asked = {.check = {.executor = loop,
                                    .task.run = is_checked,
                                    .token = base_slice_text("a-token-of-somebody")}};

    if (!security_token_check(identity, NULL, &asked.check)) {
        bool came = sim_scheduler_run_until(scheduler, &asked.is_over, WAIT_US_MAX);
        BASE_ASSERT(came);
    }
    BASE_ASSERT(asked.check.verdict == SECURITY_OK || asked.check.verdict == SECURITY_REFUSED ||
                asked.check.verdict == SECURITY_EXPIRED ||
                asked.check.verdict == SECURITY_UNAVAILABLE);
    if (asked.check.verdict == SECURITY_OK) {
        BASE_ASSERT(asked.check.principal.user_id[0] != '\0');
        BASE_ASSERT(asked.check.principal.expires_ms > 0);
        (void)security_token_peek(identity, NULL, asked.check.token);
    }
}

struct logging_in {
    struct security_login login;
    bool is_over;
};

static void is_logged_in(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct logging_in, login.task)->is_over = true;
}

/* credentials: name, NUL, password. */
static void log_in(struct security_identity *identity, struct sim_scheduler *scheduler,
                   struct base_executor *loop, struct base_slice credentials)
{
    const uint8_t *end =
        credentials.length == 0 ? NULL : memchr(credentials.data, '\0', credentials.length);
    size_t length = end == NULL ? credentials.length : (size_t)(end - credentials.data);
    size_t taken = end == NULL ? length : length + 1;
    struct logging_in own = {
        .login = {.executor = loop,
                  .task.run = is_logged_in,
                  .user_name = base_slice_of(credentials.data, length),
                  .password = base_slice_of(credentials.data + taken, credentials.length - taken),
                  .address = "127.0.0.1"}};

    security_login(identity, &own.login);
    bool came = sim_scheduler_run_until(scheduler, &own.is_over, WAIT_US_MAX);
    BASE_ASSERT(came);
    if (own.login.verdict == SECURITY_OK) {
        BASE_ASSERT(own.login.principal.user_id[0] != '\0');
        BASE_ASSERT(own.login.principal.expires_ms > 0);
    }
}

struct closing {
    struct base_task begin;
    struct base_task closed;
    struct security_identity *identity;
    bool is_over;
};

static void begin_close(struct base_task *task)
{
    struct closing *closing = BASE_CONTAINER_OF(task, struct closing, begin);
    security_identity_close(closing->identity, &closing->closed);
}

static void is_closed(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct closing, closed)->is_over = true;
}

static void check(const struct base_slice *credentials)
{
    const struct main_address address = {.port = 1};
    struct sim_scheduler *scheduler = sim_scheduler_create(1);
    struct base_executor *loop = sim_scheduler_add(scheduler, SIM_LOOP);
    struct main_identity_options options = {.config = config,
                                            .clock = sim_scheduler_clock(scheduler),
                                            .worker = sim_scheduler_add(scheduler, SIM_POOL),
                                            .home = loop,
                                            .http_address = &address};
    struct closing closing = {.begin.run = begin_close, .closed.run = is_closed};

    if (main_identity_open(&options, &closing.identity) == BASE_ERR_OK) {
        if (credentials == NULL) {
            ask(closing.identity, scheduler, loop);
        } else {
            log_in(closing.identity, scheduler, loop, *credentials);
        }
        base_executor_post(loop, &closing.begin);
        bool came = sim_scheduler_run_until(scheduler, &closing.is_over, WAIT_US_MAX);
        BASE_ASSERT(came);
    }
    sim_scheduler_close(&scheduler);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct base_slice parts[ANSWERER_ANSWERS_MAX];
    struct base_slice answers[ANSWERER_ANSWERS_MAX + 1] = {base_slice_text(login)};
    struct base_slice password = base_slice_text("secret\n");
    unsigned first = 0;

    if (size == 0) {
        return 0;
    }
    prepare();
    unsigned count = answerer_cut(base_slice_of(data + 1, size - 1), parts);
    if ((data[0] & FLAG_PASSWORD) != 0 && count > 0) {
        password = parts[first++];
    }
    write_password(password);
    const struct base_slice *credentials = NULL;
    if ((data[0] & FLAG_USER) != 0 && first < count) {
        credentials = &parts[first++];
    }
    unsigned given = (data[0] & FLAG_LOGIN) != 0 ? 0 : 1;
    for (unsigned i = first; i < count; i++) {
        answers[given++] = parts[i];
    }
    answerer_set(answers, given);
    check(credentials);
    answerer_set(NULL, 0);
    return 0;
}
