/* SPDX-License-Identifier: BSD-2-Clause
 *
 *	eat-memory MEGABYTES TOUCHES
 *
 * Fills that much memory with what can be told apart, then takes pages at random, as often as it is
 * told, each of which has to be what it was and is changed; in the end all are looked at. What does
 * not fit has to go to swap and come back.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096u
#define WORDS	   (PAGE_BYTES / sizeof(uint64_t))

/* splitmix64 */
static uint64_t scramble(uint64_t z)
{
	z += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void page_fill(uint64_t *page, uint64_t seed)
{
	for (unsigned i = 0; i < WORDS; i++)
		page[i] = scramble(seed * WORDS + i);
}

static bool page_is(const uint64_t *page, uint64_t seed)
{
	for (unsigned i = 0; i < WORDS; i++) {
		if (page[i] != scramble(seed * WORDS + i))
			return false;
	}
	return true;
}

static uint64_t *memory;
static uint32_t *changes; /* of each page */
static size_t pages;

static uint64_t seed_of(size_t page)
{
	return page + (uint64_t)changes[page] * pages;
}

static void expect(size_t page)
{
	if (page_is(memory + page * WORDS, seed_of(page)))
		return;
	fprintf(stderr, "eat-memory: page %zu is not what it was\n", page);
	exit(1);
}

static void change(size_t page)
{
	expect(page);
	changes[page]++;
	page_fill(memory + page * WORDS, seed_of(page));
}

int main(int argc, char **argv)
{
	size_t touches = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;

	pages = argc > 1 ? (strtoul(argv[1], NULL, 10) << 20) / PAGE_BYTES : 0;
	memory = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	changes = calloc(pages, sizeof(*changes));
	if (memory == MAP_FAILED || !changes) {
		fprintf(stderr, "eat-memory: needs MEGABYTES and TOUCHES\n");
		return 2;
	}
	for (size_t p = 0; p < pages; p++)
		page_fill(memory + p * WORDS, seed_of(p));
	for (size_t n = 0; n < touches; n++)
		change(scramble(n) % pages);
	for (size_t p = 0; p < pages; p++)
		expect(p);
	return 0;
}
