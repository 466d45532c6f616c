// A C++ twin of the CPU integration: the same arrays in, the same bits out, as fast as we know how.
//
// It is no part of the product. It shows how much speed the numba kernel leaves on the table.
// Maths and bounds: segments.cu. What is done here to save work, keeping the bits:
//  - a pair wholly inside a segment has the energy ((p0 + p1) dt) >> 1, with no division;
//  - what lies left of a cut is found once and used by the segments on both sides;
//  - division of integers below 2^53 goes through double: the floor of the rounded quotient of
//    m < 2^53 by d is exact, as m / d misses the next integer by at least 1 / d;
//  - for the same reason the steepest slope is the floor of the largest rounded quotient;
//  - cuts of one device ascend, so that a cursor finds them;
//  - up to 14 readings: 16 segments are transposed into a tile, one a lane, and sorted by a network;
//  - more: vectors run along the readings, and ranks are found by bisecting values.

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <vector>
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

inline i32 rank_of(i64 n, i64 q) { return (i32)((n * q + 99) / 100) - 1; }

// One segment, the plain way: whatever the fast ways leave out.
void plain(const In& in, const Out& out, const Cuts& cuts, i64 s, i64 from) {
    const i32 dev = in.seg_device[s];
    const i64 first = in.offsets[dev], last = in.offsets[dev + 1], limit = in.gap_limit[dev];
    const i64 start = in.seg_start[s], end = in.seg_end[s];
    const i64 lo = cuts.at[cuts.left[s - from]], hi = cuts.at[cuts.right[s - from]];
    i64 covered = 0, energy = 0, gap = 0, rise_dp = 0, rise_dt = 1, fall_dp = 0, fall_dt = 1;
    for (i64 i = lo > first ? lo - 1 : lo; i < hi && i + 1 < last; ++i) {
        const i64 t0 = in.ts[i], t1 = in.ts[i + 1], dt = t1 - t0;
        const i64 a = t0 > start ? t0 : start, b = t1 < end ? t1 : end;
        if (b <= a) continue;
        if (dt > gap) gap = dt;
        if (dt > limit) continue;
        const i64 p0 = in.power[i], p1 = in.power[i + 1];
        covered += b - a;
        energy += pair_energy(p0, p1, dt, b - t0) - pair_energy(p0, p1, dt, a - t0);
        if (p1 > p0 && (p1 - p0) * rise_dt > rise_dp * dt) { rise_dp = p1 - p0; rise_dt = dt; }
        if (p0 > p1 && (p0 - p1) * fall_dt > fall_dp * dt) { fall_dp = p0 - p1; fall_dt = dt; }
    }
    const i64 head = first < last ? in.ts[first] : end, tail = first < last ? in.ts[last - 1] : start;
    if (head > start) { const i64 g = (head < end ? head : end) - start; if (g > gap) gap = g; }
    if (tail < end) { const i64 g = end - (tail > start ? tail : start); if (g > gap) gap = g; }
    out.covered_us[s] = covered;
    out.max_gap_us[s] = gap;
    out.energy_nj[s] = energy;
    out.rise_mw_s[s] = rise_dp * 1000000LL / rise_dt;
    out.fall_mw_s[s] = fall_dp * 1000000LL / fall_dt;
}

// How many of n values are at most v.
inline i64 at_most(const i32* p, i64 n, i32 v) {
    v16i found = {};
    i64 k = 0;
    for (; k + 16 <= n; k += 16) found -= load<v16i>(p + k) <= v;
    i64 sum = 0;
    for (int l = 0; l < 16; ++l) sum += found[l];
    for (; k < n; ++k) sum += p[k] <= v;
    return sum;
}

i32 select(const i32* p, i64 n, i64 rank, i32 low, i32 high) {
    while (low < high) {
        const i32 mid = low + (high - low) / 2;
        if (at_most(p, n, mid) > rank) high = mid; else low = mid + 1;
    }
    return low;
}

#ifdef __AVX512F__
// Find some ranks (ascending, from 0) of n values by quickselect; vectors of 16 are partitioned by
// compressing them. `a` is overwritten, up to 16 values beyond its end; so is `spare`.
void select_ranks(i32* a, i64 n, const i64* rank, i32* found, int ranks, i32* spare) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    while (ranks > 0) {
        const int k = n < 16 ? (int)n : 16;
        __m512i sample;
        if (n <= 16) sample = _mm512_loadu_si512(a);
        else sample = _mm512_i32gather_epi32(
                 _mm512_srli_epi32(_mm512_mullo_epi32(lanes, _mm512_set1_epi32((i32)n)), 4), a, 4);
        const __mmask16 there = (__mmask16)((1u << k) - 1);
        __m512i less = _mm512_setzero_si512(), same = less;  // of each: how many are less, or equal
        for (int l = 0; l < k; ++l) {
            const __m512i v = _mm512_permutexvar_epi32(_mm512_set1_epi32(l), sample);
            const __m512i one = _mm512_set1_epi32(1);
            less = _mm512_mask_add_epi32(less, _mm512_cmplt_epi32_mask(v, sample), less, one);
            same = _mm512_mask_add_epi32(same, _mm512_cmple_epi32_mask(v, sample), same, one);
        }
        auto at = [&](i64 place) {  // the value of the sample at a place
            const __m512i want = _mm512_set1_epi32((i32)place);
            const __mmask16 hit = there & _mm512_cmple_epi32_mask(less, want) &
                                  _mm512_cmplt_epi32_mask(want, same);
            return _mm_cvtsi128_si32(
                _mm512_castsi512_si128(_mm512_maskz_compress_epi32(hit, sample)));
        };
        if (n <= 16) {
            for (int i = 0; i < ranks; ++i) found[i] = at(rank[i]);
            return;
        }
        const i32 pivot = at(rank[ranks / 2] * 16 / n);
        const __m512i middle = _mm512_set1_epi32(pivot);
        i64 below = 0, above = 0, equal = 0;
        for (i64 i = 0; i < n; i += 16) {
            const __mmask16 valid = i + 16 <= n ? 0xffff : (__mmask16)((1u << (n - i)) - 1);
            const __m512i v = _mm512_loadu_si512(a + i);
            const __mmask16 lower = _mm512_mask_cmplt_epi32_mask(valid, v, middle);
            const __mmask16 upper = _mm512_mask_cmpgt_epi32_mask(valid, v, middle);
            _mm512_storeu_si512(a + below, _mm512_maskz_compress_epi32(lower, v));
            _mm512_storeu_si512(spare + above, _mm512_maskz_compress_epi32(upper, v));
            below += __builtin_popcount(lower);
            above += __builtin_popcount(upper);
        }
        equal = n - below - above;
        int left = 0, middles = 0;
        i64 shifted[3];
        for (int i = 0; i < ranks; ++i) {
            left += rank[i] < below;
            middles += rank[i] >= below && rank[i] < below + equal;
        }
        for (int i = left; i < left + middles; ++i) found[i] = pivot;
        const int right = ranks - left - middles;
        for (int i = 0; i < right; ++i) shifted[i] = rank[left + middles + i] - below - equal;
        if (right) {
            memcpy(a + below, spare, above * sizeof *a);
            select_ranks(a + below, above, shifted, found + left + middles, right, spare);
        }
        n = below;
        ranks = left;
    }
}
#else
void select_ranks(i32* a, i64 n, const i64* rank, i32* found, int ranks, i32*) {
    i32 low = a[0], high = a[0];
    for (i64 k = 1; k < n; ++k) { low = a[k] < low ? a[k] : low; high = a[k] > high ? a[k] : high; }
    for (int i = 0; i < ranks; ++i) low = found[i] = select(a, n, rank[i], low, high);
}
#endif

void ranks(const In& in, const Out& out, i64 s, i64 lo, i64 n, std::vector<i32>& space) {
    out.readings[s] = (i32)n;
    if (n <= 0) {
        out.min_mw[s] = out.max_mw[s] = out.p50_mw[s] = out.p95_mw[s] = out.p99_mw[s] = NONE;
        return;
    }
    const i32* p = in.power + lo;
    i32 low = p[0], high = p[0];
    for (i64 k = 1; k < n; ++k) { low = p[k] < low ? p[k] : low; high = p[k] > high ? p[k] : high; }
    out.min_mw[s] = low;
    out.max_mw[s] = high;
    space.resize(2 * n + 64);
    memcpy(space.data(), p, n * sizeof *p);
    const i64 rank[3] = {rank_of(n, 50), rank_of(n, 95), rank_of(n, 99)};
    i32 found[3];
    select_ranks(space.data(), n, rank, found, 3, space.data() + n + 32);
    out.p50_mw[s] = found[0];
    out.p95_mw[s] = found[1];
    out.p99_mw[s] = found[2];
}

// Pairs of one segment with vectors along the readings. False: it has to go the plain way.
bool along(const In& in, const Out& out, const Cuts& cuts, i64 s, i64 from) {
    const i32 dev = in.seg_device[s];
    const i64 first = in.offsets[dev], last = in.offsets[dev + 1], limit = in.gap_limit[dev];
    const int l = cuts.left[s - from], r = cuts.right[s - from];
    const i64 lo = cuts.at[l], hi = cuts.at[r];
    if (hi - lo < 9 || lo <= first || hi >= last) return false;
    v8l gap = {}, covered = {};
    v8ul energy = {};
    v8d rise = {}, fall = {};
    const v8l lane = {0, 1, 2, 3, 4, 5, 6, 7};
    for (i64 i = lo; i < hi - 1; i += 8) {
        const i64 begin = i <= hi - 9 ? i : hi - 9;  // the last eight overlap those before
        const v8l is_new = lane >= i - begin;
        const v8l dt = (load<v8l>(in.ts + begin + 1) - load<v8l>(in.ts + begin)) & is_new;
        gap = vmax(gap, dt);
        const v8l ok = is_new & (dt <= limit);
        const v8i p0 = load<v8i>(in.power + begin), p1 = load<v8i>(in.power + begin + 1);
        const v8u sum = (v8u)p0 + (v8u)p1;
        const v8ul twice = __builtin_convertvector(sum, v8ul) * (v8ul)(dt & ok);
        energy += twice >> 1;
        covered += dt & ok;
        const v8d dp = __builtin_convertvector(p1 - p0, v8d) * 1e6;
        const v8d slope = dp / __builtin_convertvector(pick(ok, dt, v8l{} + (1LL << 62)), v8d);
        rise = vmax(rise, slope);
        fall = vmin(fall, slope);
    }
    i64 gap_us = 0, covered_us = 0;
    uint64_t nj = 0;
    double up = 0, down = 0;
    for (int k = 0; k < 8; ++k) {
        gap_us = gap[k] > gap_us ? gap[k] : gap_us;
        covered_us += covered[k];
        nj += energy[k];
        up = rise[k] > up ? rise[k] : up;
        down = fall[k] < down ? fall[k] : down;
    }
    for (const int e : {l, r}) {
        const i64 dt = cuts.dt[e];
        if (e == l && cuts.x[e] == dt) continue;  // a reading on the cut: the pair is outside
        gap_us = dt > gap_us ? dt : gap_us;
        if (dt > limit) continue;
        covered_us += e == l ? dt - cuts.x[e] : cuts.x[e];
        nj += e == l ? (uint64_t)((cuts.p0[e] + cuts.p1[e]) * dt >> 1) - cuts.h[e] : cuts.h[e];
        const double slope = (double)(cuts.p1[e] - cuts.p0[e]) * 1e6 / (double)dt;
        up = slope > up ? slope : up;
        down = slope < down ? slope : down;
    }
    out.covered_us[s] = covered_us;
    out.max_gap_us[s] = gap_us;
    out.energy_nj[s] = (i64)nj;
    out.rise_mw_s[s] = (i64)up;
    out.fall_mw_s[s] = (i64)-down;
    return true;
}

#define SWAP(a, b) { const v16i low = vmin(p[a], p[b]); p[b] = vmax(p[a], p[b]); p[a] = low; }

// Sort rows of 16 lanes, each lane for itself: Batcher's merge exchange.
template <int FIXED>
inline void sort_rows(v16i* p, int rows, int top) {
    if (FIXED) rows = FIXED;
#pragma GCC unroll 4
    for (int q = top; q > 0; q /= 2) {
        int d = q, r = 0;
#pragma GCC unroll 4
        for (int o = top; o >= q; o /= 2) {
#pragma GCC unroll 16
            for (int i = 0; i < rows - d; ++i)
                if ((i & q) == r) SWAP(i, i + d)
            d = o - q;
            r = q;
        }
    }
}

// 16 x 16 numbers: row l, column k becomes row k, column l.
inline void transpose(v16i* m) {
    v16i t[16];
    for (int round = 0; round < 4; ++round) {  // a perfect shuffle of rows, four times
        for (int i = 0; i < 8; ++i) {
            t[2 * i] = __builtin_shufflevector(m[i], m[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20,
                                               5, 21, 6, 22, 7, 23);
            t[2 * i + 1] = __builtin_shufflevector(m[i], m[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12,
                                                   28, 13, 29, 14, 30, 15, 31);
        }
        for (int i = 0; i < 16; ++i) m[i] = t[i];
    }
}

inline v8i half(v16i v, int h) {
    return h ? __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15)
             : __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7);
}

// 16 segments of one device, 1 to 14 readings each, neighbours on both sides. False: not so.
bool tile(const In& in, const Out& out, const Cuts& cuts, i64 s, i64 from, i64 total) {
    const i32 dev = in.seg_device[s];
    if (in.seg_device[s + 15] != dev) return false;
    const i64 first = in.offsets[dev], last = in.offsets[dev + 1], limit = in.gap_limit[dev];
    const int* left = cuts.left + (s - from);
    const int* right = cuts.right + (s - from);
    v16i n, from_start, width;
    i64 odd = 0;
    int most = 0;
    for (int l = 0; l < 16; ++l) {
        const i64 lo = cuts.at[left[l]], hi = cuts.at[right[l]];
        n[l] = (i32)(hi - lo);
        most = n[l] > most ? n[l] : most;
        odd |= (lo <= first) | (hi >= last) | (hi == lo) | (lo + 15 > total);
        odd |= (cuts.dt[left[l]] >= DAY_US) | (cuts.dt[right[l]] >= DAY_US);
        odd |= in.seg_end[s + l] - in.seg_start[s + l] >= DAY_US;
    }
    if (odd || most > TILE_MAX) return false;
    v16i t[16], p[16];
    for (int l = 0; l < 16; ++l) {
        const i64 at = cuts.at[left[l]] - 1, start = in.seg_start[s + l];
        const v8i a = __builtin_convertvector(load<v8l>(in.ts + at) - start, v8i);
        const v8i b = __builtin_convertvector(load<v8l>(in.ts + at + 8) - start, v8i);
        t[l] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        p[l] = load<v16i>(in.power + at);
    }
    transpose(t);
    transpose(p);
    const i32 bound = (i32)(limit < DAY_US ? limit : DAY_US);
    v16i gap = {}, covered = {};
    v8ul energy[2] = {};
    v8d rise[2] = {}, fall[2] = {};
    for (int k = 0; k <= most; ++k) {
        v16i in_pair = n >= k;
        if (k == 0) in_pair &= t[1] > 0;
        const v16i dt = (t[k + 1] - t[k]) & in_pair;
        gap = vmax(gap, dt);
        const v16i ok = in_pair & (dt <= bound);
        const v16i inner = k == 0 ? v16i{} : ok & (n > k);
        covered += dt & inner;
        const v16i sum = p[k] + p[k + 1], dp = p[k + 1] - p[k], whole = dt & inner;
        const v16i span = pick(ok, dt, v16i{} + 2147483647), rise_mw = dp & ok;
        for (int h = 0; h < 2; ++h) {
            const v8ul twice = __builtin_convertvector((v8u)half(sum, h), v8ul) *
                               __builtin_convertvector((v8u)half(whole, h), v8ul);
            energy[h] += twice >> 1;
            const v8d slope = __builtin_convertvector(half(rise_mw, h), v8d) * 1e6 /
                              __builtin_convertvector(half(span, h), v8d);
            rise[h] = vmax(rise[h], slope);
            fall[h] = vmin(fall[h], slope);
        }
    }
    for (int k = 0; k < TILE_MAX; ++k) p[k] = pick(n > k, p[k + 1], v16i{} + 2147483647);
    sort_rows<TILE_MAX>(p, TILE_MAX, 8);
    const i32* sorted = (const i32*)p;
    for (int l = 0; l < 16; ++l) {
        const int a = left[l], b = right[l];
        const i64 dt_a = cuts.dt[a], dt_b = cuts.dt[b], count = n[l];
        const bool head = cuts.x[a] < dt_a && dt_a <= limit, tail = dt_b <= limit;
        const i64 whole = (cuts.p0[a] + cuts.p1[a]) * dt_a >> 1;
        out.readings[s + l] = (i32)count;
        out.covered_us[s + l] = covered[l] + (head ? dt_a - cuts.x[a] : 0) + (tail ? cuts.x[b] : 0);
        out.max_gap_us[s + l] = gap[l];
        out.energy_nj[s + l] = (i64)energy[l / 8][l % 8] + (head ? whole - cuts.h[a] : 0) +
                               (tail ? cuts.h[b] : 0);
        out.rise_mw_s[s + l] = (i64)rise[l / 8][l % 8];
        out.fall_mw_s[s + l] = (i64)-fall[l / 8][l % 8];
        out.min_mw[s + l] = sorted[l];
        out.max_mw[s + l] = sorted[(count - 1) * 16 + l];
        out.p50_mw[s + l] = sorted[rank_of(count, 50) * 16 + l];
        out.p95_mw[s + l] = sorted[rank_of(count, 95) * 16 + l];
        out.p99_mw[s + l] = sorted[rank_of(count, 99) * 16 + l];
    }
    return true;
}

// Ranks of 16 segments of 1 to ROWS_MAX readings. False: they are not so.
bool ranks_tile(const In& in, const Out& out, const Cuts& cuts, i64 s, i64 from, i64 total) {
    const int* left = cuts.left + (s - from);
    const int* right = cuts.right + (s - from);
    v16i rows[ROWS_MAX], n;
    i64 most = 0, least = ROWS_MAX;
    for (int l = 0; l < 16; ++l) {
        const i64 lo = cuts.at[left[l]], count = cuts.at[right[l]] - lo;
        n[l] = (i32)count;
        most = count > most ? count : most;
        least = count < least ? count : least;
    }
    if (least < 1 || most > ROWS_MAX || cuts.at[left[15]] + ROWS_MAX > total) return false;
    for (int k = 0; k < most; k += 16) {
        for (int l = 0; l < 16; ++l) rows[k + l] = load<v16i>(in.power + cuts.at[left[l]] + k);
        transpose(rows + k);
    }
    for (int k = (int)least; k < most; ++k) rows[k] = pick(n > k, rows[k], v16i{} + 2147483647);
    int top = 1;
    while (2 * top < most) top *= 2;
    sort_rows<0>(rows, (int)most, top);
    const i32* sorted = (const i32*)rows;
    for (int l = 0; l < 16; ++l) {
        const i64 count = n[l];
        out.readings[s + l] = (i32)count;
        out.min_mw[s + l] = sorted[l];
        out.max_mw[s + l] = sorted[(count - 1) * 16 + l];
        out.p50_mw[s + l] = sorted[rank_of(count, 50) * 16 + l];
        out.p95_mw[s + l] = sorted[rank_of(count, 95) * 16 + l];
        out.p99_mw[s + l] = sorted[rank_of(count, 99) * 16 + l];
    }
    return true;
}

void finish(const In& in, const Out& out, const Cuts& cuts, i64 from, i64 to) {
    for (i64 s = from; s < to; ++s) {
        const i64 covered = out.covered_us[s];
        out.mean_mw[s] = covered > 0 ? (double)out.energy_nj[s] / (double)covered
                                     : std::numeric_limits<double>::quiet_NaN();
        const int a = cuts.left[s - from], b = cuts.right[s - from];
        const i64 c0 = cuts.c_left[a], c1 = cuts.c_left[b];
        const bool known = c0 != NONE && c1 != NONE && in.counter_epoch[c0] == in.counter_epoch[c1];
        out.counter_nj[s] = known ? (in.counter_mj[c1] - in.counter_mj[c0]) * 1000000LL +
                                        cuts.c_part[b] - cuts.c_part[a] : NONE;
        out.counter_off_us[s] = known ? cuts.c_off[b] : NONE;
    }
}

}  // namespace

extern "C" void integrate(const In* in, const Out* out, i64 segments, i64 total) {
#pragma omp parallel
    {
        Cuts* cuts = new Cuts;
        std::vector<i32> space;
#pragma omp for schedule(dynamic, 4)
        for (i64 from = 0; from < segments; from += CHUNK) {
            const i64 to = from + CHUNK < segments ? from + CHUNK : segments;
            find_all(*in, from, to, *cuts);
            divide(*cuts);
            for (i64 s = from; s < to;) {
                if (s + 16 <= to && tile(*in, *out, *cuts, s, from, total)) { s += 16; continue; }
                const i64 until = s + 16 < to ? s + 16 : to;
                const bool ranked =
                    s + 16 <= to && ranks_tile(*in, *out, *cuts, s, from, total);
                for (; s < until; ++s) {
                    if (!along(*in, *out, *cuts, s, from)) plain(*in, *out, *cuts, s, from);
                    const i64 lo = cuts->at[cuts->left[s - from]];
                    if (!ranked) ranks(*in, *out, s, lo, cuts->at[cuts->right[s - from]] - lo, space);
                }
            }
            finish(*in, *out, *cuts, from, to);
        }
        delete cuts;
    }
}
