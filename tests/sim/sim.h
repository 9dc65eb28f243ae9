/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A run: one volume, several lives, one seed.
 */
#ifndef INTACT_SIM_SIM_H
#define INTACT_SIM_SIM_H

#include "model.h"

struct sim_options {
	unsigned only; /* ONLY_… of setup.h */
	bool verbose;
	const char *dump; /* directory for what cuts have left (dump.h), or NULL */
};

struct sim_counts {
	uint64_t lives, cuts, cuts_in_open, cuts_in_shutdown, kills, shutdowns, stops, peeks, rots;
	uint64_t lives_j, lives_d, lives_b, changes;
	uint64_t requests, io_events, mismatches, errors, digest_errors, key_losses, glitches;
	struct model_counts found;
};

struct sim_result {
	bool failed;
	char failure[400];
	uint64_t hash; /* of everything that happened */
	struct sim_counts counts;
};

void sim_run(uint64_t seed, const struct sim_options *options, struct sim_result *ret);

#endif
