/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A digest driver outside of Intact, to be copied: CRC-32C by a table, with both faces. It needs
 * <intact-digest.h> and nothing of the library.
 *
 *	make
 *	intact check --digest-module ./example.so --digest-driver example DEVICE
 *	intact check --digest-module ./example.so --digest-driver example:room=2 \
 *		--digest-policy async DEVICE
 */
#include <intact-digest.h>

#include <stdio.h>
#include <stdlib.h>

#define POLYNOMIAL   0x82f63b78u /* reflected */
#define ROOM_DEFAULT 8
#define ROOM_MAX     1024

struct example {
	struct intact_digest_shape shape;
	uint32_t table[256];

	/* Of the asynchronous face: a queue in front of a device that takes so many batches. */
	uint64_t room;
	uint64_t taken;
	struct intact_digest_batch *first;
	struct intact_digest_batch **end;
};

/* ---- What it can do ---- */

static enum intact_digest_fit example_fit(const struct intact_digest_algorithm *algorithm)
{
	return algorithm->hash == INTACT_HASH_CRC32C ? INTACT_DRIVER_FITS : INTACT_DRIVER_CANNOT;
}

/* ---- Opening: all memory is taken here, and all options are looked at ---- */

static void table_init(struct example *e)
{
	for (uint32_t byte = 0; byte < 256; byte++) {
		uint32_t crc = byte;

		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (-(crc & 1) & POLYNOMIAL);
		e->table[byte] = crc;
	}
}

static int take_options(struct example *e, const struct intact_digest_setup *setup)
{
	int r = intact_digest_option_number(setup->options, "room", ROOM_MAX, ROOM_DEFAULT,
					    &e->room);
	char text[160];

	if (r == 0 && e->room > 0)
		return 0;
	(void)snprintf(text, sizeof(text), "%s: option room is not a number of 1 to %d",
		       setup->what, ROOM_MAX);
	if (setup->log && setup->log->emit)
		setup->log->emit(setup->log->opaque, INTACT_ERROR, text);
	return -EINVAL;
}

static int example_open(const struct intact_digest_setup *setup, void **ret_instance)
{
	struct example *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	if (take_options(e, setup) < 0) {
		free(e);
		return -EINVAL;
	}
	e->shape = *setup->shape;
	e->end = &e->first;
	table_init(e);
	*ret_instance = e;
	return 0;
}

static void example_close(void *instance)
{
	free(instance); /* a driver with a key would wipe it */
}

/* ---- The synchronous face ---- */

static uint32_t update(const struct example *e, uint32_t crc, const uint8_t *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		crc = crc >> 8 ^ e->table[(crc ^ data[i]) & 0xff];
	return crc;
}

static void compute_message(const struct example *e, const struct intact_digest_batch *batch,
			    uint32_t i)
{
	uint8_t prefix[INTACT_DIGEST_PREFIX_BYTES_MAX];
	size_t prefix_bytes = intact_digest_prefix(&e->shape, batch, i, prefix);
	uint8_t digest[4];
	uint32_t crc;

	crc = update(e, ~0u, prefix, prefix_bytes);
	crc = ~update(e, crc, intact_digest_message(batch, i), batch->message_bytes);
	for (unsigned n = 0; n < sizeof(digest); n++)
		digest[n] = (uint8_t)(crc >> (8 * n));
	intact_digest_store(&e->shape, batch, i, digest);
}

static int example_compute(void *instance, struct intact_digest_batch *batch)
{
	for (uint32_t i = 0; i < batch->count; i++)
		compute_message(instance, batch, i);
	return 0;
}

/* ---- The asynchronous face ---- */

static int example_submit(void *instance, struct intact_digest_batch *batch)
{
	struct example *e = instance;

	if (e->taken == e->room)
		return -EBUSY;
	batch->next = NULL;
	*e->end = batch;
	e->end = &batch->next;
	e->taken++;
	return 0;
}

static void finish_first(struct example *e, struct intact_digest_batch **finished)
{
	struct intact_digest_batch *batch = e->first;

	e->first = batch->next;
	if (!e->first)
		e->end = &e->first;
	e->taken--;
	batch->result = example_compute(e, batch);
	batch->next = *finished;
	*finished = batch;
}

/* A real one would look at what the device has finished; this one finishes one batch a time. It
 * cannot call wake, so it does not say INTACT_DRIVER_WAKES and is polled.
 */
static void example_poll(void *instance, struct intact_digest_batch **finished)
{
	struct example *e = instance;

	if (e->first)
		finish_first(e, finished);
}

static void example_flush(void *instance, struct intact_digest_batch **finished)
{
	struct example *e = instance;

	while (e->first)
		finish_first(e, finished);
}

/* ---- What is exported ---- */

static const struct intact_digest_option example_options[] = {
	{"room", "batches at a time (default 8)"},
	{NULL, NULL},
};

static const struct intact_digest_driver example = {
	.name = "example",
	.description = "CRC-32C by a table",
	.flags = INTACT_DRIVER_SYNC | INTACT_DRIVER_ASYNC,
	.priority = 10,
	.options = example_options,
	.fit = example_fit,
	.open = example_open,
	.close = example_close,
	.compute = example_compute,
	.submit = example_submit,
	.poll = example_poll,
	.flush = example_flush,
};

static const struct intact_digest_driver *const drivers[] = {&example, NULL};

const struct intact_digest_module intact_digest_module = INTACT_DIGEST_MODULE(drivers);
