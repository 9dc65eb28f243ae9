/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sections of the journal, read and decrypted, one at a time.
 */
#include "base/num.h"
#include "offline/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t section_bytes(const struct intact_view *v)
{
	return (size_t)v->volume.geometry.section_sectors * SECTOR_BYTES;
}

int section_reader_open(const struct intact_view *v, struct section_reader *ret)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->view = v;
	ret->section = UINT32_MAX;
	ret->bytes = malloc(section_bytes(v));
	if (!ret->bytes)
		return -ENOMEM;
	r = volume_open_cipher(&v->volume, &ret->cipher);
	if (r < 0)
		section_reader_close(ret);
	return r;
}

void section_reader_close(struct section_reader *r)
{
	cipher_close(r->cipher);
	free(r->bytes);
	memset(r, 0, sizeof(*r));
}

static int decrypt(struct section_reader *r, uint32_t section)
{
	size_t bytes = section_bytes(r->view);

	if (!r->cipher)
		return 0;
	if (cipher_is_stream(r->cipher))
		return cipher_xor(r->cipher, (uint64_t)section * bytes, r->bytes, bytes);
	return cipher_decrypt_section(r->cipher, section, r->bytes, bytes);
}

int section_reader_read(struct section_reader *r, uint32_t section)
{
	const struct intact_view *v = r->view;
	uint64_t offset = geometry_section_sector(&v->volume.geometry, section) * SECTOR_BYTES;
	int result;

	if (r->section == section)
		return 0;
	r->section = UINT32_MAX;
	result = io_file_read(v->device, offset, r->bytes, section_bytes(v));
	result = result ?: decrypt(r, section);
	if (result == 0)
		r->section = section;
	return result;
}
