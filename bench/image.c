// Makes a disk image of a seed, for bench/backup: image IMAGE SIZE SEED, and then image --change IMAGE SEED LIST, which
// rewrites one hundredth of it in scattered blocks of 64 KiB and writes a list of them for `tuff backup run --changed-ranges`.
//
// 35 % zeros, 25 % random bytes, 30 % records that zstd -1 makes about a third of, 10 % copies of what came before, in runs of
// 64 KiB to 2 MiB, as performance figures of the peers were taken.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 64 << 10, RUN = 32 };

static uint64_t state;

// xorshift64*, Vigna 2016: the same on every machine.
static uint64_t next(void) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 2685821657736338717u;
}

static void fill_random(unsigned char *to, size_t count) {
    for (size_t at = 0; at < count; at += 8) {
        uint64_t word = next();
        memcpy(to + at, &word, 8);
    }
}

static void fill_records(unsigned char *to, size_t count) {
    static const char *const words[] = {"customer", "invoice", "Amsterdam", "pending", "shipped", "kernel", "volume", "snapshot",
                                        "error", "warning", "GET /index.html", "POST /api/v1/orders", "true", "null", "EUR", "description"};
    size_t at = 0;
    while (at < count) {
        char line[160];
        uint64_t bits = next();
        int length = snprintf(line, sizeof line, "{\"id\":%llu,\"kind\":\"%s\",\"state\":\"%s\",\"key\":\"%08llx%04llx\",\"at\":%llu}\n",
                              (unsigned long long)(bits >> 40), words[bits & 15], words[bits >> 4 & 15],
                              (unsigned long long)(next() & 0xffffffff), (unsigned long long)(bits >> 8 & 0xffff),
                              (unsigned long long)(1700000000 + (bits >> 24 & 0xffffff)));
        size_t part = (size_t)length < count - at ? (size_t)length : count - at;
        memcpy(to + at, line, part);
        at += part;
    }
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void put(int file, const unsigned char *bytes, size_t count, off_t at) {
    if (pwrite(file, bytes, count, at) != (ssize_t)count) fail("write");
}

static void make(const char *path, uint64_t size) {
    static unsigned char run[RUN * BLOCK];
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || ftruncate(file, (off_t)size)) fail(path);
    uint64_t at = 0;
    while (at < size) {
        uint64_t count = (next() % RUN + 1) * BLOCK;
        if (count > size - at) count = size - at;
        uint64_t kind = next() % 100;
        if (kind < 25) fill_random(run, count);
        else if (kind < 55) fill_records(run, count);
        else if (kind < 65 && at >= count) {
            off_t from = (off_t)(next() % ((at - count) / BLOCK + 1) * BLOCK);
            if (pread(file, run, count, from) != (ssize_t)count) fail("read");
        } else {
            at += count;
            continue;
        }
        put(file, run, count, (off_t)at);
        at += count;
    }
    if (fsync(file)) fail("fsync");
}

static void change(const char *path, const char *list) {
    static unsigned char block[BLOCK];
    int file = open(path, O_RDWR);
    struct stat status;
    if (file < 0 || fstat(file, &status)) fail(path);
    FILE *ranges = fopen(list, "w");
    if (!ranges) fail(list);
    uint64_t blocks = (uint64_t)status.st_size / BLOCK;
    for (uint64_t count = 0; count < blocks / 100; count++) {
        uint64_t at = next() % blocks * BLOCK;
        if (next() % 4) fill_random(block, BLOCK);
        else fill_records(block, BLOCK);
        put(file, block, BLOCK, (off_t)at);
        fprintf(ranges, "%llu %d\n", (unsigned long long)at, BLOCK);
    }
    if (fclose(ranges) || fsync(file)) fail(list);
}

int main(int count, char **words) {
    if (count == 5 && !strcmp(words[1], "--change")) {
        state = strtoull(words[3], NULL, 10) * 2 + 1;
        change(words[2], words[4]);
    } else if (count == 4) {
        state = strtoull(words[3], NULL, 10) * 2 + 1;
        make(words[1], strtoull(words[2], NULL, 10));
    } else {
        fprintf(stderr, "usage: image IMAGE SIZE SEED | image --change IMAGE SEED LIST\n");
        return 64;
    }
    return 0;
}
