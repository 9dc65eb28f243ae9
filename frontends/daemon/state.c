/* SPDX-License-Identifier: BSD-2-Clause */
#include "state.h"

#include "../frontend.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json_tokener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FILE_BYTES_MAX 65536
#define LINKS	       "/dev/intact"

struct file_name {
	char text[NAME_BYTES_MAX + 16];
};

static struct file_name file_name(const struct state *s, const char *suffix)
{
	struct file_name n;

	(void)snprintf(n.text, sizeof(n.text), "%s%s", s->name, suffix);
	return n;
}

static int refuse(const struct intact_log *log, const char *what, const char *path)
{
	int err = errno;

	frontend_say(log, INTACT_ERROR, "cannot %s %s: %s", what, path, strerror(err));
	return -err;
}

/* ---- Names ---- */

static bool is_printable(const char *text)
{
	for (const char *c = text; *c; c++) {
		if (*c < ' ' || *c > '~')
			return false;
	}
	return text[0];
}

/* Those that device-mapper takes as well, and that make no option and no other directory. */
int state_check_name(const char *name, const struct intact_log *log)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789#+-.:=@_";
	size_t length = strlen(name);

	if (length > 0 && length <= NAME_BYTES_MAX && name[strspn(name, allowed)] == '\0' &&
	    name[0] != '-' && name[0] != '.')
		return 0;
	frontend_say(
		log, INTACT_ERROR,
		"%s is no name: up to %d letters, digits and #+-.:=@_, not beginning with - or .",
		is_printable(name) ? name : "that", NAME_BYTES_MAX);
	return -EINVAL;
}

/* ---- The directory ---- */

static int find_directory(char ret[static PATH_MAX], const struct intact_log *log)
{
	const char *told = getenv("INTACT_RUNTIME_DIR");
	const char *users = getenv("XDG_RUNTIME_DIR");
	int bytes;

	if (told && told[0])
		bytes = snprintf(ret, PATH_MAX, "%s", told);
	else if (geteuid() == 0)
		bytes = snprintf(ret, PATH_MAX, "/run/intact");
	else if (users && users[0])
		bytes = snprintf(ret, PATH_MAX, "%s/intact", users);
	else
		bytes = 0;
	if (bytes > 0 && bytes < PATH_MAX && ret[0] == '/')
		return 0;
	frontend_say(log, INTACT_ERROR,
		     "no place for what belongs to open volumes: set XDG_RUNTIME_DIR");
	return -ENOENT;
}

/* Who could write there could have us open and remove what he likes. */
static int check_owner(int fd, const char *path, const struct intact_log *log)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return refuse(log, "look at", path);
	if (st.st_uid == geteuid() && (st.st_mode & 077) == 0)
		return 0;
	frontend_say(log, INTACT_ERROR, "%s is not this user's alone (mode 0700)", path);
	return -EPERM;
}

static int open_directory(const char *path, const struct intact_log *log)
{
	int fd;
	int err;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return refuse(log, "make", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return refuse(log, "open", path);
	err = check_owner(fd, path, log);
	if (!err)
		return fd;
	close(fd);
	return err;
}

int state_open(const char *name, const struct intact_log *log, struct state *ret)
{
	char path[PATH_MAX];
	int err = state_check_name(name, log);

	*ret = (struct state){.directory_fd = -1, .lock_fd = -1};
	err = err ?: find_directory(path, log);
	if (err)
		return err;
	strcpy(ret->name, name);
	if (snprintf(ret->directory, PATH_MAX, "%s/%s.d", path, name) >= PATH_MAX)
		return -ENAMETOOLONG;
	ret->directory_fd = open_directory(path, log);
	return ret->directory_fd < 0 ? ret->directory_fd : 0;
}

void state_close(struct state *s)
{
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	if (s->directory_fd >= 0)
		close(s->directory_fd);
	s->lock_fd = s->directory_fd = -1;
}

/* ---- The lock ---- */

/* The file goes with its process, and what was opened just before is not the file of that name any
 * more.
 */
static bool is_current(const struct state *s, int fd)
{
	struct stat open_one;
	struct stat named;

	return fstat(fd, &open_one) == 0 &&
	       fstatat(s->directory_fd, file_name(s, ".lock").text, &named, AT_SYMLINK_NOFOLLOW) ==
		       0 &&
	       open_one.st_ino == named.st_ino && open_one.st_dev == named.st_dev;
}

static int try_to_lock(struct state *s, const struct intact_log *log)
{
	int fd = openat(s->directory_fd, file_name(s, ".lock").text,
			O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int err = 0;

	if (fd < 0)
		return refuse(log, "make the lock of", s->name);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		err = errno == EWOULDBLOCK ? -EEXIST : refuse(log, "lock", s->name);
	else if (!is_current(s, fd))
		err = -EAGAIN;
	if (err)
		close(fd);
	else
		s->lock_fd = fd;
	return err;
}

int state_lock(struct state *s, const struct intact_log *log)
{
	int err;

	do {
		err = try_to_lock(s, log);
	} while (err == -EAGAIN);
	return err;
}

bool state_is_alive(const struct state *s)
{
	int fd = openat(s->directory_fd, file_name(s, ".lock").text,
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool alive;

	if (fd < 0)
		return false;
	alive = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	close(fd);
	return alive;
}

/* ---- The file ---- */

static int parse(int fd, struct json_object **ret)
{
	char *text = calloc(1, FILE_BYTES_MAX);
	ssize_t n = text ? read(fd, text, FILE_BYTES_MAX - 1) : -1;
	struct json_object *o = n > 0 ? json_tokener_parse(text) : NULL;

	free(text);
	if (json_object_is_type(o, json_type_object)) {
		*ret = o;
		return 0;
	}
	json_object_put(o);
	return -EBADMSG;
}

int state_read(const struct state *s, const struct intact_log *log, struct json_object **ret)
{
	int fd = openat(s->directory_fd, file_name(s, ".json").text,
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int err;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : refuse(log, "read the state of", s->name);
	err = parse(fd, ret);
	close(fd);
	if (err)
		frontend_say(log, INTACT_ERROR, "the state of %s is damaged", s->name);
	return err;
}

static int write_all(int fd, const char *text)
{
	size_t bytes = strlen(text);

	while (bytes > 0) {
		ssize_t n = write(fd, text, bytes);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			bytes -= (size_t)n;
		}
	}
	return 0;
}

/* Whoever reads it sees the old one or the new, after a power failure as well. */
int state_write(const struct state *s, struct json_object *o, const struct intact_log *log)
{
	struct file_name fresh = file_name(s, ".json.new");
	int fd = openat(s->directory_fd, fresh.text,
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int err;

	if (fd < 0)
		return refuse(log, "write the state of", s->name);
	err = write_all(fd, json_object_to_json_string_ext(o, JSON_C_TO_STRING_NOSLASHESCAPE));
	if (!err && fsync(fd) < 0)
		err = -errno;
	close(fd);
	if (!err && (renameat(s->directory_fd, fresh.text, s->directory_fd,
			      file_name(s, ".json").text) < 0 ||
		     fsync(s->directory_fd) < 0))
		err = -errno;
	if (err) {
		(void)unlinkat(s->directory_fd, fresh.text, 0);
		errno = -err;
		return refuse(log, "write the state of", s->name);
	}
	return 0;
}

int state_make_directory(const struct state *s, const struct intact_log *log)
{
	if (mkdir(s->directory, 0700) < 0 && errno != EEXIST)
		return refuse(log, "make", s->directory);
	return 0;
}

/* ---- The link ---- */

static void link_path(const struct state *s, char path[static PATH_MAX])
{
	(void)snprintf(path, PATH_MAX, LINKS "/%s", s->name);
}

/* Where a link leads to; false: it is none. */
static bool read_link(int directory_fd, const char *path, char to[static PATH_MAX])
{
	ssize_t n = readlinkat(directory_fd, path, to, PATH_MAX - 1);

	to[n < 0 ? 0 : n] = '\0';
	return n >= 0;
}

/* What a process that died has left may be right as it is. */
static int make_link(const char *path, const char *device, const struct intact_log *log)
{
	char to[PATH_MAX];

	if (read_link(AT_FDCWD, path, to) && strcmp(to, device) == 0)
		return 0;
	if (access(path, F_OK) < 0) /* points to nothing, or is not there */
		(void)unlink(path);
	return symlink(device, path) < 0 ? refuse(log, "make", path) : 0;
}

int state_link(const struct state *s, const char *device, const struct intact_log *log)
{
	char path[PATH_MAX];

	if (geteuid() != 0)
		return 0;
	link_path(s, path);
	if (mkdir(LINKS, 0755) < 0 && errno != EEXIST)
		return refuse(log, "make", LINKS);
	return make_link(path, device, log);
}

int state_link_at(const struct state *s, const char *path, const char *device,
		  const struct intact_log *log)
{
	int err = make_link(path, device, log);

	if (err)
		return err;
	(void)unlinkat(s->directory_fd, file_name(s, ".link").text, 0);
	if (symlinkat(path, s->directory_fd, file_name(s, ".link").text) == 0)
		return 0;
	err = refuse(log, "remember", path);
	(void)unlink(path);
	return err;
}

/* Unless it points elsewhere: then it is another's. */
static void remove_link(const char *path, const char *device)
{
	char to[PATH_MAX];

	if (read_link(AT_FDCWD, path, to) && strcmp(to, device) == 0)
		(void)unlink(path);
}

static void remove_links(const struct state *s, const char *device)
{
	char path[PATH_MAX];

	link_path(s, path);
	remove_link(path, device);
	if (read_link(s->directory_fd, file_name(s, ".link").text, path))
		remove_link(path, device);
}

/* ---- The end ---- */

static void empty_directory(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
}

void state_clear(const struct state *s, const char *device)
{
	static const char *const suffixes[] = {".link", ".sock", ".json.new", ".json"};

	if (device)
		remove_links(s, device);
	empty_directory(s->directory);
	(void)rmdir(s->directory);
	for (unsigned i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++)
		(void)unlinkat(s->directory_fd, file_name(s, suffixes[i]).text, 0);
}

void state_remove(struct state *s, const char *device)
{
	state_clear(s, device);
	(void)unlinkat(s->directory_fd, file_name(s, ".lock").text, 0);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	s->lock_fd = -1;
}

void state_socket_address(const struct state *s, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", s->directory_fd,
		       file_name(s, ".sock").text);
}

/* ---- All of them ---- */

static int is_state(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return length > 5 && length - 5 <= NAME_BYTES_MAX &&
	       strcmp(entry->d_name + length - 5, ".json") == 0;
}

int state_each(int (*each)(void *opaque, const char *name), void *opaque,
	       const struct intact_log *log)
{
	struct dirent **entries;
	char path[PATH_MAX];
	int err = find_directory(path, log);
	int count;

	if (err)
		return err;
	count = scandir(path, &entries, is_state, alphasort);
	if (count < 0)
		return errno == ENOENT ? 0 : refuse(log, "list", path);
	for (int i = 0; i < count; i++) {
		entries[i]->d_name[strlen(entries[i]->d_name) - 5] = '\0';
		err = err ?: each(opaque, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return err;
}
