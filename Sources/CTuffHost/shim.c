#define _GNU_SOURCE
#include "CTuffHost.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

const int tuff_o_path = O_PATH;
const short tuff_poll_peer_end = POLLRDHUP;

static int open_resolved(int directory, const char *path, int flags, uint32_t mode, uint64_t resolve) {
    struct open_how how;
    memset(&how, 0, sizeof how);
    how.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC);
    how.mode = (flags & O_CREAT) != 0 ? mode : 0;
    how.resolve = resolve;
    int result;
    /* EAGAIN: a rename elsewhere raced with the resolution of ".." (openat2(2)); the manual says to try again. */
    int attempts = 16;
    do {
        result = (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
    } while (result < 0 && (errno == EINTR || (errno == EAGAIN && --attempts > 0)));
    return result;
}

int tuff_open_beneath(int directory, const char *path, int flags, uint32_t mode) {
    return open_resolved(
        directory, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

int tuff_open_within(int directory, const char *path, int flags) {
    return open_resolved(directory, path, flags, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}

int tuff_open_at(int directory, const char *path, int flags, uint32_t mode) {
    int result;
    do {
        result = openat(directory, path, flags | O_CLOEXEC, (mode_t)mode);
    } while (result < 0 && errno == EINTR);
    return result;
}

int tuff_open_unmounted(int directory, const char *name) {
    return open_resolved(directory, name, O_PATH | O_NOFOLLOW, 0, RESOLVE_NO_XDEV);
}

int tuff_open_in_mount(int directory, const char *path, int flags) {
    uint64_t resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    return open_resolved(directory, path, flags, 0, resolve);
}

int tuff_identity(int descriptor, uint64_t *device, uint64_t *inode, uint32_t *mode) {
    struct statx status;
    int flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT;
    if (statx(descriptor, "", flags, STATX_TYPE | STATX_MODE | STATX_INO, &status) != 0) return -1;
    *device = makedev(status.stx_dev_major, status.stx_dev_minor);
    *inode = status.stx_ino;
    *mode = status.stx_mode;
    return 0;
}

int tuff_mount_number(int descriptor, uint64_t *number) {
    struct statx status;
    int flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT;
    if (statx(descriptor, "", flags, STATX_MNT_ID, &status) != 0) return -1;
    if ((status.stx_mask & STATX_MNT_ID) == 0) {
        errno = ENOSYS;
        return -1;
    }
    *number = status.stx_mnt_id;
    return 0;
}

int tuff_file_system_sort(int descriptor) {
    struct statfs status;
    if (fstatfs(descriptor, &status) != 0) return -1;
    switch ((unsigned long)status.f_type) {
    case FUSE_SUPER_MAGIC: return tuff_fs_fuse;
    case NFS_SUPER_MAGIC: return tuff_fs_nfs;
    default: return tuff_fs_plain;
    }
}

int tuff_fuse_user(int descriptor, uint32_t *user) {
    struct statx status;
    if (statx(descriptor, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) != 0) return -1;
    if ((status.stx_mask & STATX_MNT_ID) == 0) {
        errno = ENOSYS;
        return -1;
    }
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    if (mounts == NULL) return -1;
    char *line = NULL;
    size_t room = 0;
    int result = -1;
    errno = ENOENT;
    while (result != 0 && getline(&line, &room, mounts) > 0) {
        char *end;
        unsigned long long number = strtoull(line, &end, 10);
        if (end == line || number != status.stx_mnt_id) continue;
        /* The options of the file system come last; a path in the line has its blanks escaped. */
        char *options = strrchr(line, ' ');
        char *found = options == NULL ? NULL : strstr(options, "user_id=");
        if (found == NULL) break;
        *user = (uint32_t)strtoul(found + strlen("user_id="), NULL, 10);
        result = 0;
    }
    int number = errno;
    free(line);
    fclose(mounts);
    errno = number;
    return result;
}

int tuff_rename_new(int directory, const char *name, int new_directory, const char *new_name) {
    return renameat2(directory, name, new_directory, new_name, RENAME_NOREPLACE);
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

/* Linux 5.14; the C library's headers may be older. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static int map_segments(struct dl_phdr_info *object, size_t size, void *ignored) {
    (void)size;
    (void)ignored;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD) continue;
        uintptr_t start = (object->dlpi_addr + segment->p_vaddr) & ~(page - 1);
        uintptr_t end = (object->dlpi_addr + segment->p_vaddr + segment->p_filesz) & ~(page - 1);
        /* Where it is refused the pages come one by one, as they always do. */
        if (end > start) madvise((void *)start, end - start, MADV_POPULATE_READ);
    }
    return 1; /* the program is the first object; the libraries are left alone */
}

void tuff_map_program(void) {
    dl_iterate_phdr(map_segments, NULL);
}

int tuff_fork_with_heap(size_t room) {
    /* One heap for all threads, which grows and is not given back: without this each thread has its own, and large
     * blocks are mapped anew, hence faulted in anew, each time. */
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    char *block = malloc(room);
    /* Whole pages only: the first and the last hold the allocator's own words as well. */
    char *start = (char *)(((uintptr_t)block + page) & ~(page - 1));
    size_t length = block && room > 2 * page ? room - 2 * page : 0;
    int apart = length > 0 && madvise(start, length, MADV_POPULATE_WRITE) == 0
        && madvise(start, length, MADV_WIPEONFORK) == 0;
    int pid = fork();
    int saved = errno;
    if (apart) madvise(start, length, MADV_KEEPONFORK);
    free(block);
    errno = saved;
    return pid;
}

void tuff_close_from(int first) {
#ifdef SYS_close_range
    if (syscall(SYS_close_range, first, ~0U, 0) == 0) return;
#endif
    /* Container runtimes set limits of a thousand million; the loop must end, and nobody hands on that many. */
    long limit = sysconf(_SC_OPEN_MAX);
    if (limit < 0 || limit > 65536) limit = 65536;
    for (int descriptor = first; descriptor < limit; descriptor++) close(descriptor);
}

int tuff_own_mounts(void) {
    if (unshare(CLONE_NEWNS) != 0) return -1;
    return mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL);
}

int tuff_enter_host_mounts(void) {
    int host = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (host < 0) return -1;
    /* A thread that shares its root and working directory with others cannot (mntns_install in fs/namespace.c). */
    int result = unshare(CLONE_FS);
    if (result == 0) result = setns(host, CLONE_NEWNS);
    int number = errno;
    close(host);
    errno = number;
    return result;
}

int tuff_mount_scratch(const char *directory) {
    return mount("tuff", directory, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k,mode=700");
}

int tuff_start_bound(const char *path, char *const arguments[], char *const environment[], int output) {
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0) return -1;
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        setpgid(0, 0);
        /* Whoever died between the two has not been noticed by the first. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) _exit(126);
        /* Neither descriptor is one of the three: a program of ours has its streams open. */
        if (dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0) {
            _exit(126);
        }
        tuff_close_from(STDERR_FILENO + 1);
        execve(path, arguments, environment);
        _exit(127);
    }
    int number = errno;
    close(null);
    errno = number;
    return child;
}

unsigned int tuff_device_major(uint64_t device) { return major(device); }

unsigned int tuff_device_minor(uint64_t device) { return minor(device); }

ssize_t tuff_directory_entries(int directory, void *buffer, size_t size) {
    return syscall(SYS_getdents64, directory, buffer, size);
}

int tuff_device_size(int device, uint64_t *size) { return ioctl(device, BLKGETSIZE64, size); }

int tuff_device_read_only(int device, int *read_only) { return ioctl(device, BLKROGET, read_only); }

static int change_range(int device, unsigned long request, uint64_t offset, uint64_t length) {
    uint64_t range[2] = {offset, length};
    int result;
    do {
        result = ioctl(device, request, range);
    } while (result < 0 && errno == EINTR);
    return result;
}

int tuff_device_zero(int device, uint64_t offset, uint64_t length) {
    return change_range(device, BLKZEROOUT, offset, length);
}

int tuff_device_discard(int device, uint64_t offset, uint64_t length) {
    return change_range(device, BLKDISCARD, offset, length);
}

int tuff_clone_file(int target, int source) {
    int result;
    do {
        result = ioctl(target, FICLONE, source);
    } while (result < 0 && errno == EINTR);
    return result;
}

/* fs/xfs/libxfs/xfs_fs.h, struct xfs_fsop_geom: 256 bytes, a word of flags after 92 of them. */
#define TUFF_XFS_GEOMETRY _IOR('X', 126, char[256])
#define TUFF_XFS_FLAGS 92
#define TUFF_XFS_REFLINK (1U << 20)

int tuff_shares_blocks(int directory) {
    struct statfs status;
    if (fstatfs(directory, &status) != 0) return 0;
    if ((unsigned long)status.f_type == BTRFS_SUPER_MAGIC) return 1;
    if ((unsigned long)status.f_type != XFS_SUPER_MAGIC) return 0;
    char geometry[256] = {0};
    uint32_t flags;
    int opened = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (opened < 0) return 0;
    int result = ioctl(opened, TUFF_XFS_GEOMETRY, geometry);
    close(opened);
    if (result != 0) return 0;
    memcpy(&flags, geometry + TUFF_XFS_FLAGS, sizeof flags);
    return (flags & TUFF_XFS_REFLINK) != 0;
}

int tuff_write_back(int file, int64_t offset, int64_t length) {
    return sync_file_range(
        file, offset, length, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
}

int64_t tuff_next_data(int file, int64_t offset) { return lseek(file, offset, SEEK_DATA); }

int64_t tuff_next_hole(int file, int64_t offset) { return lseek(file, offset, SEEK_HOLE); }

int tuff_is_on_network(int file) {
    struct statfs status;
    if (fstatfs(file, &status) != 0) return 0;
    switch ((uint32_t)status.f_type) {
    case NFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC: return 1;
    }
    return 0;
}

int tuff_hold_lease(int file) {
    /* Who opens the file while the lease stands would have SIGIO sent, which ends a process; SIGURG does nothing. */
    if (fcntl(file, F_SETSIG, SIGURG) != 0) return -1;
    return fcntl(file, F_SETLEASE, F_WRLCK);
}

int tuff_end_lease(int file) { return fcntl(file, F_SETLEASE, F_UNLCK); }

int tuff_has_lease(int file) { return fcntl(file, F_GETLEASE) == F_WRLCK; }

int tuff_write_lease(int file) {
    if (tuff_is_on_network(file)) return -1;
    if (tuff_hold_lease(file) == 0) {
        tuff_end_lease(file);
        return 1;
    }
    return errno == EAGAIN ? 0 : -1;
}

int tuff_is_open_elsewhere(int file) { return tuff_write_lease(file) == 0; }

/* Stays until the last one is let go, so that all of them are there at one time. */
static void *wait_for_release(void *release) {
    while (sem_wait(release) != 0) {
    }
    return NULL;
}

int tuff_signal_process(int process, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, process, signal, NULL, 0);
}

int tuff_processors(void) {
    /* EINVAL where the kernel's own set is larger. */
    for (int room = CPU_SETSIZE; room <= CPU_SETSIZE << 8; room <<= 1) {
        cpu_set_t *set = CPU_ALLOC(room);
        if (set == NULL) break;
        size_t size = CPU_ALLOC_SIZE(room);
        int count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        int number = errno;
        CPU_FREE(set);
        if (count > 0) return count;
        if (number != EINVAL) break;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

int tuff_threads_to_be_had(int count) {
    pthread_t threads[64];
    pthread_attr_t attributes;
    sem_t release;
    int made = 0, failure = 0;
    if (pthread_attr_init(&attributes) != 0) {
        return 0;
    }
    pthread_attr_setstacksize(&attributes, 128 << 10);
    sem_init(&release, 0, 0);
    while (made < count && made < 64 && failure == 0) {
        failure = pthread_create(&threads[made], &attributes, wait_for_release, &release);
        made += failure == 0;
    }
    for (int index = 0; index < made; index++) {
        sem_post(&release);
    }
    for (int index = 0; index < made; index++) {
        pthread_join(threads[index], NULL);
    }
    sem_destroy(&release);
    pthread_attr_destroy(&attributes);
    errno = failure;
    return made;
}

void tuff_set_thread_stack(uint64_t size) {
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) {
        return;
    }
    if (pthread_attr_setstacksize(&attributes, (size_t)size) == 0) {
        pthread_setattr_default_np(&attributes);
    }
    pthread_attr_destroy(&attributes);
}

uint64_t tuff_raise_limit(tuff_limit limit, uint64_t wanted) {
    static const __rlimit_resource_t names[] = {RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_NOFILE};
    struct rlimit known;
    if (getrlimit(names[limit], &known) != 0) {
        return UINT64_MAX;
    }
    if (known.rlim_cur != RLIM_INFINITY && known.rlim_cur < wanted) {
        rlim_t soft = known.rlim_cur;
        known.rlim_cur = known.rlim_max == RLIM_INFINITY || known.rlim_max > wanted ? wanted : known.rlim_max;
        if (setrlimit(names[limit], &known) != 0) {
            known.rlim_cur = soft;
        }
    }
    return known.rlim_cur == RLIM_INFINITY ? UINT64_MAX : known.rlim_cur;
}

void tuff_keep_memory(void) {
    enum { MIB = 1 << 20 };
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TOP_PAD, 1 * MIB);
    mallopt(M_TRIM_THRESHOLD, 256 * MIB);
    /* The largest that glibc takes: arrays that grow are not mapped anew each time. */
    mallopt(M_MMAP_THRESHOLD, 32 * MIB);
}
