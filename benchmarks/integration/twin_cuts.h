// Of the C++ twin: its types, and all that is known of the cuts of a chunk of segments. In: sorted
// stamps. Out: `Cuts`, each found by a cursor, with the energy and the counter left of it.

#pragma once

#include <cstdint>
#include <cstring>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

typedef int64_t i64;
typedef int32_t i32;
typedef i32 v16i __attribute__((vector_size(64)));
typedef i32 v8i __attribute__((vector_size(32)));
typedef uint32_t v8u __attribute__((vector_size(32)));
typedef i64 v8l __attribute__((vector_size(64)));
typedef uint64_t v8ul __attribute__((vector_size(64)));
typedef double v8d __attribute__((vector_size(64)));

namespace {

const i64 NONE = -1;
const i64 COUNTER_SPAN_US = 3000000000LL;
const int CHUNK = 256;
const int TILE_MAX = 14;
const int ROWS_MAX = 144;
const i64 EXACT = 1LL << 53;
const i64 SHORT_US = 1LL << 26;  // the square of a shorter time is exact in double
const i64 DAY_US = 1LL << 30;

struct In {
    const i64* ts; const i32* power; const i64* offsets;
    const i64* counter_ts; const i64* counter_mj; const i32* counter_epoch;
    const i64* counter_offsets; const i64* gap_limit;
    const i32* seg_device; const i64* seg_start; const i64* seg_end;
};

struct Out {
    i32* readings; i64* covered_us; i64* max_gap_us; i64* energy_nj;
    i32* min_mw; double* mean_mw; i32* max_mw; i32* p50_mw; i32* p95_mw; i32* p99_mw;
    i64* rise_mw_s; i64* fall_mw_s; i64* counter_nj; i64* counter_off_us;
};

// What is known of the cuts of a chunk of segments: two each, or one where segments touch.
struct Cuts {
    i64 at[2 * CHUNK];                             // first reading at or after the cut
    i64 h[2 * CHUNK];                              // energy of the cut pair left of the cut
    i64 p0[2 * CHUNK], p1[2 * CHUNK], dt[2 * CHUNK], x[2 * CHUNK];
    i64 c_left[2 * CHUNK], c_part[2 * CHUNK], c_off[2 * CHUNK];
    i64 c_d[2 * CHUNK], c_dt[2 * CHUNK], c_x[2 * CHUNK];
    int left[CHUNK], right[CHUNK];                 // cuts of a segment
    int count;
};

template <class V, class T>
inline V load(const T* from) { V v; memcpy(&v, from, sizeof v); return v; }
template <class V>
inline V pick(V mask, V a, V b) { return (a & mask) | (b & ~mask); }
template <class V>
inline V vmax(V a, V b) { return a > b ? a : b; }
template <class V>
inline V vmin(V a, V b) { return a < b ? a : b; }

i64 lower_bound(const i64* ts, i64 lo, i64 hi, i64 t) {
    while (lo < hi) {
        const i64 mid = lo + (hi - lo) / 2;
        if (ts[mid] < t) lo = mid + 1; else hi = mid;
    }
    return lo;
}

// How many of 16 ascending stamps are below t.
inline i64 below16(const i64* ts, i64 t) {
#ifdef __AVX512F__
    const __m512i at = _mm512_set1_epi64(t);
    return __builtin_popcount(_mm512_cmplt_epi64_mask(_mm512_loadu_si512(ts), at)) +
           __builtin_popcount(_mm512_cmplt_epi64_mask(_mm512_loadu_si512(ts + 8), at));
#else
    i64 n = 0;
    for (int l = 0; l < 16; ++l) n += ts[l] < t;
    return n;
#endif
}

// The lower bound where the answer is near `lo`.
inline i64 advance(const i64* ts, i64 lo, i64 hi, i64 t) {
    while (lo + 16 <= hi) {
        const i64 n = below16(ts + lo, t);
        lo += n;
        if (n < 16) return lo;
        i64 step = 16;  // gallop
        while (lo + step < hi && ts[lo + step] < t) { lo += step; step *= 2; }
        if (step > 16) return lower_bound(ts, lo, lo + step < hi ? lo + step : hi, t);
    }
    while (lo < hi && ts[lo] < t) ++lo;
    return lo;
}

inline i64 pair_energy(i64 p0, i64 p1, i64 dt, i64 x) {
    const i64 m = p0 * (dt - x) + p1 * x;
    return ((p0 + m / dt) * x + (m % dt) * x / dt) >> 1;
}

// Find one cut among readings and counter readings.
inline void find(const In& in, i64 t, i64 first, i64 last, i64 c_lo, i64 c_hi, i64& at, i64& c_at,
                 Cuts& cuts) {
    const int e = cuts.count++;
    at = advance(in.ts, at, last, t);
    cuts.at[e] = at;
    const bool inside = at > first && at < last;
    cuts.p0[e] = inside ? in.power[at - 1] : 0;
    cuts.p1[e] = inside ? in.power[at] : 0;
    cuts.dt[e] = inside ? in.ts[at] - in.ts[at - 1] : 1;
    cuts.x[e] = inside ? t - in.ts[at - 1] : 0;
    while (c_at < c_hi && in.counter_ts[c_at] < t) ++c_at;
    const i64 r = c_at;
    cuts.c_d[e] = cuts.c_x[e] = 0;
    cuts.c_dt[e] = 1;
    cuts.c_left[e] = cuts.c_off[e] = NONE;
    if (r < c_hi && in.counter_ts[r] == t) {
        cuts.c_left[e] = r;
        cuts.c_off[e] = 0;
    } else if (r > c_lo && r < c_hi && in.counter_epoch[r - 1] == in.counter_epoch[r]) {
        const i64 dt = in.counter_ts[r] - in.counter_ts[r - 1];
        if (dt > COUNTER_SPAN_US) return;
        const i64 x = t - in.counter_ts[r - 1];
        cuts.c_left[e] = r - 1;
        cuts.c_off[e] = x < dt - x ? x : dt - x;
        cuts.c_d[e] = (in.counter_mj[r] - in.counter_mj[r - 1]) * 1000000LL;
        cuts.c_dt[e] = dt;
        cuts.c_x[e] = x;
    }
}

void find_all(const In& in, i64 from, i64 to, Cuts& cuts) {
    cuts.count = 0;
    i64 at = 0, c_at = 0;
    for (i64 s = from; s < to; ++s) {
        const i32 dev = in.seg_device[s];
        const i64 first = in.offsets[dev], last = in.offsets[dev + 1];
        const i64 c_lo = in.counter_offsets[dev], c_hi = in.counter_offsets[dev + 1];
        const i64 start = in.seg_start[s], end = in.seg_end[s];
        const bool same = s > from && in.seg_device[s - 1] == dev;
        if (!same || in.seg_end[s - 1] != start) {
            at = lower_bound(in.ts, first, last, start);
            c_at = lower_bound(in.counter_ts, c_lo, c_hi, start);
            find(in, start, first, last, c_lo, c_hi, at, c_at, cuts);
        }
        cuts.left[s - from] = cuts.count - 1;
        find(in, end, first, last, c_lo, c_hi, at, c_at, cuts);
        cuts.right[s - from] = cuts.count - 1;
    }
}

// Energy and counter left of every cut; divisions through double where that is exact.
void divide(Cuts& cuts) {
    const int count = cuts.count;
    i64 wide = 0;
    for (int e = 0; e < count; ++e) {
        const i64 p = cuts.p0[e] > cuts.p1[e] ? cuts.p0[e] : cuts.p1[e];
        const bool energy = (cuts.dt[e] >= SHORT_US) | (p >= (EXACT / SHORT_US));
        const i64 limit = EXACT - 1;
        const bool counter = (cuts.c_dt[e] >= SHORT_US) | (cuts.c_d[e] > limit);
        wide |= energy | counter;
    }
    if (wide) {
        for (int e = 0; e < count; ++e) {
            const i64 d = cuts.c_d[e], dt = cuts.c_dt[e], x = cuts.c_x[e];
            cuts.h[e] = pair_energy(cuts.p0[e], cuts.p1[e], cuts.dt[e], cuts.x[e]);
            cuts.c_part[e] = d / dt * x + d % dt * x / dt;
        }
        return;
    }
    for (int e = 0; e < count; ++e) {
        const double dt = (double)cuts.dt[e];
        const i64 x = cuts.x[e];
        const i64 m = cuts.p0[e] * (cuts.dt[e] - x) + cuts.p1[e] * x;
        const i64 q = (i64)((double)m / dt);
        const i64 r = m - q * cuts.dt[e];
        cuts.h[e] = ((cuts.p0[e] + q) * x + (i64)((double)(r * x) / dt)) >> 1;
    }
    for (int e = 0; e < count; ++e) {
        const double dt = (double)cuts.c_dt[e];
        const i64 q = (i64)((double)cuts.c_d[e] / dt);
        const i64 r = cuts.c_d[e] - q * cuts.c_dt[e];
        cuts.c_part[e] = q * cuts.c_x[e] + (i64)((double)(r * cuts.c_x[e]) / dt);
    }
}

}  // namespace
