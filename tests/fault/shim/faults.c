/*
 * What a machine may do to a running process, loaded with LD_PRELOAD in front of the C library and ruled by the files of
 * the folder FAULTS_CONTROL:
 *
 * read-only  while it exists, every change of a file below FAULTS_ROOT fails with EROFS, as on a disk that the kernel
 *            has turned read-only after an error
 * clock      a number of seconds by which the wall clock is wrong; the monotonic clock stays as it is
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static char root[PATH_MAX], read_only_path[PATH_MAX], clock_path[PATH_MAX];

__attribute__((constructor)) static void start(void) {
  const char *directory = getenv("FAULTS_ROOT"), *control = getenv("FAULTS_CONTROL");
  if (directory == NULL || control == NULL || realpath(directory, root) == NULL) return;
  snprintf(read_only_path, sizeof read_only_path, "%s/read-only", control);
  snprintf(clock_path, sizeof clock_path, "%s/clock", control);
}

/* ---- the disk ---- */

static int below(const char *path) {
  char absolute[PATH_MAX];
  if (path[0] != '/') {
    if (getcwd(absolute, sizeof absolute) == NULL) return 0;
    strncat(absolute, "/", sizeof absolute - strlen(absolute) - 1);
    strncat(absolute, path, sizeof absolute - strlen(absolute) - 1);
    path = absolute;
  }
  return root[0] != '\0' && strncmp(path, root, strlen(root)) == 0;
}

static int refused(const char *path) {
  int before = errno;
  int yes = read_only_path[0] != '\0' && access(read_only_path, F_OK) == 0 && below(path);
  errno = yes ? EROFS : before;
  return yes;
}

static int refused_fd(int fd) {
  if (read_only_path[0] == '\0' || access(read_only_path, F_OK) != 0) return 0;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = '\0';
  return refused(path);
}

#define OPENING(name, ...)                                                                     \
  int changes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;         \
  mode_t mode = 0;                                                                             \
  if (flags & (O_CREAT | O_TMPFILE)) {                                                         \
    va_list rest;                                                                              \
    va_start(rest, flags);                                                                     \
    mode = va_arg(rest, mode_t);                                                               \
    va_end(rest);                                                                              \
  }                                                                                            \
  if (changes && refused(path)) return -1;                                                     \
  return REAL(name)(__VA_ARGS__, flags, mode);

int open(const char *path, int flags, ...) { OPENING(open, path) }
int open64(const char *path, int flags, ...) { OPENING(open64, path) }
int openat(int at, const char *path, int flags, ...) { OPENING(openat, at, path) }
int openat64(int at, const char *path, int flags, ...) { OPENING(openat64, at, path) }

#define BY_FD(type, name, parameters, ...)                   \
  type name parameters {                                     \
    if (refused_fd(fd)) return -1;                           \
    return REAL(name)(__VA_ARGS__);                          \
  }
BY_FD(ssize_t, write, (int fd, const void *bytes, size_t n), fd, bytes, n)
BY_FD(ssize_t, pwrite, (int fd, const void *bytes, size_t n, off_t at), fd, bytes, n, at)
BY_FD(ssize_t, pwrite64, (int fd, const void *bytes, size_t n, off64_t at), fd, bytes, n, at)
BY_FD(ssize_t, writev, (int fd, const struct iovec *parts, int n), fd, parts, n)
BY_FD(ssize_t, pwritev, (int fd, const struct iovec *parts, int n, off_t at), fd, parts, n, at)
BY_FD(ssize_t, pwritev64, (int fd, const struct iovec *parts, int n, off64_t at), fd, parts, n, at)
BY_FD(int, ftruncate, (int fd, off_t length), fd, length)
BY_FD(int, ftruncate64, (int fd, off64_t length), fd, length)
BY_FD(int, fallocate, (int fd, int how, off_t at, off_t n), fd, how, at, n)
BY_FD(int, posix_fallocate, (int fd, off_t at, off_t n), fd, at, n)

#define BY_PATH(name, parameters, ...)                       \
  int name parameters {                                      \
    if (refused(path)) return -1;                            \
    return REAL(name)(__VA_ARGS__);                          \
  }
BY_PATH(unlink, (const char *path), path)
BY_PATH(rmdir, (const char *path), path)
BY_PATH(mkdir, (const char *path, mode_t mode), path, mode)
BY_PATH(rename, (const char *path, const char *to), path, to)
BY_PATH(truncate, (const char *path, off_t length), path, length)

/* ---- the clock ---- */

static long wrong_by(void) {
  if (clock_path[0] == '\0') return 0;
  int before = errno, fd = REAL(open)(clock_path, O_RDONLY | O_CLOEXEC);
  char text[32] = "0";
  if (fd >= 0) {
    ssize_t length = read(fd, text, sizeof text - 1);
    text[length > 0 ? length : 0] = '\0';
    close(fd);
  }
  errno = before;
  return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int code = REAL(clock_gettime)(clock, now);
  if (code == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += wrong_by();
  return code;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  int code = REAL(gettimeofday)(now, zone);
  if (code == 0) now->tv_sec += wrong_by();
  return code;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}
