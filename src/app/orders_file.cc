#include "app/orders_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace drover::app {
namespace {

class File {
 public:
  File(const std::string& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }

 private:
  int fd_;
};

bool write_all(const File& file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(file.fd(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

// Zero, or the errno of what failed.
int replace(const std::string& path, std::string_view text) {
  const std::string beside = path + ".new";
  {
    const File file(beside, O_WRONLY | O_CREAT | O_TRUNC);
    if (!file.is_open() || !write_all(file, text) || ::fsync(file.fd()) != 0) return errno;
  }
  if (::rename(beside.c_str(), path.c_str()) != 0) return errno;
  const File directory(path.substr(0, path.rfind('/')), O_RDONLY | O_DIRECTORY);
  if (directory.is_open()) ::fsync(directory.fd());
  return 0;
}

}  // namespace

std::unique_ptr<OrdersFile> OrdersFile::open(net::Loop& loop, const std::string& directory,
                                             Log& log) {
  const std::string path = directory + "/orders.lock";
  const int lock = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock >= 0 && ::flock(lock, LOCK_EX | LOCK_NB) == 0) {
    // tidy: allow(new) private ctor
    return std::unique_ptr<OrdersFile>(new OrdersFile(loop, directory, log, lock));
  }
  const std::string why = errno == EWOULDBLOCK
                              ? "another drover keeps its own there; give each a state_dir"
                              : std::strerror(errno);
  if (lock >= 0) ::close(lock);
  log.warn("orders will not survive a restart",
           {{"file", std::string_view(path)}, {"why", std::string_view(why)}});
  return nullptr;
}

OrdersFile::OrdersFile(net::Loop& loop, const std::string& directory, Log& log, int lock)
    : path_(directory + "/orders"), log_(log), lock_(lock), worker_(loop, "drover-orders") {}

OrdersFile::~OrdersFile() { ::close(lock_); }

std::string OrdersFile::read(std::size_t most) const {
  const File file(path_, O_RDONLY);
  std::string text;
  char room[16 * 1024];
  while (file.is_open() && text.size() <= most) {
    const ssize_t n = ::read(file.fd(), room, sizeof(room));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(room, static_cast<std::size_t>(n));
  }
  return text;
}

void OrdersFile::set_aside(std::string_view why) {
  const std::string aside = path_ + ".damaged";
  const bool moved = ::rename(path_.c_str(), aside.c_str()) == 0;
  log_.warn("the journal of orders is damaged, nothing is gone on with",
            {{"file", std::string_view(path_)},
             {"why", why},
             {"set_aside", std::string_view(moved ? aside : "")}});
}

void OrdersFile::write(std::string text) {
  next_ = std::move(text);
  if (!worker_.busy()) begin();
}

void OrdersFile::begin() {
  auto failure = std::make_shared<int>(0);
  worker_.run([failure, path = path_,
               text = *std::exchange(next_, std::nullopt)] { *failure = replace(path, text); },
              [this, failure] {
                if (*failure != 0 && !failing_) {
                  const std::string why = std::strerror(*failure);
                  log_.warn("orders would not survive a restart",
                            {{"file", std::string_view(path_)}, {"why", std::string_view(why)}});
                }
                failing_ = *failure != 0;
                if (next_) begin();
              });
}

}  // namespace drover::app
