/* Runs a fuzz target without libFuzzer: over the seeds of a folder, and over neighbours of each that are always the
 * same. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SEED      (1024 * 1024)
#define MAX_NEIGHBOUR 4096 /* of larger seeds only the seed itself is run */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each input lies in memory of its very size, so that AddressSanitizer sees a step beyond it. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    if (size)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void run_neighbours(uint8_t *data, size_t size)
{
    static const uint8_t other[] = {0x00, 0x7f, 0xff, '"', '\n'};
    for (size_t len = 0; len < size; len++)
        run(data, len);
    for (size_t i = 0; i < size; i++) {
        uint8_t before = data[i];
        for (size_t k = 0; k < sizeof(other); k++) {
            data[i] = other[k];
            run(data, size);
        }
        data[i] = before ^ 1;
        run(data, size);
        data[i] = before;
    }
}

static int run_file(const char *path)
{
    uint8_t *data = malloc(MAX_SEED);
    FILE *file = fopen(path, "rb");
    if (!data || !file) {
        fprintf(stderr, "%s cannot be read\n", path);
        free(data);
        return 1;
    }
    size_t size = fread(data, 1, MAX_SEED, file);
    fclose(file);
    run(data, size);
    if (size <= MAX_NEIGHBOUR)
        run_neighbours(data, size);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    int seeds = 0, failed = 0;
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (!dir) {
        fprintf(stderr, "usage: %s <folder of seeds>\n", argv[0]);
        return 2;
    }
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        char path[4096];
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", argv[1], e->d_name);
        failed |= run_file(path);
        seeds++;
    }
    closedir(dir);
    printf("%d seeds\n", seeds);
    return failed || seeds == 0;
}
