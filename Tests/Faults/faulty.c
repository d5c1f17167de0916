/* Stands between a program and the C library (LD_PRELOAD) and makes one call that changes files fail, or kills the program
 * there. Calls are counted from 1: writes to regular files but standard ones, syncs, renames, links, removals, new files
 * and directories, new times.
 *
 *   FAULTY_AT     which call; 0 none
 *   FAULTY_ERRNO  what it fails with; 0 kills
 *   FAULTY_MODE   once, ever (this call and all after it), after (it is done, and then killed)
 *   FAULTY_COUNT  a file that gets the number of calls at the program's end
 */
#define _GNU_SOURCE
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

static void read_orders(void) {
    const char *text = getenv("FAULTY_AT");
    const char *mode = getenv("FAULTY_MODE");
    const char *code = getenv("FAULTY_ERRNO");
    at = text ? atol(text) : 0;
    number = code ? atoi(code) : 0;
    ever = mode && strcmp(mode, "ever") == 0;
    after = mode && strcmp(mode, "after") == 0;
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
static int step(void) {
    if (at < 0) read_orders();
    long count = atomic_fetch_add(&calls, 1) + 1;
    if (at == 0 || !(count == at || (ever && count > at))) return 0;
    if (after) return 2;
    if (number == 0) kill(getpid(), SIGKILL);
    errno = number;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define AROUND(type, call)                                                                                             \
    int fate = step();                                                                                                 \
    if (fate == 1) return -1;                                                                                          \
    type result = call;                                                                                                \
    if (fate == 2) kill(getpid(), SIGKILL);                                                                            \
    return result

static int is_regular(int file) {
    struct stat status;
    return file > 2 && fstat(file, &status) == 0 && S_ISREG(status.st_mode);
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
    if (which != SYS_openat2 || !(*(const unsigned long long *)c & O_CREAT))
        return REAL(syscall)(which, a, b, c, d, e, f);
    AROUND(long, REAL(syscall)(which, a, b, c, d, e, f));
}
