/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The policies' table, row by row, with drivers that are nothing but a name, flags and a priority;
 * and what is said when no driver is allowed.
 */
#include "digest/select.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static enum intact_digest_fit fits(const struct intact_digest_algorithm *algorithm)
{
	(void)algorithm;
	return INTACT_DRIVER_FITS;
}

static enum intact_digest_fit is_slow(const struct intact_digest_algorithm *algorithm)
{
	(void)algorithm;
	return INTACT_DRIVER_SLOW;
}

static enum intact_digest_fit cannot(const struct intact_digest_algorithm *algorithm)
{
	(void)algorithm;
	return INTACT_DRIVER_CANNOT;
}

#define SYNC  INTACT_DRIVER_SYNC
#define ASYNC INTACT_DRIVER_ASYNC
#define BOTH  (INTACT_DRIVER_SYNC | INTACT_DRIVER_ASYNC)

static const struct intact_digest_driver soft = {
	.name = "soft", .flags = SYNC, .priority = 100, .fit = fits};
static const struct intact_digest_driver tie = {
	.name = "tie", .flags = SYNC, .priority = 100, .fit = fits};
static const struct intact_digest_driver lanes = {
	.name = "lanes", .flags = BOTH, .priority = 200, .fit = fits};
static const struct intact_digest_driver weak = {
	.name = "weak", .flags = BOTH, .priority = 50, .fit = fits};
static const struct intact_digest_driver card = {
	.name = "card", .flags = ASYNC, .priority = 150, .fit = fits};
static const struct intact_digest_driver slow = {
	.name = "slow", .flags = BOTH, .priority = 900, .fit = is_slow};
static const struct intact_digest_driver alien = {
	.name = "alien", .flags = BOTH, .priority = 999, .fit = cannot};

#define DRIVERS_MAX 4

struct row {
	const struct intact_digest_driver *drivers[DRIVERS_MAX + 1];
	const char *named;
	/* By policy: "name/s" or "name/a", NULL when there is none. */
	const char *automatic, *accelerator, *sync, *async;
};

static const struct row table[] = {
	/* one driver of one kind */
	{{&soft}, NULL, "soft/s", "soft/s", "soft/s", NULL},
	{{&card}, NULL, "card/a", "card/a", NULL, "card/a"},
	/* one driver that is both: it is no accelerator */
	{{&lanes}, NULL, "lanes/s", "lanes/s", "lanes/s", "lanes/a"},
	/* two drivers: the asynchronous one is the accelerator */
	{{&soft, &card}, NULL, "soft/s", "card/a", "soft/s", "card/a"},
	{{&card, &soft}, NULL, "soft/s", "card/a", "soft/s", "card/a"},
	/* the better asynchronous one is what else computes here */
	{{&soft, &lanes, &card}, NULL, "lanes/s", "lanes/s", "lanes/s", "lanes/a"},
	/* it is a card beside it */
	{{&weak, &card}, NULL, "weak/s", "card/a", "weak/s", "card/a"},
	/* the best synchronous one is another than the best asynchronous one */
	{{&soft, &weak}, NULL, "soft/s", "weak/a", "soft/s", "weak/a"},
	/* among equals the first */
	{{&soft, &tie}, NULL, "soft/s", "soft/s", "soft/s", NULL},
	{{&tie, &soft}, NULL, "tie/s", "tie/s", "tie/s", NULL},
	/* what is slow here, or cannot do it, is not taken unasked */
	{{&slow, &soft}, NULL, "soft/s", "soft/s", "soft/s", NULL},
	{{&slow}, NULL, NULL, NULL, NULL, NULL},
	{{&alien, &soft}, NULL, "soft/s", "soft/s", "soft/s", NULL},
	{{NULL}, NULL, NULL, NULL, NULL, NULL},
	/* named: that one or none, slow or not, by the face that the policy allows */
	{{&soft, &slow}, "slow", "slow/s", "slow/s", "slow/s", "slow/a"},
	{{&lanes, &soft}, "soft", "soft/s", "soft/s", "soft/s", NULL},
	{{&lanes, &card}, "card", "card/a", "card/a", NULL, "card/a"},
	{{&alien, &soft}, "alien", NULL, NULL, NULL, NULL},
	{{&soft, &card}, "tie", NULL, NULL, NULL, NULL},
};

static char message[1024];

static void emit(void *opaque, enum intact_level level, const char *text)
{
	(void)opaque;
	assert_int_equal(level, INTACT_ERROR);
	(void)snprintf(message, sizeof(message), "%s", text);
}

static const struct intact_log log_of_messages = {.emit = emit};

static int choose(const struct row *row, enum intact_digest_policy policy,
		  struct digest_choice *choice)
{
	struct digest_spec spec = {
		.algorithm = digest_algorithm_find("sha256"),
		.policy = policy,
		.driver = row->named,
		.parameter = "internal hash",
	};

	message[0] = 0;
	return digest_choose(row->drivers, &spec, &log_of_messages, choice);
}

static void assert_chooses(const struct row *row, enum intact_digest_policy policy,
			   const char *expected)
{
	struct digest_choice choice = {.driver = &alien};
	int r = choose(row, policy, &choice);
	char text[64];

	assert_int_equal(r, expected ? 0 : -ENOENT);
	if (!expected) {
		assert_ptr_equal(choice.driver, &alien); /* untouched */
		assert_string_not_equal(message, "");
		return;
	}
	(void)snprintf(text, sizeof(text), "%s/%c", choice.driver->name,
		       choice.synchronous ? 's' : 'a');
	assert_string_equal(text, expected);
	assert_string_equal(message, "");
}

static void each_policy_takes_the_driver_of_the_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_chooses(&table[i], INTACT_DIGEST_AUTO, table[i].automatic);
		assert_chooses(&table[i], INTACT_DIGEST_ACCELERATOR, table[i].accelerator);
		assert_chooses(&table[i], INTACT_DIGEST_SYNC, table[i].sync);
		assert_chooses(&table[i], INTACT_DIGEST_ASYNC, table[i].async);
	}
}

static void assert_says(const struct row *row, enum intact_digest_policy policy, const char *text)
{
	struct digest_choice choice;

	assert_int_equal(choose(row, policy, &choice), -ENOENT);
	assert_string_equal(message, text);
}

static void a_refusal_names_the_parameter_and_what_exists(void **state)
{
	const struct row one = {.drivers = {&soft}};
	const struct row named = {.drivers = {&soft, &card, &slow, &alien}, .named = "gpu"};
	const struct row none = {.drivers = {&alien}};

	(void)state;
	assert_says(&one, INTACT_DIGEST_ASYNC,
		    "internal hash sha256: no asynchronous driver, there is soft (synchronous)");
	assert_says(&named, INTACT_DIGEST_AUTO,
		    "internal hash sha256: no driver called gpu, there is soft (synchronous), card "
		    "(asynchronous), slow (synchronous and asynchronous, slow here)");
	assert_says(&none, INTACT_DIGEST_SYNC,
		    "internal hash sha256: no synchronous driver, there is none at all");
}

static void a_policy_that_does_not_exist_finds_no_driver(void **state)
{
	const struct row both = {.drivers = {&lanes}};
	struct digest_choice choice;

	(void)state;
	assert_int_equal(choose(&both, (enum intact_digest_policy)99, &choice), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_policy_takes_the_driver_of_the_table),
		cmocka_unit_test(a_refusal_names_the_parameter_and_what_exists),
		cmocka_unit_test(a_policy_that_does_not_exist_finds_no_driver),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
