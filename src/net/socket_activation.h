#pragma once
// Sockets that a manager has bound for us (systemd's socket activation): descriptors from 3 on,
// with names that the socket units give them (FileDescriptorName=). While we are away the kernel
// queues the connections on them.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace drover::net {

struct PassedSocket {
  std::string name;  // "client", "admin"; "unknown" when the manager gave none
  int fd = -1;       // a listening stream socket, nonblocking, close-on-exec
};

// What $LISTEN_PID, $LISTEN_FDS and $LISTEN_FDNAMES say; an empty list when nothing was passed to
// this process. The descriptors belong to the caller. The variables are taken out of the
// environment, so that a child does not believe that it was meant: call it once, before the first
// thread.
//
// Error kConfig: something was passed that cannot be served on; the sentence says which descriptor,
// and which line of a socket unit to change. None is handed out then.
Result<std::vector<PassedSocket>> take_passed_sockets();

// The same with the values and the number of the first descriptor given, for tests.
struct ActivationValues {
  std::string pid;
  std::string count;
  std::string names;
  int first_fd = 3;  // SD_LISTEN_FDS_START
};
Result<std::vector<PassedSocket>> read_passed_sockets(const ActivationValues& values);

}  // namespace drover::net
