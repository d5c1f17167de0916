/* Stands between a program and the C library (LD_PRELOAD) and makes one call that changes files or looks at them fail, or kills the
 * program there. Calls are counted from 1. Those that change: writes to regular files but standard ones, syncs, renames, links,
 * removals, new files and directories, new times. Those that look: opening and reading files, their state, and what directories list, all of them
 * beneath one folder only, since a program and its libraries read much else.
 *
 *   FAULTY_AT     which call; 0 none
 *   FAULTY_ERRNO  what it fails with; 0 kills
 *   FAULTY_MODE   once, ever (this call and all after it), after (it is done, and then killed)
 *   FAULTY_COUNT  a file that gets the number of calls at the program's end
 *   FAULTY_UNDER  calls that look beneath this folder are counted, and those that change are not
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long calls;
static long at = -1;
static int number, ever, after;
static const char *under;

static void read_orders(void) {
    const char *text = getenv("FAULTY_AT");
    const char *mode = getenv("FAULTY_MODE");
    const char *code = getenv("FAULTY_ERRNO");
    under = getenv("FAULTY_UNDER");
    number = code ? atoi(code) : 0;
    ever = mode && strcmp(mode, "ever") == 0;
    after = mode && strcmp(mode, "after") == 0;
    at = text ? atol(text) : 0;
}

__attribute__((destructor)) static void tell(void) {
    const char *path = getenv("FAULTY_COUNT");
    if (!path) return;
    char text[32];
    int length = snprintf(text, sizeof text, "%ld", atomic_load(&calls));
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file >= 0) {
        syscall(SYS_write, file, text, length);
        close(file);
    }
}

/* 1: fail now; 2: die once it is done. */
static int count_call(void) {
    long count = atomic_fetch_add(&calls, 1) + 1;
    if (at == 0 || !(count == at || (ever && count > at))) return 0;
    if (after) return 2;
    if (number == 0) kill(getpid(), SIGKILL);
    errno = number;
    return 1;
}

/* A call that changes something. */
static int step(void) {
    if (at < 0) read_orders();
    return under ? 0 : count_call();
}

/* A call that looks at this file or directory, or at what is in it. */
static int look(int file) {
    if (at < 0) read_orders();
    if (!under) return 0;
    char name[64], path[4096];
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    int saved = errno;
    ssize_t length = readlink(name, path, sizeof path - 1);
    errno = saved;
    size_t prefix = strlen(under);
    if (length < (ssize_t)prefix || strncmp(path, under, prefix) != 0) return 0;
    return count_call();
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FATED(fate_of_call, failure, type, call)                                                                       \
    int fate = fate_of_call;                                                                                           \
    if (fate == 1) return failure;                                                                                     \
    type result = call;                                                                                                \
    if (fate == 2) kill(getpid(), SIGKILL);                                                                            \
    return result
#define AROUND(type, call) FATED(step(), -1, type, call)
#define LOOKING(type, file, call) FATED(look(file), -1, type, call)

static int is_regular(int file) {
    struct stat status;
    return file > 2 && REAL(fstat)(file, &status) == 0 && S_ISREG(status.st_mode);
}

ssize_t write(int file, const void *bytes, size_t count) {
    if (!is_regular(file)) return REAL(write)(file, bytes, count);
    AROUND(ssize_t, REAL(write)(file, bytes, count));
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    AROUND(ssize_t, REAL(pwrite)(file, bytes, count, offset));
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
    AROUND(ssize_t, REAL(pwrite64)(file, bytes, count, offset));
}

int fsync(int file) { AROUND(int, REAL(fsync)(file)); }
int ftruncate(int file, off_t size) { AROUND(int, REAL(ftruncate)(file, size)); }
int ftruncate64(int file, off64_t size) { AROUND(int, REAL(ftruncate64)(file, size)); }
int mkdir(const char *path, mode_t mode) { AROUND(int, REAL(mkdir)(path, mode)); }
int mkdirat(int folder, const char *path, mode_t mode) { AROUND(int, REAL(mkdirat)(folder, path, mode)); }
int unlinkat(int folder, const char *path, int flags) { AROUND(int, REAL(unlinkat)(folder, path, flags)); }
int linkat(int one, const char *from, int other, const char *to, int flags) {
    AROUND(int, REAL(linkat)(one, from, other, to, flags));
}
int renameat2(int one, const char *from, int other, const char *to, unsigned flags) {
    AROUND(int, REAL(renameat2)(one, from, other, to, flags));
}
int utimensat(int folder, const char *path, const struct timespec times[2], int flags) {
    AROUND(int, REAL(utimensat)(folder, path, times, flags));
}

ssize_t read(int file, void *bytes, size_t count) { LOOKING(ssize_t, file, REAL(read)(file, bytes, count)); }
ssize_t pread(int file, void *bytes, size_t count, off_t offset) {
    LOOKING(ssize_t, file, REAL(pread)(file, bytes, count, offset));
}
ssize_t pread64(int file, void *bytes, size_t count, off64_t offset) {
    LOOKING(ssize_t, file, REAL(pread64)(file, bytes, count, offset));
}
int fstat(int file, struct stat *status) { LOOKING(int, file, REAL(fstat)(file, status)); }
int fstat64(int file, struct stat64 *status) { LOOKING(int, file, REAL(fstat64)(file, status)); }
int fstatat(int folder, const char *path, struct stat *status, int flags) {
    LOOKING(int, folder, REAL(fstatat)(folder, path, status, flags));
}
int fstatat64(int folder, const char *path, struct stat64 *status, int flags) {
    LOOKING(int, folder, REAL(fstatat64)(folder, path, status, flags));
}
DIR *fdopendir(int file) { FATED(look(file), NULL, DIR *, REAL(fdopendir)(file)); }
struct dirent *readdir(DIR *stream) { FATED(look(dirfd(stream)), NULL, struct dirent *, REAL(readdir)(stream)); }
struct dirent64 *readdir64(DIR *stream) {
    FATED(look(dirfd(stream)), NULL, struct dirent64 *, REAL(readdir64)(stream));
}

int openat(int folder, const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    if (!(flags & O_CREAT)) return REAL(openat)(folder, path, flags, mode);
    AROUND(int, REAL(openat)(folder, path, flags, mode));
}

long syscall(long which, ...) {
    va_list arguments;
    va_start(arguments, which);
    long a = va_arg(arguments, long), b = va_arg(arguments, long), c = va_arg(arguments, long);
    long d = va_arg(arguments, long), e = va_arg(arguments, long), f = va_arg(arguments, long);
    va_end(arguments);
    /* openat2(2), whose flags are the first word of its third argument. */
    if (which != SYS_openat2) return REAL(syscall)(which, a, b, c, d, e, f);
    if (*(const unsigned long long *)c & O_CREAT) {
        AROUND(long, REAL(syscall)(which, a, b, c, d, e, f));
    }
    LOOKING(long, (int)a, REAL(syscall)(which, a, b, c, d, e, f));
}
