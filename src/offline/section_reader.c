/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sections of the journal, read and decrypted, one at a time.
 */
#include "base/num.h"
#include "offline/view.h"
#include "volume/section.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int section_reader_open(const struct intact_view *v, struct section_reader *ret)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->view = v;
	ret->section = UINT32_MAX;
	ret->bytes = malloc(volume_section_bytes(&v->volume));
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

int section_reader_read(struct section_reader *r, uint32_t section)
{
	const struct intact_view *v = r->view;
	uint64_t offset = geometry_section_sector(&v->volume.geometry, section) * SECTOR_BYTES;
	int result;

	if (r->section == section)
		return 0;
	r->section = UINT32_MAX;
	result = io_file_read(v->device, offset, r->bytes, volume_section_bytes(&v->volume));
	result = result ?: volume_section_decrypt(&v->volume, r->cipher, section, r->bytes);
	if (result == 0)
		r->section = section;
	return result;
}
