/* A team of threads, and where they meet: OpenMP where the compiler has it, else one thread. */
#ifndef CBACKPROP_THREADS_H
#define CBACKPROP_THREADS_H

#include <time.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
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

#ifdef __SANITIZE_THREAD__ /* which does not know how OpenMP begins and ends */
void __tsan_acquire(void *);
void __tsan_release(void *);
static char begun, ended;
#define ACQUIRED(what) __tsan_acquire(&what)
#define RELEASED(what) __tsan_release(&what)
#else
#define ACQUIRED(what)
#define RELEASED(what)
#endif

/* Call worker in that many threads, or as many as there are to be had: it is told. */
static void run_team(Worker worker, void *work, int threads) {
#ifdef _OPENMP
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

/* The most that OpenMP allows: OMP_NUM_THREADS, threadpoolctl. 0: built without it. */
static int most_threads(void) {
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 0;
#endif
}

/* End the threads that wait for more work: a child after fork would wait for them forever. */
static void end_team(void) {
#if defined(_OPENMP) && (_OPENMP >= 201811 || __GNUC__ >= 9 && !defined(__clang__))
    omp_pause_resource_all(omp_pause_soft);
#endif
}

/* ---- where they meet ---- */

enum { SPINS = 1000 }; /* 10 to 40 microseconds: after that, someone else may need this core */

typedef struct { /* each number in a cache line of its own */
    int arrived;
    char gap[60];
    int round;
    char gap_2[60];
    int stopped;
} Meeting;

#if defined(__x86_64__)
#define RELAX() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define RELAX() __asm__ volatile("yield")
#else
#define RELAX() ((void)0)
#endif

/* Wait for the others; false if one has stopped. What waiting costs beyond a spin is added up. */
static int meet(Meeting *at, int threads, long long *waited) {
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
        if (__atomic_load_n(&at->stopped, __ATOMIC_ACQUIRE)) return 0;
#if defined(__unix__) || defined(__APPLE__)
        sched_yield();
#endif
    }
    *waited += nanoseconds_now() - start;
    return 1;
}

static void stop_meeting(Meeting *at) { __atomic_store_n(&at->stopped, 1, __ATOMIC_RELEASE); }

static long next_of(long *counter) { return __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); }
static void add_to(long *counter, long n) { __atomic_fetch_add(counter, n, __ATOMIC_RELAXED); }

#endif
