/* Runs a fuzz target over the files, and the files of the folders, given as arguments. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_SIZE_MAX = 1 << 20 };

static int replay_file(const char *path)
{
    static uint8_t input[INPUT_SIZE_MAX];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    size_t size = fread(input, 1, sizeof input, file);
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(input, size);
    return 0;
}

static int replay(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return replay_file(path);
    }
    int failures = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char name[4096];
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        failures += entry->d_name[0] == '.' ? 0 : replay_file(name);
    }
    (void)closedir(folder);
    return failures;
}

int main(int argc, char **argv)
{
    int failures = 0;
    for (int i = 1; i < argc; i++) {
        failures += replay(argv[i]);
    }
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
