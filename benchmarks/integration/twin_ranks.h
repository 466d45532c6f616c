// Of the C++ twin: percentiles. In: readings of one segment, or of 16 side by side. Out: the values
// at their nearest ranks: a sorting network over rows of 16 segments, or a quickselect.

#pragma once

#include <vector>

#include "twin_cuts.h"

namespace {

inline i32 rank_of(i64 n, i64 q) { return (i32)((n * q + 99) / 100) - 1; }

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

}  // namespace
