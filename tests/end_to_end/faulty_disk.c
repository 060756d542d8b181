/* A disk that fails when it is told to: preloaded into a server, it stands between the server and the C library.

   FAULTY_DISK_ROOT is a folder, FAULTY_DISK_ORDERS a file that both sides map. What is done below the folder is counted by kind
   while orders stand; the call of that number fails, or waits. What could not be synced is not to be written to any more by the
   same descriptor, for the kernel may have forgotten what it owes: that is counted as trust. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, WRITE = 2, SYNC = 4, NAME = 8 };

struct orders {
    int32_t kinds;   /* that are counted; 0: none */
    int32_t error;   /* errno; 0: none */
    int32_t number;  /* of the call that fails, from 1 */
    int32_t lasting; /* whether all that come after it do so too */
    int32_t held;    /* whether it waits as long as the orders stand */
    int32_t calls;
    int32_t hits;
    int32_t trust;
};

static struct orders *orders;
static const char *root;
static size_t root_length;
static char distrusted[65536]; /* descriptors whose sync failed */

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("FAULTY_DISK_ORDERS");
    root = getenv("FAULTY_DISK_ROOT");
    if (!name || !root)
        return;
    root_length = strlen(root);
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
    int file = real(name, O_RDWR | O_CLOEXEC);
    void *place = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (place != MAP_FAILED)
        orders = place;
    if (file >= 0)
        close(file);
}

static int below(const char *path) { return path && !strncmp(path, root, root_length); }

static int known(int descriptor) { return descriptor >= 0 && descriptor < (int)sizeof distrusted; }

static int ours(int descriptor, char *path) {
    char link[64] = "/proc/self/fd/";
    char digits[12], *at = digits + sizeof digits;
    *--at = 0;
    unsigned left = descriptor < 0 ? 0 : descriptor;
    do
        *--at = '0' + left % 10;
    while (left /= 10);
    strcat(link, at);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return below(path);
}

/* Whether this call fails; errno says how. 2: it is the first that does. */
static int fails(int kind) {
    if (!(orders->kinds & kind))
        return 0;
    int call = __atomic_add_fetch(&orders->calls, 1, __ATOMIC_SEQ_CST);
    if (call < orders->number || (call > orders->number && !orders->lasting))
        return 0;
    __atomic_add_fetch(&orders->hits, 1, __ATOMIC_SEQ_CST);
    while (orders->held && (orders->kinds & kind))
        usleep(1000);
    errno = orders->error;
    return orders->error ? call == orders->number ? 2 : 1 : 0;
}

static int of_descriptor(int descriptor, int kind) {
    char path[PATH_MAX];
    int before = errno;
    if (!orders || !ours(descriptor, path)) {
        errno = before;
        return 0;
    }
    const char *name = strrchr(path, '/');
    /* The counts beside the files are hints, which each commit writes anew. */
    int hints = name && !strcmp(name, "/commits");
    if (kind == WRITE && known(descriptor) && distrusted[descriptor] && !hints)
        __atomic_add_fetch(&orders->trust, 1, __ATOMIC_SEQ_CST);
    int failing = fails(kind);
    if (failing && kind == SYNC && known(descriptor))
        distrusted[descriptor] = 1;
    if (!failing)
        errno = before;
    return failing;
}

static int of_name(const char *path, int kind) {
    int before = errno;
    int failing = orders && below(path) ? fails(kind) : 0;
    if (!failing)
        errno = before;
    return failing;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) \
        real = dlsym(RTLD_NEXT, #name)

#define OPENS(name) \
    int name(const char *path, int flags, ...) { \
        va_list more; \
        va_start(more, flags); \
        int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, int) : 0; \
        va_end(more); \
        REAL(name); \
        /* A file system that turned read-only lets others be opened. */ \
        int reads = (flags & O_ACCMODE) == O_RDONLY; \
        if (!(orders && reads && orders->error == EROFS) && of_name(path, OPEN)) \
            return -1; \
        return real(path, flags, mode); \
    }

OPENS(open)
OPENS(open64)

#define OPENS_AT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        va_list more; \
        va_start(more, flags); \
        int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, int) : 0; \
        va_end(more); \
        REAL(name); \
        int reads = (flags & O_ACCMODE) == O_RDONLY; \
        if (!(orders && reads && orders->error == EROFS) && of_name(path, OPEN)) \
            return -1; \
        return real(folder, path, flags, mode); \
    }

OPENS_AT(openat)
OPENS_AT(openat64)

/* The first write that fails for good may leave a half behind, as a disk does that becomes full meanwhile. */
static size_t half(int failing, size_t size) { return failing == 2 && orders->lasting && size > 1 ? size / 2 : 0; }

ssize_t write(int descriptor, const void *data, size_t size) {
    REAL(write);
    int failing = of_descriptor(descriptor, WRITE);
    if (failing && !(size = half(failing, size)))
        return -1;
    return real(descriptor, data, size);
}

#define WRITES_AT(name, offset_type) \
    ssize_t name(int descriptor, const void *data, size_t size, offset_type offset) { \
        REAL(name); \
        int failing = of_descriptor(descriptor, WRITE); \
        if (failing && !(size = half(failing, size))) \
            return -1; \
        return real(descriptor, data, size, offset); \
    }

WRITES_AT(pwrite, off_t)
WRITES_AT(pwrite64, off64_t)

ssize_t writev(int descriptor, const struct iovec *pieces, int count) {
    REAL(writev);
    return of_descriptor(descriptor, WRITE) ? -1 : real(descriptor, pieces, count);
}

#define CUTS(name, offset_type) \
    int name(int descriptor, offset_type size) { \
        REAL(name); \
        return of_descriptor(descriptor, WRITE) ? -1 : real(descriptor, size); \
    }

CUTS(ftruncate, off_t)
CUTS(ftruncate64, off64_t)

#define ALLOCATES(name, offset_type) \
    int name(int descriptor, offset_type offset, offset_type size) { \
        REAL(name); \
        return of_descriptor(descriptor, WRITE) ? errno : real(descriptor, offset, size); \
    }

ALLOCATES(posix_fallocate, off_t)
ALLOCATES(posix_fallocate64, off64_t)

#define SYNCS(name) \
    int name(int descriptor) { \
        REAL(name); \
        return of_descriptor(descriptor, SYNC) ? -1 : real(descriptor); \
    }

SYNCS(fsync)
SYNCS(fdatasync)

int close(int descriptor) {
    REAL(close);
    if (known(descriptor))
        distrusted[descriptor] = 0;
    return real(descriptor);
}

int rename(const char *from, const char *to) {
    REAL(rename);
    return of_name(to, NAME) ? -1 : real(from, to);
}

int unlink(const char *path) {
    REAL(unlink);
    /* No disk is too full for it. */
    return orders && (orders->error == ENOSPC || orders->error == EDQUOT) ? real(path) : of_name(path, NAME) ? -1 : real(path);
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    return of_name(path, NAME) ? -1 : real(path, mode);
}
