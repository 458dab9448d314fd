// A disk that fails as it is told, and a clock that is set: between a program and its C library, for tests of what it does then.
// The seam lies here because HDF5, Parquet and the standard library write files too, whose errors no seam of ours would see.
//
// $DISK_ORDERS names a file that holds `struct orders`, which whoever tests writes at any time. Where $DISK_SYNCED names one, the
// inode of every file and folder that was seen on the disk is appended to it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// The last two are no pretence: the file system is filled, or mounted over itself as one that can only be read.
enum { GOOD, FULL, FAILING, READ_ONLY, SLOW, GATED, FILLED, MOUNTED_READ_ONLY };

struct orders {
    int32_t mode;           // one of those above
    int32_t passes;         // so many openings of `trigger` have no effect yet
    int64_t bytes_left;     // once triggered, so much is written before the mode holds, or left free; of a gate: writes that may pass
    int64_t bytes_per_s;    // of a slow disk, all files together
    int64_t clock_step_ns;  // once triggered, the clock is set by this
    int32_t triggered;      // set here
    int32_t reserved;
    char below[512];        // the folder that is on this disk
    char trigger[128];      // part of the path whose opening begins it; empty: it holds at once. Of a gate: part of the gated paths
    int64_t passed;         // counted here: writes that passed the gate
};

static volatile struct orders *orders;
static int synced_fd = -1;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("DISK_ORDERS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd >= 0) {
        void *page = mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        orders = page == MAP_FAILED ? NULL : page;
    }
    path = getenv("DISK_SYNCED");
    if (path) synced_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

#define NEXT(name, result, ...) \
    static result (*next)(__VA_ARGS__); \
    if (!next) next = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static int on_disk(const char *path) {
    return path && strncmp(path, (const char *)orders->below, strlen((const char *)orders->below)) == 0;
}

static int on_disk_fd(int fd) {
    char link[64], path[1024];
    const char *trigger = (const char *)orders->trigger;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    // What is slow from a folder's first file on is that folder.
    if (orders->mode == SLOW && trigger[0] == '/' && !strstr(path, trigger)) return 0;
    return on_disk(path);
}

static int holds(void) {
    return orders && (orders->triggered || !orders->trigger[0]);
}

// Does to the file system itself what is ordered.
static void overtake(void) {
    const char *below = (const char *)orders->below;
    char path[600];
    if (orders->mode == FILLED) {
        snprintf(path, sizeof path, "%s/filler", below);
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        // Others write meanwhile: to the last page, in pieces, and then what is to be left is given back.
        off_t size = 0;
        for (off_t piece = 1 << 20; fd >= 0 && piece >= 4096; piece /= 16)
            while (posix_fallocate(fd, size, piece) == 0) size += piece;
        if (fd < 0 || ftruncate(fd, size - orders->bytes_left)) fprintf(stderr, "%s: %s\n", path, strerror(errno));
        if (fd >= 0) close(fd);
    }
    // Who opens a file between the two keeps it from being made read-only.
    while (orders->mode == MOUNTED_READ_ONLY) {
        int mounted = mount(below, below, NULL, MS_BIND, NULL) == 0;
        if (mounted && mount(NULL, below, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0) break;
        int why = errno;
        if (mounted) umount2(below, MNT_DETACH);
        if (why == EBUSY) continue;
        fprintf(stderr, "%s cannot be made read-only: %s\n", below, strerror(why));
        break;
    }
}

static void opened(const char *path) {
    if (!orders || orders->mode == GATED || orders->triggered || !orders->trigger[0]) return;
    if (!path || !strstr(path, (const char *)orders->trigger)) return;
    if (__sync_sub_and_fetch(&orders->passes, 1) == -1) {
        orders->triggered = 1;
        overtake();
    }
}

// What changing a file answers: 0 where it may.
static int refused(int writes) {
    if (!holds() || orders->bytes_left > 0) return 0;
    switch (orders->mode) {
        case FULL: return writes ? ENOSPC : 0;
        case FAILING: return writes ? EIO : 0;
        case READ_ONLY: return EROFS;
        default: return 0;
    }
}

// Waits until one more write to a gated file may pass. How fast such a file is written is up to whoever tests, not to the machine.
static void gate(int fd) {
    char link[64], path[1024];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = 0;
    if (!on_disk(path) || !strstr(path, (const char *)orders->trigger)) return;
    while (orders->mode == GATED && orders->passed >= orders->bytes_left) usleep(200);
    __sync_fetch_and_add(&orders->passed, 1);
}

// What writing `size` bytes answers, and how much of it is written before.
static int refuses(int fd, size_t size, size_t *some) {
    *some = size;
    if (orders && orders->mode == GATED) gate(fd);
    if (!holds() || orders->mode == GOOD || orders->mode >= GATED || !on_disk_fd(fd)) return 0;
    if (orders->mode == SLOW) {
        if (orders->bytes_per_s > 0) usleep((useconds_t)(size * 1000000 / orders->bytes_per_s));
        return 0;
    }
    int64_t left = __sync_fetch_and_sub(&orders->bytes_left, (int64_t)size);
    if (left >= (int64_t)size) return 0;
    // As real disks do: what still fits is written, in whole pages, and the rest refused.
    *some = left > 0 ? (size_t)left & ~4095ul : 0;
    return *some ? 0 : refused(1);
}

#define WRITER(name, result, declared, given) \
    result name declared { \
        NEXT(#name, result, int, const void *, size_t); \
        size_t some; \
        int error = refuses(fd, size, &some); \
        if (error) { errno = error; return -1; } \
        return next given; \
    }
WRITER(write, ssize_t, (int fd, const void *from, size_t size), (fd, from, some))

#define PWRITER(name) \
    ssize_t name(int fd, const void *from, size_t size, off_t at) { \
        NEXT(#name, ssize_t, int, const void *, size_t, off_t); \
        size_t some; \
        int error = refuses(fd, size, &some); \
        if (error) { errno = error; return -1; } \
        return next(fd, from, some, at); \
    }
PWRITER(pwrite)
PWRITER(pwrite64)

ssize_t writev(int fd, const struct iovec *pieces, int count) {
    NEXT("writev", ssize_t, int, const struct iovec *, int);
    size_t size = 0, some;
    for (int i = 0; i < count; i++) size += pieces[i].iov_len;
    int error = refuses(fd, size, &some);
    if (error || some < size) { errno = error ? error : refused(1); return -1; }
    return next(fd, pieces, count);
}

ssize_t copy_file_range(int in, off_t *from, int out, off_t *to, size_t size, unsigned flags) {
    NEXT("copy_file_range", ssize_t, int, off_t *, int, off_t *, size_t, unsigned);
    if (refused(1) && on_disk_fd(out)) { errno = refused(1); return -1; }
    return next(in, from, out, to, size, flags);
}

#define ON_FD(name, declared, types, given, writes) \
    int name declared { \
        NEXT(#name, int, types); \
        if (refused(writes) && on_disk_fd(fd)) { errno = refused(writes); return -1; } \
        return next given; \
    }
#define SYNCER(name) \
    int name(int fd) { \
        NEXT(#name, int, int); \
        struct stat about; \
        if (refused(1) && on_disk_fd(fd)) { errno = refused(1); return -1; } \
        int result = next(fd); \
        if (result == 0 && synced_fd >= 0 && fstat(fd, &about) == 0) dprintf(synced_fd, "%lu\n", (unsigned long)about.st_ino); \
        return result; \
    }
SYNCER(fsync)
SYNCER(fdatasync)
#define COMMA ,
ON_FD(ftruncate, (int fd, off_t size), int COMMA off_t, (fd, size), 0)
ON_FD(ftruncate64, (int fd, off_t size), int COMMA off_t, (fd, size), 0)
ON_FD(fallocate, (int fd, int mode, off_t at, off_t size), int COMMA int COMMA off_t COMMA off_t, (fd, mode, at, size), 1)
ON_FD(fallocate64, (int fd, int mode, off_t at, off_t size), int COMMA int COMMA off_t COMMA off_t, (fd, mode, at, size), 1)

#define ON_PATH(name, declared, types, given, writes) \
    int name declared { \
        NEXT(#name, int, types); \
        if (refused(writes) && on_disk(path)) { errno = refused(writes); return -1; } \
        return next given; \
    }
ON_PATH(mkdir, (const char *path, mode_t mode), const char * COMMA mode_t, (path, mode), 1)
ON_PATH(unlink, (const char *path), const char *, (path), 0)
ON_PATH(rename, (const char *path, const char *to), const char * COMMA const char *, (path, to), 0)
ON_PATH(link, (const char *path, const char *to), const char * COMMA const char *, (path, to), 0)

#define OPENER(name) \
    int name(const char *path, int flags, ...) { \
        NEXT(#name, int, const char *, int, ...); \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        opened(path); \
        if (orders && (flags & O_ACCMODE) != O_RDONLY && refused(0) && on_disk(path)) { errno = refused(0); return -1; } \
        return next(path, flags, mode); \
    }
OPENER(open)
OPENER(open64)

// The path of a name in a folder.
static const char *in_folder(int folder, const char *name, char *path, size_t size) {
    char link[64];
    if (name[0] == '/' || folder == AT_FDCWD) return name;
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t length = readlink(link, path, size - 1);
    if (length < 0) return name;
    snprintf(path + length, size - (size_t)length, "/%s", name);
    return path;
}

#define OPENER_AT(name) \
    int name(int folder, const char *file, int flags, ...) { \
        char place[2048]; \
        NEXT(#name, int, int, const char *, int, ...); \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        const char *path = in_folder(folder, file, place, sizeof place); \
        opened(path); \
        if (orders && (flags & O_ACCMODE) != O_RDONLY && refused(0) && on_disk(path)) { errno = refused(0); return -1; } \
        return next(folder, file, flags, mode); \
    }
OPENER_AT(openat)
OPENER_AT(openat64)

int unlinkat(int folder, const char *file, int flags) {
    char place[2048];
    NEXT("unlinkat", int, int, const char *, int);
    if (refused(0) && on_disk(in_folder(folder, file, place, sizeof place))) { errno = refused(0); return -1; }
    return next(folder, file, flags);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    NEXT("clock_gettime", int, clockid_t, struct timespec *);
    int result = next(clock, now);
    if (result == 0 && clock == CLOCK_REALTIME && holds() && orders->clock_step_ns) {
        int64_t ns = now->tv_sec * 1000000000ll + now->tv_nsec + orders->clock_step_ns;
        now->tv_sec = ns / 1000000000ll;
        now->tv_nsec = ns % 1000000000ll;
    }
    return result;
}
