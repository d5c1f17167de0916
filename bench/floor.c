// What a backup of 64 KiB blocks costs at least: SHA-256 names, each block once, zstd -1, two threads, fsync of every file.
// No checks of what is read from its own files, no crash safety, no concurrency, no history: bench/backup compares with it.
//
//   floor full IMAGE DIR             everything
//   floor changed IMAGE DIR LIST     only what LIST names ("offset length" a line), against the last run
//   floor restore DIR IMAGE          with every block's hash checked
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

enum { BLOCK = 64 << 10, PART = 32, THREADS = 2, PACK = 16 << 20 };

typedef struct {
    unsigned char name[32];
    uint32_t pack, offset, stored, length;
} Entry;

static const char *folder;
static int image;
static uint64_t size, blocks;
static unsigned char (*names)[32];  // of each block; all zero: a block of zeros
static Entry *table;                // open addressing by the first bytes of the name
static uint64_t slots = 1 << 20;
static atomic_uint packs;
static atomic_ullong next_part;
static unsigned char *wanted;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int open_at(const char *kind, unsigned number, int flags) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s%u", folder, kind, number);
    int file = open(path, flags, 0600);
    if (file < 0) fail(path);
    return file;
}

static Entry *slot(const unsigned char *name) {
    uint64_t at;
    memcpy(&at, name, 8);
    for (at %= slots;; at = (at + 1) % slots)
        if (!table[at].length || !memcmp(table[at].name, name, 32)) return table + at;
}

static void hash(EVP_MD_CTX *context, const void *bytes, size_t count, unsigned char *name) {
    EVP_DigestInit_ex(context, EVP_sha256(), NULL);
    EVP_DigestUpdate(context, bytes, count);
    EVP_DigestFinal_ex(context, name, NULL);
}

static int is_zero(const unsigned char *bytes, size_t count) { return !bytes[0] && !memcmp(bytes, bytes + 1, count - 1); }

static void write_all(int file, const void *bytes, size_t count) {
    if (write(file, bytes, count) != (ssize_t)count) fail("write");
}

static void *store(void *unused) {
    (void)unused;
    unsigned char *room = malloc(PART * BLOCK), *pack = malloc(PACK + 2 * BLOCK), *frame = malloc(ZSTD_compressBound(BLOCK));
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    EVP_MD_CTX *sha = EVP_MD_CTX_new();
    size_t filled = 0;
    unsigned number = atomic_fetch_add(&packs, 1);
    for (uint64_t part; (part = atomic_fetch_add(&next_part, 1)) * PART < blocks;) {
        uint64_t first = part * PART, end = first + PART < blocks ? first + PART : blocks;
        for (uint64_t block = first; block < end; block++) {
            if (wanted && !wanted[block]) continue;
            unsigned char *bytes = room + (block - first) * BLOCK;
            if (!wanted && block == first) {
                if (pread(image, room, (end - first) * BLOCK, first * BLOCK) < 0) fail("read");
            } else if (wanted && pread(image, bytes, BLOCK, block * BLOCK) < 0) fail("read");
            size_t length = size - block * BLOCK < BLOCK ? size - block * BLOCK : BLOCK;
            if (is_zero(bytes, length)) {
                memset(names[block], 0, 32);
                continue;
            }
            hash(sha, bytes, length, names[block]);
            pthread_mutex_lock(&lock);
            Entry *entry = slot(names[block]);
            int is_new = !entry->length;
            if (is_new) {
                memcpy(entry->name, names[block], 32);
                entry->length = length;
                entry->pack = number;
            }
            pthread_mutex_unlock(&lock);
            if (!is_new) continue;
            size_t count = ZSTD_compressCCtx(zstd, frame, ZSTD_compressBound(BLOCK), bytes, length, 1);
            const void *kept = count < length ? frame : bytes;
            if (count >= length) count = length;
            memcpy(pack + filled, kept, count);
            entry->offset = filled;
            entry->stored = count;
            filled += count;
            if (filled >= PACK) {
                int file = open_at("pack", number, O_WRONLY | O_CREAT | O_TRUNC);
                write_all(file, pack, filled);
                if (fsync(file)) fail("fsync");
                close(file);
                number = atomic_fetch_add(&packs, 1);
                filled = 0;
            }
        }
    }
    int file = open_at("pack", number, O_WRONLY | O_CREAT | O_TRUNC);
    write_all(file, pack, filled);
    if (fsync(file)) fail("fsync");
    return NULL;
}

static void *restore(void *unused) {
    (void)unused;
    unsigned char *room = malloc(BLOCK), *stored = malloc(2 * BLOCK), name[32];
    ZSTD_DCtx *zstd = ZSTD_createDCtx();
    EVP_MD_CTX *sha = EVP_MD_CTX_new();
    int *files = calloc(packs, sizeof *files);
    for (uint64_t part; (part = atomic_fetch_add(&next_part, 1)) * PART < blocks;)
        for (uint64_t block = part * PART; block < blocks && block < (part + 1) * PART; block++) {
            if (is_zero(names[block], 32)) continue;
            Entry *entry = slot(names[block]);
            if (!files[entry->pack]) files[entry->pack] = open_at("pack", entry->pack, O_RDONLY);
            if (pread(files[entry->pack], stored, entry->stored, entry->offset) != (ssize_t)entry->stored) fail("read");
            const unsigned char *bytes = stored;
            if (entry->stored < entry->length) {
                if (ZSTD_decompressDCtx(zstd, room, BLOCK, stored, entry->stored) != entry->length) exit(2);
                bytes = room;
            }
            hash(sha, bytes, entry->length, name);
            if (memcmp(name, names[block], 32)) exit(3);
            if (pwrite(image, bytes, entry->length, block * BLOCK) < 0) fail("write");
        }
    return NULL;
}

static void run(void *(*body)(void *)) {
    pthread_t threads[THREADS];
    for (int at = 0; at < THREADS; at++) pthread_create(&threads[at], NULL, body, NULL);
    for (int at = 0; at < THREADS; at++) pthread_join(threads[at], NULL);
}

static void exchange(int is_saving) {
    uint64_t head[3] = {size, packs, blocks};
    int file = open_at("state", 0, is_saving ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY);
    if (is_saving) {
        write_all(file, head, sizeof head);
        write_all(file, names, blocks * 32);
        for (uint64_t at = 0; at < slots; at++)
            if (table[at].length) write_all(file, table + at, sizeof *table);
        if (fsync(file)) fail("fsync");
        return;
    }
    if (read(file, head, sizeof head) != sizeof head) fail("state");
    size = head[0];
    packs = head[1];
    blocks = head[2];
    names = calloc(blocks, 32);
    if (read(file, names, blocks * 32) < 0) fail("state");
    struct stat status;
    fstat(file, &status);
    size_t count = (status.st_size - sizeof head - blocks * 32) / sizeof(Entry);
    Entry *all = malloc(count * sizeof(Entry));
    if (read(file, all, count * sizeof(Entry)) < 0) fail("state");
    for (size_t at = 0; at < count; at++) *slot(all[at].name) = all[at];
}

int main(int count, char **words) {
    table = calloc(slots, sizeof *table);
    if (count == 4 && !strcmp(words[1], "restore")) {
        folder = words[2];
        exchange(0);
        image = open(words[3], O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (image < 0 || ftruncate(image, size)) fail(words[3]);
        run(restore);
        return fsync(image) ? 1 : 0;
    }
    if (count < 4) return 64;
    folder = words[3];
    image = open(words[2], O_RDONLY);
    struct stat status;
    if (image < 0 || fstat(image, &status)) fail(words[2]);
    if (!strcmp(words[1], "changed") && count == 5) {
        exchange(0);
        wanted = calloc(blocks, 1);
        FILE *list = fopen(words[4], "r");
        unsigned long long offset, length;
        while (list && fscanf(list, "%llu %llu", &offset, &length) == 2)
            for (uint64_t block = offset / BLOCK; block * BLOCK < offset + length; block++) wanted[block] = 1;
    } else {
        size = status.st_size;
        blocks = (size + BLOCK - 1) / BLOCK;
        names = calloc(blocks, 32);
    }
    run(store);
    exchange(1);
    return 0;
}
