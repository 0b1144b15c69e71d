/*
 * distance_kernels.c: distances of one profile from many, 32 at a time.
 */
#include "postgres.h"

#include "profile/distance_kernels.h"

#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
#define HAVE_X86_KERNELS
#include <immintrin.h>
#endif

/* ---------- any machine ---------- */

/* What 128-bit registers hold; compilers have instructions of the machine for it: NEON on ARM. */
typedef uint8 Bytes __attribute__((vector_size(16)));
typedef uint16 Words __attribute__((vector_size(16)));
typedef uint32 Longs __attribute__((vector_size(16)));

#define ROW_VECTORS (KERNEL_ROW / 16)

/* The sums of neighbouring bytes. */
static inline Words
AddNeighbours(Bytes bytes)
{
	return ((Words) bytes & 0xff) + ((Words) bytes >> 8);
}

static inline Bytes
Lesser(Bytes a, Bytes b)
{
	Bytes less = (Bytes) (a < b);

	return (a & less) | (b & ~less);
}

/* The upper halves of products. */
static inline Words
MultiplyHigh(Words words, uint16 factor)
{
	Longs low = ((Longs) words & 0xffff) * factor >> 16;
	Longs high = ((Longs) words >> 16) * factor & 0xffff0000;

	return (Words) (low | high);
}

/* Adds one row of a block to num and den. */
static pg_attribute_always_inline void
AddRowPortable(const Bytes *row, const KernelQuery *query, int p, bool scaled, Words *num,
			   Words *den)
{
	const Bytes code = *(const Bytes *) query->codes[p];
	const Bytes level = *(const Bytes *) query->levels[p];
	const Bytes absent = *(const Bytes *) query->absent[p];

	for (int i = 0; i < ROW_VECTORS; i++)
	{
		Bytes t = row[i];
		Bytes weight = level & ~(Bytes) ((t | absent) == CODE_MISSING);
		Bytes difference;

		if (scaled)
		{
			Bytes less = (Bytes) (t < code);

			difference = Lesser(((code - t) & less) | ((t - code) & ~less), weight);
		}
		else
			difference = weight & ~(Bytes) (t == code);
		num[i] += AddNeighbours(difference);
		den[i] += AddNeighbours(weight);
	}
}

/* Bits of the lanes that pass. */
static inline uint32
PassedLanes(const Words *num, const Words *den, uint16 threshold, uint16 slack)
{
	Words passed[ROW_VECTORS];
	Words any = {0};
	uint64 halves[2];
	uint32 lanes = 0;

	for (int i = 0; i < ROW_VECTORS; i++)
	{
		Words high = MultiplyHigh(den[i], threshold);
		Words limit = high + slack;

		passed[i] = (Words) (num[i] <= limit) | (Words) (limit < high);
		any |= passed[i];
	}
	memcpy(halves, &any, sizeof(halves));
	if (likely((halves[0] | halves[1]) == 0))
		return 0;
	for (int lane = 0; lane < KERNEL_LANES; lane++)
		lanes |= (uint32) (passed[lane / 8][lane % 8] & 1) << lane;
	return lanes;
}

static int
PortableKernel(const KernelQuery *query, const uint8 *blocks, int from, int to, uint16 threshold,
			   uint16 slack, KernelHit *hit)
{
	for (int block = from; block < to; block++)
	{
		const Bytes *row = (const Bytes *) (blocks + (Size) block * query->pairs * KERNEL_ROW);
		Words num[ROW_VECTORS] = {{0}};
		Words den[ROW_VECTORS] = {{0}};
		int p = 0;

		for (; p < query->scaled_pairs; p++, row += ROW_VECTORS)
			AddRowPortable(row, query, p, true, num, den);
		for (; p < query->pairs; p++, row += ROW_VECTORS)
			AddRowPortable(row, query, p, false, num, den);
		hit->lanes = PassedLanes(num, den, threshold, slack);
		if (hit->lanes == 0)
			continue;
		memcpy(hit->num, num, sizeof(hit->num));
		memcpy(hit->den, den, sizeof(hit->den));
		return block;
	}
	return to;
}

#ifdef HAVE_X86_KERNELS

/* ---------- SSE2 ---------- */

/* The sums of neighbouring bytes, as 16-bit integers. */
__attribute__((target("sse2"))) static inline __m128i
AddNeighbours128(__m128i bytes)
{
	return _mm_add_epi16(_mm_and_si128(bytes, _mm_set1_epi16(0xff)), _mm_srli_epi16(bytes, 8));
}

__attribute__((target("sse2"))) static int
Sse2Kernel(const KernelQuery *query, const uint8 *blocks, int from, int to, uint16 threshold,
		   uint16 slack, KernelHit *hit)
{
	const __m128i missing = _mm_set1_epi8((char) CODE_MISSING);
	const __m128i zero = _mm_setzero_si128();
	const __m128i factor = _mm_set1_epi16((short) threshold);
	const __m128i addend = _mm_set1_epi16((short) slack);

	for (int block = from; block < to; block++)
	{
		const uint8 *row = blocks + (Size) block * query->pairs * KERNEL_ROW;
		__m128i num[4] = {zero, zero, zero, zero};
		__m128i den[4] = {zero, zero, zero, zero};
		uint32 lanes = 0;

		for (int p = 0; p < query->pairs; p++, row += KERNEL_ROW)
		{
			__m128i code = _mm_load_si128((const __m128i *) query->codes[p]);
			__m128i level = _mm_load_si128((const __m128i *) query->levels[p]);
			__m128i absent = _mm_load_si128((const __m128i *) query->absent[p]);
			bool scaled = p < query->scaled_pairs;

			for (int i = 0; i < 4; i++)
			{
				__m128i t = _mm_load_si128((const __m128i *) row + i);
				__m128i weight =
					_mm_andnot_si128(_mm_cmpeq_epi8(_mm_or_si128(t, absent), missing), level);
				__m128i difference =
					scaled
						? _mm_min_epu8(_mm_or_si128(_mm_subs_epu8(t, code), _mm_subs_epu8(code, t)),
									   weight)
						: _mm_andnot_si128(_mm_cmpeq_epi8(t, code), weight);

				num[i] = _mm_add_epi16(num[i], AddNeighbours128(difference));
				den[i] = _mm_add_epi16(den[i], AddNeighbours128(weight));
			}
		}
		for (int i = 0; i < 4; i += 2)
		{
			__m128i over0 =
				_mm_subs_epu16(num[i], _mm_adds_epu16(_mm_mulhi_epu16(den[i], factor), addend));
			__m128i over1 = _mm_subs_epu16(
				num[i + 1], _mm_adds_epu16(_mm_mulhi_epu16(den[i + 1], factor), addend));
			__m128i passed =
				_mm_packs_epi16(_mm_cmpeq_epi16(over0, zero), _mm_cmpeq_epi16(over1, zero));

			lanes |= (uint32) _mm_movemask_epi8(passed) << (8 * i);
		}
		if (lanes != 0)
		{
			hit->lanes = lanes;
			for (int i = 0; i < 4; i++)
			{
				_mm_store_si128((__m128i *) hit->num + i, num[i]);
				_mm_store_si128((__m128i *) hit->den + i, den[i]);
			}
			return block;
		}
	}
	return to;
}

/* ---------- AVX2 ---------- */

/* The levels of codes that are not missing, once those bits are added. */
__attribute__((target("avx2"))) static inline __m256i
WeightsOf(__m256i codes, __m256i absent, __m256i level)
{
	__m256i missing = _mm256_set1_epi8((char) CODE_MISSING);

	return _mm256_andnot_si256(_mm256_cmpeq_epi8(_mm256_or_si256(codes, absent), missing), level);
}

__attribute__((target("avx2"))) static int
Avx2Kernel(const KernelQuery *query, const uint8 *blocks, int from, int to, uint16 threshold,
		   uint16 slack, KernelHit *hit)
{
	const __m256i missing = _mm256_set1_epi8((char) CODE_MISSING);
	const __m256i zero = _mm256_setzero_si256();
	const __m256i ones = _mm256_set1_epi8(1);
	const __m256i factor = _mm256_set1_epi16((short) threshold);
	const __m256i addend = _mm256_set1_epi16((short) slack);
	const int scaled_pairs = query->scaled_pairs;
	const int pairs = query->pairs;

	for (int block = from; block < to; block++)
	{
		const __m256i *row = (const __m256i *) (blocks + (Size) block * pairs * KERNEL_ROW);
		__m256i num0 = zero;
		__m256i num1 = zero;
		__m256i den0 = zero;
		__m256i den1 = zero;
		__m256i passed0;
		__m256i passed1;
		uint32 lanes;
		int p = 0;

		for (; p < scaled_pairs; p++, row += 2)
		{
			__m256i code = _mm256_load_si256((const __m256i *) query->codes[p]);
			__m256i level = _mm256_load_si256((const __m256i *) query->levels[p]);
			__m256i t0 = _mm256_load_si256(row);
			__m256i t1 = _mm256_load_si256(row + 1);
			__m256i weight0 = _mm256_andnot_si256(_mm256_cmpeq_epi8(t0, missing), level);
			__m256i weight1 = _mm256_andnot_si256(_mm256_cmpeq_epi8(t1, missing), level);
			__m256i difference0 = _mm256_min_epu8(
				_mm256_or_si256(_mm256_subs_epu8(t0, code), _mm256_subs_epu8(code, t0)), weight0);
			__m256i difference1 = _mm256_min_epu8(
				_mm256_or_si256(_mm256_subs_epu8(t1, code), _mm256_subs_epu8(code, t1)), weight1);

			num0 = _mm256_add_epi16(num0, _mm256_maddubs_epi16(difference0, ones));
			num1 = _mm256_add_epi16(num1, _mm256_maddubs_epi16(difference1, ones));
			den0 = _mm256_add_epi16(den0, _mm256_maddubs_epi16(weight0, ones));
			den1 = _mm256_add_epi16(den1, _mm256_maddubs_epi16(weight1, ones));
		}
		for (; p < pairs; p++, row += 2)
		{
			__m256i code = _mm256_load_si256((const __m256i *) query->codes[p]);
			__m256i level = _mm256_load_si256((const __m256i *) query->levels[p]);
			__m256i absent = _mm256_load_si256((const __m256i *) query->absent[p]);
			__m256i t0 = _mm256_load_si256(row);
			__m256i t1 = _mm256_load_si256(row + 1);
			__m256i weight0 =
				_mm256_andnot_si256(_mm256_cmpeq_epi8(_mm256_or_si256(t0, absent), missing), level);
			__m256i weight1 =
				_mm256_andnot_si256(_mm256_cmpeq_epi8(_mm256_or_si256(t1, absent), missing), level);
			__m256i difference0 = _mm256_andnot_si256(_mm256_cmpeq_epi8(t0, code), weight0);
			__m256i difference1 = _mm256_andnot_si256(_mm256_cmpeq_epi8(t1, code), weight1);

			num0 = _mm256_add_epi16(num0, _mm256_maddubs_epi16(difference0, ones));
			num1 = _mm256_add_epi16(num1, _mm256_maddubs_epi16(difference1, ones));
			den0 = _mm256_add_epi16(den0, _mm256_maddubs_epi16(weight0, ones));
			den1 = _mm256_add_epi16(den1, _mm256_maddubs_epi16(weight1, ones));
		}

		passed0 = _mm256_cmpeq_epi16(
			_mm256_subs_epu16(num0, _mm256_adds_epu16(_mm256_mulhi_epu16(den0, factor), addend)),
			zero);
		passed1 = _mm256_cmpeq_epi16(
			_mm256_subs_epu16(num1, _mm256_adds_epu16(_mm256_mulhi_epu16(den1, factor), addend)),
			zero);
		/* the pack instruction works on each half of the register: restore the order */
		lanes = (uint32) _mm256_movemask_epi8(
			_mm256_permute4x64_epi64(_mm256_packs_epi16(passed0, passed1), 0xd8));
		if (unlikely(lanes != 0))
		{
			hit->lanes = lanes;
			_mm256_store_si256((__m256i *) hit->num, num0);
			_mm256_store_si256((__m256i *) hit->num + 1, num1);
			_mm256_store_si256((__m256i *) hit->den, den0);
			_mm256_store_si256((__m256i *) hit->den + 1, den1);
			return block;
		}
	}
	return to;
}

/* ---------- AVX-512 ---------- */

/* Adds one row of a block, which is one register, to num and den. */
__attribute__((target("avx512bw"))) static pg_attribute_always_inline void
AddRow512(const uint8 *row, const KernelQuery *query, int p, bool scaled, __m512i *num,
		  __m512i *den)
{
	const __m512i ones = _mm512_set1_epi8(1);
	__m512i t = _mm512_load_si512(row);
	__m512i code = _mm512_broadcast_i64x4(_mm256_load_si256((const __m256i *) query->codes[p]));
	__m512i level = _mm512_broadcast_i64x4(_mm256_load_si256((const __m256i *) query->levels[p]));
	__m512i absent = _mm512_broadcast_i64x4(_mm256_load_si256((const __m256i *) query->absent[p]));
	__mmask64 there =
		_mm512_cmpneq_epu8_mask(_mm512_or_si512(t, absent), _mm512_set1_epi8((char) CODE_MISSING));
	__m512i weight = _mm512_maskz_mov_epi8(there, level);
	__m512i difference =
		scaled ? _mm512_min_epu8(
					 _mm512_or_si512(_mm512_subs_epu8(t, code), _mm512_subs_epu8(code, t)), weight)
			   : _mm512_maskz_mov_epi8(_mm512_cmpneq_epu8_mask(t, code), weight);

	*num = _mm512_add_epi16(*num, _mm512_maddubs_epi16(difference, ones));
	*den = _mm512_add_epi16(*den, _mm512_maddubs_epi16(weight, ones));
}

__attribute__((target("avx512bw"))) static int
Avx512Kernel(const KernelQuery *query, const uint8 *blocks, int from, int to, uint16 threshold,
			 uint16 slack, KernelHit *hit)
{
	const __m512i factor = _mm512_set1_epi16((short) threshold);
	const __m512i addend = _mm512_set1_epi16((short) slack);

	for (int block = from; block < to; block++)
	{
		const uint8 *row = blocks + (Size) block * query->pairs * KERNEL_ROW;
		__m512i num = _mm512_setzero_si512();
		__m512i den = _mm512_setzero_si512();
		int p = 0;

		for (; p < query->scaled_pairs; p++, row += KERNEL_ROW)
			AddRow512(row, query, p, true, &num, &den);
		for (; p < query->pairs; p++, row += KERNEL_ROW)
			AddRow512(row, query, p, false, &num, &den);
		hit->lanes = _mm512_cmple_epu16_mask(
			num, _mm512_adds_epu16(_mm512_mulhi_epu16(den, factor), addend));
		if (likely(hit->lanes == 0))
			continue;
		_mm512_storeu_si512(hit->num, num);
		_mm512_storeu_si512(hit->den, den);
		return block;
	}
	return to;
}

#endif /* HAVE_X86_KERNELS */

DistanceKernel
ChooseDistanceKernel(const char *name)
{
#ifdef HAVE_X86_KERNELS
	if ((name == NULL || strcmp(name, "avx512") == 0) && __builtin_cpu_supports("avx512bw"))
		return Avx512Kernel;
	if ((name == NULL || strcmp(name, "avx2") == 0) && __builtin_cpu_supports("avx2"))
		return Avx2Kernel;
	if ((name == NULL || strcmp(name, "sse2") == 0) && __builtin_cpu_supports("sse2"))
		return Sse2Kernel;
#endif
	if (name == NULL || strcmp(name, "portable") == 0)
		return PortableKernel;
	return NULL;
}
