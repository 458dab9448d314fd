// What a program does to the files below $POWER_ROOT/data, in one order, with all data: a log from which the disk after a power cut is made.
// The seam lies here because HDF5, Parquet and the standard library write files too. What goes past it shows: the whole log must give
// the very files.
//
// The log is appended to $POWER_LOG. Syncs are noted, and not done: what a disk keeps is worked out from the log, and nothing waits.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, LINK, UNLINK, RENAME, WRITE, LENGTH, SYNC_BEGINS, SYNC_ENDS, UNSEEN };
enum { FILE_MADE, FOLDER_MADE, UNNAMED_MADE };

struct entry {
    uint32_t kind, detail;
    uint64_t a, b, at;      // inodes, or the number of a sync; the place in the file, or its length
    uint32_t name, name2;   // lengths of what follows
    uint64_t data;
};

static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static char root[PATH_MAX], below[PATH_MAX];
static uint64_t syncs;

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("POWER_ROOT"), *path = getenv("POWER_LOG");
    if (!folder || !path || !realpath(folder, root)) return;
    snprintf(below, sizeof below, "%.4000s/data", root);
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

#define NEXT(name, result, ...) \
    static result (*next)(__VA_ARGS__); \
    if (!next) next = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

// The log is kept in order by the lock that its callers hold while they do what they note.
static void note(struct entry entry, const char *name, const char *name2, const void *data) {
    entry.name = name ? strlen(name) : 0;
    entry.name2 = name2 ? strlen(name2) : 0;
    struct iovec pieces[] = {{&entry, sizeof entry}, {(void *)name, entry.name}, {(void *)name2, entry.name2}, {(void *)data, entry.data}};
    size_t whole = sizeof entry + entry.name + entry.name2 + entry.data;
    if (syscall(SYS_writev, log_fd, pieces, 4) != (long)whole) {
        static const char lost[] = "the log of the disk is torn\n";
        syscall(SYS_write, 2, lost, sizeof lost - 1);
        abort();
    }
}

static void unseen(const char *what) {
    note((struct entry){.kind = UNSEEN}, what, NULL, NULL);
}

static int is_below(const char *path) {
    size_t length = strlen(below);
    return strncmp(path, below, length) == 0 && (path[length] == 0 || path[length] == '/');
}

static int fd_path(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

// The inode of a file below; 0 for others.
static uint64_t inode(int fd) {
    char path[PATH_MAX];
    struct stat about;
    int kept = errno;
    uint64_t found = 0;
    if (log_fd >= 0 && fstat(fd, &about) == 0 && (S_ISREG(about.st_mode) || S_ISDIR(about.st_mode)) && fd_path(fd, path)
        && (is_below(path) || (S_ISDIR(about.st_mode) && strcmp(path, root) == 0)))
        found = about.st_ino;
    errno = kept;
    return found;
}

// The folder and the name of a path. Gives the folder's inode, and 0 where the path is not below.
static uint64_t place(int dirfd, const char *path, char *name) {
    char joined[2 * PATH_MAX], folder[PATH_MAX], whole[2 * PATH_MAX];
    struct stat about;
    int kept = errno;
    if (log_fd < 0 || !path || !*path) return 0;
    if (path[0] == '/') {
        snprintf(joined, sizeof joined, "%s", path);
    } else {
        char from[PATH_MAX];
        if (dirfd == AT_FDCWD ? !getcwd(from, sizeof from) : !fd_path(dirfd, from)) { errno = kept; return 0; }
        snprintf(joined, sizeof joined, "%s/%s", from, path);
    }
    size_t length = strlen(joined);
    while (length > 1 && joined[length - 1] == '/') joined[--length] = 0;
    char *slash = strrchr(joined, '/');
    if (!slash) { errno = kept; return 0; }
    snprintf(name, NAME_MAX + 1, "%.255s", slash + 1);
    *slash = 0;
    uint64_t found = 0;
    if (realpath(*joined ? joined : "/", folder) && stat(folder, &about) == 0) {
        snprintf(whole, sizeof whole, "%s/%s", folder, name);
        if (is_below(whole)) found = about.st_ino;
    }
    errno = kept;
    return found;
}

#define ORDERED(result, type) \
    pthread_mutex_lock(&order); \
    type result
// What a path leads to is looked up under the lock too: another thread may just make the folder above.

#define DONE(result) \
    do { int why = errno; pthread_mutex_unlock(&order); errno = why; return result; } while (0)

static void synced(uint64_t node) {
    uint64_t number = ++syncs;
    note((struct entry){.kind = SYNC_BEGINS, .a = node, .b = number}, NULL, NULL, NULL);
    note((struct entry){.kind = SYNC_ENDS, .b = number}, NULL, NULL, NULL);
}

static int opened(int dirfd, const char *path, int flags, mode_t mode) {
    char name[NAME_MAX + 1];
    struct stat about;
    int unnamed = (flags & O_TMPFILE) == O_TMPFILE;
    if (!unnamed && !(flags & (O_CREAT | O_TRUNC))) return (int)syscall(SYS_openat, dirfd, path, flags | O_LARGEFILE, mode);
    ORDERED(fd, int);
    uint64_t folder = place(dirfd, path, name);
    int kept = errno;
    int existed = !folder || fstatat(dirfd, path, &about, 0) == 0;
    errno = kept;
    fd = (int)syscall(SYS_openat, dirfd, path, flags | O_LARGEFILE, mode);
    if (fd >= 0 && unnamed && folder && fstat(fd, &about) == 0)
        note((struct entry){.kind = CREATE, .detail = UNNAMED_MADE, .a = folder, .b = about.st_ino}, NULL, NULL, NULL);
    else if (fd >= 0 && !existed && fstat(fd, &about) == 0)
        note((struct entry){.kind = CREATE, .detail = FILE_MADE, .a = folder, .b = about.st_ino}, name, NULL, NULL);
    else if (fd >= 0 && flags & O_TRUNC && folder && fstat(fd, &about) == 0 && S_ISREG(about.st_mode))
        note((struct entry){.kind = LENGTH, .a = about.st_ino, .at = 0}, NULL, NULL, NULL);
    DONE(fd);
}

#define MODE(last) \
    va_list more; \
    va_start(more, last); \
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0; \
    va_end(more)
#define OPENER(name) int name(const char *path, int flags, ...) { MODE(flags); return opened(AT_FDCWD, path, flags, mode); }
OPENER(open)
OPENER(open64)
#define OPENER_AT(name) int name(int dirfd, const char *path, int flags, ...) { MODE(flags); return opened(dirfd, path, flags, mode); }
OPENER_AT(openat)
OPENER_AT(openat64)
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

// Writes by a system call; `at` is negative where the file's own place counts.
static ssize_t written(int fd, const struct iovec *pieces, int count, off_t at) {
    uint64_t node = inode(fd);
    if (!node) return at < 0 ? syscall(SYS_writev, fd, pieces, count) : syscall(SYS_pwritev, fd, pieces, count, at, 0);
    ORDERED(done, ssize_t);
    done = at < 0 ? syscall(SYS_writev, fd, pieces, count) : syscall(SYS_pwritev, fd, pieces, count, at, 0);
    int flags = fcntl(fd, F_GETFL);
    if (done > 0) {
        struct stat about;
        if (at < 0) at = lseek(fd, 0, SEEK_CUR) - done;
        else if (flags & O_APPEND && fstat(fd, &about) == 0) at = about.st_size - done;
        char *whole = malloc(done);
        size_t filled = 0;
        for (int i = 0; i < count && filled < (size_t)done; i++) {
            size_t some = pieces[i].iov_len < done - filled ? pieces[i].iov_len : done - filled;
            memcpy(whole + filled, pieces[i].iov_base, some);
            filled += some;
        }
        note((struct entry){.kind = WRITE, .a = node, .at = at, .data = done}, NULL, NULL, whole);
        free(whole);
        if (flags & O_DSYNC) synced(node);
    }
    DONE(done);
}

ssize_t write(int fd, const void *from, size_t size) { return written(fd, &(struct iovec){(void *)from, size}, 1, -1); }
ssize_t writev(int fd, const struct iovec *pieces, int count) { return written(fd, pieces, count, -1); }
#define PWRITER(name) ssize_t name(int fd, const void *from, size_t size, off_t at) { return written(fd, &(struct iovec){(void *)from, size}, 1, at); }
PWRITER(pwrite)
PWRITER(pwrite64)
#define PWRITEV(name) ssize_t name(int fd, const struct iovec *pieces, int count, off_t at) { return written(fd, pieces, count, at); }
PWRITEV(pwritev)
PWRITEV(pwritev64)
#define PWRITEV2(name) \
    ssize_t name(int fd, const struct iovec *pieces, int count, off_t at, int flags) { \
        if (flags && inode(fd)) { errno = EOPNOTSUPP; return -1; } \
        return written(fd, pieces, count, at); \
    }
PWRITEV2(pwritev2)
PWRITEV2(pwritev64v2)

// Others copy by reading and writing where this is not to be had.
ssize_t copy_file_range(int in, off_t *from, int out, off_t *to, size_t size, unsigned flags) {
    if (inode(out)) { errno = EOPNOTSUPP; return -1; }
    return syscall(SYS_copy_file_range, in, from, out, to, size, flags);
}
#define SENDER(name) \
    ssize_t name(int out, int in, off_t *from, size_t size) { \
        if (inode(out)) { errno = EINVAL; return -1; } \
        return syscall(SYS_sendfile, out, in, from, size); \
    }
SENDER(sendfile)
SENDER(sendfile64)
ssize_t splice(int in, off_t *from, int out, off_t *to, size_t size, unsigned flags) {
    if (inode(out)) { errno = EINVAL; return -1; }
    return syscall(SYS_splice, in, from, out, to, size, flags);
}

static int cut(int fd, off_t size) {
    uint64_t node = inode(fd);
    ORDERED(result, int);
    result = (int)syscall(SYS_ftruncate, fd, size);
    if (result == 0 && node) note((struct entry){.kind = LENGTH, .a = node, .at = size}, NULL, NULL, NULL);
    DONE(result);
}
int ftruncate(int fd, off_t size) { return cut(fd, size); }
int ftruncate64(int fd, off_t size) { return cut(fd, size); }

static int cut_path(const char *path, off_t size) {
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    int result = cut(fd, size), why = errno;
    close(fd);
    errno = why;
    return result;
}
int truncate(const char *path, off_t size) { return cut_path(path, size); }
int truncate64(const char *path, off_t size) { return cut_path(path, size); }

static int reserved(int fd, int mode, off_t at, off_t size) {
    uint64_t node = inode(fd);
    ORDERED(result, int);
    result = (int)syscall(SYS_fallocate, fd, mode, at, size);
    struct stat about;
    if (result == 0 && node && mode & ~FALLOC_FL_KEEP_SIZE) unseen("a hole, or room that moves");
    else if (result == 0 && node && !mode && fstat(fd, &about) == 0)
        note((struct entry){.kind = LENGTH, .a = node, .at = about.st_size}, NULL, NULL, NULL);
    DONE(result);
}
int fallocate(int fd, int mode, off_t at, off_t size) { return reserved(fd, mode, at, size); }
int fallocate64(int fd, int mode, off_t at, off_t size) { return reserved(fd, mode, at, size); }
int posix_fallocate(int fd, off_t at, off_t size) { return reserved(fd, 0, at, size) == 0 ? 0 : errno; }
int posix_fallocate64(int fd, off_t at, off_t size) { return reserved(fd, 0, at, size) == 0 ? 0 : errno; }

static int renamed(int from_fd, const char *from, int to_fd, const char *to, unsigned flags) {
    char name[NAME_MAX + 1] = "", name2[NAME_MAX + 1] = "";
    struct stat about;
    ORDERED(result, int);
    uint64_t a = place(from_fd, from, name), b = place(to_fd, to, name2);
    result = (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
    if (result == 0 && (a || b)) {
        if (!a || !b || flags & ~RENAME_NOREPLACE) unseen("a name that is exchanged, or that comes from elsewhere");
        else if (fstatat(to_fd, to, &about, AT_SYMLINK_NOFOLLOW) == 0)
            note((struct entry){.kind = RENAME, .a = a, .b = b, .at = about.st_ino}, name, name2, NULL);
    }
    DONE(result);
}
int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return renamed(a, from, b, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) { return renamed(a, from, b, to, flags); }

static int linked(int from_fd, const char *from, int to_fd, const char *to, int flags) {
    char name[NAME_MAX + 1];
    struct stat about;
    ORDERED(result, int);
    uint64_t folder = place(to_fd, to, name);
    result = (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
    if (result == 0 && folder && fstatat(to_fd, to, &about, AT_SYMLINK_NOFOLLOW) == 0)
        note((struct entry){.kind = LINK, .a = folder, .b = about.st_ino}, name, NULL, NULL);
    DONE(result);
}
int link(const char *from, const char *to) { return linked(AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int a, const char *from, int b, const char *to, int flags) { return linked(a, from, b, to, flags); }

static int pointed(const char *from, int to_fd, const char *to) {
    char name[NAME_MAX + 1];
    ORDERED(result, int);
    result = (int)syscall(SYS_symlinkat, from, to_fd, to);
    if (result == 0 && place(to_fd, to, name)) unseen("a symbolic link");
    DONE(result);
}
int symlink(const char *from, const char *to) { return pointed(from, AT_FDCWD, to); }
int symlinkat(const char *from, int fd, const char *to) { return pointed(from, fd, to); }

static int removed(int dirfd, const char *path, int flags) {
    char name[NAME_MAX + 1];
    ORDERED(result, int);
    uint64_t folder = place(dirfd, path, name);
    result = (int)syscall(SYS_unlinkat, dirfd, path, flags);
    if (result == 0 && folder) note((struct entry){.kind = UNLINK, .a = folder}, name, NULL, NULL);
    DONE(result);
}
int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return removed(AT_FDCWD, path, AT_REMOVEDIR); }
int unlinkat(int dirfd, const char *path, int flags) { return removed(dirfd, path, flags); }
int remove(const char *path) { return removed(AT_FDCWD, path, 0) == 0 || (errno == EISDIR && rmdir(path) == 0) ? 0 : -1; }

static int made(int dirfd, const char *path, mode_t mode) {
    char name[NAME_MAX + 1];
    struct stat about;
    ORDERED(result, int);
    uint64_t folder = place(dirfd, path, name);
    result = (int)syscall(SYS_mkdirat, dirfd, path, mode);
    if (result == 0 && folder && fstatat(dirfd, path, &about, 0) == 0)
        note((struct entry){.kind = CREATE, .detail = FOLDER_MADE, .a = folder, .b = about.st_ino}, name, NULL, NULL);
    DONE(result);
}
int mkdir(const char *path, mode_t mode) { return made(AT_FDCWD, path, mode); }
int mkdirat(int dirfd, const char *path, mode_t mode) { return made(dirfd, path, mode); }

// What is written while a sync runs is not covered by it.
static int sync_of(int fd, long number) {
    uint64_t node = inode(fd);
    if (!node) return (int)syscall(number, fd);
    pthread_mutex_lock(&order);
    uint64_t sync = ++syncs;
    note((struct entry){.kind = SYNC_BEGINS, .a = node, .b = sync}, NULL, NULL, NULL);
    pthread_mutex_unlock(&order);
    sched_yield();
    pthread_mutex_lock(&order);
    note((struct entry){.kind = SYNC_ENDS, .b = sync}, NULL, NULL, NULL);
    pthread_mutex_unlock(&order);
    return 0;
}
int fsync(int fd) { return sync_of(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_of(fd, SYS_fdatasync); }
// This makes nothing durable: neither the length of a file nor what the disk itself holds back.
int sync_file_range(int fd, off_t at, off_t size, unsigned flags) { return inode(fd) ? 0 : (int)syscall(SYS_sync_file_range, fd, at, size, flags); }
int syncfs(int fd) {
    pthread_mutex_lock(&order);
    if (log_fd >= 0) unseen("syncfs");
    pthread_mutex_unlock(&order);
    return (int)syscall(SYS_syncfs, fd);
}

static void *mapped(void *where, size_t size, int may, int flags, int fd, off_t at) {
    if (fd >= 0 && may & PROT_WRITE && flags & MAP_SHARED && inode(fd)) {
        pthread_mutex_lock(&order);
        unseen("a file that is written through memory");
        pthread_mutex_unlock(&order);
    }
    return (void *)syscall(SYS_mmap, where, size, may, flags, fd, at);
}
void *mmap(void *where, size_t size, int may, int flags, int fd, off_t at) { return mapped(where, size, may, flags, fd, at); }
void *mmap64(void *where, size_t size, int may, int flags, int fd, off_t at) { return mapped(where, size, may, flags, fd, at); }
