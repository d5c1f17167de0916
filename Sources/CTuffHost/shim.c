#define _GNU_SOURCE
#include "CTuffHost.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <unistd.h>

const int tuff_o_path = O_PATH;

int tuff_open_beneath(int directory, const char *path, int flags, uint32_t mode) {
    struct open_how how;
    memset(&how, 0, sizeof how);
    how.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC);
    how.mode = (flags & O_CREAT) != 0 ? mode : 0;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    int result;
    /* EAGAIN: a rename elsewhere raced with the resolution of ".." (openat2(2)); the manual says to try again. */
    int attempts = 16;
    do {
        result = (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
    } while (result < 0 && (errno == EINTR || (errno == EAGAIN && --attempts > 0)));
    return result;
}

int tuff_open_at(int directory, const char *path, int flags, uint32_t mode) {
    int result;
    do {
        result = openat(directory, path, flags | O_CLOEXEC, (mode_t)mode);
    } while (result < 0 && errno == EINTR);
    return result;
}

int tuff_bounded_memory_file(const char *name, off_t size) {
    int descriptor = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor < 0) {
        return -1;
    }
    if (ftruncate(descriptor, size) != 0
        || fcntl(descriptor, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
        int saved = errno;
        close(descriptor);
        errno = saved;
        return -1;
    }
    return descriptor;
}

int tuff_change_mode(int descriptor, uint32_t mode) {
    /* fchmod(2) refuses O_PATH descriptors; the magic link reaches the same inode without a path. */
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return chmod(path, (mode_t)mode);
}

int tuff_signal_pipe(int ends[2]) {
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -1;
    }
    return fcntl(ends[1], F_SETFL, O_NONBLOCK);
}

static volatile sig_atomic_t signal_pipe = -1;

static void forward_signal(int number) {
    int saved = errno;
    unsigned char byte = (unsigned char)number;
    /* The pipe does not block; when it is full enough signals are waiting to be seen. */
    ssize_t ignored = write(signal_pipe, &byte, 1);
    (void)ignored;
    errno = saved;
}

static void swallow_signal(int number) {
    (void)number;
}

int tuff_install_signal_pipe(int pipe) {
    signal_pipe = pipe;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    action.sa_handler = forward_signal;
    if (sigaction(SIGINT, &action, NULL) != 0 || sigaction(SIGTERM, &action, NULL) != 0) {
        return -1;
    }
    action.sa_handler = swallow_signal;
    return sigaction(SIGPIPE, &action, NULL);
}

void tuff_zero(void *memory, size_t count) {
    explicit_bzero(memory, count);
}

int tuff_fork(void) { return fork(); }

void tuff_close_from(int first) {
#ifdef SYS_close_range
    if (syscall(SYS_close_range, first, ~0U, 0) == 0) return;
#endif
    /* Container runtimes set limits of a thousand million; the loop must end, and nobody hands on that many. */
    long limit = sysconf(_SC_OPEN_MAX);
    if (limit < 0 || limit > 65536) limit = 65536;
    for (int descriptor = first; descriptor < limit; descriptor++) close(descriptor);
}

unsigned int tuff_device_major(uint64_t device) { return major(device); }

unsigned int tuff_device_minor(uint64_t device) { return minor(device); }
