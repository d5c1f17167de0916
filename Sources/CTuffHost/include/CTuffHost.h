#ifndef CTUFFHOST_H
#define CTUFFHOST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* System calls that glibc 2.36 has no wrapper for, or whose C signature Swift cannot call. All return -1 and set
 * errno on failure, as the system calls do. */

/* O_PATH of open(2), which needs _GNU_SOURCE. */
extern const int tuff_o_path;

/* POLLRDHUP of poll(2), which needs it as well. */
extern const short tuff_poll_peer_end;

/* openat2(2), Linux 5.6: opens PATH beneath DIRECTORY, following no symbolic link in any component
 * (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS). O_CLOEXEC is always added. */
int tuff_open_beneath(int directory, const char *path, int flags, uint32_t mode);

/* openat2(2), Linux 5.6: opens PATH beneath DIRECTORY, following symbolic links that stay beneath it and no others
 * (RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS); EXDEV for one that leads out or is absolute. O_CLOEXEC is always added. */
int tuff_open_within(int directory, const char *path, int flags);

/* openat(2) with a mode, which Swift cannot pass to a variadic function. O_CLOEXEC is always added. */
int tuff_open_at(int directory, const char *path, int flags, uint32_t mode);

/* openat2(2) with O_PATH of an entry of DIRECTORY, the link itself if it is one; EXDEV, before its file system is asked
 * for anything, where something is mounted there (RESOLVE_NO_XDEV). What is mounted on demand is not mounted. */
int tuff_open_unmounted(int directory, const char *name);

/* openat2(2) of PATH beneath DIRECTORY as tuff_open_beneath does, in the file system of DIRECTORY and no other: EXDEV
 * where something is mounted on the way (RESOLVE_NO_XDEV). */
int tuff_open_in_mount(int directory, const char *path, int flags);

/* The device, inode and mode (stat(2)) of an O_PATH descriptor as far as the kernel has them in memory: no server is
 * asked (statx(2), AT_STATX_DONT_SYNC, AT_NO_AUTOMOUNT). */
int tuff_identity(int descriptor, uint64_t *device, uint64_t *inode, uint32_t *mode);

/* The number of the mount that DESCRIPTOR is on, as proc_pid_mountinfo(5) has it; no server is asked (statx(2), Linux
 * 5.8). */
int tuff_mount_number(int descriptor, uint64_t *number);

/* Sorts of file systems in which somebody else says whose a file is, by fstatfs(2). */
enum { tuff_fs_plain, tuff_fs_nfs, tuff_fs_fuse };
int tuff_file_system_sort(int descriptor);

/* The user for whom the FUSE file system of DESCRIPTOR was mounted: `user_id` in proc_pid_mountinfo(5), found by the
 * mount's number (statx(2), Linux 5.8). */
int tuff_fuse_user(int descriptor, uint32_t *user);

/* renameat2(2) with RENAME_NOREPLACE, Linux 3.15: EEXIST when NEW_NAME is taken, EINVAL where the file system does not
 * know the flag (NFS). */
int tuff_rename_new(int directory, const char *name, int new_directory, const char *new_name);

/* A file in memory of exactly SIZE bytes that cannot grow: writing beyond its end fails with EPERM, and writing into
 * it never raises SIGPIPE, whoever reads it or has stopped reading it. */
int tuff_bounded_memory_file(const char *name, off_t size);

/* chmod(2) of what DESCRIPTOR (which may be O_PATH) refers to, never of what a path leads to. */
int tuff_change_mode(int descriptor, uint32_t mode);

/* pipe2(2) with O_CLOEXEC; the second end, for writing, does not block. */
int tuff_signal_pipe(int ends[2]);

/* From now on SIGINT and SIGTERM write their number as one byte into PIPE and do nothing else, and SIGPIPE does
 * nothing. Handlers rather than SIG_IGN, because an ignored signal stays ignored in the programs we start. */
int tuff_install_signal_pipe(int pipe);

/* Maps the program's own segments (not its libraries') in one go rather than page by page as they are touched. */
void tuff_map_program(void);

/* fork(2), which Swift hides, for a process that has one thread; in the parent ROOM bytes of the heap are there
 * already afterwards: neither faulted in page by page nor shared with the child, which would have each page copied at
 * the first write. Both go on with one heap for all their threads. */
int tuff_fork_with_heap(size_t room);

/* A mount namespace of the calling thread's own (unshare(2), CLONE_NEWNS), shared with what that thread starts from now
 * on and with nobody else, and gone with the last of them. Nothing that is mounted in it gets out; what is unmounted
 * outside goes here too (MS_SLAVE of mount_namespaces(7)), so that no file system of the host stays busy for as long as
 * this lasts. */
int tuff_own_mounts(void);

/* Has the calling thread see the mounts of the first process, and make its own there (setns(2)). Its root and working
 * directory are its own from then on. */
int tuff_enter_host_mounts(void);

/* An empty file system in memory on DIRECTORY, for directories and nothing else, closed to others. */
int tuff_mount_scratch(const char *directory);

/* Starts the program PATH from the calling thread, whose mounts it sees, in a group of its own, with OUTPUT as its output
 * and errors, nothing to read and no other descriptor. The kernel kills it when the thread ends (PR_SET_PDEATHSIG of
 * prctl(2)): what is left of a worker that was killed would keep its namespace. The number of the process. */
int tuff_start_bound(const char *path, char *const arguments[], char *const environment[], int output);

/* Closes every descriptor from FIRST on (close_range(2), Linux 5.9; one by one where that is refused). */
void tuff_close_from(int first);

/* pidfd_send_signal(2), Linux 5.1: a signal to the process of a pidfd and never to a later one of its number; ESRCH
 * when it has ended. */
int tuff_signal_process(int process, int signal);

/* Sends what of BYTES has room in the queue of SOCKET now, without SIGPIPE, and with it a copy of DESCRIPTOR (SCM_RIGHTS of
 * unix(7)), unless that is -1. */
ssize_t tuff_send_handing(int socket, const void *bytes, size_t count, int descriptor);

/* Reads what there is, as read(2) does; DESCRIPTOR becomes the one that came with it (O_CLOEXEC), and stays as it is where
 * none did. Of what is no socket it reads too. */
ssize_t tuff_receive_handed(int input, void *bytes, size_t count, int *descriptor);

/* The numbers of a device, as sysfs writes them; macros in C. */
unsigned int tuff_device_major(uint64_t device);
unsigned int tuff_device_minor(uint64_t device);

/* BLKGETSIZE64, BLKROGET, BLKZEROOUT and BLKDISCARD of a block device (linux/fs.h): its size in bytes; whether it may not
 * be written; zeros for a range, which the kernel writes itself where the device has no command for it; a range whose
 * content is of no more use. */
int tuff_device_size(int device, uint64_t *size);
int tuff_device_read_only(int device, int *read_only);
int tuff_device_zero(int device, uint64_t offset, uint64_t length);
int tuff_device_discard(int device, uint64_t offset, uint64_t length);

/* FICLONE (ioctl_ficlonerange(2)): all of SOURCE becomes what TARGET holds, by sharing its blocks. */
int tuff_clone_file(int target, int source);

/* 1 where files in DIRECTORY (which may be O_PATH) share blocks when asked to: on btrfs, and on XFS made with `reflink`, by
 * its own word (statfs(2), XFS_IOC_FSGEOMETRY of ioctl_xfs_fsgeometry(2)). Nothing is written to find out. */
int tuff_shares_blocks(int directory);

/* Writes what of a range of FILE waits in memory (sync_file_range(2)); neither durable nor needed for anything but time. */
int tuff_write_back(int file, int64_t offset, int64_t length);

/* The first byte from OFFSET on that is not in a hole (SEEK_DATA of lseek(2)), -1 with ENXIO where only a hole follows. */
int64_t tuff_next_data(int file, int64_t offset);

/* The first byte from OFFSET on that is in a hole (SEEK_HOLE of lseek(2)), the end of FILE where there is none, -1 on error. */
int64_t tuff_next_hole(int file, int64_t offset);

/* 1 where somebody else has FILE open, which is open for writing here: a write lease is refused then (fcntl(2),
 * F_SETLEASE). 0 too where the file system knows no leases (NFS). */
int tuff_is_open_elsewhere(int file);

/* 1 where a write lease (fcntl(2), F_SETLEASE) on FILE was granted, and given back at once: nobody else has it open. 0 where
 * it was refused. -1 where nothing can be told by one: on NFS and SMB a lease needs the server's word, and is refused without
 * (nfs4_setlease, cifs_setlease), and other file systems know none. */
int tuff_write_lease(int file);

/* The same lease, which stays until FILE, open for writing here, is closed: whoever opens it meanwhile waits, for
 * /proc/sys/fs/lease-break-time at most. 0, or -1 and errno: EAGAIN where somebody has it open, EINVAL where the file system knows
 * no leases, EACCES where the file is another user's. */
int tuff_hold_lease(int file);

/* Gives it back. */
int tuff_end_lease(int file);

/* 1 while that lease stands and nobody waits for its end (F_GETLEASE). */
int tuff_has_lease(int file);

/* 1 where FILE is on a file system of the network, which refuses leases as if somebody had the file open (statfs(2)). */
int tuff_is_on_network(int file);

/* Processors on which this process may run (sched_getaffinity(2): taskset, a cpuset, CPUAffinity= of a service), not
 * those of the machine; at least 1. Dispatch makes its pool that wide. */
int tuff_processors(void);

/* How many of COUNT threads can be had at one time (pthread_create(3)); they end before this returns, with errno as it was
 * left by the first that could not. */
int tuff_threads_to_be_had(int count);

/* The stack of threads that are made without saying, in bytes. Otherwise it is what RLIMIT_STACK was when the program was
 * started (pthread_create(3)). */
void tuff_set_thread_stack(uint64_t size);

/* Limits of getrlimit(2). */
enum tuff_limit { TUFF_LIMIT_ADDRESS_SPACE, TUFF_LIMIT_DATA, TUFF_LIMIT_STACK, TUFF_LIMIT_DESCRIPTORS };
typedef enum tuff_limit tuff_limit;

/* Raises a soft limit that is below WANTED as far towards that as the hard one lets it; what it is then, UINT64_MAX where
 * there is none. */
uint64_t tuff_raise_limit(tuff_limit limit, uint64_t wanted);

/* memset(3) with zero that the optimiser may not remove. */
void tuff_zero(void *memory, size_t count);

/* getdents64(2) of an open directory: bytes of `struct linux_dirent64` filled in, 0 at the end. readdir(3) takes four
 * system calls more for a directory (fstat, two fcntl, and an open where only O_PATH was had). */
ssize_t tuff_directory_entries(int directory, void *buffer, size_t size);

/* Lets malloc(3) keep what it got from the kernel, in one arena for all threads: for commands that read, decide and end.
 * A second thread's arena grows by a system call for every few pages, which was a twentieth of the time of a large plan. To
 * be called before there are threads. */
void tuff_keep_memory(void);

#endif
