/* Logs what a process asks of the network, for test/support/network.py: one line "lookup NAME" or "send ADDRESS" in
 * $NETWORK_LOG for each name resolved and each internet address connected or sent to. Preloaded (LD_PRELOAD), so that
 * it sees native libraries too, whose calls no Python hook sees. Look-ups of logged names fail, so that nothing is sent.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void write_line(const char *kind, const char *value) {
    const char *path = getenv("NETWORK_LOG");
    char line[512];
    int length = snprintf(line, sizeof line, "%s %s\n", kind, value);
    int file = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644) : -1;
    if (file >= 0) {
        if (write(file, line, length) != length) abort();
        close(file);
    }
}

/* Whether a name is resolved outside this process; logs it if so. */
static int looked_up(const char *name) {
    struct in6_addr address;
    char own[256] = "";
    gethostname(own, sizeof own - 1);
    if (!name || !*name || inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1) return 0;
    if (!strcmp(name, "localhost") || !strcmp(name, own)) return 0;
    write_line("lookup", name);
    return 1;
}

static void sent(const struct sockaddr *to) {
    char text[INET6_ADDRSTRLEN];
    if (!to || (to->sa_family != AF_INET && to->sa_family != AF_INET6)) return;
    const void *address = to->sa_family == AF_INET ? (const void *)&((const struct sockaddr_in *)to)->sin_addr
                                                   : (const void *)&((const struct sockaddr_in6 *)to)->sin6_addr;
    write_line("send", inet_ntop(to->sa_family, address, text, sizeof text));
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
    return looked_up(name) ? EAI_NONAME : REAL(getaddrinfo)(name, service, hints, result);
}

struct hostent *gethostbyname(const char *name) {
    return looked_up(name) ? NULL : REAL(gethostbyname)(name);
}

struct hostent *gethostbyname2(const char *name, int family) {
    return looked_up(name) ? NULL : REAL(gethostbyname2)(name, family);
}

int gethostbyname_r(const char *name, struct hostent *entry, char *buffer, size_t size, struct hostent **result,
                    int *error) {
    if (!looked_up(name)) return REAL(gethostbyname_r)(name, entry, buffer, size, result, error);
    *result = NULL;
    *error = HOST_NOT_FOUND;
    return ENOENT;
}

int gethostbyname2_r(const char *name, int family, struct hostent *entry, char *buffer, size_t size,
                     struct hostent **result, int *error) {
    if (!looked_up(name)) return REAL(gethostbyname2_r)(name, family, entry, buffer, size, result, error);
    *result = NULL;
    *error = HOST_NOT_FOUND;
    return ENOENT;
}

int connect(int socket, const struct sockaddr *to, socklen_t length) {
    sent(to);
    return REAL(connect)(socket, to, length);
}

ssize_t sendto(int socket, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t length) {
    sent(to);
    return REAL(sendto)(socket, data, size, flags, to, length);
}

ssize_t sendmsg(int socket, const struct msghdr *message, int flags) {
    sent(message->msg_name);
    return REAL(sendmsg)(socket, message, flags);
}

int sendmmsg(int socket, struct mmsghdr *messages, unsigned int count, int flags) {
    for (unsigned int k = 0; k < count; k++) sent(messages[k].msg_hdr.msg_name);
    return REAL(sendmmsg)(socket, messages, count, flags);
}
