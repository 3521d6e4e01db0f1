#include "child.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "usage.h"

namespace drover::bench {
namespace {

constexpr int kPauseMs = 10;
constexpr int kPauses = 200;  // two seconds to end by itself

// Nothing of the surroundings reaches the measured programs: a DROVER_* variable would be a
// setting.
char kPath[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
char* const kEnvironment[] = {kPath, nullptr};

[[noreturn]] void become(const std::vector<std::string>& words, const std::string& log) {
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int in = ::open("/dev/null", O_RDONLY);
  if (out < 0 || in < 0) die(log);
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(out, 2);
  ::close(out);
  ::close(in);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ::execve(arguments[0], arguments.data(), kEnvironment);
  die(words[0]);
}

}  // namespace

Child::~Child() {
  if (process_ == 0) return;
  const std::vector<pid_t> tree = process_tree(process_);
  ::kill(process_, SIGTERM);
  for (int i = 0; i < kPauses && running(); ++i) ::poll(nullptr, 0, kPauseMs);
  if (process_ == 0) return;
  for (const pid_t process : tree) ::kill(process, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

bool Child::running() {
  if (process_ != 0 && ::waitpid(process_, nullptr, WNOHANG) == process_) process_ = 0;
  return process_ != 0;
}

Child run_function(const Cores& cores, const std::function<void()>& work) {
  const pid_t process = ::fork();
  if (process < 0) die("fork");
  if (process > 0) return Child(process);
  die_with_parent();
  pin(cores);
  work();
  ::_exit(0);
}

Child run_program(const Cores& cores, const std::vector<std::string>& words,
                  const std::string& log) {
  const pid_t process = ::fork();
  if (process < 0) die("fork");
  if (process > 0) return Child(process);
  die_with_parent();
  pin(cores);
  become(words, log);
}

std::string output_of(const std::string& command) {
  std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return {};
  std::string out;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) out += static_cast<char>(c);
  if (::pclose(pipe) != 0) return {};
  while (out.ends_with('\n')) out.pop_back();
  return out;
}

}  // namespace drover::bench
