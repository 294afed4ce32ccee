/* A team of threads and a barrier: OpenMP if the compiler supports it, else one thread. */
#ifndef CBACKPROP_THREADS_H
#define CBACKPROP_THREADS_H

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <sched.h>
#endif

static long long nanoseconds_now(void) {
    struct timespec t;
#ifdef CLOCK_MONOTONIC
    clock_gettime(CLOCK_MONOTONIC, &t);
#else
    timespec_get(&t, TIME_UTC);
#endif
    return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- the team ---- */

typedef void (*Worker)(void *work, int thread, int threads);

#ifdef __SANITIZE_THREAD__ /* It does not know where OpenMP's threads begin and end. */
void __tsan_acquire(void *);
void __tsan_release(void *);
static char begun, ended;
#define ACQUIRED(what) __tsan_acquire(&what)
#define RELEASED(what) __tsan_release(&what)
#else
#define ACQUIRED(what)
#define RELEASED(what)
#endif

/* OpenMP ends the process if it cannot start a thread. To prevent this, whenever a team grows,
 * threads of the same stack size are started first on trial. OpenMP keeps the threads it has. */
static int startable = INT_MAX; /* the most threads, once starting more has failed */
static int unreported = 0;      /* 1 if that failure has not been reported yet */
static long ended_teams = 0;    /* calls of end_team; after one, threads must be started again */

#if defined(_OPENMP) && (defined(__unix__) || defined(__APPLE__))
static size_t stack_size(void) { /* stack size of OpenMP's threads; 0 for the system's default */
    static const char *const names[] = {"OMP_STACKSIZE", "GOMP_STACKSIZE", "KMP_STACKSIZE"};
    for (int i = 0; i < 3; i++) {
        const char *asked = getenv(names[i]);
        char *unit;
        if (asked == NULL) continue;
        unsigned long long size = strtoull(asked, &unit, 10);
        while (*unit == ' ') unit++;
        switch (*unit | 32) {
            case 'b': return size;
            case 'm': return size << 20;
            case 'g': return size << 30;
            default: return size << 10;
        }
    }
    return 0;
}

static void *wait_for_all(void *gate) { /* until all have started */
    pthread_mutex_lock((pthread_mutex_t *)gate);
    pthread_mutex_unlock((pthread_mutex_t *)gate);
    return NULL;
}

static int try_threads(int threads) { /* how many can run at once, including this one */
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_attr_t attributes;
    pthread_t *tried = malloc(threads * sizeof(pthread_t));
    int started = 0;
    if (tried == NULL) return 1;
    pthread_attr_init(&attributes);
    if (stack_size() != 0) pthread_attr_setstacksize(&attributes, stack_size());
    pthread_mutex_lock(&gate);
    while (started < threads - 1 &&
           pthread_create(&tried[started], &attributes, wait_for_all, &gate) == 0)
        started++;
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < started; i++) pthread_join(tried[i], NULL);
    pthread_mutex_destroy(&gate);
    pthread_attr_destroy(&attributes);
    free(tried);
    return started + 1;
}

static int can_start(int threads) {
    static _Thread_local int available = 1; /* threads that OpenMP kept from the last team */
    static _Thread_local long in_teams = 0;
    long ended_now = __atomic_load_n(&ended_teams, __ATOMIC_RELAXED);
    int most = __atomic_load_n(&startable, __ATOMIC_RELAXED);
    if (in_teams != ended_now) available = 1, in_teams = ended_now;
    if (threads > most) threads = most;
    if (threads > available) {
        int found = try_threads(threads);
        if (found < threads) {
            __atomic_store_n(&startable, found, __ATOMIC_RELAXED);
            __atomic_store_n(&unreported, 1, __ATOMIC_RELAXED);
            threads = found;
        }
    }
    if (threads > 1) available = threads; /* OpenMP keeps no more than these */
    return threads;
}
#else
static int can_start(int threads) { return threads; }
#endif

/* Whether threads could not be started and this has not been reported. */
static int too_few_threads(void) { return __atomic_exchange_n(&unreported, 0, __ATOMIC_RELAXED); }

/* Call worker in that many threads, or in fewer if no more can be started; it receives the number. */
static void run_team(Worker worker, void *work, int threads) {
#ifdef _OPENMP
    if (threads > 1) threads = can_start(threads);
    if (threads > 1) {
        RELEASED(begun);
#pragma omp parallel num_threads(threads)
        {
            ACQUIRED(begun);
            worker(work, omp_get_thread_num(), omp_get_num_threads());
            RELEASED(ended);
        }
        ACQUIRED(ended);
        return;
    }
#endif
    (void)threads;
    worker(work, 0, 1);
}

/* OpenMP's limit, from OMP_NUM_THREADS or threadpoolctl; 0 if built without OpenMP. */
static int max_threads(void) {
#ifdef _OPENMP
    int most = __atomic_load_n(&startable, __ATOMIC_RELAXED);
    return omp_get_max_threads() < most ? omp_get_max_threads() : most;
#else
    return 0;
#endif
}

/* End the idle threads. After a fork, the child would wait for them forever. */
static void end_team(void) {
#if defined(_OPENMP) && (_OPENMP >= 201811 || __GNUC__ >= 9 && !defined(__clang__))
    omp_pause_resource_all(omp_pause_soft);
    __atomic_add_fetch(&ended_teams, 1, __ATOMIC_RELAXED);
#endif
}

/* ---- flags and counters that threads share ---- */

static inline int is_set(const int *flag) { return __atomic_load_n(flag, __ATOMIC_ACQUIRE); }
static inline void set_flag(int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELEASE); }
static inline ptrdiff_t next_of(ptrdiff_t *counter) {
    return __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}
static inline void add_to(ptrdiff_t *counter, ptrdiff_t n) {
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* ---- the barrier ---- */

enum { SPINS = 1000 }; /* 10 to 40 microseconds; after that, yield the core to other programs */

typedef struct { /* each number has its own cache line */
    int arrived;
    char gap[60];
    int round;
    char gap_2[60];
    int stopped;
} Barrier;

#if defined(__x86_64__)
#define RELAX() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define RELAX() __asm__ volatile("yield")
#else
#define RELAX() ((void)0)
#endif

/* Wait for the other threads; false if one has stopped. Add the time waited after spinning. */
static int barrier_wait(Barrier *at, int threads, long long *waited) {
    int round = __atomic_load_n(&at->round, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&at->arrived, 1, __ATOMIC_ACQ_REL) == threads) {
        __atomic_store_n(&at->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&at->round, round + 1, __ATOMIC_RELEASE);
        return 1;
    }
    for (int i = 0; i < SPINS; i++) {
        if (__atomic_load_n(&at->round, __ATOMIC_ACQUIRE) != round) return 1;
        RELAX();
    }
    long long start = nanoseconds_now();
    while (__atomic_load_n(&at->round, __ATOMIC_ACQUIRE) == round) {
        if (is_set(&at->stopped)) return 0;
#if defined(__unix__) || defined(__APPLE__)
        sched_yield();
#endif
    }
    *waited += nanoseconds_now() - start;
    return 1;
}

#endif
