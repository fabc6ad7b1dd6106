/*
 * Records, in order and with their bytes, all changes that a process makes to the files below RECORD_ROOT: loaded with
 * LD_PRELOAD in front of the C library. From the log a test builds what a disk may hold after a power cut.
 *
 * RECORD_LOG      where the log is written: a sequence of records, see `struct head`
 * RECORD_KILL_AT  the process kills itself (SIGKILL) instead of making the change of this number, 1 being the first
 * RECORD_KILL_BY  once there is a file of this name, the process kills itself instead of making the next change: unlike a
 *                 kill from outside, never between a change and its log entry
 *
 * Operation and log entry happen under one lock, so that the log's order is the order of the changes. Writes through a
 * memory map are not seen: SQLite's -shm is the only one, and is no part of what survives a restart.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, SYNC, TRUNCATE, RENAME, UNLINK, MKDIR, RMDIR, SYNC_DIRECTORY };

/* Followed by `path_bytes` of path (below the root), `other_bytes` of a second path, `data_bytes` of data. */
struct head {
  uint32_t magic;
  uint32_t kind;
  uint64_t inode;
  uint64_t offset; /* WRITE: where; TRUNCATE: the new length */
  uint32_t flags;  /* WRITE: 1 where the file was opened with O_DSYNC or O_SYNC */
  uint32_t path_bytes;
  uint32_t other_bytes;
  uint32_t data_bytes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_bytes;
static int log_fd = -1;
static long kill_at, changes;
static const char *kill_by;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void start(void) {
  const char *directory = getenv("RECORD_ROOT"), *log = getenv("RECORD_LOG"), *at = getenv("RECORD_KILL_AT");
  if (directory == NULL || realpath(directory, root) == NULL) return;
  root_bytes = strlen(root);
  if (at != NULL) kill_at = atol(at);
  kill_by = getenv("RECORD_KILL_BY");
  if (log != NULL) log_fd = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* The path below the root; NULL for what lies elsewhere. */
static const char *below(const char *path) {
  if (root_bytes == 0 || strncmp(path, root, root_bytes) != 0) return NULL;
  if (path[root_bytes] == '\0') return "";
  return path[root_bytes] == '/' ? path + root_bytes + 1 : NULL;
}

static const char *of_fd(int fd, char *into) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, into, PATH_MAX - 1);
  if (length < 0) return NULL;
  into[length] = '\0';
  return below(into);
}

/* Of a name that may not exist: its directory is resolved, and the name appended. */
static const char *of_name(int at, const char *name, char *into) {
  char copy[PATH_MAX], directory[PATH_MAX], full[PATH_MAX];
  if (name[0] == '/' || at == AT_FDCWD) snprintf(copy, sizeof copy, "%s", name);
  else {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    ssize_t length = readlink(link, full, sizeof full - 1);
    if (length < 0) return NULL;
    full[length] = '\0';
    if (snprintf(copy, sizeof copy, "%s/%s", full, name) >= (int)sizeof copy) return NULL;
  }
  char *slash = strrchr(copy, '/');
  const char *last = slash == NULL ? copy : slash + 1;
  if (slash == NULL) {
    if (realpath(".", directory) == NULL) return NULL;
  } else {
    *slash = '\0';
    if (realpath(copy[0] == '\0' ? "/" : copy, directory) == NULL) return NULL;
  }
  if (snprintf(into, PATH_MAX, "%s/%s", directory, last) >= PATH_MAX) return NULL;
  return below(into);
}

static uint64_t inode_of(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

/* Before a change: the moment to die, if it is this one. */
static void count(void) {
  int saved = errno;
  if ((kill_at > 0 && ++changes >= kill_at) || (kill_by != NULL && access(kill_by, F_OK) == 0)) {
    kill(getpid(), SIGKILL);
    pause();
  }
  errno = saved;
}

static void note(uint32_t kind, uint64_t inode, uint64_t offset, uint32_t flags, const char *path, const char *other,
                 const struct iovec *data, int parts, size_t data_bytes) {
  if (log_fd < 0) return;
  struct head head = {0x52454344, kind, inode, offset, flags, (uint32_t)strlen(path),
                      other == NULL ? 0 : (uint32_t)strlen(other), (uint32_t)data_bytes};
  size_t bytes = sizeof head + head.path_bytes + head.other_bytes + data_bytes;
  char *record = malloc(bytes), *end = record;
  if (record == NULL) abort();
  memcpy(end, &head, sizeof head), end += sizeof head;
  memcpy(end, path, head.path_bytes), end += head.path_bytes;
  if (other != NULL) memcpy(end, other, head.other_bytes), end += head.other_bytes;
  for (int part = 0; part < parts && data_bytes > 0; part++) {
    size_t length = data[part].iov_len < data_bytes ? data[part].iov_len : data_bytes;
    memcpy(end, data[part].iov_base, length), end += length;
    data_bytes -= length;
  }
  for (size_t done = 0; done < bytes;) {
    ssize_t written = REAL(write)(log_fd, record + done, bytes - done);
    if (written < 0 && errno != EINTR) abort();
    if (written > 0) done += (size_t)written;
  }
  free(record);
}

static int opened(int flags, int fd, int existed) {
  char path[PATH_MAX];
  int saved = errno;
  const char *inside = fd >= 0 ? of_fd(fd, path) : NULL;
  if (inside != NULL && !existed) note(CREATE, inode_of(fd), 0, 0, inside, NULL, NULL, 0, 0);
  else if (inside != NULL && (flags & O_TRUNC)) note(TRUNCATE, inode_of(fd), 0, 0, inside, NULL, NULL, 0, 0);
  errno = saved;
  return fd;
}

static int record_open(int at, const char *name, int flags, mode_t mode) {
  if (root_bytes == 0 || !(flags & (O_CREAT | O_TRUNC))) return REAL(openat)(at, name, flags, mode);
  char path[PATH_MAX];
  pthread_mutex_lock(&lock);
  if (of_name(at, name, path) != NULL) count();
  int existed = faccessat(at, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  int fd = opened(flags, REAL(openat)(at, name, flags, mode), existed);
  pthread_mutex_unlock(&lock);
  return fd;
}

#define MODE(flags)                                                                                                    \
  mode_t mode = 0;                                                                                                     \
  if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                               \
    va_list arguments;                                                                                                 \
    va_start(arguments, flags);                                                                                        \
    mode = va_arg(arguments, mode_t);                                                                                  \
    va_end(arguments);                                                                                                 \
  }

int open(const char *name, int flags, ...) { MODE(flags) return record_open(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE(flags) return record_open(AT_FDCWD, name, flags, mode); }
int openat(int at, const char *name, int flags, ...) { MODE(flags) return record_open(at, name, flags, mode); }
int openat64(int at, const char *name, int flags, ...) { MODE(flags) return record_open(at, name, flags, mode); }
int creat(const char *name, mode_t mode) { return record_open(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *name, mode_t mode) { return record_open(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }

/* `offset` < 0 writes where the file stands. */
static ssize_t record_write(int fd, const struct iovec *data, int parts, off64_t offset) {
  char path[PATH_MAX];
  const char *inside = root_bytes == 0 || fd == log_fd ? NULL : of_fd(fd, path);
  if (inside == NULL)
    return offset < 0 ? REAL(writev)(fd, data, parts) : REAL(pwritev64)(fd, data, parts, offset);
  pthread_mutex_lock(&lock);
  count();
  int flags = fcntl(fd, F_GETFL);
  off64_t at = offset;
  if (offset < 0) at = flags & O_APPEND ? lseek64(fd, 0, SEEK_END) : lseek64(fd, 0, SEEK_CUR);
  ssize_t written = offset < 0 ? REAL(writev)(fd, data, parts) : REAL(pwritev64)(fd, data, parts, offset);
  int saved = errno;
  if (written > 0)
    note(WRITE, inode_of(fd), (uint64_t)at, (flags & O_DSYNC) != 0, inside, NULL, data, parts, (size_t)written);
  pthread_mutex_unlock(&lock);
  errno = saved;
  return written;
}

#define ONE struct iovec one = {(void *)data, bytes}
ssize_t write(int fd, const void *data, size_t bytes) { ONE; return record_write(fd, &one, 1, -1); }
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at) { ONE; return record_write(fd, &one, 1, at); }
ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t at) { ONE; return record_write(fd, &one, 1, at); }
ssize_t writev(int fd, const struct iovec *data, int parts) { return record_write(fd, data, parts, -1); }
ssize_t pwritev(int fd, const struct iovec *data, int parts, off_t at) { return record_write(fd, data, parts, at); }
ssize_t pwritev64(int fd, const struct iovec *data, int parts, off64_t at) { return record_write(fd, data, parts, at); }

static int record_sync(int fd, int (*real)(int)) {
  char path[PATH_MAX];
  const char *inside = root_bytes == 0 ? NULL : of_fd(fd, path);
  if (inside == NULL) return real(fd);
  pthread_mutex_lock(&lock);
  count();
  int result = real(fd), saved = errno;
  struct stat st;
  if (result == 0 && fstat(fd, &st) == 0)
    note(S_ISDIR(st.st_mode) ? SYNC_DIRECTORY : SYNC, st.st_ino, 0, 0, inside, NULL, NULL, 0, 0);
  pthread_mutex_unlock(&lock);
  errno = saved;
  return result;
}
int fsync(int fd) { return record_sync(fd, REAL(fsync)); }
int fdatasync(int fd) { return record_sync(fd, REAL(fdatasync)); }

static int record_truncate(int fd, off64_t length) {
  char path[PATH_MAX];
  const char *inside = root_bytes == 0 ? NULL : of_fd(fd, path);
  if (inside == NULL) return REAL(ftruncate64)(fd, length);
  pthread_mutex_lock(&lock);
  count();
  int result = REAL(ftruncate64)(fd, length), saved = errno;
  if (result == 0) note(TRUNCATE, inode_of(fd), (uint64_t)length, 0, inside, NULL, NULL, 0, 0);
  pthread_mutex_unlock(&lock);
  errno = saved;
  return result;
}
int ftruncate(int fd, off_t length) { return record_truncate(fd, length); }
int ftruncate64(int fd, off64_t length) { return record_truncate(fd, length); }

/* The change of a name. `real` is called with the lock held. */
#define NAMED(kind, at, name, other_at, other, real)                                                                   \
  do {                                                                                                                 \
    char path[PATH_MAX], second[PATH_MAX];                                                                             \
    const char *inside = root_bytes == 0 ? NULL : of_name(at, name, path);                                             \
    if (inside == NULL) return real;                                                                                   \
    pthread_mutex_lock(&lock);                                                                                         \
    count();                                                                                                           \
    const char *beside = other == NULL ? NULL : of_name(other_at, other, second);                                      \
    int result = real, saved = errno;                                                                                  \
    if (result == 0) note(kind, 0, 0, 0, inside, beside, NULL, 0, 0);                                                  \
    pthread_mutex_unlock(&lock);                                                                                       \
    errno = saved;                                                                                                     \
    return result;                                                                                                     \
  } while (0)

static const char *none = NULL;
int rename(const char *from, const char *to) { NAMED(RENAME, AT_FDCWD, from, AT_FDCWD, to, REAL(rename)(from, to)); }
int renameat(int a, const char *from, int b, const char *to) { NAMED(RENAME, a, from, b, to, REAL(renameat)(a, from, b, to)); }
int unlink(const char *name) { NAMED(UNLINK, AT_FDCWD, name, 0, none, REAL(unlink)(name)); }
int unlinkat(int at, const char *name, int flags) {
  NAMED(flags & AT_REMOVEDIR ? RMDIR : UNLINK, at, name, 0, none, REAL(unlinkat)(at, name, flags));
}
int rmdir(const char *name) { NAMED(RMDIR, AT_FDCWD, name, 0, none, REAL(rmdir)(name)); }
int mkdir(const char *name, mode_t mode) { NAMED(MKDIR, AT_FDCWD, name, 0, none, REAL(mkdir)(name, mode)); }
int mkdirat(int at, const char *name, mode_t mode) { NAMED(MKDIR, at, name, 0, none, REAL(mkdirat)(at, name, mode)); }
