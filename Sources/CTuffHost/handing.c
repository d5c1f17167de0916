#define _GNU_SOURCE
#include "CTuffHost.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

ssize_t tuff_send_handing(int socket, const void *bytes, size_t count, int descriptor) {
    struct iovec piece = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    union { struct cmsghdr header; char room[CMSG_SPACE(sizeof(int))]; } control;
    if (descriptor >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.room;
        message.msg_controllen = sizeof control.room;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

ssize_t tuff_receive_handed(int input, void *bytes, size_t count, int *descriptor) {
    struct iovec piece = {.iov_base = bytes, .iov_len = count};
    union { struct cmsghdr header; char room[CMSG_SPACE(sizeof(int))]; } control;
    ssize_t got;
    do {
        struct msghdr message = {
            .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
        got = recvmsg(input, &message, MSG_CMSG_CLOEXEC);
        if (got < 0 && errno == ENOTSOCK) {
            got = read(input, bytes, count);
        } else if (got >= 0) {
            struct cmsghdr *header = CMSG_FIRSTHDR(&message);
            if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
                header->cmsg_len == CMSG_LEN(sizeof(int)))
                memcpy(descriptor, CMSG_DATA(header), sizeof(int));
        }
    } while (got < 0 && errno == EINTR);
    return got;
}
