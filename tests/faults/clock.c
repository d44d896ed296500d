/* Turns the time of day that a process reads by the seconds that a file says: cc -shared -fPIC, then LD_PRELOAD.
   Intervals stay as they are, as with a clock that is set. (libfaketime, told to leave the monotonic clock alone,
   refuses the absolute sleeps by it that Python's time.sleep makes.) */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long turned(void) {
  char said[32] = "0";
  const char *path = getenv("CLOCK_TURNED_BY");
  int dial = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (dial < 0) return 0;
  ssize_t length = read(dial, said, sizeof said - 1);
  close(dial);
  if (length < 0) return 0;
  said[length] = 0;
  return atol(said);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int failed = real(clock, now);
  if (!failed && clock == CLOCK_REALTIME) now->tv_sec += turned();
  return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec precise;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &precise)) return -1;
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *now) {
  struct timespec precise;
  clock_gettime(CLOCK_REALTIME, &precise);
  if (now) *now = precise.tv_sec;
  return precise.tv_sec;
}
