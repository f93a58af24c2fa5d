/* dmsd: a Kafka-wire-compatible broker and a DMS REST gateway on one partitioned log. */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/base/log.h"
#include "core/main/broker.h"
#include "core/main/config.h"
#include "core/main/notify.h"
#include "core/main/user.h"
#include "rest-gw/json.h"

enum { EXIT_USAGE = 2 };

struct arguments {
    bool check_only;
    bool done; /* --help or --version was answered */
};

static void print_help(void)
{
    (void)printf("usage: dmsd [--config FILE] [--check-config] [key=value ...]\n"
                 "       dmsd user VERB ...              (\"dmsd user\" tells the verbs)\n\n"
                 "Without arguments: Kafka on 127.0.0.1:9092, REST on 127.0.0.1:8080,\n"
                 "data in ./dms-data. Keys:\n\n");
    main_config_print(stdout);
}

/* key=value. False: it is wrong and error says why. */
static bool take_pair(struct main_config *config, const char *argument,
                      char error[MAIN_CONFIG_ERROR_SIZE])
{
    char key[256];
    const char *equals = strchr(argument, '=');
    size_t length = equals == NULL ? 0 : (size_t)(equals - argument);

    if (equals == NULL || length >= sizeof key) {
        (void)snprintf(error, MAIN_CONFIG_ERROR_SIZE,
                       "'%.128s': expected key=value, --config FILE, --check-config, --help or "
                       "--version",
                       argument);
        return false;
    }
    memcpy(key, argument, length);
    key[length] = '\0';
    return main_config_set(config, key, equals + 1, error) == BASE_ERR_OK;
}

/* The file comes first, so that the command line wins wherever --config stands. */
static bool take_files(int count, char **values, struct main_config *config,
                       char error[MAIN_CONFIG_ERROR_SIZE])
{
    for (int i = 1; i < count; i++) {
        if (strcmp(values[i], "--config") != 0) {
            continue;
        }
        if (i + 1 == count) {
            (void)snprintf(error, MAIN_CONFIG_ERROR_SIZE, "--config needs a file");
            return false;
        }
        i++;
        if (main_config_load(config, values[i], error) != BASE_ERR_OK) {
            return false;
        }
    }
    return true;
}

static bool take_arguments(int count, char **values, struct main_config *config,
                           struct arguments *out, char error[MAIN_CONFIG_ERROR_SIZE])
{
    if (!take_files(count, values, config, error)) {
        return false;
    }
    for (int i = 1; i < count; i++) {
        if (strcmp(values[i], "--help") == 0) {
            print_help();
            out->done = true;
        } else if (strcmp(values[i], "--version") == 0) {
            (void)printf("dmsd %s\n", DMSD_VERSION);
            out->done = true;
        } else if (strcmp(values[i], "--check-config") == 0) {
            out->check_only = true;
        } else if (strcmp(values[i], "--config") == 0) {
            i++;
        } else if (!take_pair(config, values[i], error)) {
            return false;
        }
    }
    return true;
}

static bool configure_log(const struct main_config *config, char error[MAIN_CONFIG_ERROR_SIZE])
{
    static const char *const levels[] = {"trace", "debug", "info", "warn", "error"};
    const char *level = main_config_text(config, MAIN_LOG_LEVEL);
    const char *format = main_config_text(config, MAIN_LOG_FORMAT);
    bool json = strcmp(format, "json") == 0;

    if (!json && strcmp(format, "logfmt") != 0) {
        (void)snprintf(error, MAIN_CONFIG_ERROR_SIZE, "log.format=%.64s: must be logfmt or json",
                       format);
        return false;
    }
    for (unsigned i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (strcmp(level, levels[i]) == 0) {
            base_log_configure((enum base_log_level)i, json ? BASE_LOG_JSON : BASE_LOG_LOGFMT);
            return true;
        }
    }
    (void)snprintf(error, MAIN_CONFIG_ERROR_SIZE,
                   "log.level=%.64s: must be trace, debug, info, warn or error", level);
    return false;
}

/* Signals are taken by the main thread alone, in run. The end of a terminal is an end like others,
 * unless nohup ignores it: blocked signals arrive all the same. */
static void block_signals(sigset_t *ending)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction hang_up = ignore;
    (void)sigaction(SIGHUP, NULL, &hang_up);
    (void)sigemptyset(ending);
    (void)sigaddset(ending, SIGTERM);
    (void)sigaddset(ending, SIGINT);
    if (hang_up.sa_handler != SIG_IGN) {
        (void)sigaddset(ending, SIGHUP);
    }
    (void)pthread_sigmask(SIG_BLOCK, ending, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)sigaction(SIGXFSZ, &ignore, NULL); /* a file size limit is a full disk */
}

/* Connections and segments take a descriptor each: all that the administrator allows. */
static void raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int run(const struct main_config *config)
{
    struct main_broker *broker = NULL;
    sigset_t ending;
    int signal_number = 0;

    block_signals(&ending);
    raise_descriptors();
    restgw_json_init();
    if (main_broker_start(config, &broker) != BASE_ERR_OK) {
        return EXIT_FAILURE;
    }
    main_notify("READY=1");
    (void)sigwait(&ending, &signal_number);
    base_log(BASE_LOG_INFO, "STOPPING", "signal=%d", signal_number);
    main_notify("STOPPING=1");
    main_broker_stop(&broker);
    base_log(BASE_LOG_INFO, "STOPPED", "signal=%d", signal_number);
    return EXIT_SUCCESS;
}

int main(int count, char **values)
{
    char error[MAIN_CONFIG_ERROR_SIZE] = "out of memory";
    struct arguments arguments = {0};
    int status = EXIT_USAGE;

    if (count > 1 && strcmp(values[1], "user") == 0) {
        return main_user(count - 1, values + 1);
    }
    struct main_config *config = main_config_create();
    if (config == NULL || !take_arguments(count, values, config, &arguments, error)) {
        (void)fprintf(stderr, "dmsd: %s\n", error);
    } else if (arguments.done) {
        status = EXIT_SUCCESS;
    } else if (!configure_log(config, error) || main_broker_check(config, error) != BASE_ERR_OK) {
        (void)fprintf(stderr, "dmsd: %s\n", error);
    } else {
        status = arguments.check_only ? EXIT_SUCCESS : run(config);
    }
    main_config_close(&config);
    return status;
}
